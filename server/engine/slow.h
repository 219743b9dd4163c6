/* Sessions that do not keep up.
 *
 *   queued: 16 kB                    on the list of those behind
 *           half of lag_bytes        lags: what follows waits here, each packet
 *                                    with its fate, until the transport's queue
 *                                    has run empty
 *           lag_bytes                packets are dropped, as their fate says
 *           output_queue_bytes       slow: no more reading, a deadline
 *           twice that               ended at once
 *
 * A packet is dropped whole, and never once the transport has it. What waits
 * for all of them together is bounded by total_bytes: beyond it those with the
 * longest queues are ended. Whoever keeps up costs a comparison for each
 * frame. */
#ifndef CONFAB_SERVER_ENGINE_SLOW_H
#define CONFAB_SERVER_ENGINE_SLOW_H

#include "common/fate.h"
#include "common/list.h"
#include "common/str.h"
#include "common/timer.h"

struct engine;
struct session;
struct bytes;

/* One that is behind, as operators see it. */
struct engine_slow {
    struct str sid;
    const char *address; /* the peer's */
    const char *transport;
    size_t queued_bytes;
    uint64_t slow_ms; /* for so long */
};

/* Calls `each` for the `most` longest queues, the longest first. `each` must
 * not end or send anything. */
void engine_slowest(const struct engine *e, uint32_t most,
                    void (*each)(void *arg, const struct engine_slow *s),
                    void *arg);

/* ---- inside the engine folder -------------------------------------------- */

/* Of the engine. */
struct slow_list {
    struct list behind;
    uint32_t n;
    size_t bytes;  /* of bookkeeping of packets that wait here */
    size_t mark;   /* a queue longer than this is for slow_check */
    bool shedding; /* at the end of this turn */
};

/* Of a session while it is behind. */
struct slow {
    struct session *session;
    struct list behind;
    uint64_t since_ms;
    struct timer deadline; /* runs while it is slow */
    struct list packets;   /* what waits here, the oldest first */
    size_t bytes;          /* of these, with their bookkeeping */
    struct list classes[]; /* the same by class of their fates */
};

/* When the settings are there. */
void slow_init(struct engine *e);
/* More is queued than the mark. */
void slow_check(struct session *s);
/* A packet for a session that lags. */
void slow_put(struct session *s, struct bytes *const *frames, uint32_t n,
              const struct fate *fate);
/* The transport's queue has run empty. */
void slow_caught_up(struct session *s);
/* What waits here goes to the transport now. */
void slow_release(struct session *s);
/* Its time does not run any more. */
void slow_stop(struct session *s);
/* It went over twice the bound. */
void slow_overrun(struct session *s);
/* It has ended. */
void slow_forget(struct session *s);

#endif
