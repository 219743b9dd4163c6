#include "adapter/wire_classic.h"

#include <assert.h>
#include <math.h>

#include "common/json_out.h"
#include "common/mp.h"

enum { TEXT_BYTES = 512 }; /* of data, for which there is room at once */

/* ---- channels ------------------------------------------------------------ */

void wire_classic_base(struct str prefix, struct str nsp, struct buf *out)
{
    buf_add(out, prefix);
    buf_addc(out, '#');
    buf_add(out, nsp);
    buf_addc(out, '#');
}

void wire_classic_pattern(struct str base, bool private_rooms, struct buf *out)
{
    for (size_t i = 0; i < base.len; i++) {
        if (base.p[i] != '\0' && strchr("*?[]\\", base.p[i]))
            buf_addc(out, '\\');
        buf_addc(out, base.p[i]);
    }
    if (!private_rooms) {
        buf_addc(out, '*');
        return;
    }
    for (unsigned i = 0; i < WIRE_PRIVATE_BYTES; i++)
        buf_addc(out, '?');
    buf_addc(out, '#');
}

void wire_classic_channel(struct str base, const struct broadcast *b,
                          struct buf *out)
{
    buf_add(out, base);
    if (b->n_rooms != 1)
        return;
    buf_add(out, b->rooms[0]);
    buf_addc(out, '#');
}

bool wire_classic_room(struct str base, struct str channel, struct str *room)
{
    if (!str_starts(channel, base))
        return false;
    *room = str_from(channel, base.len);
    /* The reference cuts the last character, whatever it is. */
    if (room->len > 0)
        room->len--;
    return true;
}

/* ---- writing ------------------------------------------------------------- */

/* What is the same in every message, as it stands there: heads of texts and of
 * a map, and the number of PACKET_EVENT. */
#define FIXSTR_3 "\xA3"
#define FIXSTR_4 "\xA4"
#define FIXSTR_5 "\xA5"
#define FIXSTR_6 "\xA6"
#define MAP_OF_3 "\x83"
#define ARRAY_OF_3 "\x93"
#define EMPTY_MAP "\x80"
#define EVENT "\x02"
_Static_assert(PACKET_EVENT == 2, "as it is written");

bool wire_parse_number(struct json *tape, struct str text)
{
    return json_parse(tape, text, (struct json_limits){1, 1}) == 0 &&
           json_type(tape, 0) == JSON_NUMBER &&
           json_text(tape, 0).len == text.len;
}

void wire_put_names(struct json *tape, const struct str *names, size_t n,
                    uint64_t numbers, struct buf *out)
{
    mp_put_array(out, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        if (wire_is_number(numbers, i) && wire_parse_number(tape, names[i]))
            mp_put_json(out, tape, 0, NULL, 0);
        else
            mp_put_str(out, names[i]);
    }
}

static int put_data(struct json *tape, const struct packet *p, struct buf *out)
{
    struct str data = bytes_str(p->data);
    if (p->n_bins == 0 && str_starts(data, STR("[")) && mp_put_text(out, data))
        return 0;
    /* It was checked against narrower limits when it came in. */
    struct json_limits limits = {.depth = 64, .nodes = (1U << 24) - 1};
    if (json_parse(tape, data, limits) < 0 || json_type(tape, 0) != JSON_ARRAY)
        return ERR_PROTO;
    mp_put_json(out, tape, 0, p->bins, p->n_bins);
    return 0;
}

int wire_put_packet(struct json *tape, const struct packet *p, struct buf *out)
{
    size_t had = out->len;
    assert(p->type == PACKET_EVENT && p->data);
    buf_add(out, STR(MAP_OF_3 FIXSTR_4 "type" EVENT FIXSTR_4 "data"));
    if (put_data(tape, p, out) < 0) {
        buf_truncate(out, had);
        return ERR_PROTO;
    }
    buf_add(out, STR(FIXSTR_3 "nsp"));
    mp_put_str(out, p->nsp);
    return 0;
}

