#include "adapter/interest.h"

#include <assert.h>

#include "common/log.h"
#include "common/map.h"
#include "common/mem.h"
#include "common/metrics.h"

enum {
    WINDOW = 512, /* commands without an answer */
    LEAVE_MS = 3000,
    LEAVING_MAX = 20000, /* beyond, the oldest go at once */
    LEAVE_BATCH = 256,   /* unsubscribed in one turn */
    LEAVE_PAUSE_MS = 5,
    LOGS_PER_MINUTE = 4,
};

/* There is one for each room, so it is small. */
struct record {
    struct map_node by_name;
    struct list link;    /* wanted, asked for, or answered */
    struct list leaving; /* while nobody uses it */
    struct interest_wait *waits;
    uint32_t users;
    uint32_t left_ms;  /* when the last user went; the clock's lower half */
    uint32_t since;    /* number of the connection in which it was added */
    uint32_t answered; /* of the last connection that has answered */
    uint32_t name_len;
    uint8_t kind; /* of its first user */
    bool asked;   /* the answer is due */
    bool refused; /* that was the answer */
    bool gone;    /* nobody wants the answer any more */
    char name[];
};

struct interest {
    struct loop *loop;
    struct redis *sub;
    void (*on_settled)(void *owner);
    void *owner;
    struct map channels, patterns; /* of record */
    struct list wanted[REDIS_KINDS], answered[REDIS_KINDS];
    struct list asked;   /* in the order in which the answers come */
    struct list leaving; /* who waits longest is first */
    size_t n_leaving;
    struct timer timer; /* of the first that leaves */
    size_t waits;
    uint32_t connection; /* its number; 0: there was none */
    size_t unsettled;    /* wanted since before the connection, not answered */
    bool settled;
    struct log_gate gate;
};

static struct str name_of(const struct record *r)
{
    return (struct str){r->name, r->name_len};
}

static struct str record_key(const struct map_node *n)
{
    return name_of(const_container_of(n, struct record, by_name));
}

static struct map *map_of(struct interest *in, enum redis_kind kind)
{
    return kind == REDIS_PATTERN ? &in->patterns : &in->channels;
}

static struct record *find(struct interest *in, struct str name,
                           enum redis_kind kind)
{
    struct map_node *n = map_get(map_of(in, kind), name);
    return n ? container_of(n, struct record, by_name) : NULL;
}

size_t interest_count(const struct interest *in)
{
    return in->channels.count + in->patterns.count;
}

bool interest_settled(const struct interest *in)
{
    return in->settled;
}

/* ---- waiting ------------------------------------------------------------- */

/* In the order in which they came. */
static void end_waits(struct interest *in, struct record *r, int rc)
{
    struct interest_wait *w = r->waits, *first = NULL;
    r->waits = NULL;
    while (w) {
        struct interest_wait *before = w->next;
        w->next = first;
        first = w;
        w = before;
    }
    while (first) {
        struct interest_wait *next = first->next;
        in->waits--;
        first->done(first, rc);
        first = next;
    }
}

int interest_wait(struct interest *in, struct str channel, enum redis_kind kind,
                  struct interest_wait *w)
{
    struct record *r = find(in, channel, kind);
    if (!r || !redis_is_up(in->sub))
        return ERR_STATE;
    if (r->answered == in->connection)
        return r->refused ? ERR_STATE : 0;
    w->next = r->waits;
    r->waits = w;
    in->waits++;
    return 1;
}

bool interest_has(const struct interest *in, struct str channel,
                  enum redis_kind kind)
{
    const struct map *m = kind == REDIS_PATTERN ? &in->patterns : &in->channels;
    struct map_node *n = map_get(m, channel);
    const struct record *r = n ? container_of(n, struct record, by_name) : NULL;
    return r && redis_is_up(in->sub) && r->answered == in->connection &&
           !r->refused;
}

static void end_all_waits(struct interest *in)
{
    for (unsigned k = 0; k < REDIS_KINDS && in->waits > 0; k++) {
        struct list *n = in->wanted[k].next;
        for (; n != &in->wanted[k] && in->waits > 0; n = n->next)
            end_waits(in, container_of(n, struct record, link), ERR_STATE);
    }
}

/* ---- asking -------------------------------------------------------------- */

