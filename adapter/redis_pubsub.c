#include "adapter/redis_pubsub.h"

#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"

struct redis_pubsub {
    struct loop *loop;
    const struct redis_pubsub_ops *ops;
    void *owner;
    struct resolver *resolver;
    struct publisher *pub;
    struct redis *sub;
    struct interest *interest;
    bool usable; /* as last reported */
    bool hears, heard_before;
    uint64_t deaf_since_ms; /* when the subscriber last heard something */
};

/* ---- the subscriber ------------------------------------------------------ */

/* What others publish while it does not hear is lost to this node; how much
 * that is, nobody knows. */
static void update_hears(struct redis_pubsub *ps)
{
    bool hears = redis_is_up(ps->sub) && interest_settled(ps->interest);
    if (!hears && ps->hears) {
        ps->deaf_since_ms = redis_heard_ms(ps->sub);
    } else if (hears && !ps->hears && ps->heard_before) {
        uint64_t ms = loop_now(ps->loop) - ps->deaf_since_ms;
        metrics_add(M_REDIS_DEAF_MS, ms);
        log_warn("redis_deaf", "ms=%llu", (unsigned long long)ms);
    }
    ps->hears = hears;
    ps->heard_before |= hears;
}

static void update_usable(struct redis_pubsub *ps)
{
    update_hears(ps);
    bool usable = publisher_is_up(ps->pub) && ps->hears;
    if (usable == ps->usable)
        return;
    ps->usable = usable;
    ps->ops->on_usable(ps->owner, usable);
}

static void on_settled(void *owner)
{
    update_usable(owner);
}

static void on_sub_up(void *owner)
{
    struct redis_pubsub *ps = owner;
    interest_up(ps->interest);
    update_usable(ps);
}

static void on_sub_down(void *owner, const char *reason)
{
    (void)reason;
    struct redis_pubsub *ps = owner;
    metrics_add(M_REDIS_SUBSCRIBER_LOST, 1);
    interest_down(ps->interest);
    update_usable(ps);
    publisher_doubt(ps->pub);
}

static void on_message(void *owner, struct str pattern, struct str channel,
                       struct str payload)
{
    struct redis_pubsub *ps = owner;
    metrics_add(M_REDIS_RECEIVED, 1);
    ps->ops->on_message(ps->owner, pattern, channel, payload);
}

void redis_pubsub_subscribe(struct redis_pubsub *ps, struct str channel,
                            enum redis_kind kind)
{
    interest_add(ps->interest, channel, kind);
}

void redis_pubsub_unsubscribe(struct redis_pubsub *ps, struct str channel,
                              enum redis_kind kind)
{
    interest_drop(ps->interest, channel, kind);
}

int redis_pubsub_wait(struct redis_pubsub *ps, struct str channel,
                      enum redis_kind kind, struct interest_wait *w)
{
    return interest_wait(ps->interest, channel, kind, w);
}

bool redis_pubsub_hears(const struct redis_pubsub *ps, struct str channel)
{
    return interest_has(ps->interest, channel, REDIS_CHANNEL);
}

bool redis_pubsub_usable(const struct redis_pubsub *ps)
{
    return ps->usable;
}

void redis_pubsub_local(const struct redis_pubsub *ps,
                        char out[STREAM_ADDR_MAX])
{
    redis_local(ps->sub, out);
}

/* ---- the publisher ------------------------------------------------------- */

void redis_pubsub_publish(struct redis_pubsub *ps, struct str channel,
                          struct str payload, enum publish_kind kind)
{
    publisher_publish(ps->pub, channel, payload, kind);
}

void redis_pubsub_expect(struct redis_pubsub *ps, struct str channel,
                         size_t nodes)
{
    publisher_expect(ps->pub, channel, nodes);
}

bool redis_pubsub_sends(const struct redis_pubsub *ps)
{
    return publisher_sends(ps->pub);
}

struct redis_count *redis_pubsub_count(struct redis_pubsub *ps,
                                       struct str channel, redis_count_fn *fn,
                                       void *arg)
{
    return publisher_count(ps->pub, channel, fn, arg);
}

void redis_pubsub_metrics(const struct redis_pubsub *ps)
{
    metrics_set(M_REDIS_UP, ps->usable);
    metrics_set(M_REDIS_SUBSCRIPTIONS, interest_count(ps->interest));
    publisher_metrics(ps->pub);
}

/* ---- life ---------------------------------------------------------------- */

static void on_publisher(void *owner)
{
    update_usable(owner);
}

static const struct redis_ops sub_ops = {
    .on_up = on_sub_up,
    .on_down = on_sub_down,
    .on_message = on_message,
};

struct redis_pubsub *redis_pubsub_new(struct loop *l,
                                      const struct redis_pubsub_settings *s,
                                      const struct redis_pubsub_ops *ops,
                                      void *owner)
{
    struct redis_pubsub *ps = mem_zalloc(sizeof(*ps));
    ps->loop = l;
    ps->ops = ops;
    ps->owner = owner;
    ps->resolver = resolver_new(l);
    struct publisher_settings publisher = {
        .url = s->url,
        .client_name = s->client_name,
        .queue_bytes = s->queue_bytes,
        .max_message_bytes = s->max_message_bytes,
    };
    ps->pub = publisher_new(l, ps->resolver, &publisher, on_publisher, ps);
    struct redis_settings rs = {.url = s->url,
                                .role = "subscriber",
                                .client_name = s->client_name,
                                .max_bytes = s->max_message_bytes};
    ps->sub = redis_new(l, ps->resolver, &rs, &sub_ops, ps);
    ps->interest = interest_new(l, ps->sub, on_settled, ps);
    return ps;
}

void redis_pubsub_free(struct redis_pubsub *ps)
{
    if (!ps)
        return;
    interest_free(ps->interest);
    publisher_free(ps->pub);
    redis_free(ps->sub);
    resolver_free(ps->resolver);
    mem_free(ps);
}
