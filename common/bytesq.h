/* A queue of references to shared bytes: what a connection still has to send.
 *
 * A queue of at most one entry owns no memory: the usual case of a broadcast,
 * where touching more would cost a cache miss for each receiver. Links of
 * longer ones come from a process-wide free list of chunks, so that queueing
 * does not allocate once the process is warm. Each entry holds one reference;
 * those of a queue that waits for its peer count as held (bytes.h). */
#ifndef CONFAB_COMMON_BYTESQ_H
#define CONFAB_COMMON_BYTESQ_H

#include <sys/uio.h>

#include "common/bytes.h"

struct bytesq_chunk;

struct bytesq {
    union {
        struct bytes *only; /* while last is NULL and count is 1 */
        struct bytesq_chunk *first;
    };
    struct bytesq_chunk *last;
    bool held;      /* its entries are; then it has links */
    uint32_t sent;  /* bytes of the first entry that are gone already */
    uint32_t count; /* entries */
    size_t bytes;   /* not yet sent */
};

void bytesq_init(struct bytesq *q);
/* Drops everything. */
void bytesq_fini(struct bytesq *q);
/* Appends to a queue that has entries, as bytesq_push does. */
void bytesq_append(struct bytesq *q, struct bytes *b);
/* First entry with its reference; NULL when empty. `sent` is forgotten. */
struct bytes *bytesq_take(struct bytesq *q);
/* Fills up to `max` vectors with what is to be sent; returns how many. */
int bytesq_iov(const struct bytesq *q, struct iovec *iov, int max);
/* `n` bytes were sent, of a queue of any length: drops what is done with. */
void bytesq_drop(struct bytesq *q, size_t n);

/* Its peer does not keep up: what is in it, and what comes until it is empty,
 * counts as held. */
void bytesq_hold(struct bytesq *q);
/* Drops what lies behind the first `keep` bytes; an entry that begins within
 * them stays whole, and so does one of which bytes were sent. Returns how many
 * were dropped. */
uint32_t bytesq_cut(struct bytesq *q, size_t keep);

static inline bool bytesq_empty(const struct bytesq *q)
{
    return q->count == 0;
}

/* Appends; takes a reference of its own. */
static inline void bytesq_push(struct bytesq *q, struct bytes *b)
{
    if (q->count > 0) {
        bytesq_append(q, b);
        return;
    }
    q->only = bytes_ref(b);
    q->count = 1;
    q->bytes = b->len;
}

/* The same, short for the usual case: one entry, sent as a whole. */
static inline void bytesq_sent(struct bytesq *q, size_t n)
{
    if (q->last || n != q->bytes) {
        bytesq_drop(q, n);
        return;
    }
    struct bytes *b = q->only;
    *q = (struct bytesq){0};
    bytes_unref(b);
}

#endif
