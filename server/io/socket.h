/* A client's part in one namespace (sio.h: "sockets" and "sending").
 *
 *   ADMITTING --middlewares--> CONNECTED --> GONE
 *        \-------refused or left--------------^
 *
 * A connected socket that is `ending` is still in its rooms, for the sake of
 * the disconnecting handlers, but nothing is sent to it any more. */
#ifndef CONFAB_SERVER_IO_SOCKET_H
#define CONFAB_SERVER_IO_SOCKET_H

#include "server/io/client.h"
#include "server/io/namespace.h"

struct question;
struct pack_args;

enum socket_state { SOCKET_ADMITTING, SOCKET_CONNECTED, SOCKET_GONE };

/* What a socket needs only at times: it is there while anything of it is. */
struct socket_extra {
    struct list waiting; /* acknowledgements awaited from the client */
    struct list owed;    /* acknowledgements taken by the application */
    uint32_t n_waiting;
    struct sio_next *next; /* while ADMITTING */
};

/* What the client or the application has attached, NULL when it did not; and
 * what is needed at times, so that most sockets pay one pointer for all. */
struct socket_baggage {
    struct bytes *auth; /* JSON */
    struct bytes *data; /* JSON */
    void *context;
    void (*release)(void *context);
    struct socket_extra *extra; /* NULL: nothing of it */
};

struct sio_socket {
    struct member member;
    struct sio_socket *next_socket; /* of the client */
    struct client *client;
    struct sio_namespace *ns;
    struct socket_baggage *baggage; /* NULL: none */
    uint8_t state;
    bool ending : 1, recovered : 1;
    char id[]; /* NUL follows */
};

/* Connected, and not on its way out. */
static inline bool socket_live(const struct sio_socket *s)
{
    return s->state == SOCKET_CONNECTED && !s->ending;
}

/* `wanted` as found by recovery_wanted, or NULL. */
struct sio_socket *socket_new(struct client *c, struct sio_namespace *ns,
                              struct str auth, struct recovery_session *wanted);
/* Admission is over: tells the client and the connection handlers. */
void socket_connected(struct sio_socket *s);
/* It ends, for whatever reason; tells the disconnecting and the disconnect
 * handlers when it had been connected. Freed after the turn. */
void socket_gone(struct sio_socket *s, const char *reason);

void socket_on_event(struct sio_socket *s, const struct packet_head *h,
                     const struct json *tape, struct bytes *const *bins);
void socket_on_ack(struct sio_socket *s, const struct packet_head *h,
                   const struct json *tape, struct bytes *const *bins);

/* What it carries; NULL when it carries none. */
struct bytes *socket_auth(const struct sio_socket *s);
struct bytes *socket_data(const struct sio_socket *s);
/* Takes over the reference. */
void socket_set_data(struct sio_socket *s, struct bytes *data);

/* NULL: there is nothing of it. */
static inline struct socket_extra *socket_extra(const struct sio_socket *s)
{
    return s->baggage ? s->baggage->extra : NULL;
}
/* There from now on; given back by socket_settle. */
struct socket_extra *socket_need_extra(struct sio_socket *s);
/* Frees what is not needed any more. */
void socket_settle(struct sio_socket *s);

/* Queues a packet made for this socket alone. */
void socket_send(struct sio_socket *s, enum packet_type type, int64_t ack,
                 struct str data, struct bytes *const *bins, size_t n_bins);
/* Sends the acknowledgement of that id: 0 or an error of sio.h. */
int socket_acknowledge(struct sio_socket *s, int64_t id, const char *format,
                       struct pack_args *args);
/* Queues a shared packet; false when it could not be. */
bool socket_deliver(struct sio_socket *s, struct packet *p, bool is_volatile);

/* Whether a room may have that name: 0 or an error of sio.h. */
int socket_check_room(const struct sio_namespace *ns, struct str room);

/* Waits for the client's acknowledgement of that id, for a question; false when
 * the socket waits for too many. The wait is put on the question's list. */
bool socket_wait_for(struct sio_socket *s, int64_t id, struct question *q,
                     struct list *waits);
/* Forgets the wait that is on a question's list. */
void socket_wait_drop(struct list *of_question);

#endif
