#include "server/engine/engine.h"

#include <stdio.h>

#include "common/id.h"
#include "common/json_out.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "server/engine/eio_packet.h"
#include "server/engine/look.h"

/* Engine.IO error codes (protocol A.6), in their order. */
enum eio_error {
    EIO_ELSEWHERE = -2, /* another node's session: no error */
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

enum {
    HEADERS_MAX = 16 * 1024,
    OPEN_BYTES = 224, /* what the open packet fits into */
    ORIGIN_LOGS_PER_MINUTE = 30,
};

/* What the checks found out about a request. */
struct inquiry {
    struct session *session;    /* NULL for a handshake */
    struct elsewhere_node node; /* whose it is, when EIO_ELSEWHERE */
    bool websocket;             /* the transport it names */
    bool upgrade;               /* it asks for a WebSocket connection */
    bool old;                   /* of protocol 3 */
};

static struct str session_key(const struct map_node *n)
{
    return session_sid(const_container_of(n, struct session, by_sid));
}

struct engine *engine_new(struct loop *l, const struct engine_settings *s,
                          const struct session_ops *ops,
                          void (*on_session)(void *arg, struct session *s),
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
    e->ws_ops = session_ws_ops;
    e->upgrade_ops = upgrade_ws_ops;
    e->ws_ops.limits = e->upgrade_ops.limits = e->no_ops.limits = &e->ws_limits;
    e->ops = ops;
    e->on_session = on_session;
    e->arg = arg;
    list_init(&e->waiting);
    map_init_dense(&e->sessions, session_key);
    heads_init(&e->heads);
    slow_init(e);
    heartbeats_init(&e->beats, l, s->ping_interval_ms, s->ping_timeout_ms);
    return e;
}

void engine_configure(struct engine *e, const struct engine_settings *s)
{
    e->settings = *s;
}

void engine_relay(struct engine *e, const struct elsewhere_settings *s)
{
    e->elsewhere = elsewhere_new(e, s);
}

void engine_on_request(struct engine *e, admission_fn *fn, void *arg)
{
    e->on_request = fn;
    e->request_arg = arg;
}

static void collect(struct map_node *n, void *arg)
{
    struct session ***next = arg;
    *(*next)++ = container_of(n, struct session, by_sid);
}

void engine_close(struct engine *e)
{
    e->closing = true;
    admission_close(e);
    elsewhere_close(e->elsewhere);
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
    elsewhere_free(e->elsewhere);
    map_fini(&e->sessions);
    map_fini(&e->heads);
    heartbeats_fini(&e->beats);
    mem_free(e);
}

const struct http_request *engine_upload(const struct engine *e)
{
    return e->upload;
}

void engine_metrics(const struct engine *e)
{
    metrics_set(M_SLOW_BEHIND, e->slow.n);
    metrics_set(M_HELD_BYTES, bytes_held() + e->slow.bytes);
    metrics_set(M_SESSIONS_WEBSOCKET, e->n_websocket);
    metrics_set(M_SESSIONS_POLLING, e->sessions.count - e->n_websocket);
    struct engine_load load = engine_load(e);
    metrics_set(M_SLOW_CLIENTS, load.slow);
    metrics_set(M_OUTPUT_QUEUED, load.queued_bytes);
    metrics_set(M_HALF_OPEN_SESSIONS, engine_half_open(e));
    metrics_set(M_RELAYS, elsewhere_count(e->elsewhere));
}

size_t engine_sessions(const struct engine *e)
{
    return e->sessions.count;
}

uint32_t engine_half_open(const struct engine *e)
{
    return e->n_unestablished + e->n_waiting;
}

/* ---- answers ------------------------------------------------------------- */

static void refuse_plain(struct http_request *r, struct str text, bool versions)
{
    struct buf raw;
    buf_init(&raw, text.len + 256);
    buf_fmt(&raw,
            "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
            "Content-type: text/html\r\nContent-Length: %zu\r\n%s\r\n",
            text.len, versions ? "Sec-WebSocket-Version: 13, 8\r\n" : "");
    buf_add(&raw, text);
    http_respond_raw(r, buf_str(&raw));
    buf_fini(&raw);
}

static void refuse_with(struct engine *e, struct http_request *r,
                        enum eio_error code, struct str message)
{
    metrics_add(code == EIO_UNKNOWN_SID ? M_UNKNOWN_SID : M_BAD_HANDSHAKE, 1);
    /* not the query: a guessed sid may be somebody's, and parameters of
     * applications are often tokens */
    log_debug("bad_request", "code=%d path=%s", (int)code,
              log_safe(http_path(r)));
    if (http_is_upgrade(r)) {
        refuse_plain(r, message, false);
        return;
    }
    struct buf headers, body;
    buf_init(&headers, HEADERS_MAX);
    buf_init(&body, message.len * 6 + 128); /* \u00xx is the longest escape */
    cors_headers(&e->settings.cors, r, &headers);
    buf_fmt(&body, "{\"code\":%d,\"message\":", (int)code);
    json_out_string(&body, message);
    buf_addc(&body, '}');
    struct http_response resp = {.status = code == EIO_FORBIDDEN ? 403 : 400,
                                 .headers = buf_str(&headers),
                                 .type = "application/json",
                                 .body = buf_str(&body)};
    http_respond(r, &resp);
    buf_fini(&headers);
    buf_fini(&body);
}

static void refuse(struct engine *e, struct http_request *r,
                   enum eio_error code)
{
    refuse_with(e, r, code, str_of(error_text[code]));
}

void engine_deny(struct engine *e, struct http_request *r, struct str message)
{
    refuse_with(e, r, EIO_FORBIDDEN,
                message.len ? message : str_of(error_text[EIO_FORBIDDEN]));
}

void engine_too_large(struct engine *e, struct http_request *r)
{
    struct buf headers;
    buf_init(&headers, HEADERS_MAX);
    cors_headers(&e->settings.cors, r, &headers);
    metrics_add(M_PAYLOAD_TOO_LARGE, 1);
    struct http_response resp = {.status = 413, .headers = buf_str(&headers)};
    http_respond(r, &resp);
    buf_fini(&headers);
}

void engine_unknown_sid(struct engine *e, struct http_request *r)
{
    refuse(e, r, EIO_UNKNOWN_SID);
}

/* ---- checks, in the official order --------------------------------------- */

/* What is not 4 is 3, which did not have to be named. */
static bool is_old(struct http_request *r)
{
    struct str v;
    return !http_query(r, STR("EIO"), &v) || !str_eq(v, STR("4"));
}

/* Whoever runs the node may want to add it to the list. */
static bool origin_ok(const struct engine *e, const struct http_request *r)
{
    static struct log_gate gate;
    struct str origin;
    if (cors_permits(&e->settings.cors, r))
        return true;
    if (log_allow(&gate, loop_now(e->loop), ORIGIN_LOGS_PER_MINUTE) &&
        http_header(r, STR("origin"), &origin))
        log_info("origin_refused", "origin=%s", log_safe(origin));
    return false;
}

bool engine_asks_base64(struct http_request *r)
{
    struct str v;
    return http_query(r, STR("b64"), &v) && v.len > 0;
}

static enum eio_error check_session(struct engine *e,
                                    const struct http_request *r,
                                    struct str sid, struct inquiry *q)
{
    struct map_node *n = sid.len <= SID_MAX ? map_get(&e->sessions, sid) : NULL;
    if (!n)
        return elsewhere_find(e->elsewhere, r, sid, &q->node) ? EIO_ELSEWHERE
                                                              : EIO_UNKNOWN_SID;
    q->session = container_of(n, struct session, by_sid);
    if (!q->upgrade && q->websocket != (q->session->ws != NULL))
        return EIO_BAD_REQUEST;
    /* A WebSocket session cannot be polled, and only an upgrade carries
     * WebSocket. */
    if (!q->upgrade && q->websocket)
        return EIO_BAD_REQUEST;
    return q->old == q->session->old ? EIO_OK : EIO_BAD_REQUEST;
}

static enum eio_error check(struct engine *e, struct http_request *r,
                            struct inquiry *q)
{
    struct str transport, sid;
    *q = (struct inquiry){.upgrade = http_is_upgrade(r), .old = is_old(r)};
    if (!http_query(r, STR("transport"), &transport))
        return EIO_UNKNOWN_TRANSPORT;
    q->websocket = str_eq(transport, STR("websocket"));
    if (!q->websocket && !str_eq(transport, STR("polling")))
        return EIO_UNKNOWN_TRANSPORT;
    if (!origin_ok(e, r))
        return EIO_FORBIDDEN;
    if (http_query(r, STR("sid"), &sid) && sid.len > 0)
        return check_session(e, r, sid, q);
    if (http_verb(r) != VERB_GET)
        return EIO_BAD_METHOD;
    /* The revision of a handshake is looked at after its admission. */
    return q->websocket && !q->upgrade ? EIO_BAD_REQUEST : EIO_OK;
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

/* 20 random characters, of which the first say whose it is where there are
 * other nodes; behind a balancer that told us its name for this node, a dot and
 * that name, so that it can route by the sid alone. */
static size_t make_sid(const struct engine *e, const struct http_request *r,
                       char sid[SID_MAX])
{
    struct str slot;
    size_t tag = elsewhere_tag(e->elsewhere, sid);
    id_random(sid + tag, ID_LEN - tag);
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
    buf_space(out, OPEN_BYTES);
    buf_add(out, STR("0{\"sid\":\""));
    buf_add(out, sid);
    buf_add(out, websocket ? STR("\",\"upgrades\":[],\"pingInterval\":")
                           : STR("\",\"upgrades\":[\"websocket\"],"
                                 "\"pingInterval\":"));
    buf_add_u64(out, e->settings.ping_interval_ms);
    buf_add(out, STR(",\"pingTimeout\":"));
    buf_add_u64(out, e->settings.ping_timeout_ms);
    buf_add(out, STR(",\"maxPayload\":"));
    buf_add_u64(out, e->settings.max_payload_bytes);
    buf_addc(out, '}');
}

static struct session *open_session(struct engine *e, struct http_request *r,
                                    bool old, enum journal_code how)
{
    char sid[SID_MAX];
    struct str id = {sid, make_sid(e, r, sid)};
    struct session *s = session_new(e, id, r, old);
    s->b64 = engine_asks_base64(r);
    metrics_add(M_HANDSHAKES, 1);
    session_note(s, how, 0);
    s->owned = true;
    e->on_session(e->arg, s);
    return s;
}

static void opened(struct session *s)
{
    if (s->state == SESSION_OPEN)
        s->engine->ops->on_open(session_owner(s));
}

static void add_cookie(const struct engine *e, const struct session *s,
                       struct buf *out)
{
    const struct engine_settings *set = &e->settings;
    if (set->cookie[0])
        buf_fmt(out, "Set-Cookie: %s=%.*s%s%s\r\n", set->cookie,
                STR_ARG(session_sid(s)), set->cookie_attributes[0] ? "; " : "",
                set->cookie_attributes);
}

static void handshake_polling(struct engine *e, struct http_request *r,
                              bool old, struct str headers)
{
    struct session *s = open_session(e, r, old, J_OPENED_POLLING);
    struct str index;
    s->jsonp = e->settings.allow_eio3 && http_query(r, STR("j"), &index);
    struct buf packet, body, extra;
    buf_init(&packet, 512);
    buf_init(&body, 512);
    buf_init(&extra, HEADERS_MAX);
    open_packet(e, session_sid(s), false, &packet);
    session_coding(s)->add(&body, buf_str(&packet), false);
    add_cookie(e, s, &extra);
    buf_add(&extra, headers);
    polling_send(s, r, buf_str(&body), buf_str(&extra));
    buf_fini(&extra);
    buf_fini(&packet);
    buf_fini(&body);
    opened(s);
}

static void handshake_websocket(struct engine *e, struct http_request *r,
                                bool old, struct str headers)
{
    struct session *s = open_session(e, r, old, J_OPENED_WEBSOCKET);
    struct buf open;
    char *body;
    buf_init(&open, 512);
    open_packet(e, session_sid(s), true, &open);
    struct bytes *frame = ws_frame_new(open.len, false, &body);
    memcpy(body, buf_ptr(&open), open.len);
    buf_fini(&open);
    struct websocket *ws = websocket_accept(r, headers, &e->ws_ops, s);
    websocket_send(ws, frame);
    bytes_unref(frame);
    session_attach(s, ws);
    opened(s);
}

static void on_upgrade(struct engine *e, struct http_request *r,
                       const struct inquiry *q, struct str extra)
{
    struct str why;
    bool versions;
    if (websocket_check(r, &e->ws_limits, &why, &versions) < 0) {
        metrics_add(M_BAD_HANDSHAKE, 1);
        refuse_plain(r, why, versions);
        return;
    }
    struct buf headers;
    buf_init(&headers, HEADERS_MAX + extra.len);
    cors_headers(&e->settings.cors, r, &headers);
    buf_add(&headers, extra);
    if (!q->websocket) {
        struct websocket *ws =
            websocket_accept(r, buf_str(&headers), &e->no_ops, NULL);
        websocket_close(ws, 0);
    } else if (q->session) {
        upgrade_request(q->session, r, buf_str(&headers));
    } else {
        handshake_websocket(e, r, q->old, buf_str(&headers));
    }
    buf_fini(&headers);
}

static void handshake(struct engine *e, struct http_request *r,
                      const struct inquiry *q, struct str headers)
{
    if (q->old && !e->settings.allow_eio3)
        refuse(e, r, EIO_UNSUPPORTED_VERSION);
    else if (q->upgrade)
        on_upgrade(e, r, q, headers);
    else
        handshake_polling(e, r, q->old, headers);
}

void engine_handshake(struct engine *e, struct http_request *r,
                      struct str headers)
{
    struct inquiry q;
    enum gate g = gate_look(e);
    if (check(e, r, &q) != EIO_OK)
        return; /* it still is */
    if (g != GATE_OPEN)
        gate_refuse(e, r, g);
    else
        handshake(e, r, &q, headers);
}

static void begin(struct engine *e, struct http_request *r,
                  const struct inquiry *q)
{
    enum gate g = gate_enter(e);
    if (g != GATE_OPEN)
        gate_refuse(e, r, g);
    else if (e->on_request)
        admission_begin(e, r);
    else
        handshake(e, r, q, STR(""));
}

void engine_request(void *arg, struct http_request *r)
{
    struct engine *e = arg;
    struct inquiry q;
    if (cors_on(&e->settings.cors) && http_verb(r) == VERB_OPTIONS) {
        cors_preflight(&e->settings.cors, r);
        return;
    }
    if (elsewhere_vouched(e->elsewhere, r))
        metrics_add(M_RELAY_SERVED, 1);
    enum eio_error code = check(e, r, &q);
    if (code == EIO_ELSEWHERE)
        elsewhere_request(e->elsewhere, r, &q.node);
    else if (code != EIO_OK)
        refuse(e, r, code);
    else if (!q.session)
        begin(e, r, &q);
    else if (q.upgrade)
        on_upgrade(e, r, &q, STR(""));
    else
        polling_request(q.session, r);
}

void engine_relayed_request(void *arg, struct http_request *r)
{
    struct engine *e = arg;
    if (elsewhere_vouched(e->elsewhere, r))
        engine_request(e, r);
    else
        engine_unknown_sid(e, r);
}
