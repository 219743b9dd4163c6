/* A token bucket in one number: when it will be full again (the generic cell
 * rate algorithm). A full bucket is any number that is not in the near future,
 * and 0, so one that nobody remembers is full.
 *
 * Time is in units of 1/256 ms and wraps after 4.6 hours: a bucket not looked
 * at for a multiple of that may seem to lack what it lacked then. */
#ifndef CONFAB_COMMON_BUCKET_H
#define CONFAB_COMMON_BUCKET_H

#include "common/str.h"

enum { BUCKET_MS = 256, BUCKET_RATE_MAX = 100000 };

struct bucket_rate {
    uint32_t step; /* of one event; 0 = no limit */
    uint32_t most; /* of a whole burst: an empty bucket is full so much later */
};

/* False when it is no rate, or it takes over two hours to fill the bucket. */
static inline bool bucket_rate(struct bucket_rate *r, double per_second,
                               uint32_t burst)
{
    *r = (struct bucket_rate){0, 0};
    if (!(per_second > 0 && per_second <= BUCKET_RATE_MAX) || burst == 0 ||
        burst / per_second > 7200)
        return false;
    r->step = (uint32_t)(1000 * BUCKET_MS / per_second);
    r->most = burst * r->step;
    return true;
}

static inline uint32_t bucket_time(uint64_t now_ms)
{
    return (uint32_t)(now_ms * BUCKET_MS);
}

/* How far it is from being full. */
static inline uint32_t bucket_lacks(const struct bucket_rate *r, uint32_t full,
                                    uint32_t now)
{
    uint32_t ahead = full - now;
    return ahead > r->most || full == 0 ? 0 : ahead;
}

/* Milliseconds until it has one to give; 0 = now. */
static inline uint32_t bucket_wait(const struct bucket_rate *r, uint32_t full,
                                   uint32_t now)
{
    uint64_t after = (uint64_t)bucket_lacks(r, full, now) + r->step;
    return after <= r->most
               ? 0
               : (uint32_t)((after - r->most + BUCKET_MS - 1) / BUCKET_MS);
}

/* Takes one, which must be there. */
static inline void bucket_take(const struct bucket_rate *r, uint32_t *full,
                               uint32_t now)
{
    *full = now + bucket_lacks(r, *full, now) + r->step;
    *full -= *full == 0;
}

#endif
