#include "adapter/wire_request.h"

#include <assert.h>

#include "common/json_out.h"

enum {
    KEEP_NODES = 1U << 14, /* of the tape, beyond one message */
    KEEP_BYTES = 64 * 1024,
    /* How deep data lies in a request, and in the socket of a response. */
    REQUEST_DEPTH = 2,
    RESPONSE_DEPTH = 4,
};

/* ---- storage ------------------------------------------------------------- */

void wire_space_init(struct wire_space *s)
{
    json_init(&s->tape);
    buf_init(&s->text, 0);
    buf_init(&s->scratch, 0);
    buf_init(&s->value, 0);
}

void wire_space_fini(struct wire_space *s)
{
    json_fini(&s->tape);
    buf_fini(&s->text);
    buf_fini(&s->scratch);
    buf_fini(&s->value);
}

void wire_space_trim(struct wire_space *s)
{
    if (s->tape.cap > KEEP_NODES) {
        json_fini(&s->tape);
        json_init(&s->tape);
    }
    if (s->text.cap > KEEP_BYTES)
        buf_fini(&s->text);
    if (s->scratch.cap > KEEP_BYTES)
        buf_fini(&s->scratch);
    if (s->value.cap > KEEP_BYTES)
        buf_fini(&s->value);
}

/* ---- channels ------------------------------------------------------------ */

static void put_channel(struct str prefix, struct str what, struct str nsp,
                        struct buf *out)
{
    buf_add(out, prefix);
    buf_add(out, what);
    buf_add(out, nsp);
    buf_addc(out, '#');
}

void wire_request_channel(struct str prefix, struct str nsp, struct buf *out)
{
    put_channel(prefix, STR("-request#"), nsp, out);
}

void wire_response_channel(struct str prefix, struct str nsp, struct str uid,
                           struct buf *out)
{
    put_channel(prefix, STR("-response#"), nsp, out);
    if (uid.len == 0)
        return;
    buf_add(out, uid);
    buf_addc(out, '#');
}

/* ---- writing requests ---------------------------------------------------- */

static void put_names(struct json *tape, const struct str *names, size_t n,
                      uint64_t numbers, struct buf *out)
{
    buf_addc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_addc(out, ',');
        if (wire_is_number(numbers, i) && wire_parse_number(tape, names[i]))
            buf_add(out, names[i]);
        else
            json_out_string(out, names[i]);
    }
    buf_addc(out, ']');
}

static void put_opts(struct json *tape, const struct broadcast *b,
                     struct buf *out)
{
    buf_add(out, STR(",\"opts\":{\"rooms\":"));
    put_names(tape, b->rooms, b->n_rooms, b->number_rooms, out);
    buf_add(out, STR(",\"except\":"));
    put_names(tape, b->except, b->n_except, b->number_except, out);
    buf_addc(out, '}');
}

static void put_head(const struct wire_request *r, struct buf *out)
{
    buf_addc(out, '{');
    if (r->uid.len > 0) {
        buf_add(out, STR("\"uid\":"));
        json_out_string(out, r->uid);
        buf_addc(out, ',');
    }
    if (r->id.len > 0) {
        buf_add(out, STR("\"requestId\":"));
        json_out_string(out, r->id);
        buf_addc(out, ',');
    }
    buf_add(out, STR("\"type\":"));
    buf_add_u64(out, r->type);
}

static int put_broadcast(struct json *tape, const struct wire_request *r,
                         struct buf *out)
{
    const struct broadcast *b = &r->opts;
    mp_put_map(out, 5);
    mp_put_str(out, STR("uid"));
    mp_put_str(out, r->uid);
    mp_put_str(out, STR("requestId"));
    mp_put_str(out, r->id);
    mp_put_str(out, STR("type"));
    mp_put_int(out, WIRE_BROADCAST);
    mp_put_str(out, STR("packet"));
    int rc = wire_put_packet(tape, r->packet, out);
    if (rc < 0)
        return rc;
    mp_put_str(out, STR("opts"));
    wire_put_opts(tape, b, out);
    mp_put_map(out, (b->is_volatile ? 1U : 0) + (r->timeout_ms ? 1U : 0));
    if (b->is_volatile) {
        mp_put_str(out, STR("volatile"));
        mp_put_bool(out, true);
    }
    if (r->timeout_ms) {
        mp_put_str(out, STR("timeout"));
        mp_put_int(out, r->timeout_ms);
    }
    return 0;
}

