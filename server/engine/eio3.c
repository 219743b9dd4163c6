#include "server/engine/eio3.h"

#include "common/base64.h"
#include "common/utf8.h"

enum { OCTETS_TEXT = 0, OCTETS_BINARY = 1, OCTETS_DATA = 0xff };

/* ---- packets ------------------------------------------------------------- */

/* A binary packet of no known type means nothing and is ignored, as noops are.
 */
static void binary_packet(unsigned type, struct str data,
                          struct eio_packet *out)
{
    enum eio_type known = type <= EIO_NOOP ? (enum eio_type)type : EIO_NOOP;
    *out = (struct eio_packet){known, true, data};
}

static int decode(struct str text, struct buf *scratch, struct eio_packet *out)
{
    if (text.len == 0 || text.p[0] != 'b')
        return eio_decode_text(text, out);
    buf_clear(scratch);
    if (text.len > 2)
        base64_decode(str_from(text, 2), scratch);
    binary_packet(text.len > 1 ? (unsigned char)text.p[1] - (unsigned)'0' : ~0U,
                  buf_str(scratch), out);
    return scratch->full ? ERR_LIMIT : 0;
}

static void decode_binary(struct str data, struct eio_packet *out)
{
    if (data.len == 0)
        binary_packet(EIO_NOOP, data, out);
    else
        binary_packet((unsigned char)data.p[0], str_from(data, 1), out);
}

/* ---- text payloads ------------------------------------------------------- */

static size_t step_of(unsigned char first)
{
    return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* Of valid UTF-8. */
static size_t utf16_units(struct str s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.p[i];
        n += (c & 0xc0) != 0x80;
        n += c >= 0xf0; /* a surrogate pair */
    }
    return n;
}

static bool take_length(struct str *rest, size_t *length)
{
    size_t i = 0, n = 0;
    for (; i < rest->len && rest->p[i] != ':'; i++) {
        if (rest->p[i] < '0' || rest->p[i] > '9')
            return false;
        n = n * 10 + (size_t)(rest->p[i] - '0');
        if (n > rest->len) /* a unit takes a byte at least */
            return false;
    }
    if (i == 0 || i == rest->len)
        return false;
    *rest = str_from(*rest, i + 1);
    *length = n;
    return true;
}

static bool take_units(struct str *rest, size_t units, struct str *packet)
{
    size_t i = 0;
    while (units > 0) {
        if (i >= rest->len)
            return false;
        size_t step = step_of((unsigned char)rest->p[i]);
        size_t n = step == 4 ? 2 : 1;
        if (n > units || step > rest->len - i)
            return false;
        units -= n;
        i += step;
    }
    *packet = (struct str){rest->p, i};
    *rest = str_from(*rest, i);
    return true;
}

/* An empty payload is an error, an empty packet is nothing. */
static int next(struct str *rest, struct str *packet)
{
    size_t length;
    if (!rest->p)
        return 0;
    do {
        if (!take_length(rest, &length) || !take_units(rest, length, packet))
            return ERR_PROTO;
        if (rest->len == 0)
            rest->p = NULL;
    } while (length == 0 && rest->p);
    return length > 0;
}

static void add(struct buf *payload, struct str body, bool binary)
{
    if (binary) {
        buf_add_u64(payload, 2 + (body.len + 2) / 3 * 4);
        buf_add(payload, STR(":b4"));
        base64_encode(body, payload);
        return;
    }
    buf_add_u64(payload, utf16_units(body));
    buf_addc(payload, ':');
    buf_add(payload, body);
}

/* ---- octet payloads ------------------------------------------------------ */

static int take_frame(struct str *rest, struct str *packet, bool *binary)
{
    size_t i = 1, n = 0;
    if (rest->len == 0)
        return 0;
    *binary = rest->p[0] != OCTETS_TEXT;
    for (; i < rest->len && (unsigned char)rest->p[i] != OCTETS_DATA; i++) {
        if ((unsigned char)rest->p[i] > 9)
            return ERR_PROTO;
        n = n * 10 + (size_t)rest->p[i];
        if (n > rest->len)
            return ERR_PROTO;
    }
    if (i == 1 || i == rest->len || n > rest->len - i - 1)
        return ERR_PROTO;
    *packet = (struct str){rest->p + i + 1, n};
    *rest = str_from(*rest, i + 1 + n);
    return 1;
}

static bool octets_valid(struct str payload)
{
    struct str packet;
    bool binary;
    int more;
    while ((more = take_frame(&payload, &packet, &binary)) > 0)
        ;
    return more == 0;
}

static int next_octets(struct str *rest, struct str *packet, bool *binary)
{
    int more = take_frame(rest, packet, binary);
    return more > 0 && !*binary && !utf8_valid(*packet) ? ERR_PROTO : more;
}

static void add_octets(struct buf *payload, struct str body, bool binary)
{
    char digits[20];
    size_t i = sizeof(digits), n = body.len + binary;
    buf_addc(payload, binary ? OCTETS_BINARY : OCTETS_TEXT);
    do {
        digits[--i] = (char)(n % 10);
        n /= 10;
    } while (n > 0);
    buf_add(payload, (struct str){digits + i, sizeof(digits) - i});
    buf_addc(payload, (char)OCTETS_DATA);
    if (binary)
        buf_addc(payload, EIO_MESSAGE);
    buf_add(payload, body);
}

/* ---- the table ----------------------------------------------------------- */

const struct eio_coding eio3_coding = {.base64_mark = "b4",
                                       .typed_binary = true,
                                       .decode = decode,
                                       .decode_binary = decode_binary,
                                       .next = next,
                                       .add = add,
                                       .octets_valid = octets_valid,
                                       .next_octets = next_octets,
                                       .add_octets = add_octets};
