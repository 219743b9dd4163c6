#include "common/loop.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "common/mem.h"
#include "common/metrics.h"
#include "common/poll.h"

struct loop_call {
    loop_fn *fn;
    void *arg;
};

enum { CALLS_KEPT = 4096 }; /* room that a quiet loop keeps */

uint64_t loop_clock_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void on_wake(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct loop *l = arg;
    l->wake_at_ms = 0;
}

static struct loop *loop_make(uint64_t now_ms)
{
    struct loop *l = mem_zalloc(sizeof(*l));
    struct event_config *cfg = event_config_new();
    assert(cfg);
    /* One thread: libevent's locks would only cost. */
    event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
    l->base = event_base_new_with_config(cfg);
    event_config_free(cfg);
    assert(l->base);
    l->wake = event_new(l->base, -1, 0, on_wake, l);
    assert(l->wake);
    l->read_buf = mem_alloc(LOOP_READ_BYTES);
    timer_wheel_init(&l->wheel, now_ms);
    l->now_ms = l->wheel.now_ms;
    list_init(&l->flush);
    list_init(&l->reap);
    list_init(&l->batch);
    list_init(&l->send_batch.link);
    return l;
}

struct loop *loop_new(void)
{
    return loop_make(loop_clock_us() / 1000);
}

struct loop *loop_new_at(uint64_t now_ms)
{
    struct loop *l = loop_make(now_ms);
    l->simulated = true;
    return l;
}

static bool has_work(const struct loop *l)
{
    return !list_empty(&l->flush) || !list_empty(&l->reap) || l->calls.n ||
           l->graves.n;
}

void loop_free(struct loop *l)
{
    if (!l)
        return;
    assert(!has_work(l));
    ring_free(l->ring);
    mem_free(l->calls.v);
    mem_free(l->graves.v);
    poll_free(l->poll);
    mem_free(l->plain);
    event_free(l->wake);
    event_base_free(l->base);
    mem_free(l->read_buf);
    mem_free(l);
}

bool loop_open_ring(struct loop *l)
{
    assert(!l->ring);
    l->ring = ring_new();
    return l->ring != NULL;
}

static void run_tasks(struct list *tasks)
{
    struct list *n;
    while ((n = list_pop(tasks))) {
        struct loop_task *t = container_of(n, struct loop_task, link);
        t->run(t);
    }
}

static void add_call(struct loop_calls *c, loop_fn *fn, void *arg)
{
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 16;
        c->v = mem_realloc(c->v, c->cap * sizeof(*c->v));
    }
    c->v[c->n++] = (struct loop_call){fn, arg};
}

/* A crowd that has left takes its room with it. */
static void trim_calls(struct loop_calls *c)
{
    if (c->n > 0 || c->cap <= CALLS_KEPT)
        return;
    mem_free(c->v);
    *c = (struct loop_calls){0};
}

/* In order. Those that are added meanwhile stay: they may be waiting for what
 * the tasks do first. */
static void run_calls(struct loop_calls *c)
{
    size_t n = c->n;
    for (size_t i = 0; i < n; i++) {
        struct loop_call call = c->v[i];
        call.fn(call.arg);
    }
    c->n -= n;
    memmove(c->v, c->v + n, c->n * sizeof(*c->v));
    trim_calls(c);
}

static void flush_all(struct loop *l)
{
    do {
        run_tasks(&l->flush);
        if (l->calls.n)
            run_calls(&l->calls);
    } while (!list_empty(&l->flush) || l->calls.n);
}

void loop_end_of_turn(struct loop *l)
{
    /* Flushing may close, freeing may flush others: until nothing is left. */
    for (;;) {
        flush_all(l);
        if (!list_empty(&l->reap)) {
            struct list *n = list_pop(&l->reap);
            struct loop_task *t = container_of(n, struct loop_task, link);
            t->run(t);
        } else if (l->graves.n) {
            struct loop_call call = l->graves.v[--l->graves.n];
            call.fn(call.arg);
            trim_calls(&l->graves);
        } else {
            return;
        }
    }
}

/* libevent must return when the wheel is due: one timeout for all timers. */
static void arm_wake(struct loop *l, uint64_t max_wait_ms)
{
    uint64_t wait = timer_wheel_wait(&l->wheel);
    if (wait > max_wait_ms)
        wait = max_wait_ms;
    uint64_t at = wait == UINT64_MAX ? 0 : l->wheel.now_ms + wait;
    if (at == l->wake_at_ms)
        return;
    l->wake_at_ms = at;
    if (!at) {
        event_del(l->wake);
        return;
    }
    struct timeval tv = {(time_t)(wait / 1000),
                         (suseconds_t)(wait % 1000 * 1000)};
    event_add(l->wake, &tv);
}

uint64_t loop_read_clock(struct loop *l)
{
    if (!l->simulated) {
        l->now_us = loop_clock_us();
        l->now_ms = l->now_us / 1000;
        l->clock_read = true;
    }
    return l->now_ms;
}

void loop_timer(struct loop *l, struct timer *t, uint64_t ms)
{
    /* The wheel stands where the last turn left it; without the difference a
     * timer started after a long wait would fire early. */
    timer_start(&l->wheel, t, ms + (loop_now(l) - l->wheel.now_ms));
}

void loop_set_clock(struct loop *l, uint64_t now_ms)
{
    assert(l->simulated && now_ms >= l->now_ms);
    l->now_ms = now_ms;
}

void loop_advance(struct loop *l, uint64_t now_ms)
{
    loop_set_clock(l, now_ms);
    timer_wheel_advance(&l->wheel, now_ms);
    loop_end_of_turn(l);
}

uint64_t loop_due(const struct loop *l)
{
    uint64_t wait = timer_wheel_wait(&l->wheel);
    return wait == UINT64_MAX ? wait : l->wheel.now_ms + wait;
}

void loop_turn(struct loop *l, uint64_t max_wait_ms)
{
    assert(!l->simulated);
    arm_wake(l, max_wait_ms);
    l->clock_read = false;
    event_base_loop(l->base, EVLOOP_ONCE | EVLOOP_NO_EXIT_ON_EMPTY);
    timer_wheel_advance(&l->wheel, loop_now(l));
    loop_end_of_turn(l);
    metrics_observe(H_LOOP_TURN, loop_clock_us() - l->now_us);
}

void loop_run(struct loop *l)
{
    loop_end_of_turn(l);
    while (!l->stopping)
        loop_turn(l, UINT64_MAX);
}

void loop_stop(struct loop *l)
{
    l->stopping = true;
}

void loop_task_init(struct loop_task *t, void (*run)(struct loop_task *))
{
    list_init(&t->link);
    t->run = run;
}

void loop_flush(struct loop *l, struct loop_task *t)
{
    if (list_empty(&t->link))
        list_insert(&l->flush, &t->link);
}

void loop_reap(struct loop *l, struct loop_task *t)
{
    if (list_empty(&t->link))
        list_insert(&l->reap, &t->link);
}

void loop_cancel(struct loop_task *t)
{
    list_remove(&t->link);
}

void loop_call(struct loop *l, loop_fn *fn, void *arg)
{
    add_call(&l->calls, fn, arg);
}

void loop_bury(struct loop *l, loop_fn *fn, void *arg)
{
    add_call(&l->graves, fn, arg);
}
