#include "server/ctl/eio.h"

#include <stdio.h>

#include "common/base64.h"
#include "common/id.h"
#include "common/json.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/sha1.h"
#include "common/utf8.h"
#include "server/ctl/frames.h"
#include "server/engine/eio_packet.h"

enum {
    TARGET_MAX = CTL_PATH_MAX + CTL_SID_MAX + 128,
    HELLO_MAX_MS = 24 * 3600 * 1000,
    OUT_MAX = 1024 * 1024,
    KEY_LEN = 24,
    CLOSE_NORMAL = 1000,
};

enum eio_state { EIO_OPENING, EIO_IS_OPEN, EIO_CLOSED };

/* The way from polling to the WebSocket. */
enum eio_move {
    MOVE_NONE,
    MOVE_ASKED,   /* the WebSocket is being opened */
    MOVE_PROBED,  /* it is open and was sent a probe */
    MOVE_PAUSING, /* the probe came back: the poll under way is the last */
};

struct ctl_eio {
    const struct ctl_net *net;
    struct ctl_eio_settings settings;
    const struct ctl_eio_ops *ops;
    void *arg;
    struct ctl_http *get, *post, *upgrade;
    struct ctl_conn *ws;
    struct ctl_frames frames;
    struct buf out;     /* packets for the next POST */
    struct buf scratch; /* a packet that was base64 */
    struct ctl_eio_hello hello;
    struct timer silence; /* first that of the handshake */
    struct timer move_deadline;
    char key[KEY_LEN + 1];
    enum eio_state state;
    enum eio_move move;
    bool by_ws; /* the WebSocket is the session's transport */
};

/* ---- what is looked at from outside -------------------------------------- */

static bool take_number(const struct json *j, struct str key, uint32_t max,
                        uint32_t *out)
{
    int64_t n;
    uint32_t node = json_get(j, 0, key);
    if (node == JSON_NONE || json_type(j, node) != JSON_NUMBER ||
        !json_i64(j, node, &n) || n < 1 || n > max)
        return false;
    *out = (uint32_t)n;
    return true;
}

static bool sid_valid(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i], l = (char)(c | 0x20);
        if (!(c >= '0' && c <= '9') && !(l >= 'a' && l <= 'z') &&
            (c == '\0' || !strchr("-_.~", c)))
            return false;
    }
    return s.len > 0 && s.len <= CTL_SID_MAX;
}

static bool take_sid(const struct json *j, char out[CTL_SID_MAX + 1])
{
    uint32_t node = json_get(j, 0, STR("sid"));
    if (node == JSON_NONE || json_type(j, node) != JSON_STRING)
        return false;
    struct str text = json_text(j, node);
    struct str sid = {text.p + 1, text.len - 2};
    if (!sid_valid(sid))
        return false;
    memcpy(out, sid.p, sid.len);
    out[sid.len] = '\0';
    return true;
}

static bool has_websocket(const struct json *j)
{
    uint32_t list = json_get(j, 0, STR("upgrades"));
    if (list == JSON_NONE || json_type(j, list) != JSON_ARRAY)
        return false;
    uint32_t item = json_first(j, list);
    for (; item != JSON_NONE; item = json_next(j, list, item)) {
        if (json_type(j, item) == JSON_STRING &&
            json_string_eq(j, item, STR("websocket")))
            return true;
    }
    return false;
}

int ctl_eio_read_hello(struct str text, struct ctl_eio_hello *out)
{
    struct json j;
    json_init(&j);
    *out = (struct ctl_eio_hello){.max_payload = OUT_MAX};
    bool ok = json_parse(&j, text, (struct json_limits){8, 256}) == 0 &&
              json_type(&j, 0) == JSON_OBJECT && take_sid(&j, out->sid) &&
              take_number(&j, STR("pingInterval"), HELLO_MAX_MS,
                          &out->ping_interval_ms) &&
              take_number(&j, STR("pingTimeout"), HELLO_MAX_MS,
                          &out->ping_timeout_ms);
    if (ok) {
        (void)take_number(&j, STR("maxPayload"), INT32_MAX, &out->max_payload);
        out->websocket = has_websocket(&j);
    }
    json_fini(&j);
    return ok ? 0 : ERR_PROTO;
}

