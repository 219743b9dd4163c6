/* MessagePack (the current specification, with str8 and bin).
 *
 * Writing appends to a buf, each value in its shortest form, as the official
 * encoder of the Redis adapter does. Reading is for untrusted bytes: a cursor
 * and no tree, nothing allocated, every declared length checked against the
 * bytes that are left before it is believed.
 *
 * Binary has no place in JSON text. In both directions it stands there as
 * Socket.IO's {"_placeholder":true,"num":N}, with the bytes aside. */
#ifndef CONFAB_COMMON_MP_H
#define CONFAB_COMMON_MP_H

#include "common/json.h"
#include "common/packet.h"

/* ---- writing ------------------------------------------------------------- */

void mp_put_nil(struct buf *b);
void mp_put_bool(struct buf *b, bool v);
void mp_put_int(struct buf *b, int64_t v);
void mp_put_uint(struct buf *b, uint64_t v);
void mp_put_double(struct buf *b, double v);
void mp_put_str(struct buf *b, struct str s);
void mp_put_bin(struct buf *b, struct str s);
/* Follow with `n` values, or `n` times a key and a value. */
void mp_put_array(struct buf *b, uint32_t n);
void mp_put_map(struct buf *b, uint32_t n);

/* The JSON value at `node`, with what is inside it. Whole numbers (1.0 and 1e3
 * among them) become integers when they fit 64 bits, other numbers float64.
 * When there are attachments each placeholder of one becomes its bytes; one
 * that names none stays the object it is. Members named __proto__ are left
 * out. */
void mp_put_json(struct buf *b, const struct json *j, uint32_t node,
                 struct bytes *const *bins, size_t n_bins);
/* The same from the text, in one pass and without a tape; there are no
 * attachments. Only for text as most messages are: nothing escaped, no white
 * space, whole numbers without point and exponent, few children and levels.
 * False, with nothing written, when it is something else or does not fit: then
 * it takes a tape, which also tells whether it is JSON. */
bool mp_put_text(struct buf *b, struct str json);
/* Which attachment the value stands for; `n_bins` when it does for none. */
size_t mp_placeholder(const struct json *j, uint32_t node, size_t n_bins);

/* ---- reading ------------------------------------------------------------- */

enum mp_type {
    MP_NIL,
    MP_BOOL,
    MP_INT,
    MP_UINT, /* only what is too large for MP_INT */
    MP_FLOAT,
    MP_STR,
    MP_BIN,
    MP_EXT,
    MP_ARRAY,
    MP_MAP,
};

/* A scalar, or the head of an array or map whose content follows it. */
struct mp_value {
    enum mp_type type;
    bool b;
    bool fixed;     /* MP_EXT written in one of the fixext forms */
    int8_t ext;     /* type of MP_EXT */
    uint32_t count; /* elements, or pairs */
    int64_t i;
    uint64_t u;
    double d;
    struct str s; /* content of MP_STR, MP_BIN and MP_EXT; borrowed */
};

/* Both advance `*in`; 0 or ERR_PROTO (cut short, or no MessagePack). Skipping
 * takes a whole value, however deep. */
MUST_CHECK int mp_read(struct str *in, struct mp_value *v);
MUST_CHECK int mp_skip(struct str *in);

/* Both: a scalar is read, of anything else the head, and all of it skipped. */
MUST_CHECK int mp_take(struct str *in, struct mp_value *v);

/* The same for text of less than 32 bytes alone; false when the next value is
 * something else. */
static inline bool mp_take_short(struct str *in, struct str *text)
{
    unsigned c = in->len > 0 ? (unsigned char)in->p[0] : 0;
    size_t n = c & 0x1F;
    if ((c & 0xE0) != 0xA0 || n >= in->len)
        return false;
    *text = (struct str){in->p + 1, n};
    *in = str_from(*in, 1 + n);
    return true;
}

/* What JavaScript's undefined was written as. */
bool mp_is_undefined(const struct mp_value *v);

struct mp_bins {
    struct bytes *v[PACKET_BINS_MAX]; /* one reference each */
    size_t n;
};
void mp_bins_fini(struct mp_bins *bins);

enum { MP_DEPTH_MAX = 32 };

/* Takes one value off `*in` and appends it to `out` as JSON text: integers
 * exact, timestamps and the old JavaScript dates as ISO strings, keys as text,
 * invalid UTF-8 repaired, members that are undefined or named __proto__ left
 * out, undefined elsewhere null. Binary goes to `bins` (may be NULL: then there
 * must be none); extension types that nobody knows become [type, binary].
 *
 * 0, ERR_PROTO, or ERR_LIMIT: nested deeper than `depth` (at most
 * MP_DEPTH_MAX), too many attachments, or `out` is full. */
MUST_CHECK int mp_to_json(struct str *in, struct buf *out, uint32_t depth,
                          struct mp_bins *bins);

#endif
