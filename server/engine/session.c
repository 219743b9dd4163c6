#include "server/engine/session.h"

#include <assert.h>

#include "common/base64.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/slab.h"
#include "server/engine/eio3.h"
#include "server/engine/engine.h"
#include "server/engine/heartbeat.h"

static const char *const reason_text[] = {
    [REASON_TRANSPORT_CLOSE] = "transport close",
    [REASON_TRANSPORT_ERROR] = "transport error",
    [REASON_PING_TIMEOUT] = "ping timeout",
    [REASON_PARSE_ERROR] = "parse error",
    [REASON_FORCED_CLOSE] = "forced close",
    [REASON_SHUTDOWN] = "server shutting down",
};

const char *session_reason_text(enum session_reason why)
{
    return reason_text[why];
}

void *session_owner(struct session *s)
{
    return s->engine->ops->room ? s + 1 : s;
}

void *session_arg(const struct session *s)
{
    return s->engine->arg;
}

static const char *text_of(const struct session *s)
{
    return (const char *)(s + 1) + s->engine->ops->room;
}

struct str session_sid(const struct session *s)
{
    return (struct str){text_of(s), s->sid_len};
}

const char *session_transport(const struct session *s)
{
    return s->ws ? "websocket" : "polling";
}

struct head session_head(const struct session *s)
{
    const char *own = session_address(s) + s->address_len + 1;
    return head_of(s->lines, (struct str){own, s->own_len});
}

const char *session_address(const struct session *s)
{
    return text_of(s) + s->sid_len;
}

unsigned session_revision(const struct session *s)
{
    return s->old ? 3 : 4;
}

const struct eio_coding *session_coding(const struct session *s)
{
    return s->old ? &eio3_coding : &eio4_coding;
}

static const struct heartbeat *heartbeat(const struct session *s)
{
    return s->old ? &heartbeat3 : &heartbeat4;
}

void session_send_text(struct session *s, const char *packet)
{
    char *body;
    size_t len = strlen(packet);
    struct bytes *frame = ws_frame_new(len, false, &body);
    memcpy(body, packet, len);
    session_send(s, frame);
    bytes_unref(frame);
}

/* ---- the end ------------------------------------------------------------- */

struct session_extra *session_extra(struct session *s)
{
    struct session_extra *x = s->extra;
    if (x)
        return x;
    x = s->extra = slab_alloc(sizeof(*x));
    x->session = s;
    bytesq_init(&x->out);
    return x;
}

static void extra_free(struct session *s)
{
    slab_free(s->extra, sizeof(*s->extra));
    s->extra = NULL;
}

void session_settle(struct session *s)
{
    const struct session_extra *x = s->extra;
    if (x && !x->get && !x->post && bytesq_empty(&x->out) && !x->upgrade &&
        !x->slow)
        extra_free(s);
}

static size_t size_with(const struct engine *e, size_t sid_len,
                        size_t address_len, size_t own_len)
{
    return sizeof(struct session) + e->ops->room + sid_len + address_len + 1 +
           own_len;
}

static void session_destroy(void *arg)
{
    struct session *s = arg;
    if (s->extra)
        bytesq_fini(&s->extra->out);
    extra_free(s);
    head_drop(&s->engine->heads, s->lines);
    slab_free(s, size_with(s->engine, s->sid_len, s->address_len, s->own_len));
}

static void set_state(struct session *s, enum session_state to)
{
    assert(to > (enum session_state)s->state);
    s->state = (uint8_t)to;
}

/* Out of the table and freed after the turn. */
static void forget(struct session *s)
{
    set_state(s, SESSION_CLOSED);
    heartbeat_stop(s);
    slow_forget(s);
    upgrade_cancel(s);
    session_establish(s);
    map_remove(&s->engine->sessions, &s->by_sid);
    loop_bury(s->engine->loop, session_destroy, s);
}