void ctl_eio_target(struct buf *out, const struct ctl_url *url,
                    const char *transport, struct str sid)
{
    buf_fmt(out, "%s?EIO=4&transport=%s", url->path, transport);
    if (sid.len > 0)
        buf_fmt(out, "&sid=%.*s", STR_ARG(sid));
}

/* Of {"code":1,"message":"Session ID unknown"}; else empty. */
static void message_of(struct str body, struct buf *out)
{
    struct json j;
    json_init(&j);
    uint32_t node = JSON_NONE;
    if (json_parse(&j, body, (struct json_limits){8, 64}) == 0)
        node = json_get(&j, 0, STR("message"));
    if (node != JSON_NONE && json_type(&j, node) == JSON_STRING)
        json_string(&j, node, out);
    json_fini(&j);
}

struct ctl_fault ctl_eio_refusal(const struct ctl_answer *a)
{
    struct buf message;
    buf_init(&message, 1024);
    message_of(a->body, &message);
    struct ctl_fault f = ctl_fault(
        FAULT_STATUS, "it was answered with %u%s%s", a->status,
        message.len ? " " : "", message.len ? log_safe(buf_str(&message)) : "");
    f.status = a->status;
    buf_fini(&message);
    return f;
}

/* ---- life ---------------------------------------------------------------- */

static void stop_moving(struct ctl_eio *e)
{
    timer_stop(&e->move_deadline);
    e->move = MOVE_NONE;
    ctl_http_free(e->upgrade);
    e->upgrade = NULL;
}

static void let_go(struct ctl_eio *e)
{
    e->state = EIO_CLOSED;
    stop_moving(e);
    timer_stop(&e->silence);
    ctl_http_free(e->get);
    ctl_http_free(e->post);
    ctl_conn_free(e->ws);
    e->get = e->post = NULL;
    e->ws = NULL;
}

static void end(struct ctl_eio *e, struct ctl_fault why)
{
    if (e->state == EIO_CLOSED)
        return;
    let_go(e);
    e->ops->on_close(e->arg, &why);
}

static void destroy(void *arg)
{
    struct ctl_eio *e = arg;
    ctl_frames_fini(&e->frames);
    buf_fini(&e->out);
    buf_fini(&e->scratch);
    mem_free(e);
}

static void hear(struct ctl_eio *e)
{
    loop_timer(e->net->loop, &e->silence,
               (uint64_t)e->hello.ping_interval_ms + e->hello.ping_timeout_ms);
}

static void on_silence(struct timer *t)
{
    struct ctl_eio *e = container_of(t, struct ctl_eio, silence);
    if (e->state == EIO_OPENING)
        end(e, ctl_fault(FAULT_TIMEOUT, "no handshake within %.1f s",
                         e->settings.timeout_ms / 1000.0));
    else
        end(e, ctl_fault(FAULT_TIMEOUT, "no ping came for %.1f s",
                         (e->hello.ping_interval_ms +
                          (double)e->hello.ping_timeout_ms) /
                             1000.0));
}

/* ---- sending ------------------------------------------------------------- */

static void ws_send(struct ctl_eio *e, enum ctl_opcode opcode, struct str body)
{
    unsigned char mask[4];
    struct buf b;
    id_bytes(mask, sizeof(mask));
    buf_init(&b, UINT32_MAX);
    ctl_frame_write(&b, opcode, body, mask);
    struct bytes *frame = buf_take(&b);
    ctl_conn_send(e->ws, frame);
    bytes_unref(frame);
}

