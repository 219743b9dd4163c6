/* Sessions over each transport, and from one to the other. */
#include <stdio.h>

#include "common/log.h"
#include "server/ctl/doctor.h"

enum { ROUNDS = 4, POLL_MS = 3000 };

/* ---- polling, each request on a connection of its own -------------------- */

struct rounds {
    struct ctl_eio_hello hello;
    unsigned requests;
    bool held; /* a poll was kept waiting: the session works */
};

static bool is_lost(const struct doctor_reply *r)
{
    static const char unknown[] = "Session ID unknown";
    return r->answered && r->answer.status == 400 &&
           memmem(r->body.b ? r->answer.body.p : "", r->answer.body.len,
                  unknown, sizeof(unknown) - 1);
}

static void lost_session(struct doctor *d, unsigned request)
{
    doctor_wrong(
        d,
        "no stickiness: request %u of a polling session, on a new connection, "
        "came to another node than the one that has the session (400 \"Session "
        "ID unknown\"): let the balancer route by the sid in the URL, as "
        "deploy/haproxy.cfg does (use-server), or let nodes relay "
        "(cluster.relay: true)",
        request);
}

static void bad_poll(struct doctor *d, unsigned request,
                     const struct doctor_reply *r)
{
    struct ctl_fault why = r->answered ? ctl_eio_refusal(&r->answer) : r->why;
    if (is_lost(r))
        lost_session(d, request);
    else
        doctor_wrong(d,
                     "polling: request %u of a session failed: %s: does the "
                     "balancer pass on GET and POST below %s?",
                     request, why.text, d->options.url.path);
}

/* One request of the session: a POST when there is a body. */
static bool step(struct doctor *d, struct rounds *s, struct str body)
{
    struct buf target;
    struct doctor_reply r;
    buf_init(&target, CTL_PATH_MAX + CTL_SID_MAX + 128);
    ctl_eio_target(&target, &d->options.url, "polling", str_of(s->hello.sid));
    struct ctl_request request = {.verb = body.p ? "POST" : "GET",
                                  .target = buf_str(&target),
                                  .body = body,
                                  .timeout_ms =
                                      body.p ? DOCTOR_STEP_MS : POLL_MS};
    if (body.p)
        request.headers = STR("Content-Type: text/plain;charset=UTF-8\r\n");
    doctor_ask(d, &d->options.url, &request, &r);
    s->requests++;
    bool ok = r.answered && r.answer.status == 200;
    s->held = !body.p && !r.answered && r.why.kind == FAULT_TIMEOUT;
    if (!ok && !s->held)
        bad_poll(d, s->requests, &r);
    doctor_reply_fini(&r);
    buf_fini(&target);
    return ok;
}

static void polling(struct doctor *d)
{
    struct rounds s = {.hello = d->hello, .requests = 1};
    bool ok = true;
    for (int i = 0; ok && i < ROUNDS; i++) {
        /* The answers to these need no application: to enter "/", or to be
         * refused. */
        ok = step(d, &s, i == 0 ? STR("40") : STR("40/confab-doctor,")) &&
             step(d, &s, (struct str){0});
    }
    d->polling = ok || s.held;
    if (ok)
        (void)step(d, &s, STR("1"));
    if (d->polling)
        doctor_right(d,
                     "polling: %u requests of a session on as many "
                     "connections",
                     s.requests);
}

/* ---- WebSocket and upgrade ----------------------------------------------- */

struct trial {
    struct ctl_eio *eio;
    bool done, ok;
    struct ctl_fault why;
};

static void on_open(void *arg)
{
    struct trial *t = arg;
    if (ctl_eio_upgraded(t->eio))
        t->done = t->ok = true;
}

static void on_message(void *arg, struct str data, bool binary)
{
    (void)arg, (void)data, (void)binary;
}

static void on_upgrade(void *arg, const struct ctl_fault *why)
{
    struct trial *t = arg;
    t->done = true;
    t->ok = !why;
    if (why)
        t->why = *why;
}

static void on_close(void *arg, const struct ctl_fault *why)
{
    struct trial *t = arg;
    t->done = true;
    t->ok = false;
    t->why = *why;
}

static const struct ctl_eio_ops trial_ops = {.on_open = on_open,
                                             .on_message = on_message,
                                             .on_upgrade = on_upgrade,
                                             .on_close = on_close};

static bool try_transports(struct doctor *d, bool poll, struct trial *t)
{
    struct ctl_eio_settings s = {.url = &d->options.url,
                                 .polling = poll,
                                 .websocket = true,
                                 .timeout_ms = DOCTOR_STEP_MS,
                                 .max_bytes = DOCTOR_ANSWER_MAX};
    *t = (struct trial){.why = ctl_fault(FAULT_TIMEOUT, "the time is up")};
    t->eio = ctl_eio_new(&d->net, &s, &trial_ops, t);
    (void)doctor_wait(d, &t->done, 2 * DOCTOR_STEP_MS);
    ctl_eio_free(t->eio);
    return t->ok;
}

/* Proxies that do not know of upgrades pass the rest of the request on. */
static void not_upgraded(struct doctor *d, const struct ctl_fault *why)
{
    doctor_wrong(
        d,
        "no WebSocket: its handshake %s instead of 101: a proxy on the way "
        "drops the Upgrade and Connection headers: pass them on (nginx: "
        "proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade, "
        "proxy_set_header Connection \"upgrade\"; HAProxy: no del-header of "
        "them, no `option httpclose`)",
        strncmp(why->text, "it ", 3) == 0 ? why->text + 3 : why->text);
}

static void bad_websocket(struct doctor *d, const struct ctl_fault *why)
{
    bool refused = why->kind == FAULT_STATUS;
    if (refused &&
        (why->status == 400 || why->status == 426 || why->status / 100 == 2))
        not_upgraded(d, why);
    else
        doctor_wrong(d,
                     "no WebSocket: its handshake failed, polling's did not: "
                     "%s: does every proxy on the way let WebSockets pass?",
                     why->text);
}

static void websocket(struct doctor *d)
{
    struct trial t;
    d->websocket = try_transports(d, false, &t);
    if (d->websocket)
        doctor_right(d, "WebSocket");
    else
        bad_websocket(d, &t.why);
}

static void upgrade(struct doctor *d)
{
    struct trial t;
    if (!d->hello.websocket) {
        doctor_right(d, "the server offers no upgrade");
        return;
    }
    if (try_transports(d, true, &t))
        doctor_right(d, "upgrade from polling to WebSocket");
    else
        doctor_wrong(d,
                     "upgrade: a session could not go from polling to a "
                     "WebSocket, though both work alone: %s: its WebSocket "
                     "must come to the node that has the session, too",
                     t.why.text);
}

void doctor_sessions(struct doctor *d)
{
    polling(d);
    websocket(d);
    if (d->polling && d->websocket)
        upgrade(d);
}