void wire_put_opts(struct json *tape, const struct broadcast *b,
                   struct buf *out)
{
    buf_add(out, STR(MAP_OF_3 FIXSTR_5 "rooms"));
    wire_put_names(tape, b->rooms, b->n_rooms, b->number_rooms, out);
    buf_add(out, STR(FIXSTR_6 "except"));
    wire_put_names(tape, b->except, b->n_except, b->number_except, out);
    buf_add(out, STR(FIXSTR_5 "flags"));
}

int wire_classic_encode(struct json *tape, struct str uid,
                        const struct packet *p, const struct broadcast *b,
                        struct buf *out)
{
    mp_put_array(out, 3);
    mp_put_str(out, uid);
    if (wire_put_packet(tape, p, out) < 0)
        return ERR_PROTO;
    wire_put_opts(tape, b, out);
    mp_put_map(out, b->is_volatile ? 1 : 0);
    if (b->is_volatile) {
        mp_put_str(out, STR("volatile"));
        mp_put_bool(out, true);
    }
    return out->full ? ERR_LIMIT : 0;
}

/* ---- reading ------------------------------------------------------------- */

/* 1, or 0 for a key that is no text. */
static inline int take_key(struct str *in, struct str *key)
{
    if (mp_take_short(in, key))
        return 1;
    struct mp_value v;
    int rc = mp_take(in, &v);
    *key = v.s;
    return rc < 0 ? rc : v.type == MP_STR;
}

int wire_scan_map(struct str *in, struct wire_field *fields, size_t n)
{
    struct mp_value head;
    if (mp_read(in, &head) < 0 || head.type != MP_MAP)
        return ERR_PROTO;
    for (uint32_t i = 0; i < head.count; i++) {
        struct str key;
        int text = take_key(in, &key);
        if (text < 0)
            return ERR_PROTO;
        for (size_t f = 0; text > 0 && f < n; f++) {
            if (str_eq(fields[f].key, key))
                fields[f].at = *in;
        }
        if (mp_skip(in) < 0)
            return ERR_PROTO;
    }
    return 0;
}

static bool is_event_type(struct str at)
{
    struct mp_value v;
    if (!at.p || mp_read(&at, &v) < 0)
        return false;
    if (v.type == MP_FLOAT)
        return v.d == (double)PACKET_EVENT;
    return v.type == MP_INT && v.i == PACKET_EVENT;
}

bool wire_reserved_event(struct str name)
{
    static const struct str reserved[] = {
        STR_INIT("connect"),     STR_INIT("connect_error"),
        STR_INIT("disconnect"),  STR_INIT("disconnecting"),
        STR_INIT("newListener"), STR_INIT("removeListener"),
    };
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (str_eq(reserved[i], name))
            return true;
    }
    return false;
}

/* What every client accepts: an array that begins with the event's name, which
 * is text or a number. */
static int check_data(struct str at)
{
    struct mp_value v;
    if (mp_read(&at, &v) < 0 || v.type != MP_ARRAY || v.count == 0)
        return ERR_PROTO;
    if (v.count > WIRE_ARGS_MAX)
        return ERR_LIMIT;
    if (mp_read(&at, &v) < 0)
        return ERR_PROTO;
    switch (v.type) {
    case MP_INT:
    case MP_UINT:
        return 0;
    case MP_FLOAT:
        return isfinite(v.d) ? 0 : ERR_PROTO;
    case MP_STR:
        if (v.s.len > WIRE_EVENT_MAX)
            return ERR_LIMIT;
        return wire_reserved_event(v.s) ? ERR_PROTO : 0;
    default:
        return ERR_PROTO;
    }
}

