/* A namespace: its handlers, its sockets' way in, and the adapter it hosts
 * (sio.h: "namespaces and handlers"). */
#ifndef CONFAB_SERVER_IO_NAMESPACE_H
#define CONFAB_SERVER_IO_NAMESPACE_H

#include "server/io/event_table.h"
#include "server/io/server.h"

struct sio_namespace {
    struct list of_server;
    struct map_node by_name;
    struct sio_server *server;
    struct sio_namespace *home; /* whose handlers serve it: itself, or the
                                   parent of a dynamic one */
    sio_match_fn *match;        /* of a parent */
    void *match_arg;
    struct loop_task task;   /* of a child: frees it */
    struct adapter *adapter; /* NULL until the server listens */
    struct handlers middlewares, on_connection, on_disconnecting, on_disconnect,
        on_presence;
    struct handlers packet_middlewares, on_error, on_any;
    struct event_table events;
    /* Of other servers' events. */
    struct event_table server_events;
    struct handlers on_any_server;
    struct list questions; /* broadcasts that wait for answers: answers.c */
    uint32_t n_questions;  /* of them, our own */
    uint32_t n_foreign;    /* those of other servers */
    uint32_t n_surveys;    /* what other servers are asked: survey.c */
    struct list owed; /* acknowledgements that other servers wait for: ack.c */
    uint64_t next_ack;
    size_t n_sockets; /* connected */
    bool published;
    struct str name; /* NUL follows */
};

/* Nobody finds it yet. */
struct sio_namespace *namespace_new(struct sio_server *srv, struct str name);
/* From now on clients may connect to it. */
void namespace_publish(struct sio_namespace *ns);
/* Ends its part in the cluster and whatever it still waits for, which those who
 * asked are told. All sockets must be gone. */
void namespace_stop(struct sio_namespace *ns);
/* It must be stopped. */
void namespace_free(struct sio_namespace *ns);
/* The cluster is there. */
void namespace_start(struct sio_namespace *ns);
/* Runs the middlewares, then admits. */
void namespace_admit(struct sio_namespace *ns, struct sio_socket *s);
/* The socket that was being admitted has gone. */
void namespace_forget(struct sio_next *next);
/* Calls the catch-all handlers, asks the packet middlewares, calls the event's
 * handlers. */
void namespace_event(struct sio_namespace *ns, struct sio_socket *s,
                     struct sio_event *e);
/* Calls the handlers of a connection's end: on_disconnecting or
 * on_disconnect. */
void namespace_end(struct handlers *hs, struct sio_socket *s,
                   const char *reason);

#endif
