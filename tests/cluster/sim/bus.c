#include "tests/cluster/sim/bus.h"

#include <assert.h>
#include <stdio.h>

#include "common/buf.h"
#include "common/loop.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "tests/cluster/sim/check.h"
#include "tests/cluster/sim/sim.h"

/* Those of adapter/redis.c, whose place this takes. */
enum {
    WAIT_MIN_MS = 100,
    WAIT_MAX_MS = 3000,
    STEP_MS = 3000,
    STABLE_MS = 3000,
    IDLE_MS = 5000,
    REPLY_MS = 10000,
};

enum {
    RESENT_MS = 250,
    TURN_MESSAGES = 64,
};

enum state { WAITING, GREETING, UP, CLOSED };

struct conn {
    struct list all;
    struct link *link;
    struct redis *end; /* NULL: the node has given it up */
    struct server_client client;
    bool served;  /* Redis has it */
    bool deaf;    /* nothing passes */
    bool closing; /* closed by the node; what it has sent still arrives */
    uint32_t latency_ms;
    struct list there, back;    /* messages under way */
    uint64_t there_ms, back_ms; /* when the last of each arrives */
    uint64_t stalled_until;
    uint64_t linger_until;
};

struct pending {
    redis_reply_fn *done;
    void *arg;
    size_t bytes;
};

struct redis {
    struct loop *loop;
    struct link *link;
    const struct redis_ops *ops;
    void *owner;
    enum state state;
    struct timer timer;
    struct loop_task reap;
    struct conn *conn;
    struct pending *fifo; /* from `first` on */
    size_t first, count, cap;
    size_t unanswered;
    uint32_t failures;
    uint64_t up_ms, heard_ms, asked_ms;
};

static struct list links = {&links, &links};
static struct list conns = {&conns, &conns};
static bool server_up;
static uint64_t frozen_until;
static size_t handles;

static struct conn *conn_at(struct list *n)
{
    return container_of(n, struct conn, all);
}

static struct message *message_at(struct list *n)
{
    return container_of(n, struct message, link);
}

