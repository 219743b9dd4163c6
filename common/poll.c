#include "common/poll.h"

#include <assert.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "common/mem.h"

/* In one turn; those that are left come first in the next one. */
enum { BATCH = 512 };

struct poll {
    struct event ev;
    poll_fn *fn;
    int fd;
    struct epoll_event batch[BATCH];
};

static unsigned ready_of(uint32_t events)
{
    unsigned ready = 0;
    if (events & (EPOLLERR | EPOLLHUP))
        return POLL_READ | POLL_WRITE;
    if (events & EPOLLIN)
        ready |= POLL_READ;
    if (events & EPOLLOUT)
        ready |= POLL_WRITE;
    return ready;
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct poll *p = arg;
    int n = epoll_wait(p->fd, p->batch, BATCH, 0);
    for (int i = 0; i < n; i++)
        p->fn(p->batch[i].data.ptr, ready_of(p->batch[i].events));
}

struct poll *poll_new(struct event_base *base, poll_fn *fn)
{
    struct poll *p = mem_alloc(sizeof(*p));
    p->fn = fn;
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    assert(p->fd >= 0);
    event_assign(&p->ev, base, p->fd, EV_READ | EV_PERSIST, on_ready, p);
    event_add(&p->ev, NULL);
    return p;
}

void poll_free(struct poll *p)
{
    if (!p)
        return;
    event_del(&p->ev);
    close(p->fd);
    mem_free(p);
}

void poll_change(struct poll *p, int fd, unsigned had, unsigned want, void *arg)
{
    if (had == want)
        return;
    struct epoll_event e = {.data.ptr = arg};
    if (want & POLL_READ)
        e.events |= EPOLLIN;
    if (want & POLL_WRITE)
        e.events |= EPOLLOUT;
    int op = !had ? EPOLL_CTL_ADD : want ? EPOLL_CTL_MOD : EPOLL_CTL_DEL;
    /* The kernel may have no memory for one more: such a connection is deaf
     * until its owner's deadline ends it. */
    (void)epoll_ctl(p->fd, op, fd, &e);
}