static void put_json(struct json *tape, const struct wire_request *r,
                     struct buf *out)
{
    const struct room_names *names = &r->names;
    put_head(r, out);
    switch (r->type) {
    case WIRE_SOCKETS:
        buf_add(out, STR(",\"rooms\":"));
        put_names(tape, r->opts.rooms, r->opts.n_rooms, r->opts.number_rooms,
                  out);
        break;
    case WIRE_JOIN:
    case WIRE_LEAVE:
        put_opts(tape, &r->opts, out);
        buf_add(out, STR(",\"rooms\":"));
        put_names(tape, names->v, names->n, names->numbers, out);
        break;
    case WIRE_DISCONNECT:
        put_opts(tape, &r->opts, out);
        buf_add(out,
                r->close ? STR(",\"close\":true") : STR(",\"close\":false"));
        break;
    case WIRE_FETCH:
        put_opts(tape, &r->opts, out);
        break;
    case WIRE_EVENT:
        buf_add(out, STR(",\"data\":"));
        buf_add(out, r->data);
        break;
    default:
        break;
    }
    buf_addc(out, '}');
}

int wire_request_encode(struct json *tape, const struct wire_request *r,
                        struct buf *out)
{
    int rc = 0;
    assert(r->sid.len == 0);
    if (r->type == WIRE_BROADCAST)
        rc = put_broadcast(tape, r, out);
    else
        put_json(tape, r, out);
    if (rc == 0 && out->full)
        rc = ERR_LIMIT;
    return rc;
}

/* ---- writing responses --------------------------------------------------- */

void wire_response_begin(struct str id, const char *key, struct buf *out)
{
    buf_add(out, STR("{\"requestId\":"));
    json_out_string(out, id);
    buf_fmt(out, ",\"%s\":[", key);
}

void wire_response_done(struct str id, struct buf *out)
{
    buf_add(out, STR("{\"requestId\":"));
    json_out_string(out, id);
    buf_addc(out, '}');
}

static int parse_value(struct json *tape, struct str json)
{
    struct json_limits limits = {.depth = 64, .nodes = (1U << 24) - 1};
    return json_parse(tape, json, limits) < 0 ? ERR_PROTO : 0;
}

static void put_buffer(const struct bytes *bin, struct buf *out)
{
    buf_add(out, STR("{\"type\":\"Buffer\",\"data\":["));
    for (uint32_t i = 0; i < bin->len && !out->full; i++) {
        if (i > 0)
            buf_addc(out, ',');
        buf_add_u64(out, (unsigned char)bin->p[i]);
    }
    buf_add(out, STR("]}"));
}

/* Copies the text, but for the placeholders in it. */
static void put_with_buffers(const struct json *tape, struct bytes *const *bins,
                             size_t n_bins, struct buf *out)
{
    size_t copied = 0;
    for (uint32_t node = 0; node < tape->n; node++) {
        const struct json_node *n = &tape->nodes[node];
        size_t bin = mp_placeholder(tape, node, n_bins);
        if (bin == n_bins)
            continue;
        buf_add(out, (struct str){tape->text.p + copied, n->start - copied});
        put_buffer(bins[bin], out);
        copied = n->end;
        node = n->next - 1;
    }
    buf_add(out, str_from(tape->text, copied));
}

int wire_response_event(struct json *tape, struct str id, struct str json,
                        struct bytes *const *bins, size_t n_bins,
                        struct buf *out)
{
    if (json.len > 0 && parse_value(tape, json) < 0)
        return ERR_PROTO;
    buf_add(out, STR("{\"type\":6,\"requestId\":"));
    json_out_string(out, id);
    if (json.len > 0) {
        buf_add(out, STR(",\"data\":"));
        put_with_buffers(tape, bins, n_bins, out);
    }
    buf_addc(out, '}');
    return out->full ? ERR_LIMIT : 0;
}

