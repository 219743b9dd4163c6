/* The connections between nodes and Redis, in virtual time: when bytes arrive,
 * and whether. The nodes' end is client.c.
 *
 * A connection keeps its order in both directions and nothing else: each has a
 * latency of its own, and whatever is ready at the same time comes in any
 * order. What a broken connection had under way is lost, except that commands
 * may still arrive when nobody waits for their replies any more. */
#ifndef CONFAB_TESTS_SIM_BUS_H
#define CONFAB_TESTS_SIM_BUS_H

#include "adapter/redis.h"
#include "tests/cluster/sim/server.h"

/* Redis keeps a connection whose client is gone so long, at most. */
enum { BUS_LINGER_MS = 20000 };

/* The way between one node and Redis, with what is wrong with it. */
struct link {
    struct list all;
    unsigned life;
    struct loop *loop;
    uint32_t latency_ms, jitter_ms; /* of new connections; jitter of all */
    uint64_t paused_until;          /* the node does not run */
    bool cut;                       /* no new connections */
    bool dead;                      /* the node is */
};

/* A command on its way, a reply or something published on its way back. */
struct message {
    struct list link;
    uint64_t at_ms;
    struct bytes *command;
    struct bytes *pattern; /* it was published and matched this; or NULL */
    bool pushed, last;     /* `last`: the connection ends here */
    struct redis_reply reply, items[REDIS_ITEMS_MAX];
};

void bus_start(void);
/* Everything must be gone. */
void bus_end(void);

void bus_attach(struct link *l, unsigned life, struct loop *loop);
void bus_detach(struct link *l);

/* ---- what happens to links ------------------------------------------------
 */

/* The connections break and both sides see it; `one`: only one of them, chosen
 * by chance. What was on the way to the node still comes when `drained`. */
void bus_reset(struct link *l, bool one, bool drained);
/* Nothing passes until then, and nothing is lost. */
void bus_stall(struct link *l, bool one, uint64_t until_ms);
/* From now on nothing passes, and each side finds out in its own time. */
void bus_deafen(struct link *l);
/* Another latency for the connections there are. */
void bus_retime(struct link *l);
/* The process is gone, or `quietly` its machine: then Redis keeps the
 * connections for some time. Its objects may be freed afterwards, and what they
 * say is not heard. */
void bus_kill(struct link *l, bool quietly);

void redis_server_stop(void);
void redis_server_start(void);
bool redis_server_up(void);
/* It does not run until then. */
void redis_server_freeze(uint64_t until_ms);

/* ---- time -----------------------------------------------------------------
 */

/* When something is ready for Redis or for a node that has not arrived yet;
 * UINT64_MAX: nothing is under way. */
uint64_t bus_due(void);
/* Redis takes one command that is ready; false when there is none. */
bool bus_serve(void);
/* Whether something is ready for the node. */
bool bus_ready(const struct link *l);
/* Hands it over, as much as one turn may bring. */
void bus_hand_over(struct link *l);

/* Its subscriber is connected, on both sides. */
bool bus_whole(const struct link *l);
/* So many of its connections are. */
size_t bus_connected(const struct link *l);
/* Sent by the node and not answered. */
size_t bus_unanswered(const struct link *l);

/* ---- for client.c ---------------------------------------------------------
 */

struct conn;

struct link *bus_link(const struct loop *loop);
/* NULL: it cannot be reached. */
struct conn *bus_connect(struct link *l, struct redis *end);
void bus_send(struct conn *c, struct bytes *command);
/* The node knows nothing of it any more. What it has sent may still arrive, but
 * not after what it sends on the next one. */
void bus_abandon(struct conn *c);
/* The node closes it; what it has sent arrives. */
void bus_close(struct conn *c);

/* ---- for server.c ---------------------------------------------------------
 */

struct message *message_new(struct bytes *command);
/* Owns the message from then on. */
void bus_answer(struct server_client *c, struct message *m);

#endif
