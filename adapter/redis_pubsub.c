#include "adapter/redis_pubsub.h"

#include <assert.h>

#include "common/bytesq.h"
#include "common/log.h"
#include "common/map.h"
#include "common/mem.h"
#include "common/metrics.h"

enum {
    /* Sent and not answered: what may be lost without trace when a connection
     * breaks. Enough to keep a fast link busy. */
    WINDOW_BYTES = 256 * 1024,
    /* Longer than the longest wait between two attempts of another node. */
    SETTLE_MS = 3500,
    SETTLE_POLL_MS = 100,
    LOGS_PER_MINUTE = 4,
};

struct subscription {
    struct map_node by_id;
    struct str id; /* 'p' or 'c', then the name */
    enum redis_kind kind;
    bool confirmed;
};

struct redis_count {
    struct list link;
    redis_count_fn *fn; /* NULL: cancelled */
    void *arg;
};

struct redis_pubsub {
    struct loop *loop;
    struct redis_pubsub_settings settings;
    const struct redis_pubsub_ops *ops;
    void *owner;
    struct resolver *resolver;
    struct redis *pub, *sub;

    struct map subscriptions;
    size_t unconfirmed;
    bool subscribed; /* all that was wanted when the subscriber came up */
    bool usable;     /* as last reported */

    struct list counts; /* whose replies are to come */

    struct bytesq queue; /* commands */
    bool open;           /* may send: up, and the others are back */
    bool opened_before;
    struct timer settle;
    uint64_t settle_until_ms;
    char *settle_channel;
    size_t settle_nodes;

