#include "server/engine/engine.h"

#include <stdio.h>

#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"

/* Engine.IO error codes (protocol A.6), in their order. */
enum eio_error {
    EIO_OK = -1,
    EIO_UNKNOWN_TRANSPORT,
    EIO_UNKNOWN_SID,
    EIO_BAD_METHOD,
    EIO_BAD_REQUEST,
    EIO_FORBIDDEN,
    EIO_UNSUPPORTED_VERSION,
};

static const char *const error_text[] = {
    "Transport unknown", "Session ID unknown", "Bad handshake method",
    "Bad request",       "Forbidden",          "Unsupported protocol version",
};

enum { HEADERS_MAX = 16 * 1024 };

/* What the checks found out about a request. */
struct inquiry {
    struct session *session; /* NULL for a handshake */
    bool websocket;          /* the transport it names */
    bool upgrade;            /* it asks for a WebSocket connection */
};

static struct str session_key(const struct map_node *n)
{
    return session_sid(const_container_of(n, struct session, by_sid));
}

struct engine *engine_new(struct loop *l, const struct engine_settings *s,
                          const struct session_ops *ops,
                          void *(*on_session)(void *arg, struct session *s),
                          void *arg)
{
    struct engine *e = mem_zalloc(sizeof(*e));
    e->loop = l;
    e->settings = *s;
    e->ws_limits = (struct websocket_limits){
        .message_bytes = s->max_payload_bytes,
        .fragments = s->fragments_per_message,
        .deflate = s->message_deflate,
        .deflate_bytes = s->message_deflate_bytes,
    };
    e->ops = ops;
    e->on_session = on_session;
    e->arg = arg;
    map_init(&e->sessions, session_key);
    return e;
}

static void collect(struct map_node *n, void *arg)
{
    struct session ***next = arg;
    *(*next)++ = container_of(n, struct session, by_sid);
}

void engine_close(struct engine *e)
{
    e->closing = true;
    /* Ending one runs handlers, which may end others: walk a copy. Nothing is
     * freed before the end of the turn. */
    size_t n = e->sessions.count;
    struct session **all = mem_alloc((n + 1) * sizeof(struct session *));
    struct session **next = all;
    map_each(&e->sessions, collect, &next);
    for (size_t i = 0; i < n; i++)
        session_end(all[i], REASON_SHUTDOWN);
    mem_free(all);
}

void engine_free(struct engine *e)
{
    map_fini(&e->sessions);
    mem_free(e);
}

void engine_metrics(const struct engine *e)
{
    metrics_set(M_SESSIONS_WEBSOCKET, e->n_websocket);
    metrics_set(M_SESSIONS_POLLING, e->sessions.count - e->n_websocket);
}

/* ---- answers ------------------------------------------------------------- */

static void refuse_plain(struct http_request *r, struct str text, bool versions)
{
    char raw[256];
    int n =
        snprintf(raw, sizeof(raw),
                 "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
                 "Content-type: text/html\r\nContent-Length: %zu\r\n%s\r\n"
                 "%.*s",
                 text.len, versions ? "Sec-WebSocket-Version: 13, 8\r\n" : "",
                 STR_ARG(text));
    http_respond_raw(r, (struct str){raw, (size_t)n});
}

static void refuse(struct engine *e, struct http_request *r,
                   enum eio_error code, bool upgrade)
{
    metrics_add(code == EIO_UNKNOWN_SID ? M_UNKNOWN_SID : M_BAD_HANDSHAKE, 1);
    /* not the query: a guessed sid may be somebody's, and parameters of
     * applications are often tokens */
    log_debug("bad_request", "code=%d path=%s", (int)code,
              log_safe(http_path(r)));
    if (upgrade) {
        refuse_plain(r, str_of(error_text[code]), false);
        return;
    }
    struct buf headers, body;
    buf_init(&headers, HEADERS_MAX);
    buf_init(&body, 128);
    cors_headers(&e->settings.cors, r, &headers);
    buf_fmt(&body, "{\"code\":%d,\"message\":\"%s\"}", (int)code,
            error_text[code]);
    struct http_response resp = {.status = code == EIO_FORBIDDEN ? 403 : 400,
                                 .headers = buf_str(&headers),
                                 .type = "application/json",
                                 .body = buf_str(&body)};
    http_respond(r, &resp);
    buf_fini(&headers);
    buf_fini(&body);
}

/* ---- checks, in the official order --------------------------------------- */

static bool version_ok(struct http_request *r)
{
    struct str v;
    return http_query(r, STR("EIO"), &v) && str_eq(v, STR("4"));
}

static enum eio_error check_session(struct engine *e, struct http_request *r,
                                    struct str sid, struct inquiry *q)
{
    struct map_node *n = sid.len <= SID_MAX ? map_get(&e->sessions, sid) : NULL;
    if (!n)
        return EIO_UNKNOWN_SID;
    q->session = container_of(n, struct session, by_sid);
    if (!q->upgrade && q->websocket != (q->session->ws != NULL))
        return EIO_BAD_REQUEST;
    /* A WebSocket session cannot be polled, and only an upgrade carries
     * WebSocket. */
    if (!q->upgrade && q->websocket)
        return EIO_BAD_REQUEST;
    return version_ok(r) ? EIO_OK : EIO_BAD_REQUEST;
}

