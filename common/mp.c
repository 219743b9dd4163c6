#include "common/mp.h"

#include <assert.h>
#include <math.h>
#include <msgpack.h>

#include "common/json_out.h"

/* ---- writing ------------------------------------------------------------- */

static int append(void *data, const char *p, size_t len)
{
    struct buf *b = data;
    buf_add(b, (struct str){p, len});
    return b->full ? -1 : 0;
}

/* The packer is two words: making one per value costs nothing, and a writer
 * needs no more than the buf. Its results say what buf.full says. */
static msgpack_packer packer(struct buf *b)
{
    msgpack_packer pk;
    msgpack_packer_init(&pk, b, append);
    return pk;
}

void mp_put_nil(struct buf *b)
{
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_nil(&pk);
}

void mp_put_bool(struct buf *b, bool v)
{
    msgpack_packer pk = packer(b);
    (void)(v ? msgpack_pack_true(&pk) : msgpack_pack_false(&pk));
}

void mp_put_int(struct buf *b, int64_t v)
{
    if (v >= 0 && v < 128) {
        buf_addc(b, (char)v);
        return;
    }
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_int64(&pk, v);
}

void mp_put_uint(struct buf *b, uint64_t v)
{
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_uint64(&pk, v);
}

void mp_put_double(struct buf *b, double v)
{
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_double(&pk, v);
}

/* Most are short: head and text at once. */
void mp_put_str(struct buf *b, struct str s)
{
    if (s.len <= UINT8_MAX) {
        size_t head = s.len < 32 ? 1 : 2;
        char *p = buf_space(b, head + s.len);
        if (!p)
            return;
        if (head == 1) {
            *p = (char)(0xA0 | s.len);
        } else {
            p[0] = (char)0xD9;
            p[1] = (char)s.len;
        }
        if (s.len > 0)
            memcpy(p + head, s.p, s.len);
        b->len += head + s.len;
        return;
    }
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_str(&pk, s.len);
    (void)msgpack_pack_str_body(&pk, s.p, s.len);
}

void mp_put_bin(struct buf *b, struct str s)
{
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_bin(&pk, s.len);
    (void)msgpack_pack_bin_body(&pk, s.p, s.len);
}

void mp_put_array(struct buf *b, uint32_t n)
{
    if (n < 16) {
        buf_addc(b, (char)(0x90 | n));
        return;
    }
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_array(&pk, n);
}

void mp_put_map(struct buf *b, uint32_t n)
{
    if (n < 16) {
        buf_addc(b, (char)(0x80 | n));
        return;
    }
    msgpack_packer pk = packer(b);
    (void)msgpack_pack_map(&pk, n);
}

static void put_number(struct buf *b, const struct json *j, uint32_t node)
{
    int64_t i;
    uint64_t u;
    double d = 0;
    if (json_i64(j, node, &i)) {
        mp_put_int(b, i);
        return;
    }
    if (str_to_u64(json_text(j, node), UINT64_MAX, &u)) {
        mp_put_uint(b, u);
        return;
    }
    /* JavaScript reads what no double can hold as an infinity. */
    if (!json_double(j, node, &d))
        d = json_text(j, node).p[0] == '-' ? -INFINITY : INFINITY;
    /* 2^63 and 2^64 are exact as doubles, their predecessors are not. */
    if (d != floor(d))
        mp_put_double(b, d);
    // cppcheck-suppress incorrectLogicOperator ; misreads hexadecimal floats
    else if (d >= -0x1p63 && d < 0x1p63)
        mp_put_int(b, (int64_t)d);
    else if (d >= 0x1p63 && d < 0x1p64)
        mp_put_uint(b, (uint64_t)d);
    else
        mp_put_double(b, d);
}

size_t mp_placeholder(const struct json *j, uint32_t node, size_t n_bins)
{
    uint32_t flag = json_get(j, node, STR("_placeholder"));
    if (flag == JSON_NONE || json_type(j, flag) != JSON_TRUE)
        return n_bins;
    uint32_t num = json_get(j, node, STR("num"));
    int64_t i;
    if (num == JSON_NONE || json_type(j, num) != JSON_NUMBER ||
        !json_i64(j, num, &i) || i < 0 || (uint64_t)i >= n_bins)
        return n_bins;
    return (size_t)i;
}

