#include "server/io/parser_msgpack.h"

#include <math.h>

#include "common/utf8.h"
#include "server/http/websocket.h"

/* ---- decoding ------------------------------------------------------------ */

/* Where the values of a packet begin; NULL for what is absent. */
struct fields {
    struct str type, data, id, nsp;
};

static struct str *field(struct fields *f, struct str key)
{
    if (str_eq(key, STR("type")))
        return &f->type;
    if (str_eq(key, STR("data")))
        return &f->data;
    if (str_eq(key, STR("id")))
        return &f->id;
    if (str_eq(key, STR("nsp")))
        return &f->nsp;
    return NULL;
}

/* One pair of the map; of a key that comes twice the last one counts, as in
 * JavaScript. */
static int read_field(struct str *in, struct fields *f)
{
    struct str key_at = *in;
    struct mp_value key, value;
    if (mp_skip(in) < 0 || mp_read(&key_at, &key) < 0)
        return ERR_PROTO;
    struct str at = *in, peek = at;
    if (mp_skip(in) < 0 || mp_read(&peek, &value) < 0)
        return ERR_PROTO;
    struct str *to = key.type == MP_STR ? field(f, key.s) : NULL;
    if (to)
        *to = mp_is_undefined(&value) ? (struct str){NULL, 0} : at;
    return 0;
}

static int read_fields(struct str in, struct fields *f)
{
    struct mp_value head;
    *f = (struct fields){.type = {NULL, 0}};
    if (mp_read(&in, &head) < 0 || head.type != MP_MAP)
        return ERR_PROTO;
    for (uint32_t i = 0; i < head.count; i++) {
        if (read_field(&in, f) < 0)
            return ERR_PROTO;
    }
    return in.len == 0 ? 0 : ERR_PROTO;
}

/* What JavaScript calls an integer, 2.0 included, of 0 to `max`. */
static int read_integer(struct str at, int64_t max, int64_t *out)
{
    struct mp_value v;
    if (mp_read(&at, &v) < 0)
        return ERR_PROTO;
    if (v.type == MP_FLOAT && isfinite(v.d) && v.d == floor(v.d)) {
        if (v.d < 0 || v.d > (double)max)
            return ERR_LIMIT;
        *out = (int64_t)v.d;
        return 0;
    }
    if (v.type != MP_INT && v.type != MP_UINT)
        return ERR_PROTO;
    if (v.type == MP_UINT || v.i < 0 || v.i > max)
        return ERR_LIMIT;
    *out = v.i;
    return 0;
}

static int read_head(const struct fields *f, struct packet_head *out)
{
    int64_t type;
    struct str at = f->nsp;
    struct mp_value nsp;
    if (!f->type.p || read_integer(f->type, PACKET_CONNECT_ERROR, &type) < 0)
        return ERR_PROTO;
    if (!at.p || mp_read(&at, &nsp) < 0 || nsp.type != MP_STR ||
        !utf8_valid(nsp.s))
        return ERR_PROTO;
    out->type = (enum packet_type)type;
    out->nsp = nsp.s;
    out->ack = PACKET_NO_ACK;
    return f->id.p ? read_integer(f->id, PARSER_ACK_MAX, &out->ack) : 0;
}

static bool type_fits(enum packet_type packet, enum mp_type data)
{
    switch (packet) {
    case PACKET_CONNECT:
        return data == MP_MAP;
    case PACKET_EVENT:
    case PACKET_ACK:
        return data == MP_ARRAY;
    case PACKET_CONNECT_ERROR:
        return data == MP_MAP || data == MP_STR;
    case PACKET_DISCONNECT:
    default:
        return false;
    }
}

static int read_data(struct str at, const struct parser_limits *lim,
                     struct json *tape, struct parser_in *out)
{
    struct packet_head *h = &out->head;
    struct str peek = at;
    struct mp_value head;
    if (!at.p)
        return h->type == PACKET_CONNECT || h->type == PACKET_DISCONNECT
                   ? 0
                   : ERR_PROTO;
    if (mp_read(&peek, &head) < 0 || !type_fits(h->type, head.type))
        return ERR_PROTO;
    /* No byte becomes more than eight, as a false key does ("false":), but for
     * the placeholders of attachments. */
    buf_init(&out->text, at.len * 8 + (size_t)PACKET_BINS_MAX * 64);
    uint32_t depth =
        lim->json.depth < MP_DEPTH_MAX ? lim->json.depth : MP_DEPTH_MAX;
    int rc = mp_to_json(&at, &out->text, depth,
                        h->type == PACKET_CONNECT ? NULL : &out->bins);
    if (rc < 0)
        return rc;
    h->has_payload = true;
    h->payload = buf_str(&out->text);
    h->n_bins = (uint8_t)out->bins.n;
    return json_parse(tape, h->payload, lim->json);
}

