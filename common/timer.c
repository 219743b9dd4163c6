/* Level 0 holds the timers of the next 64 ms, a slot per millisecond; level n a
 * slot per 64^n ms. When the clock enters a new slot of a higher level, that
 * slot's timers are put in again and land lower. `used` may name a slot whose
 * timers were all stopped: stopping does not know the wheel, and the cost is
 * one early look. */
#include "common/timer.h"

#include <assert.h>

enum { SLOT_BITS = 6 };

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms)
{
    w->now_ms = now_ms;
    for (int l = 0; l < TIMER_LEVELS; l++) {
        w->used[l] = 0;
        for (int s = 0; s < TIMER_SLOTS; s++)
            list_init(&w->slot[l][s]);
    }
}

static void wheel_put(struct timer_wheel *w, struct timer *t)
{
    /* The level is that of the highest digit (base 64) in which the due time
     * differs from now: only there is the slot index not yet passed. */
    uint64_t diff = t->due_ms ^ w->now_ms;
    int level = diff ? (63 - __builtin_clzll(diff)) / SLOT_BITS : 0;
    if (level >= TIMER_LEVELS)
        level = TIMER_LEVELS - 1;
    unsigned s = (unsigned)(t->due_ms >> (level * SLOT_BITS)) % TIMER_SLOTS;
    list_insert(&w->slot[level][s], &t->link);
    w->used[level] |= UINT64_C(1) << s;
}

/* Distance in slots from the current one to the next used one of a level, the
 * current one not counted; 0 when there is none before the level wraps. */
static unsigned next_used(const struct timer_wheel *w, int level)
{
    unsigned cur = (unsigned)(w->now_ms >> (level * SLOT_BITS)) % TIMER_SLOTS;
    uint64_t later = cur == 63 ? 0 : w->used[level] >> (cur + 1);
    return later ? (unsigned)__builtin_ctzll(later) + 1 : 0;
}

uint64_t timer_wheel_wait(const struct timer_wheel *w)
{
    for (int l = 0; l < TIMER_LEVELS; l++) {
        unsigned d = next_used(w, l);
        if (!d)
            continue;
        uint64_t unit = UINT64_C(1) << (l * SLOT_BITS);
        uint64_t start = (w->now_ms / unit + d) * unit;
        return start - w->now_ms;
    }
    return UINT64_MAX;
}

static void slot_open(struct timer_wheel *w, int level)
{
    unsigned s = (unsigned)(w->now_ms >> (level * SLOT_BITS)) % TIMER_SLOTS;
    if (!(w->used[level] & (UINT64_C(1) << s)))
        return;
    w->used[level] &= ~(UINT64_C(1) << s);
    struct list due;
    list_init(&due);
    list_splice(&due, &w->slot[level][s]);
    struct list *n;
    while ((n = list_pop(&due))) {
        struct timer *t = container_of(n, struct timer, link);
        if (t->due_ms <= w->now_ms)
            t->fire(t);
        else
            wheel_put(w, t);
    }
}

void timer_wheel_advance(struct timer_wheel *w, uint64_t now_ms)
{
    while (w->now_ms < now_ms) {
        uint64_t wait = timer_wheel_wait(w);
        if (wait > now_ms - w->now_ms) {
            w->now_ms = now_ms;
            return;
        }
        w->now_ms += wait;
        for (int l = TIMER_LEVELS - 1; l >= 0; l--) {
            uint64_t unit = UINT64_C(1) << (l * SLOT_BITS);
            if (w->now_ms % unit == 0)
                slot_open(w, l);
        }
    }
}

void timer_init(struct timer *t, timer_fn *fire)
{
    list_init(&t->link);
    t->fire = fire;
}

void timer_start(struct timer_wheel *w, struct timer *t, uint64_t ms)
{
    assert(t->fire);
    list_remove(&t->link);
    /* At least one: the slot of the present millisecond is already open. */
    t->due_ms = w->now_ms + (ms ? ms : 1);
    wheel_put(w, t);
}

void timer_stop(struct timer *t)
{
    list_remove(&t->link);
}
