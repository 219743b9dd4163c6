/* What became of numbered messages on their way to one client: each must come
 * once, in order. */
#ifndef CONFAB_TESTS_BENCH_TALLY_H
#define CONFAB_TESTS_BENCH_TALLY_H

#include "tests/bench/swarm.h"

/* How far back a late message is told from a doubled one. */
enum { TALLY_WINDOW = 64 };

struct tally {
    uint64_t delivered; /* different ones */
    uint64_t doubled, reordered;
    uint64_t bad; /* not what was sent */
};

/* Counts message `seq` at client `c`; true when it is the first time. */
static inline bool tally_add(struct tally *t, struct client *c, uint32_t seq)
{
    if (seq >= c->next_seq) {
        uint32_t step = seq - c->next_seq + 1;
        c->seen = step < TALLY_WINDOW ? c->seen << step | 1 : 1;
        c->next_seq = seq + 1;
        t->delivered++;
        return true;
    }
    uint32_t age = c->next_seq - 1 - seq;
    if (age >= TALLY_WINDOW || c->seen >> age & 1) {
        t->doubled++;
        return false;
    }
    c->seen |= UINT64_C(1) << age;
    t->delivered++;
    t->reordered++;
    return true;
}

#endif
