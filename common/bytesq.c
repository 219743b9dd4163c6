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

void bytesq_push(struct bytesq *q, struct bytes *b)
{
    struct bytesq_chunk *c = q->last;
    if (!c || c->tail == CHUNK_REFS) {
        c = chunk_get();
        if (q->last)
            q->last->next = c;
        else
            q->first = c;
        q->last = c;
    }
    c->ref[c->tail++] = bytes_ref(b);
    q->count++;
    q->bytes += b->len;
}

struct bytes *bytesq_take(struct bytesq *q)
{
    struct bytesq_chunk *c = q->first;
    if (!c)
        return NULL;
    struct bytes *b = c->ref[c->head++];
    q->count--;
    q->bytes -= b->len - q->sent;
    q->sent = 0;
    if (c->head == c->tail) {
        q->first = c->next;
        if (!q->first)
            q->last = NULL;
        chunk_put(c);
    }
    return b;
}

int bytesq_iov(const struct bytesq *q, struct iovec *iov, int max)
{
    int n = 0;
    size_t skip = q->sent;
    if (q->count == 1 && max > 0) {
        struct bytes *only = q->first->ref[q->first->head];
        iov[0] = (struct iovec){only->p + skip, only->len - skip};
        return 1;
    }
    for (struct bytesq_chunk *c = q->first; c && n < max; c = c->next) {
        for (unsigned i = c->head; i < c->tail && n < max; i++) {
            iov[n].iov_base = c->ref[i]->p + skip;
            iov[n].iov_len = c->ref[i]->len - skip;
            skip = 0;
            n++;
        }
    }
    return n;
}

void bytesq_sent(struct bytesq *q, size_t n)
{
    assert(n <= q->bytes);
    if (n == q->bytes && q->count == 1) {
        struct bytesq_chunk *only = q->first;
        bytes_unref(only->ref[only->head]);
        chunk_put(only);
        bytesq_init(q);
        return;
    }
    while (q->first) {
        struct bytes *b = q->first->ref[q->first->head];
        size_t left = b->len - q->sent;
        if (n < left) {
            q->sent += (uint32_t)n;
            q->bytes -= n;
            return;
        }
        n -= left;
        bytes_unref(bytesq_take(q));
    }
}