void wire_response_count(struct str id, size_t clients, struct buf *out)
{
    buf_add(out, STR("{\"type\":8,\"requestId\":"));
    json_out_string(out, id);
    buf_add(out, STR(",\"clientCount\":"));
    buf_add_u64(out, clients);
    buf_addc(out, '}');
}

int wire_response_ack(struct json *tape, struct str id, struct str json,
                      struct bytes *const *bins, size_t n_bins, struct buf *out)
{
    if (json.len > 0 && parse_value(tape, json) < 0)
        return ERR_PROTO;
    mp_put_map(out, json.len > 0 ? 3 : 2);
    mp_put_str(out, STR("type"));
    mp_put_int(out, WIRE_ACK);
    mp_put_str(out, STR("requestId"));
    mp_put_str(out, id);
    if (json.len > 0) {
        mp_put_str(out, STR("packet"));
        mp_put_json(out, tape, 0, bins, n_bins);
    }
    return out->full ? ERR_LIMIT : 0;
}

/* ---- early looks --------------------------------------------------------- */

/* The string at the front of JSON text, when it has no escapes. */
static struct str front_string(struct str s)
{
    const char *end = s.len ? memchr(s.p, '"', s.len) : NULL;
    struct str text = {s.p, end ? (size_t)(end - s.p) : 0};
    if (text.len > 0 && memchr(text.p, '\\', text.len))
        text.len = 0;
    return text;
}

static struct str behind(struct str s, struct str front)
{
    return str_starts(s, front) ? str_from(s, front.len) : STR("");
}

static struct str mp_text(struct str *in)
{
    struct mp_value v;
    if (mp_read(in, &v) < 0 || v.type != MP_STR)
        return STR("");
    return v.s;
}

static bool mp_is_map(struct str *in)
{
    struct mp_value v;
    return mp_read(in, &v) == 0 && v.type == MP_MAP;
}

struct str wire_request_uid(struct str payload)
{
    if (str_starts(payload, STR("{")))
        return front_string(behind(payload, STR("{\"uid\":\"")));
    if (!mp_is_map(&payload) || !str_eq(mp_text(&payload), STR("uid")))
        return STR("");
    return mp_text(&payload);
}

static struct str json_response_id(struct str s)
{
    const struct str key = STR("\"requestId\":\"");
    s = str_from(s, 1);
    if (str_starts(s, STR("\"type\":")) && s.len > 9 && s.p[8] == ',')
        s = str_from(s, 9);
    return front_string(behind(s, key));
}

struct str wire_response_id(struct str payload)
{
    if (str_starts(payload, STR("{")))
        return json_response_id(payload);
    if (!mp_is_map(&payload))
        return STR("");
    struct str key = mp_text(&payload);
    if (str_eq(key, STR("type"))) {
        if (mp_skip(&payload) < 0)
            return STR("");
        key = mp_text(&payload);
    }
    return str_eq(key, STR("requestId")) ? mp_text(&payload) : STR("");
}

/* ---- reading: to the tape ------------------------------------------------ */

/* MessagePack becomes the JSON that says the same, but for keys that nobody
 * knows and for what may hold binary: the last field, which is left to the
 * caller. */
static int mp_to_text(struct str payload, struct wire_field *fields, size_t n,
                      uint32_t depth, uint32_t max, struct buf *text)
{
    if (wire_scan_map(&payload, fields, n) < 0 || payload.len > 0)
        return ERR_PROTO;
    buf_clear(text);
    text->max = max;
    buf_addc(text, '{');
    for (size_t i = 0; i + 1 < n; i++) {
        if (!fields[i].at.p)
            continue;
        if (text->len > 1)
            buf_addc(text, ',');
        json_out_string(text, fields[i].key);
        buf_addc(text, ':');
        struct str at = fields[i].at;
        int rc = mp_to_json(&at, text, depth, NULL);
        if (rc < 0)
            return rc;
    }
    buf_addc(text, '}');
    return text->full ? ERR_LIMIT : 0;
}

