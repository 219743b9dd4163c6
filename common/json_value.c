/* What the scalars on a tape stand for: strings without their escapes, numbers
 * as C has them. The parser, json.c, has checked every byte that is read. */
#include "common/json.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "common/mem.h"

static struct str content(const struct json *j, uint32_t node)
{
    assert(json_type(j, node) == JSON_STRING);
    const struct json_node *n = &j->nodes[node];
    return (struct str){j->text.p + n->start + 1, n->end - n->start - 2};
}

/* Four digits that the parser has accepted. */
static uint32_t hex4(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++) {
        uint32_t c = (unsigned char)p[i];
        v = v << 4 | ((c & 15) + (c > '9' ? 9 : 0));
    }
    return v;
}

/* The code point of the \u escape at the start of `s`; `*used` is what it
 * takes, two escapes for a surrogate pair. */
static uint32_t unescape_u(struct str s, size_t *used)
{
    uint32_t hi = hex4(s.p + 2);
    *used = 6;
    if (hi < 0xD800 || hi > 0xDFFF)
        return hi;
    if (hi < 0xDC00 && s.len >= 12 && s.p[6] == '\\' && s.p[7] == 'u') {
        uint32_t lo = hex4(s.p + 8);
        if (lo >= 0xDC00 && lo <= 0xDFFF) {
            *used = 12;
            return 0x10000 + ((hi - 0xD800) << 10) + (lo - 0xDC00);
        }
    }
    return 0xFFFD;
}

static size_t put_utf8(char out[4], uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3F));
    static const unsigned char lead[] = {0, 0, 0xC0, 0xE0, 0xF0};
    out[0] = (char)(lead[n] | c);
    return n;
}

/* Takes the next piece of a string off the front of `*s`: what stands before a
 * backslash, or one escape, spelled out in `room`. Empty at the end. */
static struct str next_piece(struct str *s, char room[4])
{
    if (s->len == 0)
        return *s;
    const char *slash = memchr(s->p, '\\', s->len);
    if (slash != s->p) {
        size_t plain = slash ? (size_t)(slash - s->p) : s->len;
        struct str piece = {s->p, plain};
        *s = str_from(*s, plain);
        return piece;
    }
    static const char names[] = "bfnrt";
    static const char values[] = "\b\f\n\r\t";
    size_t used = 2;
    uint32_t c = (unsigned char)s->p[1];
    if (c == 'u') {
        c = unescape_u(*s, &used);
    } else {
        const char *name = strchr(names, (int)c);
        if (name)
            c = (unsigned char)values[name - names];
    }
    *s = str_from(*s, used);
    return (struct str){room, put_utf8(room, c)};
}

void json_string(const struct json *j, uint32_t node, struct buf *out)
{
    struct str s = content(j, node);
    if (!j->nodes[node].escaped) {
        buf_add(out, s);
        return;
    }
    char room[4];
    struct str piece;
    while ((piece = next_piece(&s, room)).len > 0)
        buf_add(out, piece);
}

struct str json_string_view(const struct json *j, uint32_t node,
                            struct buf *scratch)
{
    if (!j->nodes[node].escaped)
        return content(j, node);
    buf_clear(scratch);
    json_string(j, node, scratch);
    return buf_str(scratch);
}

bool json_string_eq(const struct json *j, uint32_t node, struct str s)
{
    if (json_type(j, node) != JSON_STRING)
        return false;
    struct str left = content(j, node);
    if (!j->nodes[node].escaped)
        return str_eq(left, s);
    char room[4];
    struct str piece;
    while ((piece = next_piece(&left, room)).len > 0) {
        if (!str_starts(s, piece))
            return false;
        s = str_from(s, piece.len);
    }
    return s.len == 0;
}

static bool all_digits(struct str s)
{
    size_t n = 0;
    while (n < s.len && s.p[n] >= '0' && s.p[n] <= '9')
        n++;
    return n == s.len;
}

bool json_i64(const struct json *j, uint32_t node, int64_t *out)
{
    if (json_type(j, node) != JSON_NUMBER)
        return false;
    struct str s = json_text(j, node);
    bool negative = s.p[0] == '-';
    s = str_from(s, negative);
    if (all_digits(s)) {
        uint64_t n;
        if (!str_to_u64(s, (uint64_t)INT64_MAX + negative, &n))
            return false;
        *out = (int64_t)(negative ? 0 - n : n);
        return true;
    }
    /* 1.0 and 1e3, which JavaScript does not tell from 1 and 1000. */
    double d;
    if (!json_double(j, node, &d) || d != trunc(d))
        return false;
    if (d < -9223372036854775808.0 || d >= 9223372036854775808.0)
        return false;
    *out = (int64_t)d;
    return true;
}

bool json_double(const struct json *j, uint32_t node, double *out)
{
    if (json_type(j, node) != JSON_NUMBER)
        return false;
    /* strtod wants a NUL, which the text does not have. */
    struct str s = json_text(j, node);
    char room[64];
    char *z = room;
    if (s.len < sizeof(room)) {
        memcpy(room, s.p, s.len);
        room[s.len] = '\0';
    } else {
        z = mem_strndup(s.p, s.len);
    }
    double d = strtod(z, NULL);
    if (z != room)
        mem_free(z);
    if (!isfinite(d))
        return false;
    *out = d;
    return true;
}
