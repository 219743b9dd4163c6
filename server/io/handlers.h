/* The functions that an application has registered for one thing, in order.
 *
 * They may be added and removed at any time, by one of them while it runs
 * included: one that was removed is not called any more and is freed when the
 * last walk has left it; one that was added is not called by the walks that
 * were under way. */
#ifndef CONFAB_SERVER_IO_HANDLERS_H
#define CONFAB_SERVER_IO_HANDLERS_H

#include "common/list.h"
#include "server/sio.h"

union handler_fn {
    sio_middleware_fn *middleware;
    sio_packet_fn *packet;
    sio_connection_fn *connection;
    sio_disconnect_fn *disconnect;
    sio_event_fn *event;
    sio_error_fn *error;
    sio_presence_fn *presence;
    sio_server_event_fn *server_event;
};

struct handler {
    struct list link;
    uint64_t nth;  /* how many had been added before and with it */
    uint32_t held; /* walks that stand here */
    bool off, once;
    union handler_fn fn;
    void *arg;
};

struct handlers {
    struct list list;
    uint64_t added;
};

/* One passage over them, on the stack of whoever calls them. */
struct handler_walk {
    struct handlers *of;
    struct handler *at;
    uint64_t added; /* as it was when the walk began */
};

void handlers_init(struct handlers *hs);
/* No walk may be under way. */
void handlers_fini(struct handlers *hs);

struct handler *handlers_add(struct handlers *hs, void *arg);
struct handler *handlers_prepend(struct handlers *hs, void *arg);
void handlers_remove(struct handler *h);

/* The first; NULL when there is none, which ends the walk. One that is for one
 * call is removed by who calls it. */
struct handler *handlers_first(struct handler_walk *w, struct handlers *hs);
struct handler *handlers_next(struct handler_walk *w);
/* Ends a walk early; harmless at its end. */
void handlers_leave(struct handler_walk *w);

#endif
