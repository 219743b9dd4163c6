#include "server/ctl/conn.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/mem.h"

enum { LINGER_MS = 500 };

struct ctl_conn {
    const struct ctl_net *net;
    const struct ctl_url *url;
    const struct ctl_conn_ops *ops;
    void *arg;
    struct resolver_query *query;
    struct stream *stream;
    struct stream_io *io; /* NULL without TLS */
    struct timer begin;   /* first the start, then the deadline */
    bool ended;           /* the stream is of no more use */
};

void ctl_net_open(struct ctl_net *net, uint32_t connect_ms)
{
    (void)signal(SIGPIPE, SIG_IGN);
    net->loop = loop_new();
    net->resolver = resolver_new(net->loop);
    net->connect_ms = connect_ms;
}

void ctl_net_close(struct ctl_net *net)
{
    /* Good-byes are in the streams' hands. */
    uint64_t end = loop_now(net->loop) + LINGER_MS;
    do
        loop_turn(net->loop, 10);
    while (stream_lingering() > 0 && loop_now(net->loop) < end);
    stream_abort_lingering();
    loop_turn(net->loop, 0);
    resolver_free(net->resolver);
    loop_turn(net->loop, 0);
    tls_free(net->tls);
    loop_free(net->loop);
}

struct ctl_fault ctl_fault(enum ctl_fault_kind kind, const char *fmt, ...)
{
    struct ctl_fault f = {.kind = kind};
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(f.text, sizeof(f.text), fmt, ap);
    va_end(ap);
    return f;
}

/* The owner frees it, inside. */
static void end(struct ctl_conn *c, struct ctl_fault why)
{
    c->ended = true;
    timer_stop(&c->begin);
    c->ops->on_end(c->arg, &why);
}

static void on_deadline(struct timer *t)
{
    struct ctl_conn *c = container_of(t, struct ctl_conn, begin);
    end(c, ctl_fault(FAULT_TIMEOUT, "%s did not answer within %.1f s",
                     c->stream ? c->url->authority : "the name server",
                     c->net->connect_ms / 1000.0));
}

static void on_data(struct stream *s, void *owner, struct str data)
{
    (void)s;
    struct ctl_conn *c = owner;
    c->ops->on_data(c->arg, data);
}

static void on_connect(struct stream *s, void *owner)
{
    struct ctl_conn *c = owner;
    timer_stop(&c->begin);
    if (c->url->secure) {
        struct tls_peer peer = {c->net->tls, c->url->host};
        c->io = stream_wrap(s, tls_connect, &peer);
    }
    c->ops->on_open(c->arg);
}

static struct ctl_fault tls_fault(const struct ctl_conn *c, bool opening,
                                  int error)
{
    bool untrusted = false;
    const char *why = tls_reason(c->io, &untrusted);
    if (untrusted)
        return ctl_fault(FAULT_UNTRUSTED, "%s", why);
    if (opening)
        return ctl_fault(FAULT_TLS, "no TLS handshake: %s",
                         why     ? why
                         : error ? strerror(error)
                                 : "the connection was closed");
    return ctl_fault(FAULT_RESET, "the connection broke: %s",
                     why ? why : strerror(error));
}

static void on_end(struct stream *s, void *owner, int error)
{
    (void)s;
    struct ctl_conn *c = owner;
    bool connecting = timer_running(&c->begin);
    bool opening = c->io && c->io->opening;
    if (connecting)
        end(c, ctl_fault(FAULT_CONNECT, "%s: %s", c->url->authority,
                         strerror(error)));
    else if (c->io && (opening || error))
        end(c, tls_fault(c, opening, error));
    else if (error)
        end(c, ctl_fault(FAULT_RESET, "the connection broke: %s",
                         strerror(error)));
    else
        end(c, ctl_fault(FAULT_CLOSED, "the connection was closed"));
}

static const struct stream_ops stream_ops = {
    .on_data = on_data, .on_end = on_end, .on_connect = on_connect};

static void on_address(void *arg, const struct sockaddr *addr, socklen_t len,
                       const char *why)
{
    struct ctl_conn *c = arg;
    c->query = NULL;
    if (!addr) {
        end(c,
            ctl_fault(FAULT_NAME, "%s has no address: %s", c->url->host, why));
        return;
    }
    c->stream = stream_connect(c->net->loop, addr, len, &stream_ops, c);
    if (!c->stream)
        end(c, ctl_fault(FAULT_CONNECT, "%s: %s", c->url->authority,
                         strerror(errno)));
}

static void on_begin(struct timer *t)
{
    struct ctl_conn *c = container_of(t, struct ctl_conn, begin);
    t->fire = on_deadline;
    loop_timer(c->net->loop, t, c->net->connect_ms);
    struct resolver_query *q = resolver_find(c->net->resolver, c->url->host,
                                             c->url->port, on_address, c);
    /* NULL: it was answered inside, and `c` may be gone. */
    if (q)
        c->query = q;
}

struct ctl_conn *ctl_conn_new(const struct ctl_net *net,
                              const struct ctl_url *url,
                              const struct ctl_conn_ops *ops, void *arg)
{
    struct ctl_conn *c = mem_zalloc(sizeof(*c));
    c->net = net;
    c->url = url;
    c->ops = ops;
    c->arg = arg;
    timer_init(&c->begin, on_begin);
    loop_timer(net->loop, &c->begin, 0);
    return c;
}

void ctl_conn_set_owner(struct ctl_conn *c, const struct ctl_conn_ops *ops,
                        void *arg)
{
    c->ops = ops;
    c->arg = arg;
}

void ctl_conn_send(struct ctl_conn *c, struct bytes *b)
{
    stream_send(c->stream, b);
}

size_t ctl_conn_queued(const struct ctl_conn *c)
{
    return c->stream ? stream_queued(c->stream) : 0;
}

bool ctl_conn_secured(const struct ctl_conn *c)
{
    return c->io && !c->io->opening;
}

void ctl_conn_free(struct ctl_conn *c)
{
    if (!c)
        return;
    timer_stop(&c->begin);
    if (c->query)
        resolver_cancel(c->query);
    if (c->stream && c->ended)
        stream_abort(c->stream);
    else if (c->stream)
        stream_close(c->stream, LINGER_MS);
    mem_free(c);
}