static void put_scalar(struct buf *b, const struct json *j, uint32_t node,
                       struct buf *scratch)
{
    switch (json_type(j, node)) {
    case JSON_FALSE:
        mp_put_bool(b, false);
        break;
    case JSON_TRUE:
        mp_put_bool(b, true);
        break;
    case JSON_NUMBER:
        put_number(b, j, node);
        break;
    case JSON_STRING:
        mp_put_str(b, json_string_view(j, node, scratch));
        break;
    default:
        mp_put_nil(b);
        break;
    }
}

/* Official decoders assign what they read: this key would not name a property
 * but replace the prototype of the object, and bytes there end the process of a
 * Node.js server that sends the object on. */
static const struct str proto_key = STR_INIT("__proto__");

static inline bool is_proto_key(const struct json *j, uint32_t node)
{
    const struct json_node *n = &j->nodes[node];
    return n->end - n->start >= proto_key.len + 2 &&
           json_string_eq(j, node, proto_key);
}

static uint32_t count_proto_keys(const struct json *j, uint32_t object)
{
    uint32_t n = 0, end = j->nodes[object].next;
    for (uint32_t key = object + 1; key < end; key = j->nodes[key + 1].next)
        n += is_proto_key(j, key);
    return n;
}

/* A container that is being written. */
struct open {
    uint32_t end; /* node behind it */
    bool omits;   /* a map that is to be searched for keys to leave out */
    bool value_next;
};

struct writer {
    const struct json *j;
    struct bytes *const *bins;
    size_t n_bins;
    struct buf *out, scratch;
    bool omits; /* there is something to leave out: the rest is in use */
    uint32_t depth;
    struct open open[JSON_DEPTH_MAX];
};

/* A key, or a text that could be one. */
static bool has_proto_key(const struct json *j, uint32_t node)
{
    uint32_t end = j->nodes[node].next;
    while (node < end && !is_proto_key(j, node))
        node++;
    return node < end;
}

/* True for a member that is left out. */
static bool is_left_out(struct writer *w, uint32_t node)
{
    while (w->depth > 0 && w->open[w->depth - 1].end == node)
        w->depth--;
    if (w->depth == 0 || !w->open[w->depth - 1].omits)
        return false;
    struct open *o = &w->open[w->depth - 1];
    if (!o->value_next && is_proto_key(w->j, node))
        return true;
    o->value_next = !o->value_next;
    return false;
}

/* Writes the node, of a container the head alone; what comes next. */
static uint32_t put_node(struct writer *w, uint32_t node)
{
    const struct json_node *n = &w->j->nodes[node];
    bool map = n->type == JSON_OBJECT;
    size_t bin = w->n_bins;
    if (map && w->n_bins > 0)
        bin = mp_placeholder(w->j, node, w->n_bins);
    if (bin < w->n_bins) {
        mp_put_bin(w->out, bytes_str(w->bins[bin]));
        return n->next;
    }
    uint32_t omitted = map && w->omits ? count_proto_keys(w->j, node) : 0;
    if (map)
        mp_put_map(w->out, n->count - omitted);
    else if (n->type == JSON_ARRAY)
        mp_put_array(w->out, n->count);
    else
        put_scalar(w->out, w->j, node, &w->scratch);
    if (w->omits && (map || n->type == JSON_ARRAY)) {
        assert(w->depth < JSON_DEPTH_MAX);
        w->open[w->depth++] =
            (struct open){.end = n->next, .omits = omitted > 0};
    }
    return node + 1;
}

/* Both the tape and MessagePack put a head with its count before the content,
 * so that one walk over the tape in its order writes everything. */
void mp_put_json(struct buf *b, const struct json *j, uint32_t node,
                 struct bytes *const *bins, size_t n_bins)
{
    /* Without touching the open containers. */
    struct writer w;
    w.j = j;
    w.bins = bins;
    w.n_bins = n_bins;
    w.out = b;
    w.omits = has_proto_key(j, node);
    w.depth = 0;
    buf_init(&w.scratch, j->text.len);
    uint32_t end = j->nodes[node].next;
    while (node < end && !b->full) {
        if (w.omits && is_left_out(&w, node))
            node = j->nodes[node + 1].next;
        else
            node = put_node(&w, node);
    }
    buf_fini(&w.scratch);
}

/* ---- reading ------------------------------------------------------------- */

/* The forms 0xC0 to 0xDF: what follows the first byte is a big-endian number of
 * `width` bytes, which is the value itself, a length or a count. A fixext has
 * its length in the table. */
