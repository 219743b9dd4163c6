/* What the nodes say of themselves: asked through the balancer until no new
 * ones answer, and past it where the operator has named them. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/log.h"
#include "server/ctl/doctor.h"
#include "server/ctl/node_table.h"

enum {
    QUIET_ASKS = 6,  /* answers in a row without a new node */
    BLIND_ASKS = 24, /* the same, where nodes cannot be asked one by one */
    MORE_SLOTS = 8,  /* tried beyond the nodes that are known */
    LOOK_AGAIN_MS = 1000,
    SKEW_MS = 1000,
    DATE_SKEW_MS = 2000, /* a Date header has whole seconds */
    NAMES_BYTES = 700,   /* of a line */
};

struct visit {
    struct doctor *d;
    struct node_table table;
    struct str slots;
    int64_t date_ahead_ms; /* of some answer that had no more than a date */
    bool dated;
};

/* ---- asking -------------------------------------------------------------- */

static void take_date(struct visit *v, const struct doctor_reply *r)
{
    struct str date;
    struct tm tm = {0};
    char text[64];
    if (!ctl_answer_header(&r->answer, STR("date"), &date) ||
        date.len >= sizeof(text))
        return;
    memcpy(text, date.p, date.len);
    text[date.len] = '\0';
    if (!strptime(text, "%a, %d %b %Y %H:%M:%S GMT", &tm))
        return;
    v->dated = true;
    v->date_ahead_ms =
        (int64_t)timegm(&tm) * 1000 + 500 - (r->asked_ms + r->came_ms) / 2;
}

/* 1: a new node; 0: a known one; below 0: no node. */
static int ask(struct visit *v, const struct ctl_url *url, struct str target,
               struct doctor_reply *r)
{
    struct ctl_request request = {.verb = "GET",
                                  .target = target,
                                  .headers = STR("Connection: close\r\n")};
    doctor_ask(v->d, url, &request, r);
    if (!r->answered)
        return ERR_IO;
    int rc = node_table_take(&v->table, r->answer.body, r->answer.status,
                             r->asked_ms, r->came_ms);
    if (rc == ERR_PROTO)
        take_date(v, r);
    return rc;
}

static int ask_balancer(struct visit *v, struct str target)
{
    struct doctor_reply r;
    int rc = ask(v, &v->d->options.url, target, &r);
    doctor_reply_fini(&r);
    return rc;
}

static void ask_anyone(struct visit *v)
{
    int most = v->slots.len > 0 ? QUIET_ASKS : BLIND_ASKS;
    for (int quiet = 0; quiet < most && doctor_left(v->d) > 0;) {
        int rc = ask_balancer(v, STR("/readyz"));
        quiet = rc > 0 ? 0 : quiet + 1;
        if (rc < 0 && v->table.n == 0)
            return;
    }
}

/* Of nodes that have been heard of, one way or the other. */
static size_t known(const struct visit *v)
{
    size_t most = v->table.n;
    for (size_t i = 0; i < v->table.n; i++) {
        struct str peers = buf_str(&v->table.v[i].peers), name;
        size_t n = 1;
        while (peers.len > 0 && str_next(&peers, '\n', &name))
            n++;
        most = n > most ? n : most;
    }
    return most;
}

/* A session id names its node's slot, and the balancer goes by it: so each slot
 * can be asked, also one that is given no new clients. */
static void ask_slots(struct visit *v)
{
    for (size_t i = 1; v->slots.len > 0 && i <= known(v) + MORE_SLOTS &&
                       i <= NODES_MAX && doctor_left(v->d) > 0;
         i++) {
        char target[CTL_SID_MAX + 64];
        (void)snprintf(target, sizeof(target), "/readyz?sid=doctor.%.*s%zu",
                       STR_ARG(v->slots), i);
        (void)ask_balancer(v, str_of(target));
    }
}

static void node_is_silent(struct visit *v, const struct ctl_url *url,
                           const struct doctor_reply *r)
{
    struct doctor *d = v->d;
    if (r->answered)
        doctor_wrong(d,
                     "node: %s answers /readyz with %u and is no node of "
                     "confab: is the URL right?",
                     url->authority, r->answer.status);
    else if (r->why.kind == FAULT_CONNECT || r->why.kind == FAULT_NAME ||
             r->why.kind == FAULT_TIMEOUT || !doctor_tls_mismatch(d, url))
        doctor_wrong(d, "node: %s does not answer /readyz: %s: does it run?",
                     url->authority, r->why.text);
}

static void ask_named(struct visit *v, bool again)
{
    const struct doctor_options *o = &v->d->options;
    for (size_t i = 0; i < o->n_nodes; i++) {
        struct ctl_url url;
        struct doctor_reply r;
        const char *why;
        if (ctl_url_parse(&url, o->nodes[i], &why) < 0)
            continue;
        if (ask(v, &url, STR("/readyz"), &r) < 0 && !again)
            node_is_silent(v, &url, &r);
        doctor_reply_fini(&r);
    }
}

