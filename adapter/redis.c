#include "adapter/redis.h"

#include <assert.h>
#include <errno.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <sys/un.h>

#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/stream.h"

enum {
    WAIT_MIN_MS = 100,
    WAIT_MAX_MS = 3000,
    STEP_MS = 3000,   /* to resolve, to connect, to sign in: for each */
    STABLE_MS = 3000, /* up for so long: the next loss is a new story */
    IDLE_MS = 5000,
    REPLY_MS = 10000,
    BYE_MS = 500,
    REASON_MAX = 160,
    SELF_MAX = 128, /* of a client's id or address, as Redis writes them */
    LOGS_PER_MINUTE = 4,
};

enum state {
    WAITING,
    RESOLVING,
    CONNECTING,
    GREETING,
    UP,
    CLOSED,
};

#define BIT(n) (1U << (n))

static const uint8_t moves[CLOSED + 1] = {
    [WAITING] = BIT(RESOLVING) | BIT(CLOSED),
    [RESOLVING] = BIT(CONNECTING) | BIT(WAITING) | BIT(CLOSED),
    [CONNECTING] = BIT(GREETING) | BIT(WAITING) | BIT(CLOSED),
    [GREETING] = BIT(UP) | BIT(WAITING) | BIT(CLOSED),
    [UP] = BIT(WAITING) | BIT(CLOSED),
};

struct pending {
    redis_reply_fn *done;
    void *arg;
    uint32_t bytes;
};

struct redis {
    struct loop *loop;
    struct resolver *resolver;
    struct redis_settings settings;
    char *client_name;
    const struct redis_ops *ops;
    void *owner;
    enum state state;
    struct timer timer; /* of the state */
    struct loop_task reap;

    struct resolver_query *query;
    struct stream *stream;
    struct resp resp;

    struct pending *fifo; /* ring; `cap` is a power of two */
    uint32_t first, count, cap;
    size_t unanswered;

    /* How Redis knows the last connection that was up; empty: it is not
     * known. */
    char self_id[SELF_MAX], self_address[SELF_MAX];

    uint32_t failures; /* in a row */
    uint64_t up_ms, heard_ms, asked_ms;
    char reason[REASON_MAX];
    struct log_gate up_gate, failure_gate, error_gate;
};

/* ---- replies that are waited for ----------------------------------------- */

static void expect(struct redis *r, struct pending p)
{
    if (r->count == r->cap) {
        uint32_t cap = r->cap ? r->cap * 2 : 16;
        struct pending *ring = mem_alloc(cap * sizeof(ring[0]));
        for (uint32_t i = 0; i < r->count; i++)
            ring[i] = r->fifo[(r->first + i) & (r->cap - 1)];
        mem_free(r->fifo);
        r->fifo = ring;
        r->first = 0;
        r->cap = cap;
    }
    r->fifo[(r->first + r->count) & (r->cap - 1)] = p;
    r->unanswered += p.bytes;
    if (r->count++ == 0)
        r->asked_ms = loop_now(r->loop);
}

static struct pending take(struct redis *r)
{
    assert(r->count > 0);
    struct pending p = r->fifo[r->first];
    r->first = (r->first + 1) & (r->cap - 1);
    r->count--;
    r->unanswered -= p.bytes;
    return p;
}

size_t redis_unanswered_bytes(const struct redis *r)
{
    return r->unanswered;
}

size_t redis_unanswered(const struct redis *r)
{
    return r->count;
}

/* When the silence began: with what was last heard, or with the question. */
static uint64_t silent_since(const struct redis *r)
{
    return r->count > 0 && r->asked_ms > r->heard_ms ? r->asked_ms
                                                     : r->heard_ms;
}

uint64_t redis_owes_ms(const struct redis *r)
{
    return r->count > 0 ? loop_now(r->loop) - silent_since(r) : 0;
}

/* ---- states -------------------------------------------------------------- */

static uint64_t backoff_ms(uint32_t failures)
{
    uint32_t cap = WAIT_MAX_MS;
    if (failures < 5)
        cap = 2U * WAIT_MIN_MS << failures;
    if (cap > WAIT_MAX_MS)
        cap = WAIT_MAX_MS;
    return WAIT_MIN_MS + id_below(cap - WAIT_MIN_MS + 1);
}

static uint64_t state_ms(const struct redis *r)
{
    if (r->state == WAITING)
        return backoff_ms(r->failures);
    return r->state == UP ? IDLE_MS : STEP_MS;
}

