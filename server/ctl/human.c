#include "server/ctl/human.h"

#include <stdio.h>

/* Three digits that count, and a unit. */
static const char *scale(char out[HUMAN_MAX], double n, double step,
                         const char *const *units, size_t n_units)
{
    size_t i = 0;
    /* What rounds up to the step belongs to the next unit. */
    while (i + 1 < n_units && n >= step - 0.5) {
        n /= step;
        i++;
    }
    int digits = i > 0 && n < 9.95 ? 1 : 0;
    (void)snprintf(out, HUMAN_MAX, "%.*f%s", digits, n, units[i]);
    return out;
}

const char *human_count(char out[HUMAN_MAX], double n)
{
    static const char *const units[] = {"", "k", "M", "G", "T", "P"};
    return scale(out, n, 1000, units, sizeof(units) / sizeof(units[0]));
}

const char *human_bytes(char out[HUMAN_MAX], double n)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB"};
    return scale(out, n, 1024, units, sizeof(units) / sizeof(units[0]));
}

const char *human_us(char out[HUMAN_MAX], double us)
{
    static const char *const units[] = {"us", "ms", "s"};
    return scale(out, us, 1000, units, sizeof(units) / sizeof(units[0]));
}

const char *human_span(char out[HUMAN_MAX], uint64_t ms)
{
    unsigned long long s = ms / 1000;
    if (s < 60)
        (void)snprintf(out, HUMAN_MAX, "%llus", s);
    else if (s < 3600)
        (void)snprintf(out, HUMAN_MAX, "%llum%02llus", s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(out, HUMAN_MAX, "%lluh%02llum", s / 3600, s / 60 % 60);
    else
        (void)snprintf(out, HUMAN_MAX, "%llud%02lluh", s / 86400,
                       s / 3600 % 24);
    return out;
}

const char *human_exact(char out[2 * HUMAN_MAX], uint64_t n)
{
    char digits[HUMAN_MAX];
    int len = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
    char *to = out;
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            *to++ = ',';
        *to++ = digits[i];
    }
    *to = '\0';
    return out;
}

/* ---- text ---------------------------------------------------------------- */

/* Bytes of the character that `s` begins with. */
static size_t char_len(struct str s)
{
    unsigned char c = (unsigned char)s.p[0];
    size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    return n <= s.len ? n : s.len;
}

static bool in(struct str c, unsigned char second, unsigned char from,
               unsigned char to)
{
    return (unsigned char)c.p[1] == second && (unsigned char)c.p[2] >= from &&
           (unsigned char)c.p[2] <= to;
}

static bool harmless(struct str c)
{
    unsigned char first = (unsigned char)c.p[0];
    if (c.len == 1)
        return first >= ' ' && first < 0x7f;
    if (c.len == 2 && first == 0xc2)
        return (unsigned char)c.p[1] >= 0xa0; /* C1 controls */
    if (c.len == 3 && first == 0xe2)          /* U+200E.., U+2066.. */
        return !in(c, 0x80, 0x8e, 0x8f) && !in(c, 0x80, 0xa8, 0xae) &&
               !in(c, 0x81, 0xa6, 0xa9);
    return true;
}

void human_text(struct buf *out, struct str text, size_t columns, bool fill)
{
    size_t used = 0;
    while (text.len > 0 && used < columns) {
        struct str c = {text.p, char_len(text)};
        text = str_from(text, c.len);
        used++;
        if (used == columns && text.len > 0)
            buf_addc(out, '~');
        else if (harmless(c))
            buf_add(out, c);
        else
            buf_addc(out, '?');
    }
    for (; fill && used < columns; used++)
        buf_addc(out, ' ');
}
