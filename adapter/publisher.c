#include "adapter/publisher.h"

#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"

enum {
    /* Sent and not answered: what may be lost without trace when a connection
     * breaks. Enough to keep a fast link busy. */
    WINDOW_BYTES = 256 * 1024,
    /* A Redis that owes a reply so long gets no more until it gives one: it may
     * be about to be lost, and what it has got with it. */
    STALL_MS = 1000,
    STALL_POLL_MS = 50,
    /* Longer than the longest wait between two attempts of another node. */
    SETTLE_MS = 3500,
    SETTLE_POLL_MS = 100,
    LOGS_PER_MINUTE = 4,
};

/* To be told once, when it is over. */
struct gap {
    bool is_on;
    uint64_t since_ms;
    uint64_t late, full, unanswered, dropped, refused;
};

struct redis_count {
    struct list link;
    redis_count_fn *fn; /* NULL: cancelled */
    void *arg;
};

struct publisher {
    struct loop *loop;
    struct publisher_settings settings;
    publisher_change_fn *on_change;
    void *owner;
    struct redis *redis;
    struct list counts; /* whose replies are to come */

    struct publish_queue queue;
    uint32_t unanswered; /* but for those that are repeated */

    struct timer stall;

    bool open; /* the gate */
    bool opened_before;
    bool doubting; /* asks whether others are away, too */
    struct timer settle;
    uint64_t settle_until_ms;
    char *settle_channel;
    size_t settle_nodes;

    struct gap gap;
    uint32_t backlog; /* of what the gate held back, not yet answered */
    struct log_gate log_gate;
};

/* ---- gaps ---------------------------------------------------------------- */

static void begin_gap(struct publisher *p)
{
    if (p->gap.is_on)
        return;
    p->gap.is_on = true;
    p->gap.since_ms = loop_now(p->loop);
}

static void end_gap(struct publisher *p, uint32_t unsent)
{
    const struct gap *g = &p->gap;
    uint64_t ms = loop_now(p->loop) - g->since_ms;
    bool lost = g->full || g->unanswered || g->dropped || g->refused || unsent;
    /* That the first messages wait for the first connection is no news. */
    if (lost || (g->late && p->opened_before))
        log_warn("redis_gap",
                 "ms=%llu sent_late=%llu queue_full=%llu unanswered=%llu "
                 "volatile=%llu refused=%llu unsent=%u",
                 (unsigned long long)ms, (unsigned long long)g->late,
                 (unsigned long long)g->full, (unsigned long long)g->unanswered,
                 (unsigned long long)g->dropped, (unsigned long long)g->refused,
                 unsent);
    p->gap = (struct gap){0};
    p->opened_before = true;
}

static void lose_volatile(struct publisher *p, uint32_t n)
{
    metrics_add(M_LOST_VOLATILE, n);
    if (p->gap.is_on)
        p->gap.dropped += n;
}

static void lose_refused(struct publisher *p, struct str reply)
{
    metrics_add(M_LOST_REFUSED, 1);
    if (p->gap.is_on)
        p->gap.refused++;
    if (log_allow(&p->log_gate, loop_now(p->loop), LOGS_PER_MINUTE))
        log_warn("redis_publish_refused", "reply=%s", log_safe(reply));
}

/* Without a gap it is the queue of a Redis that answers, but slowly. */
static void lose_new(struct publisher *p, enum publish_kind kind,
                     enum metric why, const char *reason, size_t bytes)
{
    if (kind == PUBLISH_REPEATED) {
        metrics_add(M_PRESENCE_LOST, 1);
        return;
    }
    metrics_add(why, 1);
    if (p->gap.is_on && why == M_LOST_FULL)
        p->gap.full++;
    else if (log_allow(&p->log_gate, loop_now(p->loop), LOGS_PER_MINUTE))
        log_warn("redis_publish_lost", "why=%s bytes=%zu", reason, bytes);
}

/* ---- publishing ---------------------------------------------------------- */

static void drain(struct publisher *p);

/* Replies come in order: as long as there is a backlog they are of that. */
static bool of_backlog(struct publisher *p, const struct redis_reply *reply)
{
    if (!reply || p->backlog == 0)
        return false;
    p->backlog--;
    return true;
}

static void go_on(struct publisher *p, bool late)
{
    if (late && p->backlog == 0)
        end_gap(p, 0);
    drain(p);
}