static void on_posted(void *arg, const struct ctl_answer *a,
                      const struct ctl_fault *why);

static void post_out(struct ctl_eio *e)
{
    if (e->out.len == 0 || ctl_http_busy(e->post))
        return;
    struct buf target;
    struct buf headers;
    buf_init(&target, TARGET_MAX);
    buf_init(&headers, UINT32_MAX);
    ctl_eio_target(&target, e->settings.url, "polling", str_of(e->hello.sid));
    buf_add(&headers, STR("Content-Type: text/plain;charset=UTF-8\r\n"));
    buf_add(&headers, e->settings.headers);
    struct ctl_request r = {.verb = "POST",
                            .target = buf_str(&target),
                            .headers = buf_str(&headers),
                            .body = buf_str(&e->out),
                            .timeout_ms = e->settings.timeout_ms};
    ctl_http_send(e->post, &r, on_posted, e);
    buf_clear(&e->out);
    buf_fini(&target);
    buf_fini(&headers);
}

/* Where the session's packets go now. */
static void send_packet(struct ctl_eio *e, struct str packet)
{
    if (e->by_ws) {
        ws_send(e, FRAME_TEXT, packet);
        return;
    }
    eio4_coding.add(&e->out, packet, false);
    if (e->move != MOVE_PAUSING)
        post_out(e);
}

bool ctl_eio_send(struct ctl_eio *e, struct str text)
{
    if (e->state != EIO_IS_OPEN)
        return false;
    if (e->by_ws ? ctl_conn_queued(e->ws) > OUT_MAX
                 : e->out.len + text.len + 2 > e->out.max)
        return false;
    struct buf packet;
    buf_init(&packet, UINT32_MAX);
    buf_addc(&packet, '4');
    buf_add(&packet, text);
    send_packet(e, buf_str(&packet));
    buf_fini(&packet);
    return true;
}

/* ---- receiving ----------------------------------------------------------- */

static void begin_move(struct ctl_eio *e);

static void open_session(struct ctl_eio *e, struct str json)
{
    if (e->state != EIO_OPENING || ctl_eio_read_hello(json, &e->hello) < 0) {
        end(e, ctl_fault(FAULT_PROTO, "the handshake makes no sense"));
        return;
    }
    e->state = EIO_IS_OPEN;
    if (e->out.max > e->hello.max_payload)
        e->out.max = e->hello.max_payload;
    hear(e);
    e->ops->on_open(e->arg);
    if (e->state == EIO_IS_OPEN && !e->by_ws && e->settings.websocket &&
        e->hello.websocket)
        begin_move(e);
}

static void on_ping(struct ctl_eio *e, struct str data)
{
    struct buf pong;
    buf_init(&pong, UINT32_MAX);
    buf_addc(&pong, '3');
    buf_add(&pong, data);
    send_packet(e, buf_str(&pong));
    buf_fini(&pong);
    if (e->ops->on_ping)
        e->ops->on_ping(e->arg);
}

static void on_packet(struct ctl_eio *e, const struct eio_packet *p)
{
    if (p->type == EIO_OPEN) {
        open_session(e, p->data);
        return;
    }
    if (e->state != EIO_IS_OPEN) {
        end(e, ctl_fault(FAULT_PROTO, "it does not begin with a handshake"));
        return;
    }
    hear(e);
    switch (p->type) {
    case EIO_CLOSE:
        end(e, ctl_fault(FAULT_ENDED, "the server ended the session"));
        break;
    case EIO_PING:
        on_ping(e, p->data);
        break;
    case EIO_MESSAGE:
        e->ops->on_message(e->arg, p->data, p->binary);
        break;
    default: /* a noop; nothing else is for us */
        break;
    }
}

static void on_text(struct ctl_eio *e, struct str text)
{
    struct eio_packet p;
    int rc = eio_decode(text, &e->scratch, &p);
    if (rc < 0)
        end(e, ctl_fault(rc == ERR_LIMIT ? FAULT_LIMIT : FAULT_PROTO,
                         "a packet makes no sense"));
    else
        on_packet(e, &p);
}

