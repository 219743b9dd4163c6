#include "server/http/upstream.h"

#include <assert.h>

#include "common/map.h"
#include "common/mem.h"
#include "common/resolver.h"

enum { IDLE_EACH = 32 }; /* connections to one server that wait for requests */

struct upstreams {
    struct loop *loop;
    struct resolver *resolver;
    struct upstream_limits limits;
    struct map servers;
    uint32_t in_use;
};

/* There while there are connections. */
struct server {
    struct map_node by_address;
    struct list idle; /* the last used first */
    uint32_t in_use, n_idle;
    size_t len;
    char address[];
};

struct upstream {
    struct list link; /* server.idle */
    struct upstreams *all;
    struct server *server;
    struct stream *stream;
    struct resolver_query *query;
    struct timer timer; /* until it is open; of an idle one */
    const struct upstream_ops *ops;
    void *owner;
    bool open;
};

static struct str address_key(const struct map_node *n)
{
    const struct server *s = const_container_of(n, struct server, by_address);
    return (struct str){s->address, s->len};
}

/* ---- servers ------------------------------------------------------------- */

static struct server *server_of(struct upstreams *all, struct str address)
{
    struct map_node *n = map_get(&all->servers, address);
    if (n)
        return container_of(n, struct server, by_address);
    struct server *s = mem_zalloc(sizeof(*s) + address.len);
    s->len = address.len;
    memcpy(s->address, address.p, address.len);
    list_init(&s->idle);
    map_put(&all->servers, &s->by_address);
    return s;
}

static void server_rest(struct upstreams *all, struct server *s)
{
    if (s->in_use > 0 || s->n_idle > 0)
        return;
    map_remove(&all->servers, &s->by_address);
    mem_free(s);
}

static void use(struct upstream *up, bool begins)
{
    if (begins) {
        up->all->in_use++;
        up->server->in_use++;
    } else {
        up->all->in_use--;
        up->server->in_use--;
    }
}

/* No longer in use, and not idle. */
static void upstream_free(struct upstream *up)
{
    timer_stop(&up->timer);
    server_rest(up->all, up->server);
    mem_free(up);
}

/* ---- idle ones ----------------------------------------------------------- */

static void leave_idle(struct upstream *up)
{
    list_remove(&up->link);
    up->server->n_idle--;
    timer_stop(&up->timer);
}

static void idle_end(struct upstream *up)
{
    leave_idle(up);
    stream_abort(up->stream);
    upstream_free(up);
}

static void idle_data(struct stream *s, void *owner, struct str data)
{
    (void)s, (void)data;
    idle_end(owner);
}

static void idle_closed(struct stream *s, void *owner, int error)
{
    (void)s, (void)error;
    idle_end(owner);
}

static const struct stream_ops idle_ops = {.on_data = idle_data,
                                           .on_end = idle_closed};

void upstream_keep(struct upstream *up)
{
    struct server *s = up->server;
    assert(up->open);
    if (s->n_idle == IDLE_EACH) {
        upstream_abort(up);
        return;
    }
    use(up, false);
    list_insert(s->idle.next, &up->link);
    s->n_idle++;
    stream_pause(up->stream, false);
    stream_set_owner(up->stream, &idle_ops, up);
    loop_timer(up->all->loop, &up->timer, up->all->limits.idle_ms);
}

/* ---- opening ------------------------------------------------------------- */

static void let_go(struct upstream *up)
{
    if (up->query)
        resolver_cancel(up->query);
    if (up->stream)
        stream_abort(up->stream);
    use(up, false);
    upstream_free(up);
}

static void on_timer(struct timer *t)
{
    struct upstream *up = container_of(t, struct upstream, timer);
    if (up->open) {
        idle_end(up);
        return;
    }
    const struct upstream_ops *ops = up->ops;
    void *owner = up->owner;
    let_go(up);
    ops->on_fail(owner);
}

/* Not inside of what the owner calls. */
static void fail_soon(struct upstream *up)
{
    loop_timer(up->all->loop, &up->timer, 0);
}

