/* A namespace: its handlers, its sockets' way in, and the adapter it hosts
 * (sio.h: "namespaces and handlers"). */
#ifndef CONFAB_SERVER_IO_NAMESPACE_H
#define CONFAB_SERVER_IO_NAMESPACE_H

#include "server/io/server.h"

struct handler {
    struct list link;
    union {
        sio_middleware_fn *middleware;
        sio_connection_fn *connection;
        sio_disconnect_fn *disconnect;
        sio_event_fn *event;
        sio_presence_fn *presence;
    } fn;
    void *arg;
};

/* The handlers of one event. */
struct event_handlers {
    struct map_node node;
    struct list handlers;
    struct str name;
};

struct sio_namespace {
    struct list of_server;
    struct map_node by_name;
    struct sio_server *server;
    struct adapter *adapter; /* NULL until the server listens */
    struct list middlewares, on_connection, on_disconnect, on_presence;
    struct map events; /* of event_handlers */
    uint64_t next_ack;
    size_t n_sockets; /* connected */
    struct str name;  /* NUL follows */
};

struct sio_namespace *namespace_new(struct sio_server *srv, struct str name);
/* All sockets must be gone. */
void namespace_free(struct sio_namespace *ns);
/* The cluster is there. */
void namespace_start(struct sio_namespace *ns);
/* Runs the middlewares, then admits. */
void namespace_admit(struct sio_namespace *ns, struct sio_socket *s);
/* The socket that was being admitted has gone. */
void namespace_forget(struct sio_next *next);
/* NULL when nobody listens to it. */
struct event_handlers *namespace_handlers(const struct sio_namespace *ns,
                                          struct str event);

#endif
