/* The event loop of the process: libevent, a clock read once per turn, and the
 * two places where everything that can wait is done.
 *
 * A turn: wait for the kernel, run the handlers of what is ready, fire timers,
 * then flush (each dirty stream writes once, however many messages it got) and
 * reap (free what was closed in this turn). Handlers may therefore close
 * anything, the object that is calling them included.
 *
 * How long a turn works, from its first handler on, is what all others wait:
 * the histogram confab_loop_turn_seconds.
 *
 * One loop per process and thread; nothing here is thread safe. */
#ifndef CONFAB_COMMON_LOOP_H
#define CONFAB_COMMON_LOOP_H

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/err.h"
#include "common/ring.h"
#include "common/timer.h"

/* Embedded in what wants to be called at the end of the turn. */
struct loop_task {
    struct list link;
    void (*run)(struct loop_task *t);
};

/* What is to be called at the end of the turn, for those who keep no task. */
struct loop_calls {
    struct loop_call *v;
    size_t n, cap;
};

struct loop {
    struct event_base *base;
    struct timer_wheel wheel;
    struct list flush; /* of loop_task */
    struct list reap;  /* of loop_task */
    struct ring *ring; /* NULL: each stream writes for itself */
    struct list
        batch; /* flush tasks of streams that write together (stream.c) */
    struct loop_task send_batch;
    struct loop_calls calls, graves;
    struct event *wake;
    struct poll *poll;       /* of streams; NULL until there is one */
    struct stream_io *plain; /* what those share that are not encrypted */
    uint64_t wake_at_ms;
    uint64_t now_ms;
    uint64_t now_us; /* the same, when it was read */
    bool clock_read; /* now_ms is of this turn */
    bool simulated;  /* its clock is only told */
    bool stopping;
    char *read_buf; /* shared by all streams: LOOP_READ_BYTES */
};

enum { LOOP_READ_BYTES = 64 * 1024 };

struct loop *loop_new(void);
void loop_free(struct loop *l);
/* Dirty streams write together from now on, many to one system call. False with
 * errno when the kernel does not let us (ring.h): nothing changes then. */
bool loop_open_ring(struct loop *l);
/* Runs turns until loop_stop. */
void loop_run(struct loop *l);
void loop_stop(struct loop *l);
/* One turn; blocks for at most `max_wait_ms`. For tests. */
void loop_turn(struct loop *l, uint64_t max_wait_ms);

/* A loop in virtual time, for simulations: its clock is not the kernel's but
 * stands at `now_ms` until it is told to go on. It is never run; a turn of it
 * is loop_set_clock, the handlers of what is ready, loop_advance. */
struct loop *loop_new_at(uint64_t now_ms);
/* The clock goes on to `now_ms`; it never goes back. */
void loop_set_clock(struct loop *l, uint64_t now_ms);
/* The same, and what comes after the handlers: fires timers, flushes, reaps. */
void loop_advance(struct loop *l, uint64_t now_ms);
/* When loop_advance must be called next, if nothing else happens; UINT64_MAX
 * when no timer runs. May be sooner than a timer is due, never later. */
uint64_t loop_due(const struct loop *l);

/* What loop_now does the first time in a turn. */
uint64_t loop_read_clock(struct loop *l);
/* Monotonic milliseconds, read at most once per turn. */
static inline uint64_t loop_now(struct loop *l)
{
    return l->clock_read ? l->now_ms : loop_read_clock(l);
}
/* The kernel's monotonic clock in microseconds, read now: to measure with. */
uint64_t loop_clock_us(void);

/* Fires `t` once, `ms` from now. */
void loop_timer(struct loop *l, struct timer *t, uint64_t ms);

/* Flushes and reaps now. For owners that take the loop down. */
void loop_end_of_turn(struct loop *l);

void loop_task_init(struct loop_task *t, void (*run)(struct loop_task *));
/* Runs at the end of this turn, before anything is freed; once, however often
 * it is asked for. */
void loop_flush(struct loop *l, struct loop_task *t);
/* Runs after all flushing: `run` frees the object that holds `t`. */
void loop_reap(struct loop *l, struct loop_task *t);
/* Forgets a task that is waiting; harmless when it is not. */
void loop_cancel(struct loop_task *t);

/* The same without a task in the object: idle objects are many, and a task is
 * three words. These cannot be cancelled: what is called must see for itself
 * whether there is still something to do. Nothing is freed before all calls
 * have been made. */
typedef void loop_fn(void *arg);
/* Calls `fn` at the end of this turn, once for each time it is asked for. */
void loop_call(struct loop *l, loop_fn *fn, void *arg);
/* Calls `fn`, which frees `arg`, after all flushing. */
void loop_bury(struct loop *l, loop_fn *fn, void *arg);

#endif