/* ---- polling ------------------------------------------------------------- */

static void poll_again(struct ctl_eio *e);
static void finish_move(struct ctl_eio *e);

static void on_polled(void *arg, const struct ctl_answer *a,
                      const struct ctl_fault *why)
{
    struct ctl_eio *e = arg;
    if (!a) {
        end(e, *why);
        return;
    }
    if (a->status != 200) {
        end(e, ctl_eio_refusal(a));
        return;
    }
    struct str payload = a->body, packet;
    if (payload.len == 0 || !utf8_valid(payload)) {
        end(e, ctl_fault(FAULT_PROTO, "a poll brought no packets"));
        return;
    }
    while (e->state != EIO_CLOSED && eio4_coding.next(&payload, &packet) > 0)
        on_text(e, packet);
    if (e->state == EIO_CLOSED)
        return;
    if (e->state == EIO_OPENING)
        end(e, ctl_fault(FAULT_PROTO, "it does not begin with a handshake"));
    else if (e->move == MOVE_PAUSING)
        finish_move(e);
    else
        poll_again(e);
}

static void poll_again(struct ctl_eio *e)
{
    struct buf target;
    buf_init(&target, TARGET_MAX);
    ctl_eio_target(&target, e->settings.url, "polling", str_of(e->hello.sid));
    bool open = e->state == EIO_IS_OPEN;
    struct ctl_request r = {.verb = "GET",
                            .target = buf_str(&target),
                            .headers = e->settings.headers,
                            .timeout_ms = open ? e->hello.ping_interval_ms +
                                                     e->hello.ping_timeout_ms
                                               : e->settings.timeout_ms};
    ctl_http_send(e->get, &r, on_polled, e);
    buf_fini(&target);
}

static void on_posted(void *arg, const struct ctl_answer *a,
                      const struct ctl_fault *why)
{
    struct ctl_eio *e = arg;
    if (!a)
        end(e, *why);
    else if (a->status != 200)
        end(e, ctl_eio_refusal(a));
    else if (e->move == MOVE_PAUSING)
        finish_move(e);
    else
        post_out(e);
}

/* ---- WebSocket ----------------------------------------------------------- */

/* The upgrade, or the whole session when there is nothing else. */
static void ws_failed(struct ctl_eio *e, struct ctl_fault why)
{
    if (e->by_ws || e->move == MOVE_NONE) {
        end(e, why);
        return;
    }
    bool pausing = e->move == MOVE_PAUSING;
    stop_moving(e);
    ctl_conn_free(e->ws);
    e->ws = NULL;
    if (pausing && !ctl_http_busy(e->get))
        poll_again(e);
    post_out(e);
    if (e->ops->on_upgrade)
        e->ops->on_upgrade(e->arg, &why);
}

/* The last poll and the last POST are over. */
static void finish_move(struct ctl_eio *e)
{
    if (ctl_http_busy(e->get) || ctl_http_busy(e->post))
        return;
    stop_moving(e);
    ws_send(e, FRAME_TEXT, STR("5"));
    e->by_ws = true;
    struct str rest = buf_str(&e->out), packet;
    while (rest.len > 0 && eio4_coding.next(&rest, &packet) > 0)
        ws_send(e, FRAME_TEXT, packet);
    buf_clear(&e->out);
    if (e->ops->on_upgrade)
        e->ops->on_upgrade(e->arg, NULL);
}

static void on_probed(struct ctl_eio *e, struct str text)
{
    if (e->move != MOVE_PROBED || !str_eq(text, STR("3probe"))) {
        ws_failed(e, ctl_fault(FAULT_PROTO, "the probe was not answered"));
        return;
    }
    e->move = MOVE_PAUSING;
    finish_move(e);
}