static void on_connect(struct stream *s, void *owner)
{
    (void)s;
    struct upstream *up = owner;
    timer_stop(&up->timer);
    up->open = true;
    up->ops->on_open(up->owner);
}

static void on_refused(struct stream *s, void *owner, int error)
{
    (void)s, (void)error;
    fail_soon(owner);
}

static const struct stream_ops connect_ops = {.on_end = on_refused,
                                              .on_connect = on_connect};

static void on_resolved(void *arg, const struct sockaddr *addr, socklen_t len,
                        const char *why)
{
    (void)why;
    struct upstream *up = arg;
    up->query = NULL;
    if (addr)
        up->stream = stream_connect(up->all->loop, addr, len, &connect_ops, up);
    if (!up->stream)
        fail_soon(up);
}

/* False when it is no address. */
static bool split(struct str address, struct str *host, uint16_t *port)
{
    size_t at = address.len;
    uint64_t n;
    while (at > 0 && address.p[at - 1] != ':')
        at--;
    if (at < 2 || !str_to_u64(str_from(address, at), UINT16_MAX, &n))
        return false;
    *host = (struct str){address.p, at - 1};
    *port = (uint16_t)n;
    if (host->len > 2 && host->p[0] == '[' && host->p[host->len - 1] == ']')
        *host = (struct str){host->p + 1, host->len - 2};
    return true;
}

static void begin(struct upstream *up, struct str address)
{
    struct str host;
    uint16_t port;
    loop_timer(up->all->loop, &up->timer, up->all->limits.connect_ms);
    if (!split(address, &host, &port)) {
        fail_soon(up);
        return;
    }
    char *name = mem_strndup(host.p, host.len);
    struct resolver_query *q =
        resolver_find(up->all->resolver, name, port, on_resolved, up);
    if (q)
        up->query = q;
    mem_free(name);
}

struct upstream *upstream_open(struct upstreams *all, struct str address,
                               const struct upstream_ops *ops, void *owner)
{
    struct server *s = server_of(all, address);
    if (all->in_use >= all->limits.all || s->in_use >= all->limits.each) {
        server_rest(all, s);
        return NULL;
    }
    struct upstream *up;
    if (s->n_idle > 0) {
        up = container_of(s->idle.next, struct upstream, link);
        leave_idle(up);
    } else {
        up = mem_zalloc(sizeof(*up));
        up->all = all;
        up->server = s;
        list_init(&up->link);
        timer_init(&up->timer, on_timer);
    }
    up->ops = ops;
    up->owner = owner;
    use(up, true);
    if (!up->open)
        begin(up, address);
    return up;
}

struct stream *upstream_stream(const struct upstream *up)
{
    return up->open ? up->stream : NULL;
}

void upstream_abort(struct upstream *up)
{
    let_go(up);
}

void upstream_closed(struct upstream *up)
{
    up->stream = NULL;
    let_go(up);
}

/* ---- all ----------------------------------------------------------------- */

struct upstreams *upstreams_new(struct loop *l,
                                const struct upstream_limits *limits)
{
    struct upstreams *all = mem_zalloc(sizeof(*all));
    all->loop = l;
    all->limits = *limits;
    all->resolver = resolver_new(l);
    map_init(&all->servers, address_key);
    return all;
}

static void collect(struct map_node *n, void *arg)
{
    struct server ***next = arg;
    *(*next)++ = container_of(n, struct server, by_address);
}

void upstreams_free(struct upstreams *all)
{
    if (!all)
        return;
    assert(all->in_use == 0);
    size_t n = all->servers.count;
    struct server **servers = mem_alloc((n + 1) * sizeof(struct server *));
    struct server **next = servers;
    map_each(&all->servers, collect, &next);
    for (size_t i = 0; i < n; i++) {
        /* The server goes with its last one. */
        for (uint32_t left = servers[i]->n_idle; left > 0; left--)
            idle_end(
                container_of(servers[i]->idle.next, struct upstream, link));
    }
    mem_free(servers);
    map_fini(&all->servers);
    resolver_free(all->resolver);
    mem_free(all);
}