static void command(struct interest *in, const struct record *r,
                    struct str exact, struct str pattern, redis_reply_fn *done)
{
    struct str argv[] = {r->kind == REDIS_PATTERN ? pattern : exact,
                         name_of(r)};
    (void)redis_command(in->sub, argv, 2, done, in);
}

static void on_subscribed(void *arg, const struct redis_reply *reply);

static void ask_for(struct interest *in, struct record *r)
{
    list_remove(&r->link);
    list_insert(&in->asked, &r->link);
    r->asked = true;
    command(in, r, STR("SUBSCRIBE"), STR("PSUBSCRIBE"), on_subscribed);
}

static void ask(struct interest *in)
{
    static const enum redis_kind order[] = {REDIS_PATTERN, REDIS_CHANNEL,
                                            REDIS_ROOM, REDIS_COUNTED};
    if (!redis_is_up(in->sub))
        return;
    for (unsigned k = 0; k < REDIS_KINDS; k++) {
        struct list *wanted = &in->wanted[order[k]];
        while (!list_empty(wanted)) {
            if (redis_unanswered(in->sub) >= WINDOW)
                return;
            ask_for(in, container_of(wanted->next, struct record, link));
        }
    }
}

/* The connection does not owe an answer for this one any more. */
static void settle(struct interest *in, const struct record *r)
{
    if (r->since == in->connection || r->answered == in->connection)
        return;
    assert(in->unsettled > 0);
    in->unsettled--;
}

static void report_settled(struct interest *in)
{
    if (in->settled || in->unsettled > 0 || !redis_is_up(in->sub))
        return;
    in->settled = true;
    in->on_settled(in->owner);
}

static void answer(struct interest *in, struct record *r, bool refused)
{
    settle(in, r);
    r->answered = in->connection;
    r->refused = refused;
    list_insert(&in->answered[r->kind], &r->link);
    end_waits(in, r, refused ? ERR_STATE : 0);
}

static void refuse(struct interest *in, struct record *r, struct str why)
{
    metrics_add(M_REDIS_SUBSCRIBE_REFUSED, 1);
    if (log_allow(&in->gate, loop_now(in->loop), LOGS_PER_MINUTE))
        log_error("redis_subscribe_refused", "channel=%s reply=%s",
                  log_safe(name_of(r)), log_safe(why));
    if (r->kind == REDIS_ROOM) {
        answer(in, r, true);
        return;
    }
    list_insert(&in->wanted[r->kind], &r->link);
    redis_drop(in->sub, "a subscription was refused");
}

static bool is_answer_for(const struct record *r,
                          const struct redis_reply *reply)
{
    struct str what =
        r->kind == REDIS_PATTERN ? STR("psubscribe") : STR("subscribe");
    return reply->type == REPLY_ARRAY && reply->n >= 2 &&
           str_eq(reply->items[0].text, what) &&
           str_eq(reply->items[1].text, name_of(r));
}

static void on_subscribed(void *arg, const struct redis_reply *reply)
{
    struct interest *in = arg;
    struct list *n = list_pop(&in->asked);
    assert(n); /* an answer for each question */
    struct record *r = container_of(n, struct record, link);
    r->asked = false;
    if (r->gone) {
        mem_free(r);
    } else if (!reply) {
        list_insert(&in->wanted[r->kind], &r->link);
    } else if (reply->type == REPLY_ERROR) {
        refuse(in, r, reply->text);
    } else if (is_answer_for(r, reply)) {
        answer(in, r, false);
    } else {
        list_insert(&in->wanted[r->kind], &r->link);
        redis_drop(in->sub, "an answer to something else");
    }
    if (reply) {
        report_settled(in);
        ask(in);
    }
}

static void on_unsubscribed(void *arg, const struct redis_reply *reply)
{
    if (reply)
        ask(arg);
}

/* ---- who wants what ------------------------------------------------------ */

static struct record *record_new(struct interest *in, struct str name,
                                 enum redis_kind kind)
{
    struct record *r = mem_zalloc(sizeof(*r) + name.len);
    memcpy(r->name, name.p, name.len);
    r->name_len = (uint32_t)name.len;
    r->kind = (uint8_t)kind;
    r->since = in->connection;
    r->answered = UINT32_MAX;
    list_init(&r->link);
    list_init(&r->leaving);
    map_put(map_of(in, kind), &r->by_name);
    list_insert(&in->wanted[kind], &r->link);
    return r;
}