static void on_ws_close(struct ctl_eio *e, struct str body)
{
    unsigned code = 0;
    if (body.len >= 2)
        code =
            (unsigned)(unsigned char)body.p[0] << 8 | (unsigned char)body.p[1];
    ws_send(e, FRAME_CLOSE, (struct str){body.p, body.len < 2 ? 0 : 2});
    if (code)
        ws_failed(e, ctl_fault(FAULT_ENDED,
                               "the server closed the WebSocket with code %u",
                               code));
    else
        ws_failed(e, ctl_fault(FAULT_ENDED, "the server closed the WebSocket"));
}

static void on_frame(struct ctl_eio *e, const struct ctl_frame *f)
{
    struct eio_packet p = {EIO_MESSAGE, true, f->data};
    switch (f->opcode) {
    case FRAME_CLOSE:
        on_ws_close(e, f->data);
        break;
    case FRAME_PING:
        ws_send(e, FRAME_PONG, f->data);
        break;
    case FRAME_TEXT:
        if (e->by_ws)
            on_text(e, f->data);
        else
            on_probed(e, f->data);
        break;
    case FRAME_BINARY:
        if (e->by_ws)
            on_packet(e, &p);
        break;
    default:
        break;
    }
}

static void on_ws_data(void *arg, struct str data)
{
    struct ctl_eio *e = arg;
    struct ctl_frame f;
    int rc = 1;
    while (e->ws && rc > 0) {
        rc = ctl_frames_take(&e->frames, &data, &f);
        if (rc > 0)
            on_frame(e, &f);
    }
    if (rc < 0)
        ws_failed(e, ctl_fault(rc == ERR_LIMIT ? FAULT_LIMIT : FAULT_PROTO,
                               rc == ERR_LIMIT
                                   ? "a message is too large"
                                   : "a WebSocket frame makes no sense"));
}

static void on_ws_end(void *arg, const struct ctl_fault *why)
{
    ws_failed(arg, *why);
}

static const struct ctl_conn_ops ws_ops = {.on_data = on_ws_data,
                                           .on_end = on_ws_end};