enum form {
    F_BAD,
    F_NIL,
    F_BOOL,
    F_F32,
    F_F64,
    F_UINT,
    F_INT,
    F_STR,
    F_BIN,
    F_EXT,
    F_FIXEXT,
    F_ARRAY,
    F_MAP
};

static const struct {
    uint8_t form, width;
} forms[32] = {
    {F_NIL, 0},    {F_BAD, 0},    {F_BOOL, 0},   {F_BOOL, 0},   {F_BIN, 1},
    {F_BIN, 2},    {F_BIN, 4},    {F_EXT, 1},    {F_EXT, 2},    {F_EXT, 4},
    {F_F32, 4},    {F_F64, 8},    {F_UINT, 1},   {F_UINT, 2},   {F_UINT, 4},
    {F_UINT, 8},   {F_INT, 1},    {F_INT, 2},    {F_INT, 4},    {F_INT, 8},
    {F_FIXEXT, 1}, {F_FIXEXT, 2}, {F_FIXEXT, 4}, {F_FIXEXT, 8}, {F_FIXEXT, 16},
    {F_STR, 1},    {F_STR, 2},    {F_STR, 4},    {F_ARRAY, 2},  {F_ARRAY, 4},
    {F_MAP, 2},    {F_MAP, 4},
};

enum { HEAD_TRUE = 0xC3, HEAD_FIXEXT_1 = 0xD4 };

static uint64_t big_endian(const char *p, size_t len)
{
    uint64_t n = 0;
    for (size_t i = 0; i < len; i++)
        n = n << 8 | (unsigned char)p[i];
    return n;
}

static int64_t sign_extend(uint64_t n, unsigned width)
{
    assert(width >= 1 && width <= 8);
    uint64_t sign = UINT64_C(1) << (width * 8 - 1);
    return (int64_t)((n ^ sign) - sign);
}

static void set_uint(struct mp_value *v, uint64_t n)
{
    v->type = n <= INT64_MAX ? MP_INT : MP_UINT;
    v->i = n <= INT64_MAX ? (int64_t)n : 0;
    v->u = n;
}

static void set_float(struct mp_value *v, uint64_t bits, unsigned width)
{
    v->type = MP_FLOAT;
    if (width == 8) {
        memcpy(&v->d, &bits, sizeof(v->d));
        return;
    }
    uint32_t bits32 = (uint32_t)bits;
    float f;
    memcpy(&f, &bits32, sizeof(f));
    v->d = (double)f;
}

static int take_text(struct str *in, struct mp_value *v, enum mp_type type,
                     uint64_t len)
{
    if (len > in->len)
        return ERR_PROTO;
    v->type = type;
    v->s = (struct str){in->p, (size_t)len};
    *in = str_from(*in, (size_t)len);
    return 0;
}

static int take_ext(struct str *in, struct mp_value *v, uint64_t len)
{
    if (in->len == 0)
        return ERR_PROTO;
    v->ext = (int8_t)in->p[0];
    *in = str_from(*in, 1);
    return take_text(in, v, MP_EXT, len);
}

/* An element takes a byte at least: a count that cannot be true is refused
 * before anyone acts on it. */
static int take_head(const struct str *in, struct mp_value *v,
                     enum mp_type type, uint64_t count)
{
    if (count > (type == MP_MAP ? in->len / 2 : in->len))
        return ERR_PROTO;
    v->type = type;
    v->count = (uint32_t)count;
    return 0;
}

static int read_wide(struct str *in, unsigned c, struct mp_value *v)
{
    unsigned width = forms[c - 0xC0].width;
    if (forms[c - 0xC0].form == F_FIXEXT) {
        v->fixed = true;
        return take_ext(in, v, width);
    }
    if (width > in->len)
        return ERR_PROTO;
    uint64_t n = big_endian(in->p, width);
    *in = str_from(*in, width);
    switch ((enum form)forms[c - 0xC0].form) {
    case F_NIL:
        v->type = MP_NIL;
        return 0;
    case F_BOOL:
        v->type = MP_BOOL;
        v->b = c == HEAD_TRUE;
        return 0;
    case F_F32:
    case F_F64:
        set_float(v, n, width);
        return 0;
    case F_UINT:
        set_uint(v, n);
        return 0;
    case F_INT:
        v->type = MP_INT;
        v->i = sign_extend(n, width);
        return 0;
    case F_STR:
        return take_text(in, v, MP_STR, n);
    case F_BIN:
        return take_text(in, v, MP_BIN, n);
    case F_EXT:
        return take_ext(in, v, n);
    case F_ARRAY:
        return take_head(in, v, MP_ARRAY, n);
    case F_MAP:
        return take_head(in, v, MP_MAP, n);
    default:
        return ERR_PROTO;
    }
}

