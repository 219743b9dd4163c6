/* The connection over which a node publishes, and what could not be sent yet.
 *
 * What is published while Redis is away, or slower than we are, waits in a
 * queue that is bounded in bytes and keeps its order. After a return it is not
 * sent at once, when the other nodes may still be on their way back and nobody
 * would hear it, but when as many of them as before have subscribed again, or
 * after some seconds: until then the gate is closed.
 *
 *     open     sent, in a window of bytes that wait for their replies; behind
 *              that queued, volatile ones too
 *     stalled  open, but Redis has not answered for a second: queued, so that
 *              little is under way should the connection turn out to be lost;
 *              volatile ones are dropped, as they would come too late
 *     closed   the same
 *     full     the oldest volatile ones go, then new ones are refused
 *
 * What was under way when a connection broke may or may not have arrived: it is
 * not sent again, and counted as lost. So nothing is ever doubled. And nothing
 * of a lost connection can arrive behind what the next one sends (redis.h).
 *
 * Each message of kind volatile or kept ends as one of confab_redis_published
 * or confab_redis_publish_lost, or is one of the gauges queued and unanswered;
 * their sum is confab_redis_outgoing. A gap, from a loss until the last message
 * that waited for its end is published, is logged once, with the same
 * numbers. */
#ifndef CONFAB_ADAPTER_PUBLISHER_H
#define CONFAB_ADAPTER_PUBLISHER_H

#include "adapter/publish_queue.h"
#include "adapter/redis.h"

struct publisher;
struct redis_count;

struct publisher_settings {
    const struct redis_url *url; /* must outlive it */
    const char *client_name;
    uint32_t queue_bytes;
    uint32_t max_message_bytes;
};

/* The connection came up or was lost. */
typedef void publisher_change_fn(void *owner);

struct publisher *publisher_new(struct loop *l, struct resolver *resolver,
                                const struct publisher_settings *s,
                                publisher_change_fn *on_change, void *owner);
/* What can still be sent is, in the next turns; the rest is logged as lost.
 * NULL is allowed. */
void publisher_free(struct publisher *p);

bool publisher_is_up(const struct publisher *p);
void publisher_publish(struct publisher *p, struct str channel,
                       struct str payload, enum publish_kind kind);

/* What is published now goes to Redis now. */
bool publisher_sends(const struct publisher *p);

/* Asks how many connections subscribe the exact channel. NULL: it cannot be
 * asked now. `fn` is called once, never inside the call, unless it is cancelled
 * first; -1: the answer did not come. Freeing the publisher cancels, too. */
typedef void redis_count_fn(void *arg, int64_t subscribers);
struct redis_count *publisher_count(struct publisher *p, struct str channel,
                                    redis_count_fn *fn, void *arg);
void redis_count_cancel(struct redis_count *n);

/* All nodes, this one included, subscribe `channel` exactly: how many of them
 * there were when last seen tells when they are back. */
void publisher_expect(struct publisher *p, struct str channel, size_t nodes);
/* This node's subscriber was lost. If those of others were, too, what is
 * published now would not be heard: closes the gate until that is known, and
 * in that case until they are back. */
void publisher_doubt(struct publisher *p);

/* Sets the gauges. */
void publisher_metrics(const struct publisher *p);

#endif
