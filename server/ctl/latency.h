/* Latencies, in a histogram of fixed size: exact below 64 us, then in steps of
 * less than 1/32 of the value, up to 2^40 us. All zero is an empty one. */
#ifndef CONFAB_SERVER_CTL_LATENCY_H
#define CONFAB_SERVER_CTL_LATENCY_H

#include "common/buf.h"

enum {
    LATENCY_STEPS = 32, /* of each power of two */
    LATENCY_BUCKETS = 64 + LATENCY_STEPS * (40 - 6),
};

struct latency {
    uint64_t count[LATENCY_BUCKETS];
    uint64_t n, max_us;
};

void latency_add(struct latency *h, uint64_t us);
/* The least value that `q` of all (0 to 1) do not exceed, rounded up to its
 * step, never above the largest one; 0 when there are none. */
uint64_t latency_at(const struct latency *h, double q);
/* One line for each power of two from the least to the largest. */
void latency_draw(const struct latency *h, struct buf *out);

#endif