/* `*rest` is where the last field begins when it is MessagePack; p is NULL when
 * the payload is JSON, or has no such field. */
static int to_tape(struct str payload, struct wire_field *fields, size_t n,
                   const struct wire_limits *limits, uint32_t deeper,
                   struct wire_space *s, struct str *rest)
{
    struct json_limits jl = {.depth = limits->depth + deeper,
                             .nodes = (1U << 24) - 1};
    struct str text = payload;
    *rest = (struct str){NULL, 0};
    if (!str_starts(payload, STR("{"))) {
        uint32_t depth = jl.depth < MP_DEPTH_MAX ? jl.depth : MP_DEPTH_MAX;
        int rc =
            mp_to_text(payload, fields, n, depth, limits->json_bytes, &s->text);
        if (rc < 0)
            return rc;
        *rest = fields[n - 1].at;
        text = buf_str(&s->text);
    }
    buf_clear(&s->scratch);
    s->scratch.max = text.len + 3 * WIRE_NAMES_MAX * WIRE_NUMBER_MAX;
    return json_parse(&s->tape, text, jl);
}

/* ---- reading: values ----------------------------------------------------- */

/* All the room there can ever be a need for, so that no text moves. */
static bool reserve(struct buf *scratch)
{
    return buf_space(scratch, scratch->max - scratch->len) != NULL;
}

static int number_text(struct wire_space *s, uint32_t node, struct str *name)
{
    struct buf *out = &s->scratch;
    int64_t i;
    uint64_t u;
    double d;
    if (!reserve(out))
        return ERR_LIMIT;
    size_t start = out->len;
    if (json_i64(&s->tape, node, &i))
        buf_add_i64(out, i);
    else if (str_to_u64(json_text(&s->tape, node), UINT64_MAX, &u))
        buf_add_u64(out, u);
    else if (json_double(&s->tape, node, &d))
        json_out_double(out, d);
    else
        return ERR_PROTO;
    *name = str_from(buf_str(out), start);
    return out->full ? ERR_LIMIT : 0;
}

static int string_text(struct wire_space *s, uint32_t node, struct str *text)
{
    if (!s->tape.nodes[node].escaped) {
        struct str quoted = json_text(&s->tape, node);
        *text = (struct str){quoted.p + 1, quoted.len - 2};
        return 0;
    }
    if (!reserve(&s->scratch))
        return ERR_LIMIT;
    size_t start = s->scratch.len;
    json_string(&s->tape, node, &s->scratch);
    *text = str_from(buf_str(&s->scratch), start);
    return s->scratch.full ? ERR_LIMIT : 0;
}

int wire_name(struct wire_space *s, uint32_t node, struct str *name,
              bool *number)
{
    *number = json_type(&s->tape, node) == JSON_NUMBER;
    if (*number)
        return number_text(s, node, name);
    if (json_type(&s->tape, node) != JSON_STRING)
        return ERR_PROTO;
    return string_text(s, node, name);
}

/* JSON_NONE also for null. */
static uint32_t get(const struct wire_space *s, uint32_t object, struct str key)
{
    uint32_t node = json_get(&s->tape, object, key);
    if (node != JSON_NONE && json_type(&s->tape, node) == JSON_NULL)
        return JSON_NONE;
    return node;
}

/* Names of other types are refused: left out they would widen the selection. */
static int read_names(struct wire_space *s, uint32_t array, struct str *names,
                      size_t *n, uint64_t *numbers)
{
    if (array == JSON_NONE)
        return 0;
    if (json_type(&s->tape, array) != JSON_ARRAY)
        return ERR_PROTO;
    if (s->tape.nodes[array].count > WIRE_NAMES_MAX)
        return ERR_LIMIT;
    uint32_t at = json_first(&s->tape, array);
    for (; at != JSON_NONE; at = json_next(&s->tape, array, at)) {
        bool number;
        int rc = wire_name(s, at, &names[*n], &number);
        if (rc < 0)
            return rc;
        if (number && *n < 64)
            *numbers |= UINT64_C(1) << *n;
        ++*n;
    }
    return 0;
}

