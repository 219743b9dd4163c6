#include "common/json_out.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/json_scan.h"
#include "common/utf8.h"

static bool needs_escape(char c)
{
    return (unsigned char)c < 0x20 || c == '"' || c == '\\';
}

static void put_escape(struct buf *b, char c)
{
    static const char values[] = "\"\\\b\f\n\r\t";
    static const char names[] = "\"\\bfnrt";
    const char *value = c == '\0' ? NULL : strchr(values, c);
    if (value) {
        char pair[] = {'\\', names[value - values]};
        buf_add(b, (struct str){pair, sizeof(pair)});
    } else {
        buf_fmt(b, "\\u%04x", (unsigned char)c);
    }
}

static void put_escaped(struct buf *b, struct str s)
{
    while (s.len > 0) {
        size_t n = 0;
        while (n < s.len && !needs_escape(s.p[n]))
            n++;
        buf_add(b, (struct str){s.p, n});
        if (n == s.len)
            return;
        put_escape(b, s.p[n]);
        s = str_from(s, n + 1);
    }
}

/* True when it is written: most are ASCII, and nothing is escaped. */
static bool put_plain(struct buf *b, struct str s)
{
    uint64_t seen = 0;
    const char *end = s.p + s.len;
    if (json_plain_run(s.p, end, &seen) < end || (seen & JSON_EACH_BYTE(0x80)))
        return false;
    char *p = buf_space(b, s.len + 2);
    if (!p)
        return true;
    *p++ = '"';
    memcpy(p, s.p, s.len);
    p[s.len] = '"';
    buf_commit(b, s.len + 2);
    return true;
}

void json_out_string(struct buf *b, struct str s)
{
    if (s.len > 0 && put_plain(b, s))
        return;
    buf_addc(b, '"');
    if (utf8_valid(s)) {
        put_escaped(b, s);
    } else {
        struct buf repaired;
        buf_init(&repaired, SIZE_MAX);
        utf8_repair(s, &repaired);
        put_escaped(b, buf_str(&repaired));
        buf_fini(&repaired);
    }
    buf_addc(b, '"');
}

/* A positive number as 0.DIGITS * 10^point. */
struct decimal {
    char digits[20];
    int count, point;
};

static void decimal_trim(struct decimal *x)
{
    while (x->count > 1 && x->digits[x->count - 1] == '0')
        x->count--;
}

/* `d` rounded to `count` digits. */
static void decimal_round(struct decimal *x, double d, int count)
{
    char text[40];
    (void)snprintf(text, sizeof(text), "%.*e", count - 1, d);
    x->count = 0;
    const char *p = text;
    for (; *p != 'e'; p++) {
        if (*p != '.')
            x->digits[x->count++] = *p;
    }
    x->point = (int)strtol(p + 1, NULL, 10) + 1;
}

/* One more in the last place. */
static void decimal_next(struct decimal *x)
{
    int i = x->count - 1;
    while (i >= 0 && x->digits[i] == '9')
        x->digits[i--] = '0';
    if (i >= 0) {
        x->digits[i]++;
    } else {
        x->digits[0] = '1';
        x->point++;
    }
}

static bool decimal_is(const struct decimal *x, double d)
{
    char text[48];
    (void)snprintf(text, sizeof(text), "0.%.*se%d", x->count, x->digits,
                   x->point);
    return strtod(text, NULL) == d;
}

/* The fewest digits that read back as `d`. All decimals of DBL_DIG digits
 * survive the way through a normal double, so there is no need to try fewer,
 * beyond dropping zeros; subnormals have less to say. Below a power of two
 * doubles lie closer together than above, and the decimal that reads back may
 * be the second nearest. */
static void decimal_shortest(struct decimal *x, double d)
{
    int exponent;
    bool power_of_two = frexp(d, &exponent) == 0.5;
    for (int n = d < DBL_MIN ? 1 : DBL_DIG;; n++) {
        decimal_round(x, d, n);
        if (n == DBL_DECIMAL_DIG || decimal_is(x, d))
            break;
        if (!power_of_two)
            continue;
        decimal_next(x);
        if (decimal_is(x, d))
            break;
    }
    decimal_trim(x);
}

static void put_zeros(struct buf *b, int n)
{
    while (n-- > 0)
        buf_addc(b, '0');
}

static void put_digits(struct buf *b, const struct decimal *x, int from, int to)
{
    buf_add(b, (struct str){x->digits + from, (size_t)(to - from)});
}

/* ECMA-262, Number::toString: plain up to 21 digits before the point and six
 * zeros behind it, exponents beyond. */
static void put_decimal(struct buf *b, const struct decimal *x)
{
    if (x->point > 21 || x->point < -5) {
        put_digits(b, x, 0, 1);
        if (x->count > 1)
            buf_addc(b, '.');
        put_digits(b, x, 1, x->count);
        buf_fmt(b, "e%+d", x->point - 1);
    } else if (x->point <= 0) {
        buf_add(b, STR("0."));
        put_zeros(b, -x->point);
        put_digits(b, x, 0, x->count);
    } else if (x->count <= x->point) {
        put_digits(b, x, 0, x->count);
        put_zeros(b, x->point - x->count);
    } else {
        put_digits(b, x, 0, x->point);
        buf_addc(b, '.');
        put_digits(b, x, x->point, x->count);
    }
}

void json_out_double(struct buf *b, double d)
{
    if (!isfinite(d)) {
        buf_add(b, STR("null"));
        return;
    }
    if (fabs(d) < 0x1p53 && d == trunc(d)) {
        buf_add_i64(b, (int64_t)d);
        return;
    }
    struct decimal x;
    decimal_shortest(&x, fabs(d));
    if (d < 0)
        buf_addc(b, '-');
    put_decimal(b, &x);
}