static void tell_owner(struct session *s, enum session_reason why)
{
    metrics_add((enum metric)(M_CLOSE_TRANSPORT + (unsigned)why), 1);
    session_note(s, (enum journal_code)(J_END_TRANSPORT + (unsigned)why), 0);
    log_debug("session_end", "sid=%.8s transport=%s reason=%s", text_of(s),
              session_transport(s), log_safe(str_of(reason_text[why])));
    if (s->owned)
        s->engine->ops->on_close(session_owner(s), why);
}

static void close_transport(struct session *s, unsigned code,
                            const char *reason)
{
    polling_drop_post(s); /* one may be left of before an upgrade */
    if (s->ws) {
        websocket_close_because(s->ws, code, reason);
        s->ws = NULL;
        s->engine->n_websocket--;
        return;
    }
    polling_release(s, '1');
}

void session_end(struct session *s, enum session_reason why)
{
    session_end_because(s, why, 0, "");
}

void session_end_because(struct session *s, enum session_reason why,
                         unsigned code, const char *reason)
{
    if (s->state == SESSION_CLOSED)
        return;
    bool told = s->state == SESSION_CLOSING;
    /* Who does not answer will not read either. */
    if (s->ws && why == REASON_PING_TIMEOUT)
        websocket_cut(s->ws);
    else if (s->ws)
        slow_release(s);
    forget(s);
    close_transport(s, code, reason);
    if (!told)
        tell_owner(s, why);
}

static void leave(struct session *s, enum session_reason why, unsigned code,
                  const char *reason)
{
    if (s->state != SESSION_OPEN)
        return;
    slow_release(s);
    if (!s->ws)
        polling_flush(s);
    if (s->ws || session_get(s)) {
        session_end_because(s, why, code, reason);
        return;
    }
    /* Polling with no GET here: the next one gets what is queued, the one after
     * it the close packet. A client that is about to upgrade sends no GET any
     * more, so the upgrade may complete and takes what is queued. */
    set_state(s, SESSION_CLOSING);
    slow_stop(s);
    heartbeat_wait(s, BEAT_CLOSE);
    tell_owner(s, why);
}

void session_leave(struct session *s, enum session_reason why)
{
    leave(s, why, 0, "");
}

void session_close(struct session *s)
{
    leave(s, REASON_FORCED_CLOSE, 0, "");
}

void session_close_because(struct session *s, unsigned code, const char *reason)
{
    leave(s, REASON_FORCED_CLOSE, code, reason);
}

void session_establish(struct session *s)
{
    if (s->established)
        return;
    s->established = true;
    s->engine->n_unestablished--;
}

/* ---- receiving ----------------------------------------------------------- */

static void on_packet(struct session *s, const struct eio_packet *p)
{
    if (p->type == EIO_PONG) {
        heartbeat(s)->on_pong(s);
        return;
    }
    if (p->type == EIO_PING) {
        heartbeat(s)->on_ping(s);
        return;
    }
    heartbeat(s)->on_other(s);
    if (p->type == EIO_MESSAGE) {
        s->engine->ops->on_message(session_owner(s), p->data, p->binary);
    } else if (p->type == EIO_CLOSE && !s->ws) {
        polling_release(s, '6');
        session_end(s, REASON_TRANSPORT_CLOSE);
    }
    /* open, upgrade and noop mean nothing here and are ignored */
}

void session_on_garbage(struct session *s)
{
    if (s->state != SESSION_OPEN)
        return;
    metrics_add(M_BAD_PACKET, 1);
    session_note(s, J_BAD_ENGINE, 0);
    session_end(s, REASON_PARSE_ERROR);
}

void session_on_binary(struct session *s, struct str data)
{
    struct eio_packet p;
    if (s->state != SESSION_OPEN)
        return;
    session_coding(s)->decode_binary(data, &p);
    on_packet(s, &p);
}

