/* What waits to be published: whole commands, in order, bounded in bytes. When
 * it is full, the oldest volatile ones make room, as they would soonest be of
 * no use; where that is not enough the new one is refused and nothing is
 * dropped for it. */
#ifndef CONFAB_ADAPTER_PUBLISH_QUEUE_H
#define CONFAB_ADAPTER_PUBLISH_QUEUE_H

#include "common/bytes.h"

enum publish_kind {
    PUBLISH_VOLATILE, /* of use only now */
    PUBLISH_KEPT,
    PUBLISH_REPEATED, /* kept, and if lost, soon said again (presence) */
    PUBLISH_KINDS,
};

struct publish_entry {
    struct bytes *command; /* one reference */
    enum publish_kind kind;
};

struct publish_queue {
    struct publish_entry *ring; /* `cap` is a power of two */
    uint32_t cap;
    /* Positions that only grow, until the ring is made anew. What was dropped
     * leaves a hole; no volatile one is before `volatile_at`. */
    uint64_t first, end, volatile_at;
    size_t bytes, volatile_bytes, max_bytes;
    uint32_t count[PUBLISH_KINDS];
};

void publish_queue_init(struct publish_queue *q, size_t max_bytes);
/* Drops everything. */
void publish_queue_fini(struct publish_queue *q);

/* Appends, with a reference of its own; false when there is no room. Adds to
 * `*dropped` how many others had to make room. */
bool publish_queue_push(struct publish_queue *q, struct bytes *command,
                        enum publish_kind kind, uint32_t *dropped);
/* The first one; NULL when there is none. */
const struct bytes *publish_queue_first(struct publish_queue *q);
/* Takes it off, with its reference. There must be one. */
struct publish_entry publish_queue_take(struct publish_queue *q);
/* Drops those that are volatile; returns how many. */
uint32_t publish_queue_drop_volatile(struct publish_queue *q);

static inline uint32_t publish_queue_count(const struct publish_queue *q)
{
    return q->count[PUBLISH_VOLATILE] + q->count[PUBLISH_KEPT] +
           q->count[PUBLISH_REPEATED];
}

#endif