static void set_state(struct redis *r, enum state to)
{
    assert(moves[r->state] & BIT(to));
    r->state = to;
    timer_stop(&r->timer);
    if (to != CLOSED)
        loop_timer(r->loop, &r->timer, state_ms(r));
}

bool redis_is_up(const struct redis *r)
{
    return r->state == UP;
}

uint64_t redis_heard_ms(const struct redis *r)
{
    return r->heard_ms;
}

void redis_local(const struct redis *r, char out[STREAM_ADDR_MAX])
{
    out[0] = '\0';
    if (r->stream)
        stream_local(r->stream, out);
}

static void let_go(struct redis *r)
{
    if (r->query)
        resolver_cancel(r->query);
    if (r->stream)
        stream_abort(r->stream);
    r->query = NULL;
    r->stream = NULL;
}

/* What lasted is worth a line each time it ends, what fails again and again is
 * not. */
static void log_loss(struct redis *r, bool was_up, bool stable)
{
    const struct redis_url *url = r->settings.url;
    if (!stable &&
        !log_allow(&r->failure_gate, loop_now(r->loop), LOGS_PER_MINUTE))
        return;
    log_warn(was_up ? "redis_lost" : "redis_unreachable",
             "role=%s host=%s port=%u attempts=%u reason=%s", r->settings.role,
             log_safe(str_of(url->host)), url->port, r->failures + 1,
             log_safe(str_of(r->reason)));
}

/* Nothing that is called from here may rely on the connection: its owner may
 * close it in any of the callbacks. */
static void lose(struct redis *r, const char *reason)
{
    assert(r->state != WAITING && r->state != CLOSED);
    bool was_up = r->state == UP;
    bool stable = was_up && loop_now(r->loop) - r->up_ms >= STABLE_MS;
    (void)snprintf(r->reason, sizeof(r->reason), "%s", reason);
    let_go(r);
    if (stable)
        r->failures = 0;
    log_loss(r, was_up, stable);
    set_state(r, WAITING);
    r->failures++;
    while (r->count > 0 && r->state == WAITING) {
        struct pending p = take(r);
        if (p.done)
            p.done(p.arg, NULL);
    }
    if (was_up && r->state == WAITING)
        r->ops->on_down(r->owner, r->reason);
}

void redis_drop(struct redis *r, const char *reason)
{
    if (r->state != WAITING && r->state != CLOSED)
        lose(r, reason);
}

/* ---- commands ------------------------------------------------------------ */

struct bytes *redis_format(const struct str *argv, size_t argc)
{
    const char *p[REDIS_ARGS_MAX];
    size_t len[REDIS_ARGS_MAX];
    assert(argc > 0 && argc <= REDIS_ARGS_MAX);
    for (size_t i = 0; i < argc; i++) {
        p[i] = argv[i].p;
        len[i] = argv[i].len;
    }
    char *text = NULL;
    long long n = redisFormatCommandArgv(&text, (int)argc, p, len);
    assert(n > 0);
    struct bytes *b = bytes_new((struct str){text, (size_t)n});
    redisFreeCommand(text);
    return b;
}

static void submit(struct redis *r, struct bytes *command, redis_reply_fn *done,
                   void *arg)
{
    expect(r, (struct pending){done, arg, command->len});
    stream_send(r->stream, command);
}

bool redis_send(struct redis *r, struct bytes *command, redis_reply_fn *done,
                void *arg)
{
    if (r->state != UP)
        return false;
    submit(r, command, done, arg);
    return true;
}

static void order(struct redis *r, const struct str *argv, size_t argc,
                  redis_reply_fn *done, void *arg)
{
    struct bytes *b = redis_format(argv, argc);
    submit(r, b, done, arg);
    bytes_unref(b);
}

bool redis_command(struct redis *r, const struct str *argv, size_t argc,
                   redis_reply_fn *done, void *arg)
{
    if (r->state != UP)
        return false;
    order(r, argv, argc, done, arg);
    return true;
}

static void ignore_reply(void *arg, const struct redis_reply *reply)
{
    (void)arg;
    (void)reply;
}

/* ---- replies ------------------------------------------------------------- */

static void lose_bad(struct redis *r, const char *reason)
{
    metrics_add(M_REDIS_BAD, 1);
    lose(r, reason);
}

/* True when it is something published and no reply. */
static bool deliver(struct redis *r, const struct redis_reply *reply)
{
    if (!r->ops->on_message || reply->type != REPLY_ARRAY || reply->n < 3)
        return false;
    const struct redis_reply *i = reply->items;
    if (str_eq(i[0].text, STR("message")) && reply->n == 3)
        r->ops->on_message(r->owner, STR(""), i[1].text, i[2].text);
    else if (str_eq(i[0].text, STR("pmessage")) && reply->n == 4)
        r->ops->on_message(r->owner, i[1].text, i[2].text, i[3].text);
    else
        return false;
    return true;
}