void session_on_packet(struct session *s, struct str text)
{
    /* The client is done, too: no need to wait for a poll that never comes. */
    if (s->state == SESSION_CLOSING && text.len > 0 && text.p[0] == '1')
        session_end(s, REASON_TRANSPORT_CLOSE);
    if (s->state != SESSION_OPEN)
        return;
    struct buf scratch;
    struct eio_packet p;
    buf_init(&scratch, s->engine->settings.max_payload_bytes);
    if (session_coding(s)->decode(text, &scratch, &p) == 0)
        on_packet(s, &p);
    else
        session_on_garbage(s);
    buf_fini(&scratch);
}

static void ws_message(void *owner, struct str data, bool binary)
{
    if (binary)
        session_on_binary(owner, data);
    else
        session_on_packet(owner, data);
}

static void note_ws_end(const struct session *s, struct websocket_end end)
{
    if (end.code)
        session_note(s, end.clean ? J_PEER_CLOSED : J_BAD_FRAME, end.code);
    else if (end.error)
        session_note(s, J_STREAM_FAILED, (uint32_t)end.error);
    else
        session_note(s, J_STREAM_ENDED, 0);
}

static void ws_closed(void *owner, struct websocket_end end)
{
    struct session *s = owner;
    note_ws_end(s, end);
    s->ws = NULL;
    s->engine->n_websocket--;
    session_end(s, end.clean ? REASON_TRANSPORT_CLOSE : REASON_TRANSPORT_ERROR);
}

/* ---- sending ------------------------------------------------------------- */

static size_t transport_queued(const struct session *s)
{
    return s->ws ? websocket_queued(s->ws) : session_kept(s);
}

size_t session_queued(const struct session *s)
{
    size_t waiting = s->extra && s->extra->slow ? s->extra->slow->bytes : 0;
    return waiting + transport_queued(s);
}

void session_caught_up(struct session *s)
{
    slow_caught_up(s);
    session_settle(s);
}

static void ws_drained(void *owner)
{
    session_caught_up(owner);
}

static void session_task(void *arg)
{
    struct session *s = arg;
    s->dirty = false;
    if (s->state == SESSION_CLOSED)
        return;
    if (s->overrun)
        slow_overrun(s);
    else if (!s->ws)
        polling_flush(s);
}

/* At the end of the turn. */
void session_run_later(struct session *s)
{
    if (!s->dirty)
        loop_call(s->engine->loop, session_task, s);
    s->dirty = true;
}

bool session_writable(const struct session *s)
{
    if (s->state != SESSION_OPEN || s->lagging)
        return false;
    return s->ws ? !websocket_blocked(s->ws)
                 : session_get(s) && bytesq_empty(&s->extra->out);
}

/* A client without binary frames gets a mark and base64 in a text frame. */
static struct bytes *as_base64(const struct session *s,
                               const struct bytes *frame)
{
    struct buf b;
    char *body;
    buf_init(&b, (size_t)frame->len * 2 + 8);
    buf_add(&b, str_of(session_coding(s)->base64_mark));
    base64_encode(bytes_body(frame), &b);
    struct bytes *text = ws_frame_new(b.len, false, &body);
    memcpy(body, buf_ptr(&b), b.len);
    buf_fini(&b);
    return text;
}

/* The same message behind its type, made for the first who needs it. */
static struct bytes *as_typed(struct bytes *frame)
{
    if (!frame->typed) {
        struct str data = bytes_body(frame);
        char *body;
        frame->typed = ws_frame_new(data.len + 1, true, &body);
        body[0] = EIO_MESSAGE;
        memcpy(body + 1, data.p, data.len);
    }
    return frame->typed;
}

static void transmit_binary(struct session *s, struct bytes *frame)
{
    if (s->b64) {
        struct bytes *text = as_base64(s, frame);
        websocket_send(s->ws, text);
        bytes_unref(text);
    } else if (session_coding(s)->typed_binary) {
        websocket_send(s->ws, as_typed(frame));
    } else {
        websocket_send(s->ws, frame);
    }
}