int mp_read(struct str *in, struct mp_value *v)
{
    *v = (struct mp_value){.type = MP_INT};
    if (in->len == 0)
        return ERR_PROTO;
    unsigned c = (unsigned char)in->p[0];
    *in = str_from(*in, 1);
    if (c < 0x80 || c >= 0xE0) {
        v->i = c < 0x80 ? (int64_t)c : (int64_t)c - 0x100;
        return 0;
    }
    if (c < 0x90)
        return take_head(in, v, MP_MAP, c & 0x0F);
    if (c < 0xA0)
        return take_head(in, v, MP_ARRAY, c & 0x0F);
    if (c < 0xC0)
        return take_text(in, v, MP_STR, c & 0x1F);
    return read_wide(in, c, v);
}

int mp_take(struct str *in, struct mp_value *v)
{
    struct str head = *in;
    int rc = mp_read(in, v);
    if (rc < 0 || (v->type != MP_ARRAY && v->type != MP_MAP) || v->count == 0)
        return rc;
    *in = head;
    return mp_skip(in);
}

/* What most values are: a small number, or short text. */
static inline bool skip_small(struct str *in)
{
    struct str text;
    if (mp_take_short(in, &text))
        return true;
    if (in->len == 0 || (unsigned char)(in->p[0] ^ 0x80) < 0x60)
        return false;
    *in = str_from(*in, 1);
    return true;
}

int mp_skip(struct str *in)
{
    uint64_t left = 1;
    while (left > 0) {
        struct mp_value v;
        if (skip_small(in)) {
            left--;
            continue;
        }
        if (mp_read(in, &v) < 0)
            return ERR_PROTO;
        left--;
        if (v.type == MP_ARRAY)
            left += v.count;
        else if (v.type == MP_MAP)
            left += (uint64_t)v.count * 2;
        if (left > in->len)
            return ERR_PROTO;
    }
    return 0;
}

/* ---- to JSON ------------------------------------------------------------- */

/* Of texts only type and content are set: most are short. */
static inline int read_value(struct str *in, struct mp_value *v)
{
    if (!mp_take_short(in, &v->s))
        return mp_read(in, v);
    v->type = MP_STR;
    return 0;
}

struct frame {
    uint32_t left; /* elements or pairs that are still to come */
    bool map;
    bool any; /* the next one needs a comma */
};

struct to_json {
    struct str *in;
    struct buf *out;
    struct mp_bins *bins;
    uint32_t depth, max;
    bool lookalike; /* content that is taken for a placeholder */
    struct frame frames[MP_DEPTH_MAX];
};

void mp_bins_fini(struct mp_bins *bins)
{
    for (size_t i = 0; i < bins->n; i++)
        bytes_unref(bins->v[i]);
    bins->n = 0;
}

static int add_binary(struct to_json *t, struct str s)
{
    if (!t->bins)
        return ERR_PROTO;
    if (t->depth >= t->max || t->bins->n == PACKET_BINS_MAX)
        return ERR_LIMIT;
    buf_add(t->out, STR("{\"_placeholder\":true,\"num\":"));
    buf_add_u64(t->out, t->bins->n);
    buf_addc(t->out, '}');
    struct bytes *b = bytes_new(s);
    b->binary = 1;
    t->bins->v[t->bins->n++] = b;
    return 0;
}

/* Days since 1970 to a date of the Gregorian calendar, which repeats every
 * 146097 days (400 years); years begin in March here, so that the leap day is
 * their last. */
static void civil(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned doe = (unsigned)(days - era * 146097);
    unsigned yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    unsigned doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    unsigned mp = (5 * doy + 2) / 153;
    *day = doy - (153 * mp + 2) / 5 + 1;
    *month = mp < 10 ? mp + 3 : mp - 9;
    *year = (int64_t)yoe + era * 400 + (*month <= 2);
}

/* As Date.prototype.toJSON: six digits with a sign outside the years 0 to 9999,
 * null beyond what a Date can hold. */
