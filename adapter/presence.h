/* Who is where on which node: every node owns its entries, tells the others,
 * and forgets those of a node that is gone. A state machine without sockets,
 * clock or chance: time (milliseconds) and what was received are arguments,
 * what is to be sent goes to a callback.
 *
 * All nodes hear one channel, the senders included (wire_presence.h):
 *
 *     hello   I have just subscribed: say who you are
 *     beat    how many entries I have; every quarter of the lease, and on hello
 *     set     an entry came or changed
 *     del     an entry went
 *     want    one node is asked to tell all that it has
 *     full    its answer, in parts
 *     bye     I leave, forget me
 *
 * Each set and del has the next number of its node's `seq`, and every beat says
 * which was the last and how many entries there should be. Whoever sees that it
 * has missed something asks; answers are made at most once a second, whoever
 * asks. The parts of an answer are read from the living state, with sets and
 * dels between them: since the channel keeps the order of one sender, applying
 * all of it in order and then dropping what was not mentioned gives the
 * sender's state exactly.
 *
 * Silence of a peer proves something only while we hear ourselves: a peer is
 * lost when our own messages have come back for a whole lease after its last.
 * When they were missing, everybody starts with a fresh lease. */
#ifndef CONFAB_ADAPTER_PRESENCE_H
#define CONFAB_ADAPTER_PRESENCE_H

#include "adapter/presence_peers.h"

struct presence;

/* `node` is PRESENCE_NODE_LEN hexadecimal digits, new for each process. Starts
 * as if down: it keeps this node's entries and says nothing. */
struct presence *presence_new(struct str node, struct str name,
                              uint32_t lease_ms, const struct presence_ops *ops,
                              void *owner);
/* Says nothing and reports nothing. NULL is allowed. */
void presence_free(struct presence *p);

/* What hello and beats say from now on. */
void presence_announce(struct presence *p, const struct presence_relay *r);
/* Of the other node with that tag; NULL when there is none. */
const struct presence_relay *presence_relay_of(const struct presence *p,
                                               struct str tag);

/* The channel is subscribed and can be sent to; or no longer. */
void presence_up(struct presence *p, uint64_t now_ms);
void presence_down(struct presence *p);
/* The last message of this node. */
void presence_bye(struct presence *p);

/* A message from the channel. ERR_PROTO or ERR_LIMIT: it made no sense and was
 * ignored. */
MUST_CHECK int presence_receive(struct presence *p, struct str message,
                                uint64_t now_ms);
/* Does what is due. */
void presence_tick(struct presence *p, uint64_t now_ms);
/* When presence_tick must be called next; UINT64_MAX: not before something
 * else happens. */
uint64_t presence_due(const struct presence *p);

/* 0, ERR_PROTO (a name is not UTF-8, the meta is not JSON) or ERR_LIMIT. An
 * empty meta is stored as null. */
MUST_CHECK int presence_set(struct presence *p, struct str nsp,
                            struct str group, struct str key, struct str meta);
void presence_clear(struct presence *p, struct str nsp, struct str group,
                    struct str key);
/* All entries of this node with that key; with that namespace. */
void presence_clear_member(struct presence *p, struct str nsp, struct str key);
void presence_clear_namespace(struct presence *p, struct str nsp);

size_t presence_count(const struct presence *p, struct str nsp,
                      struct str group);
void presence_each(const struct presence *p, struct str nsp, struct str group,
                   bool (*each)(void *arg, struct str key, struct str meta),
                   void *arg);
size_t presence_peers(const struct presence *p);
void presence_each_peer(struct presence *p, cluster_peer_fn *each, void *arg);

#endif
