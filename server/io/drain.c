#include "server/io/drain.h"

#include "common/log.h"
#include "common/metrics.h"
#include "common/notify.h"
#include "server/io/server.h"

enum {
    LOOK_MS = 50,       /* whether anybody is left */
    FAREWELL_MS = 1000, /* a polling client is back much sooner */
};

bool drain_is_on(const struct drain *d)
{
    return d->phase != DRAIN_SERVING;
}

static size_t left(const struct drain *d)
{
    return engine_sessions(d->server->engine);
}

/* Whoever left in the meantime makes the end come sooner. */
static void close_due(struct drain *d, uint64_t now)
{
    uint32_t n = pace_due(&d->pace, now);
    while (n-- > 0 && !d->server->stopping) {
        if (!engine_retire_one(d->server->engine)) {
            d->phase = DRAIN_FAREWELL;
            d->ends_ms = now + FAREWELL_MS;
            return;
        }
        d->closed++;
        metrics_add(M_DRAIN_CLOSED, 1);
    }
    if (d->pace.done == d->pace.count && d->phase == DRAIN_WINDOW) {
        d->phase = DRAIN_FAREWELL;
        d->ends_ms = now + FAREWELL_MS;
    }
}

static void begin_window(struct drain *d, uint64_t now)
{
    struct sio_server *srv = d->server;
    size_t n = left(d);
    d->phase = DRAIN_WINDOW;
    pace_begin(&d->pace, now, srv->settings.drain_window_ms, (uint32_t)n);
    log_info("drain_window", "sessions=%zu window_ms=%u closes_per_second=%u",
             n, srv->settings.drain_window_ms, pace_per_second(&d->pace));
    engine_retire(srv->engine);
    http_server_retire(srv->http);
}

static void on_time(struct timer *t)
{
    struct drain *d = container_of(t, struct drain, timer);
    struct sio_server *srv = d->server;
    uint64_t now = loop_now(srv->loop);
    if (d->phase == DRAIN_NOTICE) {
        if (srv->settings.drain_window_ms == 0) {
            sio_server_stop(srv);
            return;
        }
        begin_window(d, now);
    }
    if (d->phase == DRAIN_WINDOW)
        close_due(d, now);
    if (srv->stopping)
        return;
    if (left(d) == 0 || (d->phase == DRAIN_FAREWELL && now >= d->ends_ms)) {
        sio_server_stop(srv);
        return;
    }
    uint64_t wait = pace_wait(&d->pace, now);
    loop_timer(srv->loop, t, wait < LOOK_MS ? wait : LOOK_MS);
}

void sio_server_drain(struct sio_server *srv)
{
    struct drain *d = &srv->drain;
    const struct settings *s = &srv->settings;
    if (srv->stopping || drain_is_on(d))
        return;
    if (!srv->engine || (s->drain_notice_ms == 0 && s->drain_window_ms == 0)) {
        sio_server_stop(srv);
        return;
    }
    d->phase = DRAIN_NOTICE;
    notify("STOPPING=1");
    d->began_ms = loop_now(srv->loop);
    log_info("drain_begin", "sessions=%zu notice_ms=%u window_ms=%u", left(d),
             s->drain_notice_ms, s->drain_window_ms);
    loop_timer(srv->loop, &d->timer, s->drain_notice_ms);
}

void drain_init(struct drain *d, struct sio_server *srv)
{
    *d = (struct drain){.server = srv};
    timer_init(&d->timer, on_time);
}

/* What it had not closed left by itself, or is cut off now. Who is left in the
 * farewell was closed and has not come for it. */
void drain_end(struct drain *d)
{
    if (!drain_is_on(d))
        return;
    timer_stop(&d->timer);
    size_t cut = d->phase == DRAIN_FAREWELL ? 0 : left(d);
    uint32_t had = d->pace.count;
    size_t gone = d->closed + cut < had ? had - d->closed - cut : 0;
    log_info("drain_end", "closed=%u left=%zu cut_off=%zu ms=%u", d->closed,
             gone, cut, (unsigned)(loop_now(d->server->loop) - d->began_ms));
}

void drain_metrics(const struct drain *d)
{
    metrics_set(M_DRAINING, drain_is_on(d));
    metrics_set(M_DRAIN_LEFT, drain_is_on(d) ? left(d) : 0);
}