static void on_published(void *arg, const struct redis_reply *reply)
{
    struct publisher *p = arg;
    bool late = of_backlog(p, reply);
    p->unanswered--;
    if (!reply) {
        metrics_add(M_LOST_UNANSWERED, 1);
        p->gap.unanswered++;
        return;
    }
    if (reply->type == REPLY_ERROR) {
        lose_refused(p, reply->text);
    } else {
        metrics_add(M_REDIS_PUBLISHED, 1);
        metrics_add(M_REDIS_LATE, late);
        p->gap.late += late;
    }
    go_on(p, late);
}

static void on_repeated(void *arg, const struct redis_reply *reply)
{
    struct publisher *p = arg;
    bool late = of_backlog(p, reply);
    metrics_add(M_PRESENCE_LOST, !reply || reply->type == REPLY_ERROR);
    if (reply)
        go_on(p, late);
}

/* The gate is open and Redis answers. */
static bool is_flowing(const struct publisher *p)
{
    return p->open && redis_owes_ms(p->redis) < STALL_MS;
}

static bool may_send(const struct publisher *p, size_t bytes)
{
    size_t used = redis_unanswered_bytes(p->redis);
    return is_flowing(p) && (used == 0 || used + bytes <= WINDOW_BYTES);
}

static void send_out(struct publisher *p, struct bytes *command,
                     enum publish_kind kind)
{
    bool counts = kind != PUBLISH_REPEATED;
    p->unanswered += counts;
    (void)redis_send(p->redis, command, counts ? on_published : on_repeated, p);
}

static void send_first(struct publisher *p)
{
    struct publish_entry e = publish_queue_take(&p->queue);
    send_out(p, e.command, e.kind);
    bytes_unref(e.command);
}

static void drain(struct publisher *p)
{
    const struct bytes *first;
    while ((first = publish_queue_first(&p->queue)) && may_send(p, first->len))
        send_first(p);
}

/* What Redis answers first may not be an answer to us, but to a ping. */
static void on_stall(struct timer *t)
{
    struct publisher *p = container_of(t, struct publisher, stall);
    drain(p);
    if (p->open && !is_flowing(p))
        loop_timer(p->loop, t, STALL_POLL_MS);
}

static void put_in_queue(struct publisher *p, struct bytes *command,
                         enum publish_kind kind)
{
    uint32_t dropped = 0;
    if (!is_flowing(p) && kind == PUBLISH_VOLATILE) {
        lose_volatile(p, 1);
        return;
    }
    bool queued = publish_queue_push(&p->queue, command, kind, &dropped);
    lose_volatile(p, dropped);
    if (p->open && !is_flowing(p) && !timer_running(&p->stall))
        loop_timer(p->loop, &p->stall, STALL_POLL_MS);
    if (!queued)
        lose_new(p, kind, M_LOST_FULL, "queue-full", command->len);
}

void publisher_publish(struct publisher *p, struct str channel,
                       struct str payload, enum publish_kind kind)
{
    metrics_add(M_REDIS_OUTGOING, kind != PUBLISH_REPEATED);
    if (payload.len > p->settings.max_message_bytes) {
        /* The other nodes would not take it. */
        lose_new(p, kind, M_LOST_UNFIT, "too-large", payload.len);
        return;
    }
    struct bytes *b = resp_publish(channel, payload);
    if (publish_queue_count(&p->queue) == 0 && may_send(p, b->len))
        send_out(p, b, kind);
    else
        put_in_queue(p, b, kind);
    bytes_unref(b);
}

void publisher_metrics(const struct publisher *p)
{
    const struct publish_queue *q = &p->queue;
    metrics_set(M_REDIS_QUEUED, q->bytes);
    metrics_set(M_REDIS_QUEUED_MESSAGES,
                q->count[PUBLISH_VOLATILE] + q->count[PUBLISH_KEPT]);
    metrics_set(M_REDIS_UNANSWERED, p->unanswered);
}

