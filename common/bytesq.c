#include "common/bytesq.h"

#include <assert.h>

#include "common/mem.h"

enum { CHUNK_REFS = 13, FREE_MAX = 4096 };

struct bytesq_chunk {
    struct bytesq_chunk *next;
    uint16_t head, tail; /* entries [head, tail) are in use */
    struct bytes *ref[CHUNK_REFS];
};

/* Chunks of queues that ran empty, kept for the next ones; one thread. */
static struct bytesq_chunk *spare;
static unsigned spare_count;

static struct bytesq_chunk *chunk_get(void)
{
    struct bytesq_chunk *c = spare;
    if (c) {
        spare = c->next;
        spare_count--;
    } else {
        c = mem_alloc(sizeof(*c));
    }
    c->next = NULL;
    c->head = c->tail = 0;
    return c;
}

static void chunk_put(struct bytesq_chunk *c)
{
    if (spare_count >= FREE_MAX) {
        mem_free(c);
        return;
    }
    c->next = spare;
    spare = c;
    spare_count++;
}

void bytesq_init(struct bytesq *q)
{
    *q = (struct bytesq){0};
}

void bytesq_fini(struct bytesq *q)
{
    struct bytes *b;
    while ((b = bytesq_take(q)))
        bytes_unref(b);
}

static void put(struct bytesq_chunk *c, struct bytes *b)
{
    c->ref[c->tail++] = b;
}

/* A queue of one entry that had no link. */
static struct bytesq_chunk *link_up(struct bytesq *q)
{
    struct bytesq_chunk *c = chunk_get();
    put(c, q->only);
    q->first = q->last = c;
    return c;
}

void bytesq_append(struct bytesq *q, struct bytes *b)
{
    struct bytesq_chunk *c = q->last;
    if (!c) {
        c = link_up(q);
    } else if (c->tail == CHUNK_REFS) {
        c = chunk_get();
        q->last->next = c;
        q->last = c;
    }
    put(c, bytes_ref(b));
    q->count++;
    q->bytes += b->len;
    if (q->held)
        bytes_hold(b);
}

static struct bytes *first_of(const struct bytesq *q)
{
    return q->last ? q->first->ref[q->first->head] : q->only;
}

/* The first entry leaves its place. */
static void advance(struct bytesq *q)
{
    struct bytesq_chunk *c = q->last ? q->first : NULL;
    q->count--;
    q->sent = 0;
    if (!c) {
        q->only = NULL;
    } else if (++c->head == c->tail) {
        q->first = c->next;
        if (!q->first) {
            q->last = NULL;
            q->held = false;
        }
        chunk_put(c);
    }
}

struct bytes *bytesq_take(struct bytesq *q)
{
    if (bytesq_empty(q))
        return NULL;
    struct bytes *b = first_of(q);
    if (q->held)
        bytes_release(b);
    q->bytes -= b->len - q->sent;
    advance(q);
    return b;
}

int bytesq_iov(const struct bytesq *q, struct iovec *iov, int max)
{
    if (bytesq_empty(q) || max == 0)
        return 0;
    struct bytes *b = first_of(q);
    iov[0] = (struct iovec){b->p + q->sent, b->len - q->sent};
    int n = 1;
    unsigned skip = 1;
    for (struct bytesq_chunk *c = q->last ? q->first : NULL; c; c = c->next) {
        for (unsigned i = c->head + skip; i < c->tail && n < max; i++)
            iov[n++] = (struct iovec){c->ref[i]->p, c->ref[i]->len};
        skip = 0;
    }
    return n;
}

/* Those that end within the next `n` bytes are about to go. */
__attribute__((noinline)) static void release_sent(const struct bytesq *q,
                                                   size_t n)
{
    n += q->sent;
    for (struct bytesq_chunk *c = q->first; c; c = c->next) {
        for (unsigned i = c->head; i < c->tail; i++) {
            if (n < c->ref[i]->len)
                return;
            n -= c->ref[i]->len;
            bytes_release(c->ref[i]);
        }
    }
}

void bytesq_drop(struct bytesq *q, size_t n)
{
    assert(n <= q->bytes);
    if (q->held)
        release_sent(q, n);
    q->bytes -= n;
    while (!bytesq_empty(q)) {
        struct bytes *b = first_of(q);
        size_t left = b->len - q->sent;
        if (n < left) {
            q->sent += (uint32_t)n;
            return;
        }
        n -= left;
        advance(q);
        bytes_unref(b);
    }
}

void bytesq_hold(struct bytesq *q)
{
    if (q->held || bytesq_empty(q))
        return;
    if (!q->last)
        link_up(q);
    q->held = true;
    for (struct bytesq_chunk *c = q->first; c; c = c->next) {
        for (unsigned i = c->head; i < c->tail; i++)
            bytes_hold(c->ref[i]);
    }
}

uint32_t bytesq_cut(struct bytesq *q, size_t keep)
{
    struct bytesq kept = {0};
    struct bytes *b;
    size_t sent = q->sent, at = 0;
    while (!bytesq_empty(q) && (at < keep || (at == 0 && sent > 0))) {
        b = bytesq_take(q);
        at += b->len - (at == 0 ? sent : 0);
        bytesq_push(&kept, b);
        bytes_unref(b);
    }
    uint32_t dropped = q->count;
    bool held = q->held;
    bytesq_fini(q);
    *q = kept;
    if (held)
        bytesq_hold(q);
    if (!bytesq_empty(q)) {
        q->sent = (uint32_t)sent;
        q->bytes -= sent;
    }
    return dropped;
}
