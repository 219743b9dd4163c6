#include "common/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/mem.h"

enum { FIRST_CAP = 64, U64_DIGITS = 20 };

void buf_free(struct buf *b)
{
    mem_free(b->b);
    buf_init(b, b->max);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->full = false;
}

static void set_cap(struct buf *b, size_t cap)
{
    b->b = mem_realloc(b->b, sizeof(struct bytes) + cap);
    b->cap = cap;
}

/* Doubles while small; later by half, where a copy costs more than what a
 * spare half would save. */
static void grow(struct buf *b, size_t need)
{
    size_t cap = b->cap < 65536 ? b->cap * 2 : b->cap + b->cap / 2;
    if (cap < FIRST_CAP)
        cap = FIRST_CAP;
    if (cap < need)
        cap = need;
    if (cap > b->max)
        cap = b->max;
    set_cap(b, cap);
}

char *buf_more(struct buf *b, size_t n)
{
    /* What follows a piece that was left out would not make sense. */
    if (b->full || n > b->max - b->len) {
        b->full = true;
        return NULL;
    }
    if (!b->b || n > b->cap - b->len)
        grow(b, b->len + n);
    return b->b->p + b->len;
}

void buf_commit(struct buf *b, size_t n)
{
    assert(n <= b->cap - b->len);
    b->len += n;
}

void buf_truncate(struct buf *b, size_t len)
{
    assert(len <= b->len);
    b->len = len;
}

/* Writes the digits so that they end before `end`; returns their start. */
static char *put_digits(char *end, uint64_t n)
{
    do {
        *--end = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    return end;
}

void buf_add_u64(struct buf *b, uint64_t n)
{
    char text[U64_DIGITS];
    char *end = text + sizeof(text);
    char *p = put_digits(end, n);
    buf_add(b, (struct str){p, (size_t)(end - p)});
}

void buf_add_i64(struct buf *b, int64_t n)
{
    char text[1 + U64_DIGITS];
    char *end = text + sizeof(text);
    char *p = put_digits(end, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
    if (n < 0)
        *--p = '-';
    buf_add(b, (struct str){p, (size_t)(end - p)});
}

void buf_fmt(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    assert(n >= 0);
    /* One more for the NUL, which is not content and must not count against
     * the ceiling. */
    char *p = buf_space(b, (size_t)n);
    if (!p)
        return;
    if (b->cap - b->len == (size_t)n) {
        set_cap(b, b->cap + 1);
        b->cap--;
    }
    va_start(ap, fmt);
    (void)vsnprintf(b->b->p + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
}

struct bytes *buf_take(struct buf *b)
{
    size_t spare = b->cap - b->len;
    if (!b->b || (spare > 64 && spare > b->cap / 4))
        set_cap(b, b->len);
    struct bytes *out = b->b;
    /* Field by field: an assignment of the whole could write its padding, which
     * is where the content begins. */
    out->deflated = NULL;
    out->typed = NULL;
    out->refs = 1;
    out->len = (uint32_t)b->len;
    out->head = 0;
    out->binary = out->dense = 0;
    b->b = NULL;
    b->len = b->cap = 0;
    return out;
}