static void add_date(struct buf *out, int64_t ms)
{
    const int64_t limit_ms = 8640000000000000;
    const int64_t day_ms = 86400000;
    if (ms < -limit_ms || ms > limit_ms) {
        buf_add(out, STR("null"));
        return;
    }
    int64_t days = ms / day_ms - (ms % day_ms < 0);
    unsigned rest = (unsigned)(ms - days * day_ms);
    int64_t year;
    unsigned month, day;
    civil(days, &year, &month, &day);
    if (year >= 0 && year <= 9999)
        buf_fmt(out, "\"%04d", (int)year);
    else
        buf_fmt(out, "\"%c%06d", year < 0 ? '-' : '+',
                (int)(year < 0 ? -year : year));
    buf_fmt(out, "-%02u-%02uT%02u:%02u:%02u.%03uZ\"", month, day,
            rest / 3600000, rest / 60000 % 60, rest / 1000 % 60, rest % 1000);
}

/* With the arithmetic of the official decoder, whose last digit would differ
 * from an exact one; what is not a whole millisecond is cut towards 1970. */
static void add_timestamp(struct buf *out, int64_t s, uint32_t ns)
{
    const double limit_ms = 8.64e15;
    double ms = trunc((double)s * 1e3 + ns / 1e6);
    if (fabs(ms) <= limit_ms)
        add_date(out, (int64_t)ms);
    else
        buf_add(out, STR("null"));
}

/* Extension -1, in its three widths. */
static bool add_ext_timestamp(struct buf *out, const struct mp_value *v)
{
    uint64_t n = big_endian(v->s.p, v->s.len < 8 ? v->s.len : 8);
    switch (v->s.len) {
    case 4:
        add_timestamp(out, (int64_t)n, 0);
        return true;
    case 8:
        add_timestamp(out, (int64_t)(n & 0x3FFFFFFFF), (uint32_t)(n >> 34));
        return true;
    case 12:
        add_timestamp(out, sign_extend(big_endian(v->s.p + 4, 8), 8),
                      (uint32_t)(n >> 32));
        return true;
    default:
        return false;
    }
}

bool mp_is_undefined(const struct mp_value *v)
{
    return v->type == MP_EXT && v->fixed && v->ext == 0 && v->s.len == 1;
}

/* Type 0: undefined, dates before there were timestamps, and, in forms with a
 * length, binary. */
static bool is_ext_old(const struct mp_value *v)
{
    return v->ext == 0 && (!v->fixed || v->s.len == 1 || v->s.len == 8);
}

static int add_ext_old(struct to_json *t, const struct mp_value *v)
{
    if (!v->fixed)
        return add_binary(t, v->s);
    if (v->s.len == 1)
        buf_add(t->out, STR("null"));
    else
        add_date(t->out, sign_extend(big_endian(v->s.p, 8), 8));
    return 0;
}

static int add_ext(struct to_json *t, const struct mp_value *v)
{
    if (v->ext == -1 && add_ext_timestamp(t->out, v))
        return 0;
    if (is_ext_old(v))
        return add_ext_old(t, v);
    if (t->depth >= t->max)
        return ERR_LIMIT;
    t->depth++;
    buf_addc(t->out, '[');
    buf_add_i64(t->out, v->ext);
    buf_addc(t->out, ',');
    int rc = add_binary(t, v->s);
    buf_addc(t->out, ']');
    t->depth--;
    return rc;
}

static int open_frame(struct to_json *t, const struct mp_value *v)
{
    if (t->depth >= t->max)
        return ERR_LIMIT;
    bool map = v->type == MP_MAP;
    buf_addc(t->out, map ? '{' : '[');
    t->frames[t->depth++] = (struct frame){.left = v->count, .map = map};
    return 0;
}

static int add_value(struct to_json *t)
{
    struct mp_value v;
    int rc = read_value(t->in, &v);
    if (rc < 0)
        return rc;
    switch (v.type) {
    case MP_NIL:
        buf_add(t->out, STR("null"));
        break;
    case MP_BOOL:
        buf_add(t->out, v.b ? STR("true") : STR("false"));
        break;
    case MP_INT:
        buf_add_i64(t->out, v.i);
        break;
    case MP_UINT:
        buf_add_u64(t->out, v.u);
        break;
    case MP_FLOAT:
        json_out_double(t->out, v.d);
        break;
    case MP_STR:
        json_out_string(t->out, v.s);
        break;
    case MP_BIN:
        return add_binary(t, v.s);
    case MP_EXT:
        return add_ext(t, &v);
    default:
        return open_frame(t, &v);
    }
    return t->out->full ? ERR_LIMIT : 0;
}

