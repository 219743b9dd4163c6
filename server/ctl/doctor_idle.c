/* Whether anything on the way ends connections that are silent for as long as
 * healthy ones are: for a ping interval. */
#include "common/mem.h"
#include "server/ctl/doctor.h"

enum { SLACK_MS = 2000 };

/* One session that says nothing after it has begun. */
struct silent {
    struct doctor_idle *idle;
    struct ctl_eio *eio;
    uint64_t heard_ms, cut_ms; /* last bytes either way; the end */
    bool done, pinged;
    struct ctl_fault why;
};

struct doctor_idle {
    struct doctor *doctor;
    struct silent polling, websocket;
};

static uint64_t now(const struct silent *s)
{
    return loop_now(s->idle->doctor->net.loop);
}

static void on_open(void *arg)
{
    struct silent *s = arg;
    s->heard_ms = now(s);
    /* Servers end sessions that enter no namespace. */
    (void)ctl_eio_send(s->eio, STR("0"));
}

static void on_message(void *arg, struct str data, bool binary)
{
    (void)data, (void)binary;
    struct silent *s = arg;
    s->heard_ms = now(s);
}

static void on_ping(void *arg)
{
    struct silent *s = arg;
    s->done = s->pinged = true;
}

static void on_close(void *arg, const struct ctl_fault *why)
{
    struct silent *s = arg;
    s->done = true;
    s->cut_ms = now(s);
    s->why = *why;
}

static const struct ctl_eio_ops silent_ops = {.on_open = on_open,
                                              .on_message = on_message,
                                              .on_ping = on_ping,
                                              .on_close = on_close};

static void begin(struct doctor_idle *idle, struct silent *s, bool poll)
{
    struct doctor *d = idle->doctor;
    struct ctl_eio_settings settings = {.url = &d->options.url,
                                        .polling = poll,
                                        .websocket = !poll,
                                        .timeout_ms = DOCTOR_STEP_MS,
                                        .max_bytes = DOCTOR_ANSWER_MAX};
    s->idle = idle;
    s->heard_ms = loop_now(d->net.loop);
    s->eio = ctl_eio_new(&d->net, &settings, &silent_ops, s);
}

struct doctor_idle *doctor_idle_begin(struct doctor *d)
{
    struct doctor_idle *idle = mem_zalloc(sizeof(*idle));
    idle->doctor = d;
    uint64_t need = (uint64_t)d->hello.ping_interval_ms + SLACK_MS;
    if (doctor_left(d) < need) {
        doctor_note("not looked at: timeouts of silent connections; that takes "
                    "%.0f s: give a longer --timeout",
                    (double)need / 1000.0);
        return idle;
    }
    if (d->polling)
        begin(idle, &idle->polling, true);
    if (d->websocket)
        begin(idle, &idle->websocket, false);
    return idle;
}

/* It was not the server that ended it, in words of its own. */
static bool was_cut(const struct silent *s)
{
    enum ctl_fault_kind kind = s->why.kind;
    unsigned status = s->why.status;
    return !s->pinged && s->done &&
           (kind == FAULT_CLOSED || kind == FAULT_RESET ||
            (kind == FAULT_STATUS &&
             (status == 408 || status == 502 || status == 504)));
}

static void judge(struct doctor *d, const struct silent *s, const char *what,
                  const char *change)
{
    double interval = d->hello.ping_interval_ms / 1000.0;
    if (!s->eio)
        return;
    if (was_cut(s))
        doctor_wrong(d,
                     "short timeout: %s was cut after %.1f s of silence, and "
                     "the server pings every %.1f s: raise %s above the ping "
                     "interval and timeout together (%.1f s)",
                     what, (double)(s->cut_ms - s->heard_ms) / 1000.0, interval,
                     change, interval + d->hello.ping_timeout_ms / 1000.0);
    else if (s->done && !s->pinged && s->why.kind == FAULT_ENDED)
        /* Strangers may be unwelcome: the application's own business. */
        doctor_note("not looked at: timeouts of %s that is silent: %s", what,
                    s->why.text);
    else if (s->done && !s->pinged)
        doctor_wrong(d, "silence: %s ended before its first ping: %s", what,
                     s->why.text);
    else if (!s->done)
        doctor_wrong(d,
                     "silence: %s got no ping within %.1f s, and one is due "
                     "every %.1f s: something on the way keeps it back "
                     "(nginx: proxy_buffering off)",
                     what, interval + SLACK_MS / 1000.0, interval);
    else
        doctor_right(d, "%s lives through the silence between pings (%.1f s)",
                     what, interval);
}

void doctor_idle_end(struct doctor *d, struct doctor_idle *idle)
{
    struct silent *both[] = {&idle->websocket, &idle->polling};
    uint64_t most = (uint64_t)d->hello.ping_interval_ms + SLACK_MS;
    for (int i = 0; i < 2; i++) {
        struct silent *s = both[i];
        uint64_t waited = loop_now(d->net.loop) - s->heard_ms;
        if (s->eio && waited < most)
            (void)doctor_wait(d, &s->done, most - waited);
    }
    judge(d, &idle->websocket, "a WebSocket",
          "`timeout tunnel` (HAProxy) or `proxy_read_timeout` (nginx)");
    judge(d, &idle->polling, "a poll",
          "`timeout server` and `timeout client` (HAProxy) or "
          "`proxy_read_timeout` (nginx)");
    for (int i = 0; i < 2; i++)
        ctl_eio_free(both[i]->eio);
    mem_free(idle);
}
