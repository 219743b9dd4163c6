#include <stdio.h>
#include <time.h>

#include "common/mem.h"
#include "server/ctl/top.h"

enum {
    ANSWER_MAX = 1024 * 1024,
    ANSWER_MS = 3000,
    GONE_MS = 30000, /* a node that DNS does not name any more is shown */
};

static int64_t clock_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *top_node_name(const struct top_node *n)
{
    return n->samples > 0 ? n->now->node : n->url.authority;
}

/* ---- which there are ----------------------------------------------------- */

static struct top_node *add_node(struct top *t, const struct ctl_url *target)
{
    if (t->n == TOP_NODES_MAX)
        return NULL;
    struct top_node *n = mem_zalloc(sizeof(*n));
    n->top = t;
    n->target = target;
    n->url = *target;
    n->now = mem_zalloc(sizeof(*n->now));
    n->before = mem_zalloc(sizeof(*n->before));
    n->http = ctl_http_new(&t->net, &n->url, ANSWER_MAX);
    t->nodes[t->n++] = n;
    return n;
}

static void destroy(void *arg)
{
    struct top_node *n = arg;
    mem_free(n->now);
    mem_free(n->before);
    mem_free(n);
}

static void drop_node(struct top *t, size_t i)
{
    struct top_node *n = t->nodes[i];
    ctl_http_free(n->http);
    loop_bury(t->net.loop, destroy, n);
    for (t->n--; i < t->n; i++)
        t->nodes[i] = t->nodes[i + 1];
}

static struct top_node *find_node(const struct top *t,
                                  const struct ctl_url *target,
                                  const char *address)
{
    for (size_t i = 0; i < t->n; i++) {
        if (t->nodes[i]->target == target && !t->nodes[i]->nameless &&
            strcmp(t->nodes[i]->url.host, address) == 0)
            return t->nodes[i];
    }
    return NULL;
}

/* Nodes that the name does not stand for any more go, once they do not answer
 * either; one without an address stays to say so. */
static void end_search(struct top_search *s)
{
    struct top *t = s->top;
    size_t left = 0;
    for (size_t i = t->n; i-- > 0;) {
        struct top_node *n = t->nodes[i];
        bool gone = s->found > 0 && !n->named && !n->up && n->asked &&
                    clock_ms() - n->down_since_ms > GONE_MS;
        if (n->target != s->target)
            continue;
        if (gone || (n->nameless && s->found > 0))
            drop_node(t, i);
        else
            left++;
    }
    struct top_node *n = left == 0 ? add_node(t, s->target) : NULL;
    if (n)
        n->nameless = true;
}

static void on_address(void *arg, const struct sockaddr *addr, socklen_t len,
                       const char *why)
{
    (void)len;
    (void)why;
    struct top_search *s = arg;
    s->query = NULL;
    if (!addr) {
        end_search(s);
        return;
    }
    struct ctl_url url = *s->target;
    if (!ctl_target_at(&url, addr))
        return;
    struct top_node *n = find_node(s->top, s->target, url.host);
    if (!n)
        n = add_node(s->top, s->target);
    if (!n)
        return;
    s->found++;
    n->named = true;
    n->url = url;
}

void top_search(struct top *t)
{
    for (size_t i = 0; i < t->options.targets.n; i++) {
        struct top_search *s = &t->searches[i];
        if (s->query)
            continue;
        *s = (struct top_search){.top = t, .target = &t->options.targets.v[i]};
        for (size_t k = 0; k < t->n; k++) {
            if (t->nodes[k]->target == s->target)
                t->nodes[k]->named = false;
        }
        struct resolver_query *q = resolver_find_all(
            t->net.resolver, s->target->host, s->target->port, on_address, s);
        if (q)
            s->query = q;
    }
}

/* ---- asking -------------------------------------------------------------- */

static void failed(struct top_node *n, const char *why)
{
    if (n->up || !n->asked)
        n->down_since_ms = clock_ms();
    n->asked = true;
    n->up = false;
    n->n_slow = 0;
    (void)snprintf(n->why, sizeof(n->why), "%s", why);
}

static void on_slow(void *arg, const struct ctl_answer *a,
                    const struct ctl_fault *why)
{
    struct top_node *n = arg;
    (void)why;
    int found = a && a->status == 200 ? top_slow_read(n->slow, a->body) : 0;
    n->n_slow = found > 0 ? (size_t)found : 0;
}

static void took(struct top_node *n)
{
    n->asked = n->up = true;
    if (n->samples > 0 && !top_sample_follows(n->now, n->before))
        n->samples = 0; /* another process */
    if (n->samples < 2)
        n->samples++;
}

static void on_state(void *arg, const struct ctl_answer *a,
                     const struct ctl_fault *why)
{
    struct top_node *n = arg;
    struct top_sample *spare = n->before;
    char text[64];
    if (!a) {
        failed(n, why->text);
        return;
    }
    if (a->status != 200) {
        (void)snprintf(text, sizeof(text),
                       "/debug/state is answered with %u: no admin listener?",
                       a->status);
        failed(n, text);
        return;
    }
    if (top_sample_read(spare, a->body, loop_clock_us()) < 0) {
        failed(n, "/debug/state makes no sense");
        if (n->samples > 1)
            n->samples = 1; /* the one before is lost */
        return;
    }
    n->before = n->now;
    n->now = spare;
    took(n);
    struct ctl_request r = {.verb = "GET",
                            .target = STR("/debug/slow?n=20"),
                            .timeout_ms = ANSWER_MS};
    ctl_http_send(n->http, &r, on_slow, n);
}

void top_ask(struct top *t)
{
    struct ctl_request r = {
        .verb = "GET", .target = STR("/debug/state"), .timeout_ms = ANSWER_MS};
    for (size_t i = 0; i < t->n; i++) {
        if (!ctl_http_busy(t->nodes[i]->http))
            ctl_http_send(t->nodes[i]->http, &r, on_state, t->nodes[i]);
    }
}

bool top_busy(const struct top *t)
{
    for (size_t i = 0; i < t->options.targets.n; i++) {
        if (t->searches[i].query)
            return true;
    }
    for (size_t i = 0; i < t->n; i++) {
        if (ctl_http_busy(t->nodes[i]->http))
            return true;
    }
    return false;
}

void top_forget(struct top *t)
{
    for (size_t i = 0; i < t->options.targets.n; i++) {
        if (t->searches[i].query)
            resolver_cancel(t->searches[i].query);
    }
    while (t->n > 0)
        drop_node(t, t->n - 1);
}
