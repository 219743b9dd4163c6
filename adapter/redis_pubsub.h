/* The two connections to Redis that a node has, as one thing: a publisher and a
 * subscriber, what is subscribed, and what could not be published yet.
 *
 * After a loss everything is subscribed again. What is published while the
 * publisher is away, or slower than we are, waits in a queue that is bounded in
 * bytes and keeps its order. It is not sent in the moment of the return, when
 * the other nodes may still be on their way back and nobody would hear it, but
 * when as many of them as before have subscribed again, or after some seconds.
 * What was under way when a connection broke may or may not have arrived: it is
 * not sent again, and counted as lost. */
#ifndef CONFAB_ADAPTER_REDIS_PUBSUB_H
#define CONFAB_ADAPTER_REDIS_PUBSUB_H

#include "adapter/redis.h"

struct redis_pubsub;
struct redis_count;

/* What is subscribed, in the order in which a new connection asks for it:
 * patterns, channels, and last the channels by which others count the nodes
 * that are there: whoever is counted can rely on all the rest. */
enum redis_kind { REDIS_COUNTED, REDIS_PATTERN, REDIS_CHANNEL };

struct redis_pubsub_ops {
    /* It became usable, or is no longer. */
    void (*on_usable)(void *owner, bool usable);
    /* `pattern` is empty for a message of an exact subscription. */
    void (*on_message)(void *owner, struct str pattern, struct str channel,
                       struct str payload);
};

struct redis_pubsub_settings {
    const struct redis_url *url; /* must outlive it */
    const char *client_name;
    uint32_t queue_bytes;
    uint32_t max_message_bytes;
};

struct redis_pubsub *redis_pubsub_new(struct loop *l,
                                      const struct redis_pubsub_settings *s,
                                      const struct redis_pubsub_ops *ops,
                                      void *owner);
/* NULL is allowed. */
void redis_pubsub_free(struct redis_pubsub *ps);

/* Both connections are up and everything that was asked for when the subscriber
 * came up is subscribed; a later subscription does not change that. */
bool redis_pubsub_usable(const struct redis_pubsub *ps);
/* Bytes that wait to be published. */
size_t redis_pubsub_queued(const struct redis_pubsub *ps);

/* What is published now goes to Redis now. */
bool redis_pubsub_sends(const struct redis_pubsub *ps);
/* What others publish on this exact channel arrives here. */
bool redis_pubsub_hears(const struct redis_pubsub *ps, struct str channel);

/* Asks how many connections subscribe the exact channel. NULL: it cannot be
 * asked now. `fn` is called once, never inside the call, unless it is cancelled
 * first; -1: the answer did not come. Freeing `ps` cancels, too. */
typedef void redis_count_fn(void *arg, int64_t subscribers);
struct redis_count *redis_pubsub_count(struct redis_pubsub *ps,
                                       struct str channel, redis_count_fn *fn,
                                       void *arg);
void redis_pubsub_count_cancel(struct redis_count *n);

/* At most once each. */
void redis_pubsub_subscribe(struct redis_pubsub *ps, struct str channel,
                            enum redis_kind kind);
void redis_pubsub_unsubscribe(struct redis_pubsub *ps, struct str channel,
                              enum redis_kind kind);

/* `keep`: waits when it cannot be sent now; otherwise it is dropped then. What
 * is given up is counted and logged once per outage. */
void redis_pubsub_publish(struct redis_pubsub *ps, struct str channel,
                          struct str payload, bool keep);
/* All nodes, this one included, subscribe `channel` exactly: how many of them
 * there were when last seen tells when they are back. */
void redis_pubsub_expect(struct redis_pubsub *ps, struct str channel,
                         size_t nodes);

#endif
