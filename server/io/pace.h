/* When things are to happen that shall be spread evenly over a time.
 *
 * The window is cut into as many equal slots as there are things, and each
 * happens at a random moment of its slot: so in any span of time there are as
 * many as the pace allows, and at most one more that chance moved over its
 * edge. A caller who comes late does not catch up but is late from then on: the
 * pace is never exceeded. Times are milliseconds of any clock. */
#ifndef CONFAB_SERVER_IO_PACE_H
#define CONFAB_SERVER_IO_PACE_H

#include <stdint.h>

struct pace {
    uint64_t start_ms;
    uint32_t window_ms;
    uint32_t count, done;
    uint8_t within; /* the next one's place in its slot, in 256ths */
};

/* window_ms > 0; count < 2^32 / 2. */
void pace_begin(struct pace *p, uint64_t now_ms, uint32_t window_ms,
                uint32_t count);
/* How many are due by now, which then have been done. */
uint32_t pace_due(struct pace *p, uint64_t now_ms);
/* Milliseconds until the next one is due; UINT64_MAX when all are done. */
uint64_t pace_wait(const struct pace *p, uint64_t now_ms);
/* So many happen in a second, rounded up. */
uint32_t pace_per_second(const struct pace *p);

#endif
