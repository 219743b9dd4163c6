/* What a node is subscribed to in Redis, and for how many: one record for each
 * channel, whoever wants it. Channels of different things can have one name
 * (P#/#x# is the room "x" of "/" and all of the namespace "/#x"), so that a
 * record may have several users.
 *
 *     wanted --> asked for --> answered
 *        ^___________|____________|      the connection was lost
 *
 * Asking is paced by the answers, so that a hundred thousand rooms come back
 * after a loss without a burst. A room without users stays subscribed for some
 * seconds: rooms are often left and joined again. Everything else is
 * unsubscribed at once.
 *
 * Redis may refuse a room, whose name a client has chosen: that room hears
 * nothing of other nodes until the next connection. Whoever refuses anything
 * else loses the connection, which is tried again with growing pauses. */
#ifndef CONFAB_ADAPTER_INTEREST_H
#define CONFAB_ADAPTER_INTEREST_H

#include "adapter/redis.h"

/* A new connection asks for patterns first, then for channels, then for rooms,
 * and last for the channels by which others count the nodes that are there:
 * whoever is counted can rely on all the rest. */
enum redis_kind { REDIS_COUNTED, REDIS_PATTERN, REDIS_CHANNEL, REDIS_ROOM };

enum { REDIS_KINDS = REDIS_ROOM + 1 };

struct interest;

/* Waits for a subscription; embedded in whoever waits, and out of use once
 * `done` is called. rc is 0, or ERR_STATE when the connection was lost first,
 * the channel was refused or is no longer wanted. `done` must not change what
 * is subscribed. */
struct interest_wait {
    struct interest_wait *next;
    void (*done)(struct interest_wait *w, int rc);
};

/* `settled` is called when the answers to all that was wanted when the
 * connection came up are there. `sub` must outlive it. */
struct interest *interest_new(struct loop *l, struct redis *sub,
                              void (*settled)(void *owner), void *owner);
/* Whoever waits is told. NULL is allowed. */
void interest_free(struct interest *in);

/* The connection is there; is lost. */
void interest_up(struct interest *in);
void interest_down(struct interest *in);
/* From the moment in which `settled` is called until the loss. */
bool interest_settled(const struct interest *in);

/* One more user of the channel, or of the pattern; one less. */
void interest_add(struct interest *in, struct str channel,
                  enum redis_kind kind);
void interest_drop(struct interest *in, struct str channel,
                   enum redis_kind kind);
/* Of a channel that has users. 0: it is subscribed. ERR_STATE: it cannot be,
 * for now. 1: `w` waits. */
MUST_CHECK int interest_wait(struct interest *in, struct str channel,
                             enum redis_kind kind, struct interest_wait *w);

/* The channel is subscribed. */
bool interest_has(const struct interest *in, struct str channel,
                  enum redis_kind kind);

/* Channels and patterns that are subscribed, or will be. */
size_t interest_count(const struct interest *in);

#endif