static void on_reply(struct redis *r, const struct redis_reply *reply)
{
    if (deliver(r, reply))
        return;
    if (r->count == 0) {
        lose_bad(r, "a reply that nobody asked for");
        return;
    }
    struct pending p = take(r);
    if (p.done)
        p.done(p.arg, reply);
    else if (reply->type == REPLY_ERROR &&
             log_allow(&r->error_gate, r->heard_ms, LOGS_PER_MINUTE))
        log_warn("redis_error", "role=%s reply=%s", r->settings.role,
                 log_safe(reply->text));
}

/* Whoever is called may lose the connection, and still look at the reply: what
 * was read of it goes with the next attempt. */
static void on_data(struct stream *s, void *owner, struct str data)
{
    struct redis *r = owner;
    r->heard_ms = loop_now(r->loop);
    resp_feed(&r->resp, data);
    while (r->stream == s) {
        struct redis_reply reply;
        int rc = resp_next(&r->resp, &reply);
        if (rc < 0)
            lose_bad(r, r->resp.why);
        if (rc <= 0)
            return;
        on_reply(r, &reply);
    }
}

/* ---- connecting ---------------------------------------------------------- */

static void on_end(struct stream *s, void *owner, int error)
{
    (void)s;
    lose(owner, error ? strerror(error) : "closed by the other side");
}

static void on_greeted(void *arg, const struct redis_reply *reply)
{
    struct redis *r = arg;
    if (!reply || reply->type != REPLY_ERROR)
        return;
    char why[REASON_MAX];
    (void)snprintf(why, sizeof(why), "refused: %.*s", STR_ARG(reply->text));
    lose(r, why);
}

static void on_ready(void *arg, const struct redis_reply *reply)
{
    struct redis *r = arg;
    if (!reply)
        return;
    if (reply->type == REPLY_ERROR) {
        on_greeted(arg, reply);
        return;
    }
    set_state(r, UP);
    r->up_ms = r->heard_ms;
    if (log_allow(&r->up_gate, r->up_ms, LOGS_PER_MINUTE))
        log_info("redis_up", "role=%s host=%s port=%u", r->settings.role,
                 log_safe(str_of(r->settings.url->host)),
                 r->settings.url->port);
    r->ops->on_up(r->owner);
}

/* The value of `key` ("id=") in a line of CLIENT INFO. */
static void copy_field(char out[SELF_MAX], struct str line, const char *key)
{
    struct str field;
    size_t n = strlen(key);
    out[0] = '\0';
    while (str_next(&line, ' ', &field)) {
        if (field.len > n && field.len < n + SELF_MAX &&
            memcmp(field.p, key, n) == 0) {
            (void)snprintf(out, SELF_MAX, "%.*s", STR_ARG(str_from(field, n)));
            return;
        }
    }
}

static void on_self(void *arg, const struct redis_reply *reply)
{
    struct redis *r = arg;
    if (!reply)
        return;
    struct str line = reply->type == REPLY_TEXT ? reply->text : STR("");
    copy_field(r->self_id, line, "id=");
    copy_field(r->self_address, line, "addr=");
}

/* What was written to the connection before may still wait in Redis or on the
 * way, to be executed whenever that wakes up: behind our next commands, if
 * nobody ends it. The address is there because ids begin anew with each Redis:
 * that id may be somebody else by now. */
static void end_predecessor(struct redis *r)
{
    if (!r->self_id[0] || !r->self_address[0])
        return;
    struct str kill[] = {STR("CLIENT"), STR("KILL"),
                         STR("ID"),     str_of(r->self_id),
                         STR("ADDR"),   str_of(r->self_address)};
    order(r, kill, 6, ignore_reply, NULL);
}

/* All in one go: replies come in order, and the first refusal ends it. The
 * last one also tells whether Redis has loaded its data and serves. */