static int read_data(struct str *at, struct str nsp,
                     const struct wire_limits *limits, struct packet **packet)
{
    int rc = check_data(*at);
    if (rc < 0)
        return rc;
    struct mp_bins bins = {.n = 0};
    struct buf text;
    buf_init(&text, limits->json_bytes);
    /* As JSON it is a little longer: what is short does not have to grow. */
    (void)buf_space(&text, at->len < TEXT_BYTES ? at->len : TEXT_BYTES);
    buf_clear(&text);
    rc = mp_to_json(at, &text, limits->depth, &bins);
    if (rc == 0) {
        struct bytes *data = buf_take(&text);
        *packet =
            packet_new(PACKET_EVENT, nsp, PACKET_NO_ACK, data, bins.v, bins.n);
        bytes_unref(data);
    }
    buf_fini(&text);
    mp_bins_fini(&bins);
    return rc;
}

/* What stands there in every message of ours and of most others, in one piece;
 * false when it is something else. */
static inline bool take_known(struct str *in, struct str known)
{
    if (!str_starts(*in, known))
        return false;
    *in = str_from(*in, known.len);
    return true;
}

/* As nearly all are written, read without a search. False when it is not like
 * that, or not good: nothing is taken then. */
static bool read_usual_packet(struct str *in, struct str nsp,
                              const struct wire_limits *limits,
                              struct packet **packet)
{
    struct str at = *in, of;
    struct packet *p = NULL;
    if (!take_known(&at, STR(MAP_OF_3 FIXSTR_4 "type" EVENT FIXSTR_4 "data")) ||
        read_data(&at, nsp, limits, &p) < 0)
        return false;
    if (!take_known(&at, STR(FIXSTR_3 "nsp")) || !mp_take_short(&at, &of) ||
        !str_eq(of, nsp)) {
        packet_unref(p);
        return false;
    }
    *in = at;
    *packet = p;
    return true;
}

int wire_read_packet(struct str *in, struct str nsp,
                     const struct wire_limits *limits, struct packet **packet)
{
    if (read_usual_packet(in, nsp, limits, packet))
        return 0;
    struct wire_field f[] = {
        {.key = STR("type")}, {.key = STR("data")}, {.key = STR("nsp")}};
    if (wire_scan_map(in, f, 3) < 0)
        return ERR_PROTO;
    /* Before the rest: what is not for us need not please us. */
    struct mp_value v = {.type = MP_NIL};
    if (f[2].at.p && mp_read(&f[2].at, &v) < 0)
        return ERR_PROTO;
    struct str of = v.type == MP_NIL ? STR("/") : v.s;
    if (!str_eq(of, nsp))
        return ERR_STATE;
    if (!is_event_type(f[0].at) || !f[1].at.p)
        return ERR_PROTO;
    return read_data(&f[1].at, nsp, limits, packet);
}

/* JavaScript servers may join a room named 7: it comes as a number, and is the
 * room "7" here. */
static int read_name(struct str *in, struct buf *numbers, struct str *name)
{
    if (mp_take_short(in, name))
        return 0;
    struct mp_value v;
    if (mp_read(in, &v) < 0)
        return ERR_PROTO;
    if (v.type == MP_STR) {
        *name = v.s;
        return 0;
    }
    /* All the room there can ever be a need for, so that no name moves. */
    if (!buf_space(numbers, numbers->max - numbers->len))
        return ERR_LIMIT;
    size_t start = numbers->len;
    switch (v.type) {
    case MP_INT:
        buf_add_i64(numbers, v.i);
        break;
    case MP_UINT:
        buf_add_u64(numbers, v.u);
        break;
    case MP_FLOAT:
        /* It would be written as null, which may be somebody's room. */
        if (!isfinite(v.d))
            return ERR_PROTO;
        json_out_double(numbers, v.d);
        break;
    default:
        return ERR_PROTO;
    }
    *name = str_from(buf_str(numbers), start);
    return 0;
}