static enum eio_error check(struct engine *e, struct http_request *r,
                            struct inquiry *q)
{
    struct str transport, sid;
    *q = (struct inquiry){.upgrade = http_is_upgrade(r)};
    if (!http_query(r, STR("transport"), &transport))
        return EIO_UNKNOWN_TRANSPORT;
    q->websocket = str_eq(transport, STR("websocket"));
    if (!q->websocket && !str_eq(transport, STR("polling")))
        return EIO_UNKNOWN_TRANSPORT;
    if (http_query(r, STR("sid"), &sid) && sid.len > 0)
        return check_session(e, r, sid, q);
    if (http_verb(r) != VERB_GET)
        return EIO_BAD_METHOD;
    if (q->websocket && !q->upgrade)
        return EIO_BAD_REQUEST;
    return version_ok(r) ? EIO_OK : EIO_UNSUPPORTED_VERSION;
}

/* ---- handshake ----------------------------------------------------------- */

static bool slot_valid(struct str slot)
{
    if (slot.len == 0 || slot.len > SLOT_MAX)
        return false;
    for (size_t i = 0; i < slot.len; i++) {
        char c = slot.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9') || c == '-' || c == '_'))
            return false;
    }
    return true;
}

/* 20 random characters; behind a balancer that told us its name for this node,
 * a dot and that name, so that it can route by the sid alone. */
static size_t make_sid(const struct engine *e, const struct http_request *r,
                       char sid[SID_MAX])
{
    struct str slot;
    id_random(sid, ID_LEN);
    if (!e->settings.slot_header[0] ||
        !http_header(r, str_of(e->settings.slot_header), &slot) ||
        !slot_valid(slot))
        return ID_LEN;
    sid[ID_LEN] = '.';
    memcpy(sid + ID_LEN + 1, slot.p, slot.len);
    return ID_LEN + 1 + slot.len;
}

static void open_packet(const struct engine *e, struct str sid, bool websocket,
                        struct buf *out)
{
    buf_fmt(out,
            "0{\"sid\":\"%.*s\",\"upgrades\":[%s],\"pingInterval\":%u,"
            "\"pingTimeout\":%u,\"maxPayload\":%u}",
            STR_ARG(sid), websocket ? "" : "\"websocket\"",
            e->settings.ping_interval_ms, e->settings.ping_timeout_ms,
            e->settings.max_payload_bytes);
}

static struct session *open_session(struct engine *e, struct http_request *r)
{
    char sid[SID_MAX];
    struct str id = {sid, make_sid(e, r, sid)};
    struct session *s = session_new(e, id, r);
    struct str b64;
    s->b64 = http_query(r, STR("b64"), &b64) && b64.len > 0;
    metrics_add(M_HANDSHAKES, 1);
    s->owner = e->on_session(e->arg, s);
    return s;
}

static void handshake_polling(struct engine *e, struct http_request *r)
{
    struct session *s = open_session(e, r);
    struct buf body;
    buf_init(&body, 512);
    open_packet(e, session_sid(s), false, &body);
    polling_send(s, r, buf_str(&body));
    buf_fini(&body);
}

static void handshake_websocket(struct engine *e, struct http_request *r,
                                struct str headers)
{
    struct session *s = open_session(e, r);
    struct buf open;
    char *body;
    buf_init(&open, 512);
    open_packet(e, session_sid(s), true, &open);
    struct bytes *frame = ws_frame_new(open.len, false, &body);
    memcpy(body, buf_ptr(&open), open.len);
    buf_fini(&open);
    struct websocket *ws =
        websocket_accept(r, headers, &e->ws_limits, &session_ws_ops, s);
    websocket_send(ws, frame);
    bytes_unref(frame);
    session_attach(s, ws);
}

static void on_upgrade(struct engine *e, struct http_request *r,
                       const struct inquiry *q)
{
    struct str why;
    bool versions;
    if (websocket_check(r, &e->ws_limits, &why, &versions) < 0) {
        metrics_add(M_BAD_HANDSHAKE, 1);
        refuse_plain(r, why, versions);
        return;
    }
    struct buf headers;
    buf_init(&headers, HEADERS_MAX);
    cors_headers(&e->settings.cors, r, &headers);
    if (!q->websocket) {
        static const struct websocket_ops none = {0};
        struct websocket *ws =
            websocket_accept(r, buf_str(&headers), &e->ws_limits, &none, NULL);
        websocket_close(ws, 0);
    } else if (q->session) {
        upgrade_request(q->session, r, buf_str(&headers));
    } else {
        handshake_websocket(e, r, buf_str(&headers));
    }
    buf_fini(&headers);
}

static void unavailable(struct http_request *r)
{
    struct http_response resp = {
        .status = 503, .headers = STR("Retry-After: 5\r\n"), .close = true};
    http_respond(r, &resp);
}

void engine_request(void *arg, struct http_request *r)
{
    struct engine *e = arg;
    struct inquiry q;
    if (cors_on(&e->settings.cors) && http_verb(r) == VERB_OPTIONS) {
        cors_preflight(&e->settings.cors, r);
        return;
    }
    enum eio_error code = check(e, r, &q);
    if (code != EIO_OK)
        refuse(e, r, code, q.upgrade);
    else if (!q.session &&
             (e->closing || e->sessions.count >= e->settings.max_sessions))
        unavailable(r);
    else if (q.upgrade)
        on_upgrade(e, r, &q);
    else if (q.session)
        polling_request(q.session, r);
    else
        handshake_polling(e, r);
}