static void collect(struct visit *v, bool again)
{
    ask_anyone(v);
    ask_slots(v);
    ask_named(v, again);
}

/* ---- ready, and with Redis ----------------------------------------------- */

static bool waits_for_redis(const struct node_state *n, const void *arg)
{
    (void)arg;
    return !node_ready(n) && node_degraded(n);
}

static bool is_degraded(const struct node_state *n, const void *arg)
{
    (void)arg;
    return node_ready(n) && node_degraded(n);
}

static bool is_out(const struct node_state *n, const void *arg)
{
    (void)arg;
    return !node_ready(n) && !node_degraded(n);
}

static bool has_memory(const struct node_state *n, const void *arg)
{
    (void)arg;
    return strcmp(n->adapter, "memory") == 0;
}

/* Those that are `right`, in a sentence with one place for their names. */
static void tell(struct visit *v, node_is_fn *right, const char *what,
                 const char *change)
{
    struct buf names;
    buf_init(&names, NAMES_BYTES);
    if (node_names(&v->table, right, NULL, &names) > 0)
        doctor_wrong(v->d, "%s: %.*s%s", what, STR_ARG(buf_str(&names)),
                     change);
    buf_fini(&names);
}

static void judge_ready(struct visit *v)
{
    tell(v, is_out, "not ready",
         ": no new clients (/readyz: 503): being stopped, or the log says why");
    tell(v, waits_for_redis, "not ready",
         ": no new clients while without Redis (/readyz: 503, degraded): does "
         "it run, and is redis.url right there?");
    tell(v, is_degraded, "Redis",
         ": no connection (/readyz: degraded), so that messages do not pass "
         "between nodes: does it run, and is redis.url right there?");
    if (v->table.n > 1)
        tell(v, has_memory, "no cluster",
             ": adapter memory, so that messages stay on their node: set "
             "redis.url");
}

/* ---- one cluster --------------------------------------------------------- */

static const char *prefix_of(const struct node_state *n)
{
    return n->prefix;
}

static const char *redis_of(const struct node_state *n)
{
    return n->redis;
}

/* A digest that not all of them have, and which of them is the usual one. */
struct trait {
    const char *(*of)(const struct node_state *n);
    const char *usual;
};

static bool is_usual(const struct node_state *n, const void *arg)
{
    const struct trait *t = arg;
    return node_joined(n) && strcmp(t->of(n), t->usual) == 0;
}

static bool is_odd(const struct node_state *n, const void *arg)
{
    return node_joined(n) && !is_usual(n, arg);
}

static size_t count(const struct node_table *t, const struct trait *trait)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++)
        n += is_usual(&t->v[i], trait);
    return n;
}

/* Whether the nodes differ in it. */
static bool differ(const struct node_table *t, struct trait *trait)
{
    size_t most = 0, joined = 0;
    for (size_t i = 0; i < t->n; i++) {
        if (!node_joined(&t->v[i]))
            continue;
        struct trait other = {trait->of, trait->of(&t->v[i])};
        size_t n = count(t, &other);
        joined++;
        if (n > most) {
            most = n;
            *trait = other;
        }
    }
    return most < joined;
}

/* Two nodes of which one does not hear the other. */
static bool deaf_pair(const struct node_table *t, const struct node_state **a,
                      const struct node_state **b)
{
    for (size_t i = 0; i < t->n; i++) {
        for (size_t k = 0; k < t->n; k++) {
            *a = &t->v[i];
            *b = &t->v[k];
            if (i != k && node_joined(*a) && node_joined(*b) &&
                !node_hears(*a, str_of((*b)->name)))
                return true;
        }
    }
    return false;
}

static void judge_cluster(struct visit *v)
{
    const struct node_state *a, *b;
    struct trait prefix = {prefix_of, ""}, redis = {redis_of, ""};
    struct buf odd, usual;
    if (!deaf_pair(&v->table, &a, &b))
        return;
    bool two_prefixes = differ(&v->table, &prefix);
    bool two_redis = differ(&v->table, &redis);
    const struct trait *t = two_prefixes ? &prefix : &redis;
    buf_init(&odd, NAMES_BYTES / 2);
    buf_init(&usual, NAMES_BYTES / 2);
    (void)node_names(&v->table, is_odd, t, &odd);
    (void)node_names(&v->table, is_usual, t, &usual);
    if (two_prefixes || two_redis)
        doctor_wrong(v->d,
                     "%s: %.*s: another %s than %.*s: they do not hear each "
                     "other, so that messages do not pass: give all nodes the "
                     "same %s",
                     two_prefixes ? "two prefixes" : "two Redis",
                     STR_ARG(buf_str(&odd)),
                     two_prefixes ? "redis.prefix" : "redis.url",
                     STR_ARG(buf_str(&usual)),
                     two_prefixes ? "redis.prefix" : "redis.url");
    else
        doctor_wrong(v->d,
                     "deaf: %s does not hear %s, though Redis and prefix are "
                     "the same: see redis_deaf and presence in their logs, and "
                     "whether Redis restricts channels (ACL)",
                     a->name, b->name);
    buf_fini(&odd);
    buf_fini(&usual);
}

