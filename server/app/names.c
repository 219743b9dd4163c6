#include "server/app/names.h"

#include <stdint.h>

struct range {
    uint32_t first, last;
};

/* Would let a name break out of its line or turn the text around it. */
static const struct range forbidden[] = {
    {0x00, 0x1f}, {0x7f, 0x9f}, {0x202a, 0x202e}, {0x2066, 0x2069}, {0, 0},
};

/* Show nothing: a name of these alone would be invisible. */
static const struct range blanks[] = {
    {0x20, 0x20},     {0xa0, 0xa0},     {0xad, 0xad},     {0x1680, 0x1680},
    {0x2000, 0x200f}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x2064},
    {0x3000, 0x3000}, {0x3164, 0x3164}, {0xfeff, 0xfeff}, {0, 0},
};

static bool among(const struct range *r, uint32_t point)
{
    do {
        if (point >= r->first && point <= r->last)
            return true;
        r++;
    } while (r->last);
    return false;
}

/* Takes one code point off the front; the text is UTF-8, and not empty. */
static uint32_t next_point(struct sio_str *s)
{
    const unsigned char *p = (const unsigned char *)s->p;
    size_t len = p[0] < 0xc0 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (len > s->len)
        len = s->len;
    uint32_t point = len == 1 ? p[0] : p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++)
        point = point << 6 | (p[i] & 0x3fu);
    s->p += len;
    s->len -= len;
    return point;
}

bool names_clean(struct sio_str *name, size_t max)
{
    if (name->len > max)
        return false;
    struct sio_str rest = *name;
    const char *start = NULL, *end = NULL;
    while (rest.len) {
        const char *at = rest.p;
        uint32_t point = next_point(&rest);
        if (among(forbidden, point))
            return false;
        if (among(blanks, point))
            continue;
        if (!start)
            start = at;
        end = rest.p;
    }
    if (!start)
        return false;
    *name = (struct sio_str){start, (size_t)(end - start)};
    return true;
}

void names_quote(FILE *out, struct sio_str s)
{
    putc('"', out);
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] == '"' || s.p[i] == '\\')
            putc('\\', out);
        putc(s.p[i], out);
    }
    putc('"', out);
}