static void on_connect(struct stream *s, void *owner)
{
    (void)s;
    struct redis *r = owner;
    const struct redis_url *url = r->settings.url;
    set_state(r, GREETING);
    if (url->password && url->user) {
        struct str auth[] = {STR("AUTH"), str_of(url->user),
                             str_of(url->password)};
        order(r, auth, 3, on_greeted, r);
    } else if (url->password) {
        struct str auth[] = {STR("AUTH"), str_of(url->password)};
        order(r, auth, 2, on_greeted, r);
    }
    if (url->db > 0) {
        char db[16];
        (void)snprintf(db, sizeof(db), "%u", url->db);
        struct str select[] = {STR("SELECT"), str_of(db)};
        order(r, select, 2, on_greeted, r);
    }
    /* Only to be found in CLIENT LIST; some services do not allow it. */
    struct str name[] = {STR("CLIENT"), STR("SETNAME"), str_of(r->client_name)};
    order(r, name, 3, ignore_reply, NULL);
    end_predecessor(r);
    struct str self[] = {STR("CLIENT"), STR("INFO")};
    order(r, self, 2, on_self, r);
    struct str ping = STR("PING");
    order(r, &ping, 1, on_ready, r);
}

static const struct stream_ops stream_ops = {
    .on_data = on_data,
    .on_end = on_end,
    .on_connect = on_connect,
};

static void on_address(void *arg, const struct sockaddr *addr, socklen_t len,
                       const char *why)
{
    struct redis *r = arg;
    r->query = NULL;
    if (!addr) {
        lose(r, why);
        return;
    }
    set_state(r, CONNECTING);
    r->stream = stream_connect(r->loop, addr, len, &stream_ops, r);
    if (!r->stream)
        lose(r, strerror(errno));
}

/* There is no name to resolve; redis_url has seen to it that the path fits. */
static void open_socket(struct redis *r)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", r->settings.url->host);
    on_address(r, (const struct sockaddr *)&a, sizeof(a), NULL);
}

static void start(struct redis *r)
{
    resp_fini(&r->resp);
    /* What is complete when it comes is never more than one read larger. */
    resp_init(&r->resp, (size_t)r->settings.max_bytes + LOOP_READ_BYTES);
    set_state(r, RESOLVING);
    if (redis_url_is_socket(r->settings.url)) {
        open_socket(r);
        return;
    }
    struct resolver_query *q =
        resolver_find(r->resolver, r->settings.url->host, r->settings.url->port,
                      on_address, r);
    if (r->state == RESOLVING)
        r->query = q;
}

/* One timer for an idle connection: it looks at what has happened since rather
 * than being set back by everything that happens. */
static void watch(struct redis *r)
{
    uint64_t now = loop_now(r->loop);
    uint64_t since = silent_since(r);
    uint64_t limit = r->count > 0 ? REPLY_MS : IDLE_MS;
    if (now - since >= limit && r->count > 0) {
        lose(r, "no reply in time");
        return;
    }
    if (now - since >= limit) {
        struct str ping = STR("PING");
        order(r, &ping, 1, ignore_reply, NULL);
        since = now;
        limit = REPLY_MS;
    }
    loop_timer(r->loop, &r->timer, since + limit - now);
}

static void on_timer(struct timer *t)
{
    struct redis *r = container_of(t, struct redis, timer);
    if (r->state == WAITING)
        start(r);
    else if (r->state == UP)
        watch(r);
    else
        lose(r, r->state == RESOLVING  ? "the name was not resolved in time"
                : r->state == GREETING ? "no greeting in time"
                                       : "no connection in time");
}

/* ---- life ---------------------------------------------------------------- */

static void destroy(struct loop_task *t)
{
    struct redis *r = container_of(t, struct redis, reap);
    resp_fini(&r->resp);
    mem_free(r->fifo);
    mem_free(r->client_name);
    mem_free(r);
}

struct redis *redis_new(struct loop *l, struct resolver *resolver,
                        const struct redis_settings *s,
                        const struct redis_ops *ops, void *owner)
{
    struct redis *r = mem_zalloc(sizeof(*r));
    r->loop = l;
    r->resolver = resolver;
    r->settings = *s;
    r->client_name = mem_strndup(s->client_name, strlen(s->client_name));
    /* Redis refuses names with spaces and control characters. */
    for (char *c = r->client_name; *c; c++) {
        if (*c <= ' ' || *c > '~')
            *c = '-';
    }
    r->ops = ops;
    r->owner = owner;
    r->state = WAITING;
    timer_init(&r->timer, on_timer);
    loop_timer(l, &r->timer, 0);
    loop_task_init(&r->reap, destroy);
    return r;
}

void redis_free(struct redis *r)
{
    if (!r)
        return;
    if (r->state == UP && stream_queued(r->stream) > 0) {
        stream_close(r->stream, BYE_MS);
        r->stream = NULL;
    }
    set_state(r, CLOSED);
    let_go(r);
    loop_reap(r->loop, &r->reap);
}