/* ---- in rotation --------------------------------------------------------- */

/* Names that others hear and that did not answer. */
static size_t missing(const struct visit *v, struct buf *out)
{
    struct str seen = STR("\n");
    struct buf all;
    size_t n = 0;
    buf_init(&all, UINT32_MAX);
    buf_add(&all, seen);
    for (size_t i = 0; i < v->table.n; i++) {
        struct str peers = buf_str(&v->table.v[i].peers), name;
        if (!node_joined(&v->table.v[i]))
            continue;
        while (peers.len > 0 && str_next(&peers, '\n', &name)) {
            char line[NODE_NAME_MAX + 3];
            (void)snprintf(line, sizeof(line), "\n%.*s\n", STR_ARG(name));
            if (node_table_find(&v->table, name) ||
                memmem(buf_str(&all).p, all.len, line, strlen(line)))
                continue;
            buf_add(&all, str_from(str_of(line), 1));
            buf_add(out, n++ ? STR(", ") : STR(""));
            buf_add(out, name);
        }
    }
    buf_fini(&all);
    return n;
}

/* A balancer by which nodes cannot be asked one by one may have left one out by
 * chance: no answer proves nothing then. */
static void judge_rotation(struct visit *v)
{
    struct buf names;
    if (v->slots.len == 0)
        return;
    buf_init(&names, NAMES_BYTES);
    if (missing(v, &names) > 0)
        doctor_wrong(v->d,
                     "not ready: %.*s: in the cluster, but sent nothing by the "
                     "balancer: see its state there, and whether its /readyz "
                     "answers",
                     STR_ARG(buf_str(&names)));
    buf_fini(&names);
}

/* ---- clocks -------------------------------------------------------------- */

static void add_skew(struct buf *out, const char *whose, int64_t ms)
{
    buf_fmt(out, "%s%s is %.1f s %s", out->len ? ", " : "", whose,
            (double)llabs(ms) / 1000.0, ms > 0 ? "ahead" : "behind");
}

static void judge_clocks(struct visit *v)
{
    struct buf out;
    int64_t right = node_table_time(&v->table);
    buf_init(&out, NAMES_BYTES);
    for (size_t i = 0; i < v->table.n; i++) {
        const struct node_state *n = &v->table.v[i];
        int64_t off = n->ahead_ms - right;
        if (n->timed && llabs(off) > SKEW_MS + n->rtt_ms / 2)
            add_skew(&out, n->name, off);
    }
    if (llabs(right) > SKEW_MS)
        add_skew(&out, "this machine", -right);
    if (v->table.n == 0 && v->dated && llabs(v->date_ahead_ms) > DATE_SKEW_MS)
        add_skew(&out, "the server", v->date_ahead_ms);
    if (out.len > 0)
        doctor_wrong(v->d,
                     "clock: %.*s (by the time in answers): let a time service "
                     "(chrony, systemd-timesyncd) set it",
                     STR_ARG(buf_str(&out)));
    buf_fini(&out);
}

/* ---- all of it ----------------------------------------------------------- */

static void tell_nodes(const struct visit *v)
{
    for (size_t i = 0; i < v->table.n; i++) {
        const struct node_state *n = &v->table.v[i];
        doctor_right(v->d, "%s: %s, adapter %s, clock %+.2f s", n->name,
                     n->status, n->adapter, (double)n->ahead_ms / 1000.0);
    }
    if (v->table.n == 0)
        doctor_right(v->d, "no node of confab answers /readyz through the "
                           "balancer: name them with --node to have them "
                           "compared");
}

/* Nodes that have just started have not heard of each other yet. */
static bool unsettled(const struct visit *v)
{
    const struct node_state *a, *b;
    struct buf names;
    buf_init(&names, UINT32_MAX);
    bool yes = deaf_pair(&v->table, &a, &b) ||
               (v->slots.len > 0 && missing(v, &names) > 0);
    buf_fini(&names);
    return yes;
}

unsigned doctor_nodes(struct doctor *d, struct str slots)
{
    struct visit v = {.d = d, .slots = slots};
    unsigned before = d->wrong;
    bool never = false;
    node_table_init(&v.table);
    collect(&v, false);
    if (unsettled(&v)) {
        (void)doctor_wait(d, &never, LOOK_AGAIN_MS);
        collect(&v, true);
    }
    judge_ready(&v);
    judge_cluster(&v);
    judge_rotation(&v);
    judge_clocks(&v);
    if (d->wrong == before)
        tell_nodes(&v);
    d->n_nodes = v.table.n;
    node_table_fini(&v.table);
    return d->wrong - before;
}