static void transmit(struct session *s, struct bytes *frame)
{
    if (frame->binary)
        transmit_binary(s, frame);
    else
        websocket_send(s->ws, frame);
}

static inline void put(struct session *s, struct bytes *frame)
{
    if (s->ws)
        transmit(s, frame);
    else if (polling_keep(s, frame))
        session_run_later(s);
}

void session_put(struct session *s, struct bytes *frame)
{
    put(s, frame);
}

/* What is sent waits until the client catches up, or it is too late. */
__attribute__((noinline)) static void send_late(struct session *s,
                                                struct bytes *const *frames,
                                                uint32_t n,
                                                const struct fate *fate)
{
    if (s->state != SESSION_OPEN || s->overrun)
        metrics_add(M_DROP_CLOSED, 1);
    else
        slow_put(s, frames, n, fate);
}

static inline bool is_late(const struct session *s)
{
    return s->state != SESSION_OPEN || s->overrun || s->lagging;
}

static inline void send_now(struct session *s, struct bytes *frame)
{
    put(s, frame);
    if (transport_queued(s) > s->engine->slow.mark)
        slow_check(s);
}

void session_send(struct session *s, struct bytes *frame)
{
    static const struct fate keep;
    if (is_late(s))
        send_late(s, &frame, 1, &keep);
    else
        send_now(s, frame);
}

void session_send_packet(struct session *s, struct bytes *const *frames,
                         uint32_t n, const struct fate *fate)
{
    if (is_late(s)) {
        send_late(s, frames, n, fate);
        return;
    }
    if (n > 0)
        send_now(s, frames[0]);
    for (uint32_t i = 1; i < n; i++)
        session_send(s, frames[i]);
}

/* ---- beginning ----------------------------------------------------------- */

const struct websocket_ops session_ws_ops = {
    .on_message = ws_message, .on_close = ws_closed, .on_drain = ws_drained};

/* What waited for a poll goes first. A POST may be still under way. */
static void leave_polling(struct session *s)
{
    struct bytes *b;
    if (!s->extra)
        return;
    while ((b = bytesq_take(&s->extra->out))) {
        transmit(s, b);
        bytes_unref(b);
    }
    session_settle(s);
}

void session_attach(struct session *s, struct websocket *ws)
{
    assert(!s->ws);
    s->ws = ws;
    s->engine->n_websocket++;
    websocket_set_owner(ws, &s->engine->ws_ops, s);
    leave_polling(s);
    session_caught_up(s);
    if (s->state == SESSION_CLOSING) {
        session_end(s, REASON_FORCED_CLOSE);
        return;
    }
    if (session_queued(s) > s->engine->slow.mark)
        slow_check(s);
    /* A pong that was due on the old transport may come on the new one. */
    if (s->pong_due)
        heartbeat_wait(s, BEAT_PONG);
}

struct session *session_new(struct engine *e, struct str sid,
                            struct http_request *r, bool old)
{
    char peer[STREAM_ADDR_MAX];
    struct buf own;
    http_peer(r, peer);
    size_t peer_len = strlen(peer);
    buf_init(&own, HEAD_OWN_MAX);
    struct head_lines *lines = head_take(&e->heads, r, &own);
    struct session *s = slab_alloc(size_with(e, sid.len, peer_len, own.len));
    s->engine = e;
    s->lines = lines;
    s->sid_len = (uint8_t)sid.len;
    s->address_len = (uint8_t)peer_len;
    s->own_len = (uint32_t)own.len;
    char *p = (char *)(s + 1) + e->ops->room;
    memcpy(p, sid.p, sid.len);
    memcpy(p + sid.len, peer, peer_len + 1);
    if (own.len)
        memcpy(p + sid.len + peer_len + 1, buf_ptr(&own), own.len);
    buf_fini(&own);
    list_init(&s->beat);
    map_put(&e->sessions, &s->by_sid);
    e->n_unestablished++;
    s->old = old;
    heartbeat(s)->start(s);
    return s;
}