static void stay(struct interest *in, struct record *r)
{
    if (list_empty(&r->leaving))
        return;
    list_remove(&r->leaving);
    in->n_leaving--;
}

static void record_remove(struct interest *in, struct record *r)
{
    bool answered = r->answered == in->connection && !r->refused;
    if (redis_is_up(in->sub) && (r->asked || answered))
        command(in, r, STR("UNSUBSCRIBE"), STR("PUNSUBSCRIBE"),
                on_unsubscribed);
    settle(in, r);
    stay(in, r);
    map_remove(map_of(in, r->kind), &r->by_name);
    end_waits(in, r, ERR_STATE);
    if (r->asked) {
        r->gone = true;
    } else {
        list_remove(&r->link);
        mem_free(r);
    }
    report_settled(in);
}

void interest_add(struct interest *in, struct str channel, enum redis_kind kind)
{
    struct record *r = find(in, channel, kind);
    if (!r)
        r = record_new(in, channel, kind);
    r->users++;
    stay(in, r);
    ask(in);
}

/* The clock's lower half suffices for differences. */
static uint64_t away_ms(struct interest *in, const struct record *r)
{
    return (uint32_t)loop_now(in->loop) - r->left_ms;
}

static struct record *first_leaving(struct interest *in)
{
    return list_empty(&in->leaving)
               ? NULL
               : container_of(in->leaving.next, struct record, leaving);
}

static void on_leave(struct timer *t)
{
    struct interest *in = container_of(t, struct interest, timer);
    struct record *r = first_leaving(in);
    for (unsigned n = 0; r && away_ms(in, r) >= LEAVE_MS; n++) {
        if (n == LEAVE_BATCH || redis_unanswered(in->sub) >= WINDOW) {
            loop_timer(in->loop, t, LEAVE_PAUSE_MS);
            return;
        }
        record_remove(in, r);
        r = first_leaving(in);
    }
    if (r)
        loop_timer(in->loop, t, LEAVE_MS - away_ms(in, r));
}

void interest_drop(struct interest *in, struct str channel,
                   enum redis_kind kind)
{
    struct record *r = find(in, channel, kind);
    assert(r && r->users > 0);
    if (--r->users > 0)
        return;
    if (kind != REDIS_ROOM) {
        record_remove(in, r);
        return;
    }
    r->left_ms = (uint32_t)loop_now(in->loop);
    list_insert(&in->leaving, &r->leaving);
    if (++in->n_leaving > LEAVING_MAX)
        record_remove(in, first_leaving(in));
    if (!timer_running(&in->timer))
        loop_timer(in->loop, &in->timer, LEAVE_MS);
}

/* ---- the connection ------------------------------------------------------ */

void interest_up(struct interest *in)
{
    in->connection++;
    in->unsettled = interest_count(in);
    in->settled = false;
    for (unsigned k = 0; k < REDIS_KINDS; k++)
        list_splice(&in->wanted[k], &in->answered[k]);
    ask(in);
    report_settled(in);
}

void interest_down(struct interest *in)
{
    in->settled = false;
    end_all_waits(in);
}

/* ---- life ---------------------------------------------------------------- */

struct interest *interest_new(struct loop *l, struct redis *sub,
                              void (*settled)(void *owner), void *owner)
{
    struct interest *in = mem_zalloc(sizeof(*in));
    in->loop = l;
    in->sub = sub;
    in->on_settled = settled;
    in->owner = owner;
    map_init(&in->channels, record_key);
    map_init(&in->patterns, record_key);
    for (unsigned k = 0; k < REDIS_KINDS; k++) {
        list_init(&in->wanted[k]);
        list_init(&in->answered[k]);
    }
    list_init(&in->asked);
    list_init(&in->leaving);
    timer_init(&in->timer, on_leave);
    return in;
}

static void free_records(struct interest *in, struct list *records)
{
    struct list *n;
    while ((n = list_pop(records))) {
        struct record *r = container_of(n, struct record, link);
        end_waits(in, r, ERR_STATE);
        mem_free(r);
    }
}

void interest_free(struct interest *in)
{
    if (!in)
        return;
    timer_stop(&in->timer);
    map_fini(&in->channels);
    map_fini(&in->patterns);
    for (unsigned k = 0; k < REDIS_KINDS; k++) {
        free_records(in, &in->wanted[k]);
        free_records(in, &in->answered[k]);
    }
    free_records(in, &in->asked);
    mem_free(in);
}