/* Of a uid or requestId; other types than text are as good as none. */
static int read_id(struct wire_space *s, struct str key, struct str *id)
{
    uint32_t node = get(s, 0, key);
    if (node == JSON_NONE || json_type(&s->tape, node) != JSON_STRING)
        return 0;
    int rc = string_text(s, node, id);
    if (rc == 0 && id->len > WIRE_ID_MAX)
        rc = ERR_LIMIT;
    return rc;
}

static bool read_whole(const struct wire_space *s, uint32_t node, int64_t max,
                       int64_t *out)
{
    return node != JSON_NONE && json_type(&s->tape, node) == JSON_NUMBER &&
           json_i64(&s->tape, node, out) && *out >= 0 && *out <= max;
}

static bool is_true(const struct wire_space *s, uint32_t node)
{
    return node != JSON_NONE && json_type(&s->tape, node) == JSON_TRUE;
}

/* ---- reading requests ---------------------------------------------------- */

static int read_opts(struct wire_space *s, uint32_t opts,
                     struct wire_request *r)
{
    struct broadcast *b = &r->opts;
    if (json_type(&s->tape, opts) != JSON_OBJECT)
        return ERR_PROTO;
    b->rooms = s->rooms;
    b->except = s->except;
    int rc = read_names(s, get(s, opts, STR("rooms")), s->rooms, &b->n_rooms,
                        &b->number_rooms);
    if (rc == 0)
        rc = read_names(s, get(s, opts, STR("except")), s->except, &b->n_except,
                        &b->number_except);
    uint32_t flags = get(s, opts, STR("flags"));
    if (rc < 0 || flags == JSON_NONE ||
        json_type(&s->tape, flags) != JSON_OBJECT)
        return rc;
    int64_t ms;
    b->is_volatile = is_true(s, get(s, flags, STR("volatile")));
    if (read_whole(s, get(s, flags, STR("timeout")), UINT32_MAX, &ms))
        r->timeout_ms = (uint32_t)ms;
    return 0;
}

/* Of JOIN, LEAVE and DISCONNECT: opts, or one socket's id. That there is
 * neither must not come to mean everyone. */
static int read_whom(struct wire_space *s, struct wire_request *r)
{
    uint32_t opts = get(s, 0, STR("opts"));
    if (opts != JSON_NONE)
        return read_opts(s, opts, r);
    uint32_t sid = get(s, 0, STR("sid"));
    if (sid == JSON_NONE || json_type(&s->tape, sid) != JSON_STRING)
        return ERR_PROTO;
    int rc = string_text(s, sid, &r->sid);
    return rc == 0 && r->sid.len == 0 ? ERR_PROTO : rc;
}

static int read_what(struct wire_space *s, struct wire_request *r)
{
    uint32_t node;
    bool number;
    int rc;
    r->names.v = s->names;
    if (r->sid.len == 0) {
        node = get(s, 0, STR("rooms"));
        return node == JSON_NONE ? ERR_PROTO
                                 : read_names(s, node, s->names, &r->names.n,
                                              &r->names.numbers);
    }
    node = get(s, 0, STR("room"));
    rc = node == JSON_NONE ? ERR_PROTO
                           : wire_name(s, node, &s->names[0], &number);
    if (rc == 0) {
        r->names.n = 1;
        r->names.numbers = number;
    }
    return rc;
}

/* An array that begins with a name. */
static int check_event(struct wire_space *s, uint32_t data, struct str *name)
{
    if (data == JSON_NONE || json_type(&s->tape, data) != JSON_ARRAY ||
        s->tape.nodes[data].count == 0)
        return ERR_PROTO;
    if (s->tape.nodes[data].count > WIRE_ARGS_MAX)
        return ERR_LIMIT;
    bool number;
    int rc = wire_name(s, json_first(&s->tape, data), name, &number);
    return rc == 0 && name->len > WIRE_EVENT_MAX ? ERR_LIMIT : rc;
}

