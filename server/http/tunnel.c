#include "server/http/tunnel.h"

#include "common/mem.h"

enum { LINGER_MS = 2000 };

struct end {
    struct tunnel *tunnel;
    struct stream *stream;
    enum metric bytes;
    struct timer stall; /* runs while it does not keep up */
    size_t queued;      /* when that was looked at last */
};

struct tunnel {
    struct end end[2];
    uint32_t stall_ms;
    tunnel_fn *on_end;
    void *arg;
};

static struct end *other(struct end *e)
{
    struct tunnel *t = e->tunnel;
    return e == &t->end[0] ? &t->end[1] : &t->end[0];
}

static void tunnel_free(struct tunnel *t)
{
    timer_stop(&t->end[0].stall);
    timer_stop(&t->end[1].stall);
    mem_free(t);
}

/* Its streams are closed. */
static void over(struct tunnel *t)
{
    tunnel_fn *on_end = t->on_end;
    void *arg = t->arg;
    tunnel_free(t);
    on_end(arg);
}

static void watch(struct end *e)
{
    e->queued = stream_queued(e->stream);
    loop_timer(stream_loop(e->stream), &e->stall, e->tunnel->stall_ms);
}

static void on_stall(struct timer *timer)
{
    struct end *e = container_of(timer, struct end, stall);
    struct tunnel *t = e->tunnel;
    if (stream_queued(e->stream) < e->queued) {
        watch(e);
        return;
    }
    stream_abort(t->end[0].stream);
    stream_abort(t->end[1].stream);
    over(t);
}

static void on_data(struct stream *s, void *owner, struct str data)
{
    struct end *to = other(owner);
    struct bytes *b = bytes_new(data);
    stream_send(to->stream, b);
    bytes_unref(b);
    metrics_add(to->bytes, data.len);
    if (!stream_blocked(to->stream))
        return;
    stream_pause(s, true);
    watch(to);
}

static void on_drain(struct stream *s, void *owner)
{
    (void)s;
    struct end *e = owner;
    timer_stop(&e->stall);
    stream_pause(other(e)->stream, false);
}

static void on_end(struct stream *s, void *owner, int error)
{
    struct end *e = owner;
    stream_close(other(e)->stream, LINGER_MS);
    if (error)
        stream_abort(s);
    else
        stream_close(s, LINGER_MS);
    over(e->tunnel);
}

static const struct stream_ops ops = {
    .on_data = on_data, .on_end = on_end, .on_drain = on_drain};

struct tunnel *tunnel_new(const struct tunnel_end ends[2], uint32_t stall_ms,
                          tunnel_fn *on_end_fn, void *arg)
{
    struct tunnel *t = mem_zalloc(sizeof(*t));
    t->stall_ms = stall_ms;
    t->on_end = on_end_fn;
    t->arg = arg;
    for (int i = 0; i < 2; i++) {
        struct end *e = &t->end[i];
        e->tunnel = t;
        e->stream = ends[i].stream;
        e->bytes = ends[i].bytes;
        timer_init(&e->stall, on_stall);
        stream_set_owner(e->stream, &ops, e);
        stream_pause(e->stream, false);
    }
    return t;
}

void tunnel_close(struct tunnel *t)
{
    stream_close(t->end[0].stream, LINGER_MS);
    stream_close(t->end[1].stream, LINGER_MS);
    tunnel_free(t);
}
