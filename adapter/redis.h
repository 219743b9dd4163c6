/* One supervised connection to Redis (RESP2): it connects, signs in, notices
 * when the other side is gone or silent, and comes back by itself.
 *
 *     waiting -> resolving -> connecting -> greeting -> up
 *        ^___________|____________|____________|________|   whatever fails
 *
 * Waiting grows with each failure up to 3 s, with jitter, so that a fleet does
 * not come back in one instant; a name is resolved anew each time. A connection
 * that has been silent for 5 s is asked for a sign of life, one that owes a
 * reply for 10 s is given up. Every loss is logged once, with its reason;
 * failures while away are logged now and then.
 *
 * Commands are answered in order. A connection with an on_message may subscribe
 * and gets what is published besides the replies; it must then send nothing but
 * subscriptions, one channel per command. Commands that were not answered when
 * a connection is lost have perhaps been executed: nothing is sent again. And
 * none of them is executed any more once the next connection is up: its first
 * command ends the lost one, of which Redis may not know yet that it is lost
 * (from Redis 6.2 on, and where CLIENT KILL and CLIENT INFO are allowed).
 *
 * Commands are written by hiredis, but for those that are sent all the time
 * (resp_publish). Its reader makes a tree of every reply, with half a
 * dozen allocations for each message that comes; resp.h reads them in place. */
#ifndef CONFAB_ADAPTER_REDIS_H
#define CONFAB_ADAPTER_REDIS_H

#include "adapter/redis_url.h"
#include "adapter/resp.h"
#include "common/bytes.h"
#include "common/resolver.h"
#include "common/stream.h"

struct redis;

struct redis_ops {
    /* Signed in; everything has to be asked for anew. */
    void (*on_up)(void *owner);
    void (*on_down)(void *owner, const char *reason);
    /* `pattern` is empty for messages of exact subscriptions. NULL for a
     * connection that does not subscribe. */
    void (*on_message)(void *owner, struct str pattern, struct str channel,
                       struct str payload);
};

struct redis_settings {
    const struct redis_url *url; /* must outlive the connection */
    const char *role;            /* for the log; static text */
    const char *client_name;     /* shown by CLIENT LIST; copied */
    uint32_t max_bytes;          /* of one reply or message */
};

enum { REDIS_ARGS_MAX = 8 };

/* NULL: the connection was lost first. */
typedef void redis_reply_fn(void *arg, const struct redis_reply *reply);

/* The first attempt begins with the next turn. */
struct redis *redis_new(struct loop *l, struct resolver *resolver,
                        const struct redis_settings *s,
                        const struct redis_ops *ops, void *owner);
/* Sends what is queued, within the next turns of the loop; no callback
 * follows. NULL is allowed. */
void redis_free(struct redis *r);
bool redis_is_up(const struct redis *r);
/* When something last came from it, on the loop's clock. */
uint64_t redis_heard_ms(const struct redis *r);
/* This end's address, by which others on the way to Redis may reach this
 * machine; "" when there is no connection. */
void redis_local(const struct redis *r, char out[STREAM_ADDR_MAX]);
/* Gives the connection up as if it had been lost, and starts again. */
void redis_drop(struct redis *r, const char *reason);

/* The command as bytes, with one reference. */
struct bytes *redis_format(const struct str *argv, size_t argc);
/* Sends it (with a reference of its own); false when not up. Without `done` an
 * error reply is logged. */
bool redis_send(struct redis *r, struct bytes *command, redis_reply_fn *done,
                void *arg);
/* Both in one. */
bool redis_command(struct redis *r, const struct str *argv, size_t argc,
                   redis_reply_fn *done, void *arg);

/* Bytes and number of the commands that wait for their replies. */
size_t redis_unanswered_bytes(const struct redis *r);
size_t redis_unanswered(const struct redis *r);
/* For how long it has owed a reply and said nothing at all; 0: it owes none. */
uint64_t redis_owes_ms(const struct redis *r);

#endif