static int read_json_packet(struct wire_space *s, struct str nsp,
                            struct packet **packet)
{
    uint32_t p = get(s, 0, STR("packet"));
    if (p == JSON_NONE)
        return ERR_PROTO;
    uint32_t of = get(s, p, STR("nsp"));
    if (of != JSON_NONE && json_type(&s->tape, of) != JSON_STRING)
        return ERR_PROTO;
    if (of == JSON_NONE ? !str_eq(nsp, STR("/"))
                        : !json_string_eq(&s->tape, of, nsp))
        return ERR_STATE;
    int64_t type;
    uint32_t data = get(s, p, STR("data"));
    if (!read_whole(s, get(s, p, STR("type")), PACKET_EVENT, &type) ||
        type != PACKET_EVENT)
        return ERR_PROTO;
    struct str name;
    int rc = check_event(s, data, &name);
    if (rc == 0 && wire_reserved_event(name))
        rc = ERR_PROTO;
    if (rc < 0)
        return rc;
    struct bytes *text = bytes_new(json_text(&s->tape, data));
    *packet = packet_new(PACKET_EVENT, nsp, PACKET_NO_ACK, text, NULL, 0);
    bytes_unref(text);
    return 0;
}

static int read_broadcast(struct wire_space *s, struct str nsp,
                          const struct wire_limits *limits, struct str packet,
                          struct wire_request *r)
{
    uint32_t opts = get(s, 0, STR("opts"));
    int rc = opts == JSON_NONE ? ERR_PROTO : read_opts(s, opts, r);
    if (rc < 0)
        return rc;
    if (packet.p)
        return wire_read_packet(&packet, nsp, limits, &r->packet);
    return read_json_packet(s, nsp, &r->packet);
}

static int read_event(struct wire_space *s, struct wire_request *r)
{
    uint32_t data = get(s, 0, STR("data"));
    struct str name;
    int rc = check_event(s, data, &name);
    if (rc == 0)
        r->data = json_text(&s->tape, data);
    return rc;
}

static int read_body(struct wire_space *s, struct wire_request *r)
{
    uint32_t node;
    int rc;
    switch (r->type) {
    case WIRE_SOCKETS:
        r->opts.rooms = s->rooms;
        return read_names(s, get(s, 0, STR("rooms")), s->rooms,
                          &r->opts.n_rooms, &r->opts.number_rooms);
    case WIRE_JOIN:
    case WIRE_LEAVE:
        rc = read_whom(s, r);
        return rc < 0 ? rc : read_what(s, r);
    case WIRE_DISCONNECT:
        r->close = is_true(s, get(s, 0, STR("close")));
        return read_whom(s, r);
    case WIRE_FETCH:
        node = get(s, 0, STR("opts"));
        return node == JSON_NONE ? 0 : read_opts(s, node, r);
    case WIRE_EVENT:
        return read_event(s, r);
    default:
        return 0;
    }
}

static bool needs_id(enum wire_type type)
{
    return type == WIRE_SOCKETS || type == WIRE_ALL_ROOMS ||
           type == WIRE_FETCH || type == WIRE_BROADCAST;
}

static int read_head(struct wire_space *s, struct wire_request *r)
{
    int64_t type;
    if (json_type(&s->tape, 0) != JSON_OBJECT ||
        !read_whole(s, get(s, 0, STR("type")), WIRE_BROADCAST, &type))
        return ERR_PROTO;
    r->type = (enum wire_type)type;
    int rc = read_id(s, STR("uid"), &r->uid);
    if (rc == 0)
        rc = read_id(s, STR("requestId"), &r->id);
    if (rc == 0 && r->id.len == 0 && needs_id(r->type))
        rc = ERR_PROTO;
    return rc;
}

