/* Timers of the application (sio.h: sio_after). */
#include "common/mem.h"
#include "server/io/server.h"

struct sio_timer {
    struct list link;
    struct timer timer;
    sio_timer_fn *fn;
    void *arg;
};

void sio_cancel(struct sio_timer *t)
{
    timer_stop(&t->timer);
    list_remove(&t->link);
    mem_free(t);
}

static void on_due(struct timer *timer)
{
    struct sio_timer *t = container_of(timer, struct sio_timer, timer);
    sio_timer_fn *fn = t->fn;
    void *arg = t->arg;
    sio_cancel(t);
    fn(arg);
}

struct sio_timer *sio_after(struct sio_server *srv, uint32_t ms,
                            sio_timer_fn *fn, void *arg)
{
    struct sio_timer *t = mem_zalloc(sizeof(*t));
    t->fn = fn;
    t->arg = arg;
    list_insert(&srv->timers, &t->link);
    timer_init(&t->timer, on_due);
    loop_timer(srv->loop, &t->timer, ms);
    return t;
}

void server_cancel_timers(struct sio_server *srv)
{
    while (!list_empty(&srv->timers))
        sio_cancel(container_of(srv->timers.next, struct sio_timer, link));
}
