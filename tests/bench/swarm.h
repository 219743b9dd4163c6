/* Many Socket.IO clients (Engine.IO v4, Socket.IO v5, WebSocket from the start)
 * on one epoll, in the main namespace, of one server or of the nodes of a
 * cluster in turns.
 *
 * Opening is paced: a bounded number of clients are on their way at a time, so
 * that no listen queue overflows. Each client connects, sends CONNECT, and
 * joins its room when it is given one. Engine.IO pings are answered all along.
 * What goes wrong with a connection ends the program, as a run with fewer
 * clients would measure something else; unless its owner has `on_lost`. */
#ifndef CONFAB_TESTS_BENCH_SWARM_H
#define CONFAB_TESTS_BENCH_SWARM_H

#include <netinet/in.h>

#include "tests/bench/wire.h"

struct swarm;

struct client {
    struct wire wire;
    struct swarm *swarm;
    uint32_t index;
    uint8_t state;
    uint8_t node;      /* of the ports */
    uint32_t next_seq; /* the owner's: see tally.h */
    uint64_t seen;
    uint32_t sent, received;
    bool open_part; /* the owner's: an attachment is to come */
};

enum { SWARM_NODES_MAX = 8 };

/* What became of a connection: no server there or none that answers, an HTTP
 * answer other than 101, lost before it was ready, lost when it was. */
enum swarm_loss {
    SWARM_UNREACHED,
    SWARM_REFUSED,
    SWARM_LOST_OPENING,
    SWARM_LOST_READY,
};

struct swarm {
    /* The owner's, before swarm_open: the host in numbers, the port of each
     * node, what the clients speak. */
    const char *host;
    uint16_t ports[SWARM_NODES_MAX];
    uint32_t n_nodes;
    bool msgpack, deflate;
    uint32_t narrow_from; /* clients from here on, for which the kernel keeps
                           * little; 0: none */
    uint32_t first_room;  /* its number; several generators share a server */

    int epoll;
    struct in_addr to;
    struct client *clients;
    uint32_t n;
    uint32_t started, ready; /* of the clients */
    uint32_t per_room;       /* clients of one room; 0 = no rooms */
    uint64_t messages;       /* that came in, of all kinds */
    /* A Socket.IO packet (without the Engine.IO type) for a ready client, and
     * an attachment of one. */
    void (*on_packet)(struct client *c, const char *p, size_t len, void *arg);
    void (*on_attachment)(struct client *c, const char *p, size_t len,
                          void *arg);
    /* A connection has failed, was not accepted or has ended, and is closed.
     * NULL: that ends the program. */
    void (*on_lost)(struct client *c, enum swarm_loss how, void *arg);
    void *arg;
};

/* Returns when all are ready. Client i is with node i modulo their number. */
void swarm_open(struct swarm *s, uint32_t n, uint32_t per_room);
/* One that was lost connects anew, to its `node`. */
void swarm_reopen(struct client *c);
bool swarm_is_ready(const struct client *c);
/* It reads nothing any more; and again. */
void swarm_pause(struct client *c);
void swarm_resume(struct client *c);
/* Resets every connection. */
void swarm_close(struct swarm *s);

enum { SWARM_ROOM_MAX = 32 };
/* The name of room `number`; that of client i is number
 * first_room + i / per_room. */
void swarm_room(uint32_t number, char out[SWARM_ROOM_MAX]);

/* Queues a Socket.IO packet, an attachment; goes out at the end of the turn, or
 * with swarm_flush. */
void swarm_send(struct client *c, const char *packet, size_t len);
void swarm_attach(struct client *c, const char *p, size_t len);
void swarm_flush(struct client *c);

/* Waits for events for at most `ms` and handles them. */
void swarm_turn(struct swarm *s, int ms);
/* The same with a wait that is exact. */
void swarm_turn_ns(struct swarm *s, uint64_t ns);

__attribute__((noreturn, format(printf, 1, 2))) void die(const char *fmt, ...);

#endif