bool publisher_sends(const struct publisher *p)
{
    return is_flowing(p);
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

static bool ask_numsub(struct publisher *p, struct str channel,
                       redis_reply_fn *fn, void *arg)
{
    struct str argv[] = {STR("PUBSUB"), STR("NUMSUB"), channel};
    return redis_command(p->redis, argv, 3, fn, arg);
}

static void on_counted(void *arg, const struct redis_reply *reply)
{
    struct redis_count *n = arg;
    list_remove(&n->link);
    if (n->fn)
        n->fn(n->arg, numsub(reply));
    mem_free(n);
}

struct redis_count *publisher_count(struct publisher *p, struct str channel,
                                    redis_count_fn *fn, void *arg)
{
    struct redis_count *n = mem_zalloc(sizeof(*n));
    n->fn = fn;
    n->arg = arg;
    list_insert(&p->counts, &n->link);
    if (ask_numsub(p, channel, on_counted, n))
        return n;
    list_remove(&n->link);
    mem_free(n);
    return NULL;
}

void redis_count_cancel(struct redis_count *n)
{
    n->fn = NULL;
}

/* ---- the gate ------------------------------------------------------------ */

static void open_gate(struct publisher *p)
{
    p->open = true;
    p->doubting = false;
    timer_stop(&p->settle);
    p->backlog = publish_queue_count(&p->queue);
    if (p->backlog == 0)
        end_gap(p, 0);
    drain(p);
}

static void close_gate(struct publisher *p)
{
    begin_gap(p);
    p->open = false;
    p->backlog = 0;
    timer_stop(&p->settle);
    lose_volatile(p, publish_queue_drop_volatile(&p->queue));
}

static void on_nodes(void *arg, const struct redis_reply *reply)
{
    struct publisher *p = arg;
    if (!reply || p->open)
        return;
    int64_t there = numsub(reply);
    /* Our own subscriber is known to be away at the first look. */
    int64_t nodes = (int64_t)p->settle_nodes - p->doubting;
    p->doubting = false;
    /* Whoever may not count, does not wait. */
    if (there < 0 || there >= nodes || loop_now(p->loop) >= p->settle_until_ms)
        open_gate(p);
    else
        loop_timer(p->loop, &p->settle, SETTLE_POLL_MS);
}

static void count_nodes(struct publisher *p)
{
    if (!p->settle_channel) {
        open_gate(p);
        return;
    }
    (void)ask_numsub(p, str_of(p->settle_channel), on_nodes, p);
}

static void on_settle(struct timer *t)
{
    count_nodes(container_of(t, struct publisher, settle));
}

static void settle(struct publisher *p)
{
    p->settle_until_ms = loop_now(p->loop) + SETTLE_MS;
    count_nodes(p);
}

void publisher_doubt(struct publisher *p)
{
    if (!p->open)
        return;
    close_gate(p);
    p->doubting = true;
    settle(p);
}

static void on_up(void *owner)
{
    struct publisher *p = owner;
    settle(p);
    p->on_change(p->owner);
}

static void on_down(void *owner, const char *reason)
{
    (void)reason;
    struct publisher *p = owner;
    metrics_add(M_REDIS_PUBLISHER_LOST, 1);
    p->doubting = false;
    close_gate(p);
    p->on_change(p->owner);
}

void publisher_expect(struct publisher *p, struct str channel, size_t nodes)
{
    mem_free(p->settle_channel);
    p->settle_channel = mem_strndup(channel.p, channel.len);
    p->settle_nodes = nodes;
}

/* ---- life ---------------------------------------------------------------- */

static const struct redis_ops redis_ops = {
    .on_up = on_up,
    .on_down = on_down,
};

bool publisher_is_up(const struct publisher *p)
{
    return redis_is_up(p->redis);
}

struct publisher *publisher_new(struct loop *l, struct resolver *resolver,
                                const struct publisher_settings *s,
                                publisher_change_fn *on_change, void *owner)
{
    struct publisher *p = mem_zalloc(sizeof(*p));
    p->loop = l;
    p->settings = *s;
    p->on_change = on_change;
    p->owner = owner;
    begin_gap(p);
    list_init(&p->counts);
    publish_queue_init(&p->queue, s->queue_bytes);
    timer_init(&p->settle, on_settle);
    timer_init(&p->stall, on_stall);
    struct redis_settings rs = {.url = s->url,
                                .role = "publisher",
                                .client_name = s->client_name,
                                .max_bytes = s->max_message_bytes};
    p->redis = redis_new(l, resolver, &rs, &redis_ops, p);
    return p;
}

void publisher_free(struct publisher *p)
{
    if (!p)
        return;
    /* No replies will be read any more: the window is of no use. */
    while (p->open && publish_queue_first(&p->queue))
        send_first(p);
    uint32_t unsent =
        publish_queue_count(&p->queue) - p->queue.count[PUBLISH_REPEATED];
    if (p->gap.is_on)
        end_gap(p, unsent);
    timer_stop(&p->settle);
    timer_stop(&p->stall);
    redis_free(p->redis);
    for (struct list *n; (n = list_pop(&p->counts));)
        mem_free(container_of(n, struct redis_count, link));
    publish_queue_fini(&p->queue);
    mem_free(p->settle_channel);
    mem_free(p);
}