    /* Since the gate was closed, to be told once when it opens. */
    struct {
        uint64_t since_ms;
        uint64_t queued, refused, unanswered, dropped;
    } gap;
    struct log_gate gate;
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

static void update_usable(struct redis_pubsub *ps)
{
    bool usable =
        redis_is_up(ps->pub) && redis_is_up(ps->sub) && ps->subscribed;
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
    if (s->kind == REDIS_PATTERN)
        ask_for(arg, s);
}

static void ask_for_channel(struct map_node *n, void *arg)
{
    const struct subscription *s = container_of(n, struct subscription, by_id);
    if (s->kind == REDIS_CHANNEL)
        ask_for(arg, s);
}

static void ask_for_counted(struct map_node *n, void *arg)
{
    const struct subscription *s = container_of(n, struct subscription, by_id);
    if (s->kind == REDIS_COUNTED)
        ask_for(arg, s);
}

static void on_sub_up(void *owner)
{
    struct redis_pubsub *ps = owner;
    ps->unconfirmed = ps->subscriptions.count;
    ps->subscribed = ps->unconfirmed == 0;
    map_each(&ps->subscriptions, ask_for_pattern, ps);
    map_each(&ps->subscriptions, ask_for_channel, ps);
    map_each(&ps->subscriptions, ask_for_counted, ps);
    update_usable(ps);
}

static void on_sub_down(void *owner, const char *reason)
{
    (void)reason;
    struct redis_pubsub *ps = owner;
    ps->subscribed = false;
    ps->unconfirmed = 0;
    update_usable(ps);
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
    bool pattern = kind == REDIS_PATTERN;
    assert(!find(ps, channel, pattern));
    struct subscription *s = mem_zalloc(sizeof(*s) + channel.len + 1);
    char *id = (char *)(s + 1);
    s->kind = kind;
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
                              enum redis_kind kind)
{
    bool pattern = kind == REDIS_PATTERN;
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

bool redis_pubsub_hears(const struct redis_pubsub *ps, struct str channel)
{
    const struct subscription *s = find(ps, channel, false);
    return s && s->confirmed && redis_is_up(ps->sub);
}

/* ---- counting ------------------------------------------------------------ */

/* The number in a reply to PUBSUB NUMSUB; -1: there is none. */
static int64_t numsub(const struct redis_reply *reply)
{
    if (!reply || reply->type != REPLY_ARRAY || reply->n != 2 ||
        reply->items[1].type != REPLY_INTEGER)
        return -1;
    return reply->items[1].integer;
}

static void on_counted(void *arg, const struct redis_reply *reply)
{
    struct redis_count *n = arg;
    list_remove(&n->link);
    if (n->fn)
        n->fn(n->arg, numsub(reply));
    mem_free(n);
}

static bool ask_numsub(struct redis_pubsub *ps, struct str channel,
                       redis_reply_fn *fn, void *arg)
{
    struct str argv[] = {STR("PUBSUB"), STR("NUMSUB"), channel};
    return redis_command(ps->pub, argv, 3, fn, arg);
}

struct redis_count *redis_pubsub_count(struct redis_pubsub *ps,
                                       struct str channel, redis_count_fn *fn,
                                       void *arg)
{
    struct redis_count *n = mem_zalloc(sizeof(*n));
    n->fn = fn;
    n->arg = arg;
    list_insert(&ps->counts, &n->link);
    if (ask_numsub(ps, channel, on_counted, n))
        return n;
    list_remove(&n->link);
    mem_free(n);
    return NULL;
}

void redis_pubsub_count_cancel(struct redis_count *n)
{
    n->fn = NULL;
}

/* ---- publishing ---------------------------------------------------------- */

static void drain(struct redis_pubsub *ps);

static void on_published(void *arg, const struct redis_reply *reply)
{
    struct redis_pubsub *ps = arg;
    if (!reply) {
        metrics_add(M_REDIS_LOST, 1);
        ps->gap.unanswered++;
        return;
    }
    if (reply->type == REPLY_ERROR) {
        metrics_add(M_REDIS_LOST, 1);
        if (log_allow(&ps->gate, loop_now(ps->loop), LOGS_PER_MINUTE))
            log_warn("redis_publish_refused", "reply=%s",
                     log_safe(reply->text));
    } else {
        metrics_add(M_REDIS_PUBLISHED, 1);
    }
    drain(ps);
}

static bool window_takes(const struct redis_pubsub *ps, size_t bytes)
{
    size_t used = redis_unanswered_bytes(ps->pub);
    return used == 0 || used + bytes <= WINDOW_BYTES;
}

static void drain(struct redis_pubsub *ps)
{
    while (ps->open && !bytesq_empty(&ps->queue)) {
        struct iovec first;
        (void)bytesq_iov(&ps->queue, &first, 1);
        if (!window_takes(ps, first.iov_len))
            return;
        struct bytes *b = bytesq_take(&ps->queue);
        (void)redis_send(ps->pub, b, on_published, ps);
        bytes_unref(b);
    }
}

static void refuse(struct redis_pubsub *ps, const char *why, size_t bytes)
{
    metrics_add(M_REDIS_LOST, 1);
    if (!ps->open)
        ps->gap.refused++;
    else if (log_allow(&ps->gate, loop_now(ps->loop), LOGS_PER_MINUTE))
        log_warn("redis_publish_lost", "why=%s bytes=%zu", why, bytes);
}

void redis_pubsub_publish(struct redis_pubsub *ps, struct str channel,
                          struct str payload, bool keep)
{
    if (payload.len > ps->settings.max_message_bytes) {
        /* The other nodes would not take it. */
        refuse(ps, "too-large", payload.len);
        return;
    }
    if (!keep && !(ps->open && bytesq_empty(&ps->queue) &&
                   window_takes(ps, payload.len))) {
        metrics_add(M_REDIS_LOST, 1);
        ps->gap.dropped += !ps->open;
        return;
    }
    struct str argv[] = {STR("PUBLISH"), channel, payload};
    struct bytes *b = redis_format(argv, 3);
    if (ps->open && bytesq_empty(&ps->queue) && window_takes(ps, b->len)) {
        (void)redis_send(ps->pub, b, on_published, ps);
    } else if (ps->queue.bytes + b->len > ps->settings.queue_bytes) {
        refuse(ps, "queue-full", payload.len);
    } else {
        bytesq_push(&ps->queue, b);
        ps->gap.queued += !ps->open;
    }
    bytes_unref(b);
}

bool redis_pubsub_sends(const struct redis_pubsub *ps)
{
    return ps->open;
}

size_t redis_pubsub_queued(const struct redis_pubsub *ps)
{
    return ps->queue.bytes;
}

/* ---- the gate ------------------------------------------------------------ */

static void open_gate(struct redis_pubsub *ps)
{
    uint64_t ms = loop_now(ps->loop) - ps->gap.since_ms;
    uint64_t given_up = ps->gap.refused + ps->gap.unanswered + ps->gap.dropped;
    ps->open = true;
    timer_stop(&ps->settle);
    /* That the first messages wait for the first connection is no news. */
    if (given_up || (ps->gap.queued && ps->opened_before))
        log_warn("redis_gap",
                 "ms=%llu sent_late=%llu refused=%llu unanswered=%llu "
                 "volatile_dropped=%llu",
                 (unsigned long long)ms, (unsigned long long)ps->gap.queued,
                 (unsigned long long)ps->gap.refused,
                 (unsigned long long)ps->gap.unanswered,
                 (unsigned long long)ps->gap.dropped);
    memset(&ps->gap, 0, sizeof(ps->gap));
    ps->opened_before = true;
    drain(ps);
}

static void on_nodes(void *arg, const struct redis_reply *reply)
{
    struct redis_pubsub *ps = arg;
    if (!reply || ps->open)
        return;
    int64_t nodes = numsub(reply);
    /* Whoever may not count, does not wait. */
    if (nodes < 0 || nodes >= (int64_t)ps->settle_nodes ||
        loop_now(ps->loop) >= ps->settle_until_ms)
        open_gate(ps);
    else
        loop_timer(ps->loop, &ps->settle, SETTLE_POLL_MS);
}

static void count_nodes(struct redis_pubsub *ps)
{
    if (!ps->settle_channel) {
        open_gate(ps);
        return;
    }
    (void)ask_numsub(ps, str_of(ps->settle_channel), on_nodes, ps);
}

static void on_settle(struct timer *t)
{
    count_nodes(container_of(t, struct redis_pubsub, settle));
}

static void on_pub_up(void *owner)
{
    struct redis_pubsub *ps = owner;
    ps->settle_until_ms = loop_now(ps->loop) + SETTLE_MS;
    count_nodes(ps);
    update_usable(ps);
}

static void close_gate(struct redis_pubsub *ps)
{
    ps->open = false;
    timer_stop(&ps->settle);
}

static void on_pub_down(void *owner, const char *reason)
{
    (void)reason;
    struct redis_pubsub *ps = owner;
    /* A return that never got as far as the gate belongs to the same gap. */
    if (ps->open)
        ps->gap.since_ms = loop_now(ps->loop);
    close_gate(ps);
    update_usable(ps);
}

void redis_pubsub_expect(struct redis_pubsub *ps, struct str channel,
                         size_t nodes)
{
    mem_free(ps->settle_channel);
    ps->settle_channel = mem_strndup(channel.p, channel.len);
    ps->settle_nodes = nodes;
}

/* ---- life ---------------------------------------------------------------- */

static const struct redis_ops pub_ops = {
    .on_up = on_pub_up,
    .on_down = on_pub_down,
};

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
    ps->settings = *s;
    ps->ops = ops;
    ps->owner = owner;
    ps->resolver = resolver_new(l);
    ps->gap.since_ms = loop_now(l);
    map_init(&ps->subscriptions, subscription_id);
    list_init(&ps->counts);
    bytesq_init(&ps->queue);
    timer_init(&ps->settle, on_settle);
    struct redis_settings rs = {.url = s->url,
                                .role = "publisher",
                                .client_name = s->client_name,
                                .max_bytes = s->max_message_bytes};
    ps->pub = redis_new(l, ps->resolver, &rs, &pub_ops, ps);
    rs.role = "subscriber";
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
    close_gate(ps);
    redis_free(ps->pub);
    redis_free(ps->sub);
    resolver_free(ps->resolver);
    for (struct list *n; (n = list_pop(&ps->counts));)
        mem_free(container_of(n, struct redis_count, link));
    map_each(&ps->subscriptions, free_subscription, ps);
    map_fini(&ps->subscriptions);
    bytesq_fini(&ps->queue);
    mem_free(ps->settle_channel);
    mem_free(ps);
}