int wire_request_decode(struct str payload, struct str nsp,
                        const struct wire_limits *limits, struct wire_space *s,
                        struct wire_request *r)
{
    struct wire_field fields[] = {
        {.key = STR("uid")},   {.key = STR("requestId")}, {.key = STR("type")},
        {.key = STR("opts")},  {.key = STR("rooms")},     {.key = STR("close")},
        {.key = STR("sid")},   {.key = STR("room")},      {.key = STR("data")},
        {.key = STR("packet")}};
    struct str packet;
    *r = (struct wire_request){
        .type = WIRE_NO_TYPE, .uid = STR(""), .id = STR("")};
    int rc = to_tape(payload, fields, sizeof(fields) / sizeof(fields[0]),
                     limits, REQUEST_DEPTH, s, &packet);
    if (rc == 0)
        rc = read_head(s, r);
    if (rc == 0)
        rc = r->type == WIRE_BROADCAST
                 ? read_broadcast(s, nsp, limits, packet, r)
                 : read_body(s, r);
    return rc;
}

void wire_request_fini(struct wire_request *r)
{
    packet_unref(r->packet);
    r->packet = NULL;
}

/* ---- reading responses --------------------------------------------------- */

static int read_arrays(struct wire_space *s, struct wire_response *r)
{
    r->sockets = get(s, 0, STR("sockets"));
    r->rooms = get(s, 0, STR("rooms"));
    if ((r->sockets != JSON_NONE &&
         json_type(&s->tape, r->sockets) != JSON_ARRAY) ||
        (r->rooms != JSON_NONE && json_type(&s->tape, r->rooms) != JSON_ARRAY))
        return ERR_PROTO;
    return 0;
}

static int read_ack(struct wire_space *s, const struct wire_limits *limits,
                    struct str packet, struct wire_response *r)
{
    if (!packet.p) {
        uint32_t node = json_get(&s->tape, 0, STR("packet"));
        if (node != JSON_NONE)
            r->value = json_text(&s->tape, node);
        return 0;
    }
    buf_clear(&s->value);
    s->value.max = limits->json_bytes;
    int rc = mp_to_json(&packet, &s->value, limits->depth, &r->bins);
    if (rc == 0)
        r->value = buf_str(&s->value);
    return rc;
}

static int read_fields(struct wire_space *s, const struct wire_limits *limits,
                       struct str packet, struct wire_response *r)
{
    int64_t n;
    uint32_t node = get(s, 0, STR("type"));
    if (read_whole(s, node, WIRE_ACK, &n))
        r->type = (enum wire_type)n;
    switch (r->type) {
    case WIRE_CLIENT_COUNT:
        if (!read_whole(s, get(s, 0, STR("clientCount")), UINT32_MAX, &n))
            return ERR_PROTO;
        r->clients = (uint32_t)n;
        return 0;
    case WIRE_ACK:
        return read_ack(s, limits, packet, r);
    case WIRE_EVENT:
        node = json_get(&s->tape, 0, STR("data"));
        if (node != JSON_NONE)
            r->value = json_text(&s->tape, node);
        return 0;
    default:
        return read_arrays(s, r);
    }
}

int wire_response_decode(struct str payload, const struct wire_limits *limits,
                         struct wire_space *s, struct wire_response *r)
{
    struct wire_field fields[] = {
        {.key = STR("type")},        {.key = STR("requestId")},
        {.key = STR("sockets")},     {.key = STR("rooms")},
        {.key = STR("clientCount")}, {.key = STR("data")},
        {.key = STR("packet")}};
    struct str packet;
    *r = (struct wire_response){.type = WIRE_NO_TYPE,
                                .id = STR(""),
                                .value = STR(""),
                                .sockets = JSON_NONE,
                                .rooms = JSON_NONE};
    int rc = to_tape(payload, fields, sizeof(fields) / sizeof(fields[0]),
                     limits, RESPONSE_DEPTH, s, &packet);
    if (rc == 0 && json_type(&s->tape, 0) != JSON_OBJECT)
        rc = ERR_PROTO;
    if (rc == 0)
        rc = read_id(s, STR("requestId"), &r->id);
    if (rc == 0 && r->id.len == 0)
        rc = ERR_PROTO;
    return rc < 0 ? rc : read_fields(s, limits, packet, r);
}

void wire_response_fini(struct wire_response *r)
{
    mp_bins_fini(&r->bins);
}
