/* How often something may happen: a bucket that fills at a steady rate and
 * holds what comes in a second, so that after a quiet second that much may
 * happen at once. All zeros is a full one. */
#ifndef CONFAB_COMMON_BUCKET_H
#define CONFAB_COMMON_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    uint64_t at_ms; /* when it was last looked into */
    uint64_t thousandths;
};

/* Takes one out; false when there is none. `per_second` may differ from the
 * last time. */
static inline bool bucket_take(struct bucket *b, uint64_t now_ms,
                               uint32_t per_second)
{
    uint64_t most = (uint64_t)per_second * 1000;
    uint64_t passed = now_ms - b->at_ms;
    uint64_t have = passed < 1000 ? b->thousandths + passed * per_second : most;
    b->at_ms = now_ms;
    b->thousandths = have < most ? have : most;
    if (b->thousandths < 1000)
        return false;
    b->thousandths -= 1000;
    return true;
}

#endif
