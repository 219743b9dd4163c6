/* The two connections to Redis that a node has, as one thing: a publisher
 * (publisher.h) and a subscriber, with what is subscribed.
 *
 * After a loss everything is subscribed again. What others publish while the
 * subscriber is away is lost to this node, and nobody can say how much it was:
 * each such time is logged once, and counted in milliseconds. Redis itself ends
 * a subscriber that reads too slowly (client-output-buffer-limit): nothing
 * waits here between the socket and the clients, whose queues are bounded. */
#ifndef CONFAB_ADAPTER_REDIS_PUBSUB_H
#define CONFAB_ADAPTER_REDIS_PUBSUB_H

#include "adapter/interest.h"
#include "adapter/publisher.h"

struct redis_pubsub;

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

/* Both connections are up and everything that was wanted when the subscriber
 * came up is subscribed; a later subscription does not change that. */
bool redis_pubsub_usable(const struct redis_pubsub *ps);
/* As redis_local. */
void redis_pubsub_local(const struct redis_pubsub *ps,
                        char out[STREAM_ADDR_MAX]);
/* Sets the gauges. */
void redis_pubsub_metrics(const struct redis_pubsub *ps);

/* What others publish on this exact channel arrives here. */
bool redis_pubsub_hears(const struct redis_pubsub *ps, struct str channel);

/* Users of channels, and who waits for one: interest.h. */
void redis_pubsub_subscribe(struct redis_pubsub *ps, struct str channel,
                            enum redis_kind kind);
void redis_pubsub_unsubscribe(struct redis_pubsub *ps, struct str channel,
                              enum redis_kind kind);
MUST_CHECK int redis_pubsub_wait(struct redis_pubsub *ps, struct str channel,
                                 enum redis_kind kind, struct interest_wait *w);

/* As publisher.h says, to which these belong. */
void redis_pubsub_publish(struct redis_pubsub *ps, struct str channel,
                          struct str payload, enum publish_kind kind);
void redis_pubsub_expect(struct redis_pubsub *ps, struct str channel,
                         size_t nodes);
bool redis_pubsub_sends(const struct redis_pubsub *ps);
struct redis_count *redis_pubsub_count(struct redis_pubsub *ps,
                                       struct str channel, redis_count_fn *fn,
                                       void *arg);

#endif