static int decode(struct str message, const struct parser_limits *lim,
                  struct json *tape, struct parser_in *out)
{
    struct fields f;
    int rc = read_fields(message, &f);
    if (rc == 0)
        rc = read_head(&f, &out->head);
    if (rc == 0)
        rc = read_data(f.data, lim, tape, out);
    if (rc < 0 || out->head.type != PACKET_EVENT)
        return rc;
    bool reserved;
    uint32_t name = json_first(tape, 0);
    return name == JSON_NONE
               ? 0
               : parser_check_name(tape, name, lim->event_name_bytes,
                                   &reserved);
}

static int refuse_text(struct str message, const struct parser_limits *lim,
                       struct json *tape, struct parser_in *out)
{
    (void)message, (void)lim, (void)tape, (void)out;
    return ERR_PROTO;
}

/* ---- encoding ------------------------------------------------------------ */

/* The order of the keys as the official server writes them: no client minds,
 * but whoever compares bytes does. */
static const char *const orders[] = {
    [PACKET_CONNECT] = "tdin",       [PACKET_DISCONNECT] = "tin",
    [PACKET_EVENT] = "tdin",         [PACKET_ACK] = "itdn",
    [PACKET_CONNECT_ERROR] = "tind",
};

/* The answer to CONNECT has the socket's private id, which is undefined without
 * connection state recovery, and written all the same. */
static void put_connect(struct buf *b, const struct json *tape)
{
    bool pid = json_get(tape, 0, STR("pid")) != JSON_NONE;
    mp_put_map(b, tape->nodes[0].count + !pid);
    uint32_t node = json_first(tape, 0);
    for (; node != JSON_NONE; node = json_next(tape, 0, node))
        mp_put_json(b, tape, node, NULL, 0);
    if (pid)
        return;
    mp_put_str(b, STR("pid"));
    buf_add(b, STR("\xd4\0\0"));
}

/* The array of an event, and its offset behind all else. */
static void put_event(struct buf *b, const struct parser_out *p,
                      const struct json *tape)
{
    mp_put_array(b, tape->nodes[0].count + 1);
    uint32_t node = json_first(tape, 0);
    for (; node != JSON_NONE; node = json_next(tape, 0, node))
        mp_put_json(b, tape, node, p->bins, p->n_bins);
    mp_put_str(b, p->offset);
}

static void put_data(struct buf *b, const struct parser_out *p,
                     const struct json *tape)
{
    mp_put_str(b, STR("data"));
    if (p->type == PACKET_CONNECT && json_type(tape, 0) == JSON_OBJECT)
        put_connect(b, tape);
    else if (p->offset.len)
        put_event(b, p, tape);
    else
        mp_put_json(b, tape, 0, p->bins, p->n_bins);
}

static void put_packet(struct buf *b, const struct parser_out *p,
                       const struct json *tape)
{
    bool id = p->ack != PACKET_NO_ACK, data = p->data.len > 0;
    mp_put_map(b, 2 + (uint32_t)id + (uint32_t)data);
    for (const char *key = orders[p->type]; *key; key++) {
        if (*key == 't') {
            mp_put_str(b, STR("type"));
            mp_put_int(b, p->type);
        } else if (*key == 'd' && data) {
            put_data(b, p, tape);
        } else if (*key == 'i' && id) {
            mp_put_str(b, STR("id"));
            mp_put_int(b, p->ack);
        } else if (*key == 'n') {
            mp_put_str(b, STR("nsp"));
            mp_put_str(b, p->nsp);
        }
    }
}

/* What sio.h and the adapters let through is within these bounds. */
static struct bytes *encode(const struct parser_out *p)
{
    enum { FRAME_MAX = 1 << 30 };
    static const struct json_limits limits = {64, (1 << 24) - 1};
    struct json tape;
    struct buf b;
    struct bytes *frame = NULL;
    json_init(&tape);
    buf_init(&b, FRAME_MAX);
    if (p->data.len == 0 || json_parse(&tape, p->data, limits) == 0) {
        put_packet(&b, p, &tape);
        if (!b.full) {
            char *body;
            frame = ws_frame_new(b.len, true, &body);
            memcpy(body, buf_ptr(&b), b.len);
        }
    }
    buf_fini(&b);
    json_fini(&tape);
    return frame;
}

const struct parser_ops parser_msgpack = {.kind = PARSER_MSGPACK,
                                          .bins_apart = false,
                                          .text = refuse_text,
                                          .binary = decode,
                                          .encode = encode};
