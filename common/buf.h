/* Growable byte builder with a hard ceiling.
 *
 * Adding past `max` adds nothing and makes the buffer `full`, which stays set
 * until buf_clear: a writer adds freely and asks once at the end. An empty
 * buffer owns no memory. buf_take turns the content into shared bytes without
 * copying. */
#ifndef CONFAB_COMMON_BUF_H
#define CONFAB_COMMON_BUF_H

#include "common/bytes.h"

struct buf {
    struct bytes *b; /* storage; its len is not kept up to date */
    size_t len, cap, max;
    bool full;
};

static inline void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max < UINT32_MAX ? max : UINT32_MAX};
}
void buf_free(struct buf *b);
/* Ready for use again, with the same ceiling. */
static inline void buf_fini(struct buf *b)
{
    if (b->b)
        buf_free(b);
    else
        buf_init(b, b->max);
}
/* Empties it and keeps the storage. */
void buf_clear(struct buf *b);

static inline void buf_add(struct buf *b, struct str s);
static inline void buf_addc(struct buf *b, char c);
void buf_add_u64(struct buf *b, uint64_t n);
void buf_add_i64(struct buf *b, int64_t n);
/* printf into the buffer; for cold paths. */
void buf_fmt(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Room for `n` bytes at the end, not yet counted; NULL when past the ceiling.
 * Follow with buf_commit of what was written. */
static inline char *buf_space(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);
/* Cuts the content to its first `len` bytes. */
void buf_truncate(struct buf *b, size_t len);

static inline char *buf_ptr(struct buf *b)
{
    return b->b ? b->b->p : NULL;
}

/* Borrowed until the next change. */
static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->b ? b->b->p : "", b->len};
}

/* The content as bytes with one reference (head 0, text); empties b. */
struct bytes *buf_take(struct buf *b);

/* ---- what is inlined ----------------------------------------------------- */

/* buf_space where there may be none yet. */
char *buf_more(struct buf *b, size_t n);

static inline char *buf_space(struct buf *b, size_t n)
{
    if (b->full || !b->b || n > b->cap - b->len)
        return buf_more(b, n);
    return b->b->p + b->len;
}

static inline void buf_add(struct buf *b, struct str s)
{
    char *p = s.len > 0 ? buf_space(b, s.len) : NULL;
    if (!p)
        return;
    memcpy(p, s.p, s.len);
    b->len += s.len;
}

static inline void buf_addc(struct buf *b, char c)
{
    char *p = buf_space(b, 1);
    if (!p)
        return;
    *p = c;
    b->len++;
}

#endif