static struct message *pop(struct list *messages)
{
    struct list *n = list_pop(messages);
    assert(n);
    return message_at(n);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- messages ------------------------------------------------------------ */

struct message *message_new(struct bytes *command)
{
    struct message *m = mem_zalloc(sizeof(*m));
    m->command = command ? bytes_ref(command) : NULL;
    m->reply.items = m->items;
    return m;
}

static void message_free(struct message *m)
{
    bytes_unref(m->command);
    bytes_unref(m->pattern);
    mem_free(m);
}

static void drop_all(struct list *messages)
{
    struct list *n;
    while ((n = list_pop(messages)))
        message_free(message_at(n));
}

static void set_arrival(struct message *m, const struct conn *c, uint64_t *last)
{
    uint64_t at =
        sim.now_ms + c->latency_ms + sim_below(c->link->jitter_ms + 1);
    /* A packet is lost and sent again; what follows waits for it. */
    if (sim_chance(1))
        at += sim_below(RESENT_MS);
    *last = m->at_ms = later(at, *last);
}

/* ---- connections --------------------------------------------------------- */

static struct conn *conn_new(struct redis *r)
{
    struct conn *c = mem_zalloc(sizeof(*c));
    c->link = r->link;
    c->end = r;
    c->served = true;
    c->latency_ms = r->link->latency_ms;
    list_init(&c->there);
    list_init(&c->back);
    list_insert(&conns, &c->all);
    server_add(&c->client);
    return c;
}

static void unserve(struct conn *c)
{
    if (c->served)
        server_remove(&c->client);
    c->served = false;
}

static void conn_free(struct conn *c)
{
    assert(!c->end);
    unserve(c);
    drop_all(&c->there);
    drop_all(&c->back);
    list_remove(&c->all);
    mem_free(c);
}

/* What was published and does not come any more. */
static void drop_back(struct conn *c)
{
    struct list *n;
    while ((n = list_pop(&c->back))) {
        struct message *m = message_at(n);
        if (m->pushed && !c->link->dead)
            check_cut_off(c->link->life, m->items[1].text);
        message_free(m);
    }
}

void bus_answer(struct server_client *client, struct message *m)
{
    struct conn *c = container_of(client, struct conn, client);
    if (!c->end) {
        message_free(m);
        return;
    }
    if (m->pushed)
        check_pushed(c->link->life, m->items[1].text);
    set_arrival(m, c, &c->back_ms);
    list_insert(&c->back, &m->link);
}

/* Redis has closed the connection; the node sees it when it gets there. */
static void hang_up(struct conn *c, bool drained)
{
    unserve(c);
    drop_all(&c->there);
    if (!drained)
        drop_back(c);
    if (!c->end) {
        conn_free(c);
        return;
    }
    struct message *m = message_new(NULL);
    m->last = true;
    set_arrival(m, c, &c->back_ms);
    list_insert(&c->back, &m->link);
}

static uint64_t there_ready(const struct conn *c)
{
    if (c->deaf || list_empty(&c->there))
        return UINT64_MAX;
    return later(later(message_at(c->there.next)->at_ms, frozen_until),
                 c->stalled_until);
}

static uint64_t back_ready(const struct conn *c)
{
    if (c->deaf || list_empty(&c->back))
        return UINT64_MAX;
    return later(later(message_at(c->back.next)->at_ms, c->link->paused_until),
                 c->stalled_until);
}

/* ---- the node's side: losing --------------------------------------------- */

static uint64_t backoff_ms(uint32_t failures)
{
    uint32_t cap = WAIT_MAX_MS;
    if (failures < 5)
        cap = 2U * WAIT_MIN_MS << failures;
    if (cap > WAIT_MAX_MS)
        cap = WAIT_MAX_MS;
    return WAIT_MIN_MS + sim_below(cap - WAIT_MIN_MS + 1);
}

static void set_state(struct redis *r, enum state to, uint64_t ms)
{
    r->state = to;
    timer_stop(&r->timer);
    if (to != CLOSED)
        loop_timer(r->loop, &r->timer, ms);
}

/* The node knows nothing of the connection any more. What it had sent may
 * still arrive, but not after what it sends on the next one. */
static void part(struct redis *r)
{
    struct conn *c = r->conn;
    r->conn = NULL;
    if (!c)
        return;
    c->end = NULL;
    drop_back(c);
    if (!c->served) {
        conn_free(c);
        return;
    }
    c->closing = !c->deaf;
    c->linger_until =
        sim.now_ms + (c->deaf ? sim_below(BUS_LINGER_MS) : WAIT_MIN_MS / 2);
    if (sim_chance(50))
        drop_all(&c->there);
}

static struct pending take(struct redis *r)
{
    assert(r->count > 0);
    struct pending p = r->fifo[r->first++];
    r->count--;
    r->unanswered -= p.bytes;
    return p;
}

static void expect(struct redis *r, struct pending p)
{
    if (r->first > 0 && r->first + r->count == r->cap) {
        memmove(r->fifo, r->fifo + r->first, r->count * sizeof(p));
        r->first = 0;
    }
    if (r->count == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 16;
        r->fifo = mem_realloc(r->fifo, r->cap * sizeof(p));
    }
    r->fifo[r->first + r->count] = p;
    r->unanswered += p.bytes;
    if (r->count++ == 0)
        r->asked_ms = sim.now_ms;
}

static void lose(struct redis *r, const char *reason)
{
    bool was_up = r->state == UP;
    sim_note("lost", r->link->life, r->ops->on_message != NULL, r->count);
    part(r);
    if (was_up && sim.now_ms - r->up_ms >= STABLE_MS)
        r->failures = 0;
    set_state(r, WAITING, backoff_ms(r->failures));
    r->failures++;
    if (was_up)
        metrics_add(M_REDIS_RECONNECTS, 1);
    while (r->count > 0) {
        struct pending p = take(r);
        if (p.done)
            p.done(p.arg, NULL);
    }
    if (was_up)
        r->ops->on_down(r->owner, reason);
}

/* ---- the node's side: connecting ----------------------------------------- */

static void submit(struct redis *r, struct bytes *command, redis_reply_fn *done,
                   void *arg)
{
    expect(r, (struct pending){done, arg, command->len});
    struct conn *c = r->conn;
    if (!c || !c->served) /* the dead send, too; and one may not know yet */
        return;
    struct message *m = message_new(command);
    set_arrival(m, c, &c->there_ms);
    list_insert(&c->there, &m->link);
}

static void order(struct redis *r, struct str word, redis_reply_fn *done)
{
    struct bytes *b = redis_format(&word, 1);
    submit(r, b, done, r);
    bytes_unref(b);
}

static void on_ready(void *arg, const struct redis_reply *reply)
{
    struct redis *r = arg;
    if (!reply)
        return;
    set_state(r, UP, IDLE_MS);
    r->up_ms = sim.now_ms;
    sim_note("up", r->link->life, r->ops->on_message != NULL, 0);
    r->ops->on_up(r->owner);
}

static void on_pong(void *arg, const struct redis_reply *reply)
{
    (void)arg;
    (void)reply;
}

static void start(struct redis *r)
{
    if (!server_up || r->link->cut) {
        /* Refused, or not even that. */
        if (!r->link->cut || sim_chance(70))
            lose(r, "refused");
        else
            set_state(r, GREETING, STEP_MS);
        return;
    }
    set_state(r, GREETING, STEP_MS);
    r->conn = conn_new(r);
    r->heard_ms = sim.now_ms;
    order(r, STR("PING"), on_ready);
}

static void watch(struct redis *r)
{
    uint64_t since = r->heard_ms;
    if (r->count > 0)
        since = later(since, r->asked_ms);
    uint64_t limit = r->count > 0 ? REPLY_MS : IDLE_MS;
    if (sim.now_ms - since >= limit && r->count > 0) {
        lose(r, "no reply in time");
        return;
    }
    if (sim.now_ms - since >= limit) {
        order(r, STR("PING"), on_pong);
        since = sim.now_ms;
        limit = REPLY_MS;
    }
    loop_timer(r->loop, &r->timer, since + limit - sim.now_ms);
}

static void on_timer(struct timer *t)
{
    struct redis *r = container_of(t, struct redis, timer);
    if (r->state == WAITING)
        start(r);
    else if (r->state == UP)
        watch(r);
    else
        lose(r, "no greeting in time");
}

/* ---- adapter/redis.h ----------------------------------------------------- */

static void destroy(struct loop_task *t)
{
    struct redis *r = container_of(t, struct redis, reap);
    mem_free(r->fifo);
    mem_free(r);
    handles--;
}

struct redis *redis_new(struct loop *l, struct resolver *resolver,
                        const struct redis_settings *s,
                        const struct redis_ops *ops, void *owner)
{
    (void)resolver;
    (void)s;
    struct redis *r = mem_zalloc(sizeof(*r));
    for (struct list *n = links.next; n != &links; n = n->next) {
        struct link *link = container_of(n, struct link, all);
        if (link->loop == l)
            r->link = link;
    }
    assert(r->link);
    r->loop = l;
    r->ops = ops;
    r->owner = owner;
    timer_init(&r->timer, on_timer);
    set_state(r, WAITING, 0);
    loop_task_init(&r->reap, destroy);
    handles++;
    return r;
}

void redis_free(struct redis *r)
{
    if (!r)
        return;
    struct conn *c = r->conn;
    set_state(r, CLOSED, 0);
    loop_reap(r->loop, &r->reap);
    if (!c)
        return;
    drop_back(c);
    c->end = NULL;
    c->closing = !c->deaf;
    c->linger_until = sim.now_ms + BUS_LINGER_MS;
    if (!c->served || (c->closing && list_empty(&c->there)))
        conn_free(c);
}

bool redis_is_up(const struct redis *r)
{
    return r->state == UP;
}

void redis_drop(struct redis *r, const char *reason)
{
    if (r->state != WAITING && r->state != CLOSED)
        lose(r, reason);
}

struct bytes *redis_format(const struct str *argv, size_t argc)
{
    struct buf b;
    assert(argc > 0 && argc <= REDIS_ARGS_MAX);
    buf_init(&b, UINT32_MAX);
    buf_fmt(&b, "*%zu\r\n", argc);
    for (size_t i = 0; i < argc; i++) {
        buf_fmt(&b, "$%zu\r\n", argv[i].len);
        buf_add(&b, argv[i]);
        buf_add(&b, STR("\r\n"));
    }
    struct bytes *command = bytes_new(buf_str(&b));
    buf_fini(&b);
    return command;
}

bool redis_send(struct redis *r, struct bytes *command, redis_reply_fn *done,
                void *arg)
{
    if (r->state != UP)
        return false;
    submit(r, command, done, arg);
    return true;
}

bool redis_command(struct redis *r, const struct str *argv, size_t argc,
                   redis_reply_fn *done, void *arg)
{
    if (r->state != UP)
        return false;
    struct bytes *command = redis_format(argv, argc);
    submit(r, command, done, arg);
    bytes_unref(command);
    return true;
}

size_t redis_unanswered_bytes(const struct redis *r)
{
    return r->unanswered;
}

size_t redis_unanswered(const struct redis *r)
{
    return r->count;
}

/* ---- time ---------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t bus_due(void)
{
    uint64_t due = UINT64_MAX;
    for (struct list *n = conns.next; n != &conns; n = n->next) {
        const struct conn *c = conn_at(n);
        due = earlier(due, there_ready(c));
        due = earlier(due, back_ready(c));
        if (!c->end)
            due = earlier(due, c->linger_until);
    }
    return due;
}

/* Those that nobody holds any more. */
static void bury(void)
{
    struct list *n = conns.next;
    while (n != &conns) {
        struct conn *c = conn_at(n);
        n = n->next;
        if (!c->end && (sim.now_ms >= c->linger_until ||
                        (c->closing && list_empty(&c->there))))
            conn_free(c);
    }
}

bool bus_serve(void)
{
    struct conn *chosen = NULL;
    uint32_t n_ready = 0;
    for (struct list *n = conns.next; n != &conns; n = n->next) {
        struct conn *c = conn_at(n);
        /* Each with the same chance, however many there are. */
        if (there_ready(c) <= sim.now_ms && sim_below(++n_ready) == 0)
            chosen = c;
    }
    if (chosen) {
        struct message *m = pop(&chosen->there);
        check_executed(chosen->link->life, m->command);
        server_run(&chosen->client, m->command);
        message_free(m);
    }
    bury();
    return chosen != NULL;
}

bool bus_ready(const struct link *l)
{
    for (struct list *n = conns.next; n != &conns; n = n->next) {
        const struct conn *c = conn_at(n);
        if (c->link == l && c->end && back_ready(c) <= sim.now_ms)
            return true;
    }
    return false;
}

static void hand_over(struct redis *r, struct message *m)
{
    r->heard_ms = sim.now_ms;
    if (m->last) {
        lose(r, "closed by the other side");
    } else if (m->pushed) {
        unsigned life = r->link->life;
        check_arriving(life, m->items[1].text);
        r->ops->on_message(r->owner,
                           m->pattern ? bytes_str(m->pattern) : STR(""),
                           m->items[0].text, m->items[1].text);
        check_arrived(life);
    } else {
        check_answered(r->link->life, m->command);
        struct pending p = take(r);
        if (p.done)
            p.done(p.arg, &m->reply);
    }
}

void bus_hand_over(struct link *l)
{
    uint32_t most = 1 + sim_below(TURN_MESSAGES);
    for (uint32_t i = 0; i < most; i++) {
        struct conn *chosen = NULL;
        uint32_t n_ready = 0;
        for (struct list *n = conns.next; n != &conns; n = n->next) {
            struct conn *c = conn_at(n);
            if (c->link == l && c->end && back_ready(c) <= sim.now_ms &&
                sim_below(++n_ready) == 0)
                chosen = c;
        }
        if (!chosen)
            return;
        struct message *m = pop(&chosen->back);
        hand_over(chosen->end, m);
        message_free(m);
    }
}

static bool connected(const struct conn *c)
{
    return c->end && c->served && !c->deaf && c->end->state == UP;
}

bool bus_whole(const struct link *l)
{
    for (struct list *n = conns.next; n != &conns; n = n->next) {
        const struct conn *c = conn_at(n);
        if (c->link == l && connected(c) && c->end->ops->on_message)
            return true;
    }
    return false;
}

size_t bus_connected(const struct link *l)
{
    size_t n_connected = 0;
    for (struct list *n = conns.next; n != &conns; n = n->next) {
        const struct conn *c = conn_at(n);
        n_connected += c->link == l && connected(c);
    }
    return n_connected;
}

size_t bus_unanswered(const struct link *l)
{
    size_t n_unanswered = 0;
    for (struct list *n = conns.next; n != &conns; n = n->next) {
        const struct conn *c = conn_at(n);
        if (c->link == l && c->end)
            n_unanswered += c->end->count;
    }
    return n_unanswered;
}

/* ---- faults -------------------------------------------------------------- */

static void each_conn(struct link *l, void (*do_it)(struct conn *c, bool flag),
                      bool flag)
{
    struct list *n = conns.next;
    while (n != &conns) {
        struct conn *c = conn_at(n);
        n = n->next; /* it may be freed */
        if (!l || c->link == l)
            do_it(c, flag);
    }
}

/* Both connections of a node, or one of them. */
static void each_end(struct link *l, bool one,
                     void (*do_it)(struct conn *c, uint64_t arg), uint64_t arg)
{
    uint32_t skip = one ? sim_below(2) : 0;
    struct list *n = conns.next;
    while (n != &conns) {
        struct conn *c = conn_at(n);
        n = n->next; /* it may be freed */
        if (c->link != l || !c->end)
            continue;
        if (skip > 0) {
            skip--;
            continue;
        }
        do_it(c, arg);
        if (one)
            return;
    }
}

static void reset(struct conn *c, uint64_t drained)
{
    if (c->served && !c->deaf)
        hang_up(c, drained);
}

void bus_reset(struct link *l, bool one, bool drained)
{
    each_end(l, one, reset, drained);
}

static void stall(struct conn *c, uint64_t until_ms)
{
    c->stalled_until = until_ms;
}

void bus_stall(struct link *l, bool one, uint64_t until_ms)
{
    each_end(l, one, stall, until_ms);
}

static void deafen(struct conn *c, bool flag)
{
    (void)flag;
    c->deaf = true;
    c->closing = false;
    if (!c->end && c->linger_until > sim.now_ms + BUS_LINGER_MS)
        c->linger_until = sim.now_ms + BUS_LINGER_MS;
}

void bus_deafen(struct link *l)
{
    each_conn(l, deafen, false);
}

static void retime(struct conn *c, bool flag)
{
    (void)flag;
    c->latency_ms = c->link->latency_ms;
}

void bus_retime(struct link *l)
{
    each_conn(l, retime, false);
}

static void forsake(struct conn *c, bool quietly)
{
    if (c->end)
        c->end->conn = NULL;
    c->end = NULL;
    drop_back(c);
    c->closing = !quietly && !c->deaf;
    c->linger_until = sim.now_ms + sim_below(BUS_LINGER_MS);
    if (quietly)
        deafen(c, false);
    if (!c->served)
        conn_free(c);
}

void bus_kill(struct link *l, bool quietly)
{
    l->dead = true;
    each_conn(l, forsake, quietly);
    bury();
}

void redis_server_stop(void)
{
    server_up = false;
    frozen_until = 0;
    sim_note("redis stops", 0, 0, 0);
    struct list *n = conns.next;
    while (n != &conns) {
        struct conn *c = conn_at(n);
        n = n->next;
        if (c->deaf) {
            unserve(c);
            drop_all(&c->there);
            if (!c->end)
                conn_free(c);
        } else if (c->served) {
            hang_up(c, sim_chance(50));
        }
    }
}

void redis_server_start(void)
{
    server_up = true;
    sim_note("redis starts", 0, 0, 0);
}

bool redis_server_up(void)
{
    return server_up;
}

void redis_server_freeze(uint64_t until_ms)
{
    frozen_until = until_ms;
}

/* ---- life ---------------------------------------------------------------- */

void bus_start(void)
{
    server_up = true;
    frozen_until = 0;
}

void bus_end(void)
{
    while (!list_empty(&conns))
        conn_free(conn_at(conns.next));
    if (handles > 0 || server_clients() > 0)
        sim_fail("%zu connections are left", handles + server_clients());
}

void bus_attach(struct link *l, unsigned life, struct loop *loop)
{
    l->life = life;
    l->loop = loop;
    list_insert(&links, &l->all);
}

void bus_detach(struct link *l)
{
    list_remove(&l->all);
}
