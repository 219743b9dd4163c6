/* One-shot timers on a hierarchical wheel: starting, restarting and stopping
 * cost O(1), whatever the durations and however many there are.
 *
 * Time is an argument (milliseconds of a monotonic clock that starts wherever
 * the owner likes), so that tests run in virtual time. A timer never fires
 * early. The object that embeds it is found with container_of. */
#ifndef CONFAB_COMMON_TIMER_H
#define CONFAB_COMMON_TIMER_H

#include <stdint.h>

#include "common/list.h"

struct timer;
typedef void timer_fn(struct timer *t);

struct timer {
    struct list link;
    uint64_t due_ms;
    timer_fn *fire;
};

enum { TIMER_LEVELS = 6, TIMER_SLOTS = 64 }; /* 64^6 ms: over two years */

struct timer_wheel {
    uint64_t now_ms;
    struct list slot[TIMER_LEVELS][TIMER_SLOTS];
    uint64_t used[TIMER_LEVELS]; /* bit per slot that is not empty */
};

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ms);
/* Fires what is due at `now_ms`. A timer's function may start and stop any
 * timer, its own included. */
void timer_wheel_advance(struct timer_wheel *w, uint64_t now_ms);
/* Milliseconds until the wheel must be advanced next; UINT64_MAX when no timer
 * runs. May be sooner than the first timer is due, never later. */
uint64_t timer_wheel_wait(const struct timer_wheel *w);

void timer_init(struct timer *t, timer_fn *fire);
/* Fires once after `ms`; restarts a running timer. */
void timer_start(struct timer_wheel *w, struct timer *t, uint64_t ms);
/* Harmless when it is not running. */
void timer_stop(struct timer *t);

static inline bool timer_running(const struct timer *t)
{
    return t->link.next != &t->link;
}

#endif