/* Absent and nil are no names at all. */
static int read_names(struct str *at, struct buf *numbers, struct str *names,
                      size_t *n)
{
    struct mp_value head = {.type = MP_NIL};
    if (at->p && mp_read(at, &head) < 0)
        return ERR_PROTO;
    if (head.type == MP_NIL)
        return 0;
    if (head.type != MP_ARRAY)
        return ERR_PROTO;
    if (head.count > WIRE_NAMES_MAX)
        return ERR_LIMIT;
    for (; *n < head.count; ++*n) {
        int rc = read_name(at, numbers, &names[*n]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static bool read_volatile(struct str at)
{
    struct wire_field f = {.key = STR("volatile")};
    struct mp_value v;
    return at.p && wire_scan_map(&at, &f, 1) == 0 && f.at.p &&
           mp_read(&f.at, &v) == 0 && v.type == MP_BOOL && v.b;
}

/* The same of the options, when there are no flags. */
static bool read_usual_opts(struct str *in, struct wire_message *m)
{
    struct str at = *in;
    if (!take_known(&at, STR(MAP_OF_3 FIXSTR_5 "rooms")) ||
        read_names(&at, &m->numbers, m->rooms, &m->n_rooms) < 0 ||
        !take_known(&at, STR(FIXSTR_6 "except")) ||
        read_names(&at, &m->numbers, m->except, &m->n_except) < 0 ||
        !take_known(&at, STR(FIXSTR_5 "flags" EMPTY_MAP)))
        return false;
    *in = at;
    return true;
}

static int read_opts(struct str *in, struct wire_message *m)
{
    if (read_usual_opts(in, m))
        return 0;
    m->n_rooms = m->n_except = 0;
    buf_clear(&m->numbers);
    struct wire_field f[] = {
        {.key = STR("rooms")}, {.key = STR("except")}, {.key = STR("flags")}};
    if (wire_scan_map(in, f, 3) < 0)
        return ERR_PROTO;
    int rc = read_names(&f[0].at, &m->numbers, m->rooms, &m->n_rooms);
    if (rc == 0)
        rc = read_names(&f[1].at, &m->numbers, m->except, &m->n_except);
    m->is_volatile = read_volatile(f[2].at);
    return rc;
}

static int read_uid(struct str *in, struct str *uid, uint32_t *n)
{
    struct str at = str_from(*in, 1);
    if (str_starts(*in, STR(ARRAY_OF_3)) && mp_take_short(&at, uid)) {
        *in = at;
        *n = 3;
        return 0;
    }
    struct mp_value v;
    if (mp_read(in, &v) < 0 || v.type != MP_ARRAY || v.count < 3)
        return ERR_PROTO;
    *n = v.count;
    if (mp_take(in, &v) < 0)
        return ERR_PROTO;
    *uid = v.type == MP_STR ? v.s : STR("");
    return 0;
}

struct str wire_classic_uid(struct str payload)
{
    struct str uid;
    uint32_t n;
    return read_uid(&payload, &uid, &n) < 0 ? STR("") : uid;
}

int wire_classic_decode(struct str payload, struct str nsp,
                        const struct wire_limits *limits,
                        struct wire_message *m)
{
    /* Without touching the 8 KiB of names. */
    m->packet = NULL;
    m->n_rooms = m->n_except = 0;
    m->is_volatile = false;
    m->uid = STR("");
    buf_init(&m->numbers, 2 * WIRE_NAMES_MAX * WIRE_NUMBER_MAX);
    uint32_t n = 0;
    int rc = read_uid(&payload, &m->uid, &n);
    if (rc == 0)
        rc = wire_read_packet(&payload, nsp, limits, &m->packet);
    if (rc == 0)
        rc = read_opts(&payload, m);
    for (; rc == 0 && n > 3; n--)
        rc = mp_skip(&payload);
    if (rc == 0 && payload.len > 0)
        rc = ERR_PROTO;
    return rc;
}

void wire_message_fini(struct wire_message *m)
{
    packet_unref(m->packet);
    m->packet = NULL;
    buf_fini(&m->numbers);
}
