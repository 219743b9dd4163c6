#include "adapter/redis_pubsub.h"

#include <assert.h>

#include "common/log.h"
#include "common/map.h"
#include "common/mem.h"
#include "common/metrics.h"

struct subscription {
    struct map_node by_id;
    struct str id; /* 'p' or 'c', then the name */
    bool confirmed;
};

struct redis_pubsub {
    struct loop *loop;
    const struct redis_pubsub_ops *ops;
    void *owner;
    struct resolver *resolver;
    struct publisher *pub;
    struct redis *sub;

    struct map subscriptions;
    size_t unconfirmed;
    bool subscribed; /* all that was wanted when the subscriber came up */
    bool usable;     /* as last reported */
    bool hears, heard_before;
    uint64_t deaf_since_ms; /* when the subscriber last heard something */
};

/* ---- subscribing --------------------------------------------------------- */

static struct str subscription_id(const struct map_node *n)
{
    return const_container_of(n, struct subscription, by_id)->id;
}

static struct subscription *find(const struct redis_pubsub *ps,
                                 struct str channel, bool pattern)
{
    char *id = mem_alloc(channel.len + 1);
    id[0] = pattern ? 'p' : 'c';
    memcpy(id + 1, channel.p, channel.len);
    struct map_node *n =
        map_get(&ps->subscriptions, (struct str){id, channel.len + 1});
    mem_free(id);
    return n ? container_of(n, struct subscription, by_id) : NULL;
}

/* What others publish while it does not hear is lost to this node; how much
 * that is, nobody knows. */
static void update_hears(struct redis_pubsub *ps)
{
    bool hears = redis_is_up(ps->sub) && ps->subscribed;
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

static void confirm(struct redis_pubsub *ps, struct subscription *s)
{
    if (s->confirmed)
        return;
    s->confirmed = true;
    assert(ps->unconfirmed > 0);
    if (--ps->unconfirmed == 0) {
        ps->subscribed = true;
        update_usable(ps);
    }
}

static void on_subscribed(void *arg, const struct redis_reply *reply)
{
    struct redis_pubsub *ps = arg;
    if (!reply)
        return;
    if (reply->type != REPLY_ARRAY || reply->n < 2) {
        log_error("redis_subscribe_refused", "reply=%s", log_safe(reply->text));
        redis_drop(ps->sub, "a subscription was refused");
        return;
    }
    bool pattern = str_eq(reply->items[0].text, STR("psubscribe"));
    struct subscription *s = find(ps, reply->items[1].text, pattern);
    /* It may be unwanted by now. */
    if (s)
        confirm(ps, s);
}

static void on_unsubscribed(void *arg, const struct redis_reply *reply)
{
    (void)arg;
    (void)reply;
}

static void ask_for(struct redis_pubsub *ps, const struct subscription *s)
{
    struct str argv[] = {s->id.p[0] == 'p' ? STR("PSUBSCRIBE")
                                           : STR("SUBSCRIBE"),
                         str_from(s->id, 1)};
    (void)redis_command(ps->sub, argv, 2, on_subscribed, ps);
}

static void ask_for_pattern(struct map_node *n, void *arg)
{
    struct subscription *s = container_of(n, struct subscription, by_id);
    s->confirmed = false;
    if (s->id.p[0] == 'p')
        ask_for(arg, s);
}

static void ask_for_channel(struct map_node *n, void *arg)
{
    const struct subscription *s = container_of(n, struct subscription, by_id);
    if (s->id.p[0] == 'c')
        ask_for(arg, s);
}

static void on_sub_up(void *owner)
{
    struct redis_pubsub *ps = owner;
    ps->unconfirmed = ps->subscriptions.count;
    ps->subscribed = ps->unconfirmed == 0;
    /* Exact channels last: whoever counts a node there may rely on its
     * patterns. */
    map_each(&ps->subscriptions, ask_for_pattern, ps);
    map_each(&ps->subscriptions, ask_for_channel, ps);
    update_usable(ps);
}

static void on_sub_down(void *owner, const char *reason)
{
    (void)reason;
    struct redis_pubsub *ps = owner;
    metrics_add(M_REDIS_SUBSCRIBER_LOST, 1);
    ps->subscribed = false;
    ps->unconfirmed = 0;
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
                            bool pattern)
{
    assert(!find(ps, channel, pattern));
    struct subscription *s = mem_zalloc(sizeof(*s) + channel.len + 1);
    char *id = (char *)(s + 1);
    id[0] = pattern ? 'p' : 'c';
    memcpy(id + 1, channel.p, channel.len);
    s->id = (struct str){id, channel.len + 1};
    map_put(&ps->subscriptions, &s->by_id);
    if (!redis_is_up(ps->sub))
        return;
    ps->unconfirmed++;
    ask_for(ps, s);
}

void redis_pubsub_unsubscribe(struct redis_pubsub *ps, struct str channel,
                              bool pattern)
{
    struct subscription *s = find(ps, channel, pattern);
    if (!s)
        return;
    if (redis_is_up(ps->sub)) {
        struct str argv[] = {pattern ? STR("PUNSUBSCRIBE") : STR("UNSUBSCRIBE"),
                             channel};
        (void)redis_command(ps->sub, argv, 2, on_unsubscribed, NULL);
        confirm(ps, s);
    }
    map_remove(&ps->subscriptions, &s->by_id);
    mem_free(s);
}

bool redis_pubsub_usable(const struct redis_pubsub *ps)
{
    return ps->usable;
}

/* ---- publishing ---------------------------------------------------------- */

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

void redis_pubsub_metrics(const struct redis_pubsub *ps)
{
    metrics_set(M_REDIS_UP, ps->usable);
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
    map_init(&ps->subscriptions, subscription_id);
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
    return ps;
}

static void free_subscription(struct map_node *n, void *arg)
{
    struct redis_pubsub *ps = arg;
    map_remove(&ps->subscriptions, n);
    mem_free(container_of(n, struct subscription, by_id));
}

void redis_pubsub_free(struct redis_pubsub *ps)
{
    if (!ps)
        return;
    publisher_free(ps->pub);
    redis_free(ps->sub);
    resolver_free(ps->resolver);
    map_each(&ps->subscriptions, free_subscription, ps);
    map_fini(&ps->subscriptions);
    mem_free(ps);
}