static bool accepted(const struct ctl_eio *e, const struct ctl_answer *a)
{
    unsigned char digest[20];
    char text[KEY_LEN + 37];
    struct str value;
    (void)snprintf(text, sizeof(text), "%s%s", e->key,
                   "258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    sha1(str_of(text), digest);
    struct buf expected;
    buf_init(&expected, 64);
    base64_encode((struct str){(const char *)digest, sizeof(digest)},
                  &expected);
    bool ok = ctl_answer_header(a, STR("upgrade"), &value) &&
              str_ieq(value, STR("websocket")) &&
              ctl_answer_header(a, STR("sec-websocket-accept"), &value) &&
              str_eq(value, buf_str(&expected)) &&
              !ctl_answer_header(a, STR("sec-websocket-extensions"), &value);
    buf_fini(&expected);
    return ok;
}

static void on_switched(void *arg, const struct ctl_answer *a,
                        const struct ctl_fault *why)
{
    struct ctl_eio *e = arg;
    struct str rest;
    if (!a) {
        ws_failed(e, *why);
    } else if (a->status != 101) {
        ws_failed(e, ctl_eio_refusal(a));
    } else if (!accepted(e, a)) {
        ws_failed(e, ctl_fault(FAULT_PROTO,
                               "the answer to the WebSocket's handshake does "
                               "not fit the request"));
    } else {
        e->ws = ctl_http_take(e->upgrade, &rest);
        ctl_conn_set_owner(e->ws, &ws_ops, e);
        if (e->move == MOVE_ASKED) {
            e->move = MOVE_PROBED;
            ws_send(e, FRAME_TEXT, STR("2probe"));
        } else {
            e->by_ws = true;
            stop_moving(e);
        }
        if (rest.len > 0)
            on_ws_data(e, rest);
    }
}

static void open_ws(struct ctl_eio *e)
{
    unsigned char random[16];
    struct buf key, target, headers;
    id_bytes(random, sizeof(random));
    buf_init(&key, KEY_LEN);
    buf_init(&target, TARGET_MAX);
    buf_init(&headers, UINT32_MAX);
    base64_encode((struct str){(const char *)random, sizeof(random)}, &key);
    memcpy(e->key, buf_ptr(&key), KEY_LEN);
    ctl_eio_target(&target, e->settings.url, "websocket", str_of(e->hello.sid));
    buf_fmt(&headers,
            "Connection: Upgrade\r\nUpgrade: websocket\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
            e->key);
    buf_add(&headers, e->settings.headers);
    struct ctl_request r = {.verb = "GET",
                            .target = buf_str(&target),
                            .headers = buf_str(&headers),
                            .timeout_ms = e->settings.timeout_ms};
    e->upgrade = ctl_http_new(e->net, e->settings.url, OUT_MAX);
    ctl_http_send(e->upgrade, &r, on_switched, e);
    buf_fini(&key);
    buf_fini(&target);
    buf_fini(&headers);
}

static void on_move_deadline(struct timer *t)
{
    struct ctl_eio *e = container_of(t, struct ctl_eio, move_deadline);
    ws_failed(e, ctl_fault(FAULT_TIMEOUT, "no upgrade within %.1f s",
                           e->settings.timeout_ms / 1000.0));
}

static void begin_move(struct ctl_eio *e)
{
    e->move = MOVE_ASKED;
    loop_timer(e->net->loop, &e->move_deadline, e->settings.timeout_ms);
    open_ws(e);
}

/* ---- from outside -------------------------------------------------------- */

struct ctl_eio *ctl_eio_new(const struct ctl_net *net,
                            const struct ctl_eio_settings *s,
                            const struct ctl_eio_ops *ops, void *arg)
{
    struct ctl_eio *e = mem_zalloc(sizeof(*e));
    e->net = net;
    e->settings = *s;
    e->ops = ops;
    e->arg = arg;
    ctl_frames_init(&e->frames, s->max_bytes);
    buf_init(&e->out, OUT_MAX);
    buf_init(&e->scratch, s->max_bytes);
    timer_init(&e->silence, on_silence);
    timer_init(&e->move_deadline, on_move_deadline);
    loop_timer(net->loop, &e->silence, s->timeout_ms);
    if (s->polling) {
        e->get = ctl_http_new(net, s->url, s->max_bytes);
        e->post = ctl_http_new(net, s->url, OUT_MAX);
        poll_again(e);
    } else {
        open_ws(e);
    }
    return e;
}

void ctl_eio_free(struct ctl_eio *e)
{
    if (!e)
        return;
    static const char normal[] = {(char)(CLOSE_NORMAL >> 8),
                                  (char)(CLOSE_NORMAL & 0xff)};
    if (e->state == EIO_IS_OPEN && e->by_ws) {
        ws_send(e, FRAME_TEXT, STR("1"));
        ws_send(e, FRAME_CLOSE, (struct str){normal, sizeof(normal)});
    } else if (e->state == EIO_IS_OPEN) {
        eio4_coding.add(&e->out, STR("1"), false);
        post_out(e); /* over a connection that is there already */
    }
    let_go(e);
    loop_bury(e->net->loop, destroy, e);
}

struct str ctl_eio_sid(const struct ctl_eio *e)
{
    return str_of(e->hello.sid);
}

uint32_t ctl_eio_ping_interval(const struct ctl_eio *e)
{
    return e->hello.ping_interval_ms;
}

uint32_t ctl_eio_ping_timeout(const struct ctl_eio *e)
{
    return e->hello.ping_timeout_ms;
}

bool ctl_eio_upgraded(const struct ctl_eio *e)
{
    return e->by_ws;
}
