#include "adapter/publish_queue.h"

#include <assert.h>

#include "common/mem.h"

enum { CAP_MIN = 16 };

void publish_queue_init(struct publish_queue *q, size_t max_bytes)
{
    *q = (struct publish_queue){.max_bytes = max_bytes};
}

void publish_queue_fini(struct publish_queue *q)
{
    while (publish_queue_first(q))
        bytes_unref(publish_queue_take(q).command);
    mem_free(q->ring);
    publish_queue_init(q, q->max_bytes);
}

static struct publish_entry *at(const struct publish_queue *q, uint64_t pos)
{
    return &q->ring[pos & (q->cap - 1)];
}

/* Without the holes, so that the ring is never larger than what is in it
 * deserves. */
static void make_space(struct publish_queue *q)
{
    if (q->end - q->first < q->cap)
        return;
    uint32_t n = 0, live = publish_queue_count(q), cap = CAP_MIN;
    while (cap / 2 < live)
        cap *= 2;
    struct publish_entry *ring = mem_alloc(cap * sizeof(ring[0]));
    for (uint64_t pos = q->first; pos < q->end; pos++) {
        if (at(q, pos)->command)
            ring[n++] = *at(q, pos);
    }
    assert(n == live);
    mem_free(q->ring);
    q->ring = ring;
    q->cap = cap;
    q->first = q->volatile_at = 0;
    q->end = n;
}

static void forget(struct publish_queue *q, struct publish_entry *e)
{
    q->count[e->kind]--;
    q->bytes -= e->command->len;
    if (e->kind == PUBLISH_VOLATILE)
        q->volatile_bytes -= e->command->len;
    e->command = NULL;
}

static void drop_oldest_volatile(struct publish_queue *q)
{
    assert(q->count[PUBLISH_VOLATILE] > 0);
    if (q->volatile_at < q->first)
        q->volatile_at = q->first;
    for (;; q->volatile_at++) {
        struct publish_entry *e = at(q, q->volatile_at);
        if (!e->command || e->kind != PUBLISH_VOLATILE)
            continue;
        struct bytes *command = e->command;
        forget(q, e);
        bytes_unref(command);
        return;
    }
}

bool publish_queue_push(struct publish_queue *q, struct bytes *command,
                        enum publish_kind kind, uint32_t *dropped)
{
    if (q->bytes - q->volatile_bytes + command->len > q->max_bytes)
        return false;
    for (; q->bytes + command->len > q->max_bytes; (*dropped)++)
        drop_oldest_volatile(q);
    make_space(q);
    *at(q, q->end++) = (struct publish_entry){bytes_ref(command), kind};
    q->count[kind]++;
    q->bytes += command->len;
    if (kind == PUBLISH_VOLATILE)
        q->volatile_bytes += command->len;
    return true;
}

const struct bytes *publish_queue_first(struct publish_queue *q)
{
    while (q->first < q->end && !at(q, q->first)->command)
        q->first++;
    return q->first < q->end ? at(q, q->first)->command : NULL;
}

struct publish_entry publish_queue_take(struct publish_queue *q)
{
    const struct bytes *first = publish_queue_first(q);
    assert(first);
    struct publish_entry e = *at(q, q->first);
    forget(q, at(q, q->first));
    q->first++;
    return e;
}

uint32_t publish_queue_drop_volatile(struct publish_queue *q)
{
    uint32_t n = q->count[PUBLISH_VOLATILE];
    while (q->count[PUBLISH_VOLATILE] > 0)
        drop_oldest_volatile(q);
    return n;
}