/* What JavaScript would make of the value as a property name. */
static int key_text(const struct mp_value *v, struct buf *out)
{
    switch (v->type) {
    case MP_NIL:
        buf_add(out, STR("null"));
        return 0;
    case MP_BOOL:
        buf_add(out, v->b ? STR("true") : STR("false"));
        return 0;
    case MP_INT:
        buf_add_i64(out, v->i);
        return 0;
    case MP_UINT:
        buf_add_u64(out, v->u);
        return 0;
    case MP_FLOAT:
        if (isnan(v->d))
            buf_add(out, STR("NaN"));
        else if (isinf(v->d))
            buf_add(out, v->d < 0 ? STR("-Infinity") : STR("Infinity"));
        else
            json_out_double(out, v->d);
        return 0;
    default:
        return ERR_PROTO;
    }
}

static int add_key(struct to_json *t, const struct mp_value *v)
{
    int rc = 0;
    if (v->type == MP_STR || v->type == MP_BIN) {
        json_out_string(t->out, v->s);
    } else {
        buf_addc(t->out, '"');
        rc = key_text(v, t->out);
        buf_addc(t->out, '"');
    }
    buf_addc(t->out, ':');
    return rc;
}

static bool key_is(const struct mp_value *key, struct str name)
{
    return (key->type == MP_STR || key->type == MP_BIN) && str_eq(key->s, name);
}

/* Looks at a member's value. 1 when it is one that JavaScript would not write
 * as JSON, and has been taken: it is undefined, or its key is __proto__. What
 * is no name is refused here: behind the head of a container is no value. */
static int skip_member(struct to_json *t, const struct mp_value *key)
{
    if (key->type == MP_ARRAY || key->type == MP_MAP || key->type == MP_EXT)
        return ERR_PROTO;
    if (key_is(key, proto_key)) {
        int rc = mp_skip(t->in);
        return rc < 0 ? rc : 1;
    }
    struct str at = *t->in;
    unsigned c = at.len > 0 ? (unsigned char)at.p[0] : 0;
    if (c != HEAD_TRUE && c != HEAD_FIXEXT_1)
        return 0;
    struct mp_value value;
    int rc = mp_read(&at, &value);
    if (rc < 0)
        return rc;
    if (mp_is_undefined(&value)) {
        *t->in = at;
        return 1;
    }
    if (value.type == MP_BOOL && value.b && key_is(key, STR("_placeholder")))
        t->lookalike = true;
    return 0;
}

static void add_comma(struct to_json *t, struct frame *f)
{
    if (f->any)
        buf_addc(t->out, ',');
    f->any = true;
}

/* Closes what is complete and goes to where the next value belongs. 1, or 0
 * when nothing is open any more. */
static int advance(struct to_json *t)
{
    while (t->depth > 0) {
        struct frame *f = &t->frames[t->depth - 1];
        if (f->left == 0) {
            buf_addc(t->out, f->map ? '}' : ']');
            t->depth--;
            continue;
        }
        f->left--;
        if (!f->map) {
            add_comma(t, f);
            return 1;
        }
        struct mp_value key;
        int rc = read_value(t->in, &key);
        if (rc < 0)
            return rc;
        rc = skip_member(t, &key);
        if (rc < 0)
            return rc;
        if (rc > 0)
            continue;
        add_comma(t, f);
        rc = add_key(t, &key);
        return rc < 0 ? rc : 1;
    }
    return 0;
}

int mp_to_json(struct str *in, struct buf *out, uint32_t depth,
               struct mp_bins *bins)
{
    /* Without touching the frames. */
    struct to_json t;
    t.in = in;
    t.out = out;
    t.bins = bins;
    t.depth = 0;
    t.max = depth;
    t.lookalike = false;
    assert(depth <= MP_DEPTH_MAX);
    size_t had = bins ? bins->n : 0;
    int rc;
    do {
        rc = add_value(&t);
        if (rc == 0)
            rc = advance(&t);
    } while (rc > 0);
    if (rc == 0 && out->full)
        rc = ERR_LIMIT;
    /* Content that looks like a placeholder cannot be told from one once there
     * are attachments, and makes every client that gets it disconnect. */
    if (rc == 0 && t.lookalike && bins && bins->n > had)
        rc = ERR_PROTO;
    return rc;
}
