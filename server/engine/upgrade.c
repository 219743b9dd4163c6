/* From polling to WebSocket without losing, doubling or reordering a packet
 * (protocol A.10):
 *
 *   client              new WebSocket            polling session
 *   2probe  ----------------->
 *   3probe  <-----------------      every 100 ms a parked GET is released with
 *   (stops polling)                 a noop, so that the client never waits
 *   5       ----------------->  session_attach: what is queued follows
 *
 * Until "5" the session lives on polling alone, and whatever goes wrong with
 * the WebSocket leaves it untouched. */
#include "common/mem.h"
#include "common/metrics.h"
#include "server/engine/engine.h"

enum { RELEASE_MS = 100 };

struct upgrade {
    struct session *session;
    struct websocket *ws;
    struct timer deadline;
    struct timer release;
    bool b64; /* what the WebSocket's own request says */
};

/* Frees the bookkeeping; the WebSocket has another owner or is closed. */
static void upgrade_done(struct upgrade *u)
{
    timer_stop(&u->deadline);
    timer_stop(&u->release);
    u->session->extra->upgrade = NULL;
    session_settle(u->session);
    mem_free(u);
}

void upgrade_cancel(struct session *s)
{
    struct upgrade *u = s->extra ? s->extra->upgrade : NULL;
    if (!u)
        return;
    struct websocket *ws = u->ws;
    upgrade_done(u);
    websocket_close(ws, 0);
}

static void upgrade_fail(struct upgrade *u, enum journal_code why)
{
    session_note(u->session, why, 0);
    upgrade_cancel(u->session);
}

static void on_deadline(struct timer *t)
{
    upgrade_fail(container_of(t, struct upgrade, deadline), J_UPGRADE_LATE);
}

static void on_release(struct timer *t)
{
    struct upgrade *u = container_of(t, struct upgrade, release);
    loop_timer(u->session->engine->loop, t, RELEASE_MS);
    polling_release(u->session, '6');
}

static void on_probe(struct upgrade *u)
{
    char *body;
    struct bytes *frame = ws_frame_new(6, false, &body);
    memcpy(body, "3probe", 6);
    websocket_send(u->ws, frame);
    bytes_unref(frame);
    on_release(&u->release);
}

static void switch_over(struct upgrade *u)
{
    struct session *s = u->session;
    struct websocket *ws = u->ws;
    s->b64 = u->b64;
    upgrade_done(u);
    /* A conforming client has no poll open any more. */
    polling_release(s, '1');
    session_note(s, J_UPGRADED, 0);
    session_attach(s, ws);
    metrics_add(M_UPGRADES, 1);
}

static void on_message(void *owner, struct str data, bool binary)
{
    struct upgrade *u = owner;
    if (!binary && str_eq(data, STR("2probe")))
        on_probe(u);
    else if (!binary && str_eq(data, STR("5")))
        switch_over(u);
    else
        upgrade_fail(u, J_UPGRADE_WRONG);
}

static void on_close(void *owner, struct websocket_end end)
{
    struct upgrade *u = owner;
    session_note(u->session, end.clean ? J_UPGRADE_LEFT : J_UPGRADE_WRONG, 0);
    upgrade_done(u);
}

const struct websocket_ops upgrade_ws_ops = {.on_message = on_message,
                                             .on_close = on_close};

void upgrade_request(struct session *s, struct http_request *r,
                     struct str headers)
{
    struct engine *e = s->engine;
    bool refused =
        s->ws || s->state != SESSION_OPEN || (s->extra && s->extra->upgrade);
    bool b64 = engine_asks_base64(r); /* while there is a request */
    /* Accepted and closed: how a WebSocket is refused that comes too late. */
    struct websocket *ws = websocket_accept(
        r, headers, refused ? &e->no_ops : &e->upgrade_ops, NULL);
    session_note(s, refused ? J_UPGRADE_REFUSED : J_UPGRADE_BEGUN, 0);
    if (refused) {
        websocket_close(ws, 0);
        return;
    }
    struct upgrade *u = mem_zalloc(sizeof(*u));
    u->session = s;
    u->ws = ws;
    u->b64 = b64;
    timer_init(&u->deadline, on_deadline);
    timer_init(&u->release, on_release);
    loop_timer(e->loop, &u->deadline, e->settings.upgrade_timeout_ms);
    websocket_set_owner(ws, &e->upgrade_ops, u);
    session_extra(s)->upgrade = u;
}
