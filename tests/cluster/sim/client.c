#include "tests/cluster/sim/client.h"

#include <assert.h>

#include "common/buf.h"
#include "common/loop.h"
#include "common/mem.h"
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

enum state { WAITING, GREETING, UP, CLOSED };

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

static size_t handles;

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- losing -------------------------------------------------------------- */

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
    struct conn *c = r->conn;
    r->conn = NULL;
    if (c)
        bus_abandon(c);
    if (was_up && sim.now_ms - r->up_ms >= STABLE_MS)
        r->failures = 0;
    set_state(r, WAITING, backoff_ms(r->failures));
    r->failures++;
    while (r->count > 0) {
        struct pending p = take(r);
        if (p.done)
            p.done(p.arg, NULL);
    }
    if (was_up)
        r->ops->on_down(r->owner, reason);
}

/* ---- connecting ---------------------------------------------------------- */

static void submit(struct redis *r, struct bytes *command, redis_reply_fn *done,
                   void *arg)
{
    expect(r, (struct pending){done, arg, command->len});
    if (r->conn) /* the dead send, too */
        bus_send(r->conn, command);
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
    r->conn = bus_connect(r->link, r);
    /* Refused, or not even that. */
    if (!r->conn && (!r->link->cut || sim_chance(70))) {
        lose(r, "refused");
        return;
    }
    set_state(r, GREETING, STEP_MS);
    if (!r->conn)
        return;
    r->heard_ms = sim.now_ms;
    order(r, STR("PING"), on_ready);
}

static uint64_t silent_since(const struct redis *r)
{
    return r->count > 0 ? later(r->heard_ms, r->asked_ms) : r->heard_ms;
}

static void watch(struct redis *r)
{
    uint64_t since = silent_since(r);
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
    r->link = bus_link(l);
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
    r->conn = NULL;
    if (c)
        bus_close(c);
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

void redis_local(const struct redis *r, char out[STREAM_ADDR_MAX])
{
    (void)r;
    out[0] = '\0';
}

uint64_t redis_heard_ms(const struct redis *r)
{
    return r->heard_ms;
}

uint64_t redis_owes_ms(const struct redis *r)
{
    return r->count > 0 ? sim.now_ms - silent_since(r) : 0;
}

/* ---- for the bus --------------------------------------------------------- */

void client_take(struct redis *r, struct message *m)
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
        check_arrived();
    } else {
        check_answered(r->link->life, m->command);
        struct pending p = take(r);
        if (p.done)
            p.done(p.arg, &m->reply);
    }
}

bool client_subscribes(const struct redis *r)
{
    return r->ops->on_message;
}

void client_orphan(struct redis *r)
{
    r->conn = NULL;
}

size_t clients_left(void)
{
    return handles;
}
