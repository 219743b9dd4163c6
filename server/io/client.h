/* One connection and the sockets that share it: packets in are decoded,
 * reassembled with their attachments and routed by namespace. */
#ifndef CONFAB_SERVER_IO_CLIENT_H
#define CONFAB_SERVER_IO_CLIENT_H

#include "server/io/parser.h"
#include "server/io/server.h"

/* A binary packet whose attachments are still coming. */
struct client_partial {
    struct bytes *text;
    size_t bytes; /* text and attachments so far */
    uint32_t have, want;
    struct bytes *bins[PACKET_BINS_MAX];
};

/* What few connections need, or all but for a short time. */
struct client_extra {
    struct client *client;
    struct timer connect;  /* until the first namespace is joined */
    struct bytes *address; /* as proxies say, with a NUL; NULL: the peer's */
    struct client_partial *partial;
    uint32_t strikes; /* bucket of events refused: rate.h */
};

#define CLIENT_TIME_MAX (((uint64_t)1 << 48) - 1) /* in some thousand years */

/* Lives in the session's room, so it goes when that goes. */
struct client {
    struct sio_socket *sockets; /* in order of CONNECT, linked by next_socket */
    struct client_extra *extra; /* NULL: none of it */
    uint64_t issued_ms : 48;    /* when it began, since the epoch */
    uint64_t unpaid : 8;  /* events its address has not paid for: rate.h */
    bool secure : 1;      /* a proxy says so */
    bool forced : 1;      /* we close it for a state error */
    bool ended : 1;       /* its session has */
    uint32_t events_full; /* bucket of events: rate.h */
};

/* NULL once it has ended. */
static inline struct session *client_session(struct client *c)
{
    return c->ended ? NULL : session_around(c);
}

static inline struct sio_server *client_server(struct client *c)
{
    return session_arg(session_around(c));
}

/* The engine's callbacks. */
void client_new(void *server, struct session *s);
extern const struct session_ops client_ops;

/* Encodes and queues a packet; the session must be there. */
void client_send(struct client *c, const struct parser_out *p);
/* Of protocol 3; false once its session has ended. */
bool client_is_old(struct client *c);
/* Sends DISCONNECT for every socket and closes the connection, a WebSocket with
 * this code, or 0, and reason. */
void client_disconnect_all(struct client *c, unsigned code, const char *reason);
/* A socket has been admitted: the connection may stay. */
void client_joined(struct client *c);
void client_add(struct client *c, struct sio_socket *s);
void client_remove(struct client *c, struct sio_socket *s);
/* There from now on; given back by client_settle. */
struct client_extra *client_extra(struct client *c);
/* Frees what is not needed any more. */
void client_settle(struct client *c);

#endif
