#include "server/http/websocket.h"

#include <assert.h>

#include <wslay/wslay.h>

#include "common/base64.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/sha1.h"
#include "common/slab.h"
#include "common/utf8.h"
#include "server/http/deflate.h"
#include "server/http/extension.h"

enum {
    LINGER_MS = 30000, /* as the official server waits for the peer's close */
    POOL_MAX = 32,
    CONTROL_MAX = 125,
    ANSWER_BYTES = 160, /* of a handshake, as most are */
    QUICK_MAX = 4096,   /* of a payload that is unmasked on the stack */
    CODE_PROTOCOL = 1002,
    CODE_UTF8 = 1007, /* and other content that cannot be read */
    CODE_TOO_BIG = 1009,
    FIRST_COMPRESSED = 0x40, /* RSV1 in a frame's first byte */
};

/* What receiving needs: borrowed from the pool while bytes of a message or of a
 * frame are under way, or something is put aside. */
struct rx {
    struct rx *next;
    wslay_frame_context_ptr frames;
    struct str input;    /* not yet read by wslay */
    uint64_t raw;        /* bytes given to wslay that no finished frame has */
    uint64_t frame_left; /* payload of the present frame still to come */
    uint64_t frame_raw;  /* size of the present frame, header included */
    struct buf message;
    /* Either input that came with the handshake, in the turn of that; or later
     * the answer to the latest ping, while output is blocked. */
    struct bytes *aside;
    bool early; /* `aside` is input */
    uint32_t fragments;
    uint32_t utf8;
    uint8_t opcode; /* of the message under way; 0 = none */
    bool in_frame;
    bool compressed; /* the message under way is */
    uint8_t control_len;
    char control[CONTROL_MAX];
};

struct websocket {
    struct stream *stream;
    const struct websocket_ops *ops;
    void *owner;
    struct rx *rx;
    uint8_t window_bits; /* of permessage-deflate; 0 = not agreed on */
    bool closed;
};

/* ---- pool of receive contexts -------------------------------------------- */

static struct rx *pool;
static unsigned pool_count;

static ssize_t give_input(uint8_t *buf, size_t len, int flags, void *arg)
{
    (void)flags;
    struct rx *rx = arg;
    if (rx->input.len == 0)
        return -1;
    if (len > rx->input.len)
        len = rx->input.len;
    memcpy(buf, rx->input.p, len);
    rx->input = str_from(rx->input, len);
    rx->raw += len;
    return (ssize_t)len;
}

static struct rx *rx_get(const struct websocket_limits *limits)
{
    static const struct wslay_frame_callbacks callbacks = {.recv_callback =
                                                               give_input};
    struct rx *rx = pool;
    if (rx) {
        pool = rx->next;
        pool_count--;
    } else {
        rx = mem_zalloc(sizeof(*rx));
        int rc = wslay_frame_context_init(&rx->frames, &callbacks, rx);
        assert(rc == 0);
    }
    buf_init(&rx->message, limits->message_bytes);
    return rx;
}

static void rx_free(struct rx *rx)
{
    wslay_frame_context_free(rx->frames);
    buf_fini(&rx->message);
    bytes_unref(rx->aside);
    mem_free(rx);
}

/* At a frame boundary with nothing under way the context is as good as new. */
static void rx_put(struct rx *rx)
{
    if (pool_count >= POOL_MAX) {
        rx_free(rx);
        return;
    }
    buf_fini(&rx->message);
    rx->fragments = 0;
    rx->next = pool;
    pool = rx;
    pool_count++;
}

static bool rx_idle(const struct rx *rx)
{
    return rx->raw == 0 && !rx->in_frame && rx->opcode == 0 && !rx->aside;
}

/* ---- closing ------------------------------------------------------------- */

static void ws_destroy(void *arg)
{
    struct websocket *ws = arg;
    if (ws->rx)
        rx_free(ws->rx);
    slab_free(ws, sizeof(*ws));
}

static void ws_end(struct websocket *ws)
{
    ws->closed = true;
    loop_bury(stream_loop(ws->stream), ws_destroy, ws);
}

/* `payload` is a close frame's: a code and perhaps a reason, or nothing. */
static void close_with(struct websocket *ws, struct str payload)
{
    struct buf frame;
    if (ws->closed)
        return;
    buf_init(&frame, 128);
    buf_add(&frame, (struct str){(char[]){(char)0x88, (char)payload.len}, 2});
    buf_add(&frame, payload);
    struct bytes *b = bytes_new(buf_str(&frame));
    buf_fini(&frame);
    stream_send(ws->stream, b);
    bytes_unref(b);
    stream_close(ws->stream, LINGER_MS);
    ws_end(ws);
}

void websocket_close(struct websocket *ws, unsigned code)
{
    websocket_close_because(ws, code, "");
}

void websocket_close_because(struct websocket *ws, unsigned code,
                             const char *reason)
{
    char payload[CONTROL_MAX] = {(char)(code >> 8), (char)(code & 0xff)};
    size_t len = strlen(reason);
    assert(len <= CONTROL_MAX - 2);
    memcpy(payload + 2, reason, len);
    close_with(ws, (struct str){payload, code ? 2 + len : 0});
}

void websocket_abort(struct websocket *ws)
{
    if (ws->closed)
        return;
    stream_abort(ws->stream);
    ws_end(ws);
}

/* The peer's fault: answer and tell the owner. */
static void end_by_peer(struct websocket *ws, unsigned code)
{
    const struct websocket_ops *ops = ws->ops;
    void *owner = ws->owner;
    metrics_add(code == CODE_TOO_BIG ? M_PAYLOAD_TOO_LARGE : M_BAD_FRAME, 1);
    websocket_close(ws, code);
    ops->on_close(owner, (struct websocket_end){.code = code});
}

/* ---- sending ------------------------------------------------------------- */

static size_t head_size(size_t len)
{
    return len < 126 ? 2 : len <= UINT16_MAX ? 4 : 10;
}

struct bytes *ws_frame_new(size_t len, bool binary, char **body)
{
    size_t head = head_size(len);
    struct bytes *b = mem_alloc(sizeof(*b) + head + len + 1);
    *b = (struct bytes){.refs = 1,
                        .len = (uint32_t)(head + len),
                        .head = (uint8_t)head,
                        .binary = binary};
    unsigned char *p = (unsigned char *)b->p;
    p[0] = binary ? 0x82 : 0x81;
    p[1] = (unsigned char)(head == 2 ? len : head == 4 ? 126 : 127);
    for (size_t i = 2; i < head; i++)
        p[i] = (unsigned char)(len >> (8 * (head - 1 - i)));
    *body = b->p + head;
    return b;
}

/* Fills in frame->deflated, or finds that it is not worth it. */
static void compress_frame(struct bytes *frame)
{
    struct buf packed;
    char *body;
    buf_init(&packed, frame->len);
    if (deflate_message(bytes_body(frame), &packed)) {
        frame->deflated = ws_frame_new(packed.len, frame->binary, &body);
        memcpy(body, buf_ptr(&packed), packed.len);
        frame->deflated->p[0] |= FIRST_COMPRESSED;
    } else {
        frame->dense = true;
    }
    buf_fini(&packed);
}

/* The frame as this connection, which has agreed on compression, gets it. Every
 * connection gets the same compressed bytes, made with the largest window: a
 * peer with a smaller one can read them if the whole message fits into its
 * window, since no reference goes back further than that. */
static struct bytes *frame_for(const struct websocket *ws, struct bytes *frame)
{
    size_t len = bytes_body(frame).len;
    if (ws->window_bits == 0 || len < ws->ops->limits->deflate_bytes ||
        (ws->window_bits < 15 && len > (size_t)1 << ws->window_bits))
        return frame;
    if (!frame->deflated && !frame->dense)
        compress_frame(frame);
    return frame->deflated ? frame->deflated : frame;
}

void websocket_send(struct websocket *ws, struct bytes *frame)
{
    if (!ws->closed)
        stream_send(ws->stream, ws->window_bits ? frame_for(ws, frame) : frame);
}

void websocket_push(struct websocket *ws)
{
    if (!ws->closed)
        stream_push(ws->stream);
}

size_t websocket_queued(const struct websocket *ws)
{
    return ws->closed ? 0 : stream_queued(ws->stream);
}

bool websocket_blocked(const struct websocket *ws)
{
    return !ws->closed && stream_blocked(ws->stream);
}

void websocket_tell(struct websocket *ws)
{
    if (!ws->closed)
        stream_tell(ws->stream);
}

void websocket_cut(struct websocket *ws)
{
    if (!ws->closed)
        stream_cut(ws->stream);
}

void websocket_pause(struct websocket *ws, bool paused)
{
    if (!ws->closed)
        stream_pause(ws->stream, paused);
}

void websocket_set_owner(struct websocket *ws, const struct websocket_ops *ops,
                         void *owner)
{
    ws->ops = ops;
    ws->owner = owner;
}

/* ---- control frames ------------------------------------------------------ */

static void answer_ping(struct websocket *ws, struct rx *rx, struct str payload)
{
    char frame[2 + CONTROL_MAX] = {(char)0x8a, (char)payload.len};
    memcpy(frame + 2, payload.p, payload.len);
    struct bytes *b = bytes_new((struct str){frame, 2 + payload.len});
    if (!stream_blocked(ws->stream)) {
        stream_send(ws->stream, b);
        bytes_unref(b);
        return;
    }
    /* A peer that pings without reading gets one answer, to its latest ping,
     * once it reads (RFC 6455 section 5.5.3 allows that). */
    bytes_unref(rx->aside);
    rx->aside = b;
}

static bool close_code_valid(unsigned code)
{
    return (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 &&
            code != 1006) ||
           (code >= 3000 && code <= 4999);
}

static void on_close_frame(struct websocket *ws, struct str payload)
{
    const struct websocket_ops *ops = ws->ops;
    void *owner = ws->owner;
    const unsigned char *p = (const unsigned char *)payload.p;
    unsigned code = payload.len >= 2 ? (unsigned)p[0] << 8 | p[1] : 0;
    if (payload.len > 0 && !close_code_valid(code)) {
        end_by_peer(ws, CODE_PROTOCOL);
    } else if (!utf8_valid(str_from(payload, 2))) {
        end_by_peer(ws, CODE_UTF8);
    } else {
        close_with(ws, payload);
        ops->on_close(owner, (struct websocket_end){
                                 .clean = true, .code = code ? code : 1005});
    }
}

static void on_control(struct websocket *ws, struct rx *rx, uint8_t opcode)
{
    struct str payload = {rx->control, rx->control_len};
    if (opcode == WSLAY_PING)
        answer_ping(ws, rx, payload);
    else if (opcode == WSLAY_CONNECTION_CLOSE)
        on_close_frame(ws, payload);
}

/* ---- receiving ----------------------------------------------------------- */

/* First chunk of a frame: everything that its header can be wrong about. The
 * close code to answer, or 0. */
static unsigned frame_begin(struct websocket *ws, struct rx *rx,
                            const struct wslay_frame_iocb *f)
{
    bool control = wslay_is_ctrl_frame(f->opcode);
    bool starts = f->opcode == WSLAY_TEXT_FRAME ||
                  f->opcode == WSLAY_BINARY_FRAME; /* a message */
    unsigned allowed = ws->window_bits && starts ? WSLAY_RSV1_BIT : 0;
    if (!f->mask || (f->rsv & ~allowed) || (f->opcode > 2 && !control) ||
        f->opcode > 10)
        return CODE_PROTOCOL;
    size_t len = (size_t)f->payload_length;
    rx->frame_raw = head_size(len) + 4 + len;
    rx->frame_left = len;
    rx->in_frame = true;
    rx->control_len = 0;
    if (control)
        return 0;
    if ((f->opcode == 0) != (rx->opcode != 0))
        return CODE_PROTOCOL;
    if (f->opcode) {
        rx->opcode = f->opcode;
        rx->compressed = f->rsv != 0;
        rx->utf8 = 0;
        rx->fragments = 0;
    }
    if (++rx->fragments > ws->ops->limits->fragments ||
        len > ws->ops->limits->message_bytes - rx->message.len)
        return CODE_TOO_BIG;
    return 0;
}

static void inflate_and_deliver(struct websocket *ws, struct str data,
                                bool binary)
{
    struct buf plain;
    buf_init(&plain, ws->ops->limits->message_bytes);
    int rc = inflate_message(data, &plain);
    if (rc < 0)
        end_by_peer(ws, rc == ERR_LIMIT ? CODE_TOO_BIG : CODE_UTF8);
    else if (!binary && !utf8_valid(buf_str(&plain)))
        end_by_peer(ws, CODE_UTF8);
    else
        ws->ops->on_message(ws->owner, buf_str(&plain), binary);
    buf_fini(&plain);
}

static void message_end(struct websocket *ws, struct rx *rx, struct str data)
{
    bool binary = rx->opcode == WSLAY_BINARY_FRAME;
    rx->opcode = 0;
    if (rx->compressed) {
        inflate_and_deliver(ws, data, binary);
        buf_clear(&rx->message);
        return;
    }
    if (!binary && rx->utf8 != 0) {
        end_by_peer(ws, CODE_UTF8);
        return;
    }
    ws->ops->on_message(ws->owner, data, binary);
    buf_clear(&rx->message);
}

/* A chunk of a data frame. A message that comes whole in one chunk goes up
 * without a copy. */
static void data_chunk(struct websocket *ws, struct rx *rx,
                       const struct wslay_frame_iocb *f, struct str chunk)
{
    if (rx->opcode == WSLAY_TEXT_FRAME && !rx->compressed &&
        !utf8_feed(&rx->utf8, chunk)) {
        end_by_peer(ws, CODE_UTF8);
        return;
    }
    bool last = f->fin && rx->frame_left == 0;
    if (last && rx->message.len == 0) {
        message_end(ws, rx, chunk);
        return;
    }
    buf_add(&rx->message, chunk);
    if (last)
        message_end(ws, rx, buf_str(&rx->message));
}

static void frame_chunk(struct websocket *ws, struct rx *rx,
                        const struct wslay_frame_iocb *f)
{
    if (!rx->in_frame) {
        unsigned code = frame_begin(ws, rx, f);
        if (code) {
            end_by_peer(ws, code);
            return;
        }
    }
    struct str chunk = {(const char *)f->data, f->data_length};
    rx->frame_left -= chunk.len;
    bool done = rx->frame_left == 0;
    if (done) {
        rx->in_frame = false;
        rx->raw -= rx->frame_raw;
    }
    if (!wslay_is_ctrl_frame(f->opcode)) {
        data_chunk(ws, rx, f, chunk);
        return;
    }
    memcpy(rx->control + rx->control_len, chunk.p, chunk.len);
    rx->control_len = (uint8_t)(rx->control_len + chunk.len);
    if (done)
        on_control(ws, rx, f->opcode);
}

/* Unmasks `masked` into `out`; returns all its bytes, ORed eight side by side.
 */
static uint64_t unmask(struct str masked, const char key[4], char *out)
{
    uint64_t seen = 0, mask, word;
    memcpy(&mask, key, 4);
    memcpy((char *)&mask + 4, key, 4);
    size_t i = 0;
    for (; masked.len - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, masked.p + i, sizeof(word));
        word ^= mask;
        seen |= word;
        memcpy(out + i, &word, sizeof(word));
    }
    for (; i < masked.len; i++) {
        out[i] = (char)(masked.p[i] ^ key[i & 3]);
        seen |= (unsigned char)out[i];
    }
    return seen;
}

/* Size of the header of a frame that is a message of its own, masked, not
 * compressed, short, well-formed and all there; otherwise 0. */
static size_t quick_head(const struct websocket *ws, struct str data,
                         size_t *len)
{
    const unsigned char *p = (const unsigned char *)data.p;
    if (data.len < 7 || (p[0] != 0x81 && p[0] != 0x82) || p[1] < 0x81)
        return 0;
    size_t head = 6;
    *len = p[1] & 0x7f;
    if (*len >= 126) {
        if (*len == 127)
            return 0;
        head = 8;
        *len = (size_t)p[2] << 8 | p[3];
        if (*len < 126 || *len > QUICK_MAX)
            return 0;
    }
    return *len > ws->ops->limits->message_bytes || data.len < head + *len
               ? 0
               : head;
}

/* One such frame, without wslay; returns what follows it. */
static struct str quick_frame(struct websocket *ws, struct str data,
                              size_t head, size_t len)
{
    char payload[QUICK_MAX];
    bool binary = data.p[0] == (char)0x82;
    struct str message = {payload, len};
    uint64_t seen =
        unmask((struct str){data.p + head, len}, data.p + head - 4, payload);
    if (!binary && (seen & 0x8080808080808080U) && !utf8_valid(message))
        end_by_peer(ws, CODE_UTF8);
    else
        ws->ops->on_message(ws->owner, message, binary);
    return str_from(data, head + len);
}

/* A header that declares too much is refused before its payload comes; wslay
 * would wait for the first payload byte. Looks only at a header that begins
 * this input. */
static bool declares_too_much(const struct websocket *ws, struct str data)
{
    const unsigned char *p = (const unsigned char *)data.p;
    if (data.len < 4 || (p[1] & 0x7f) < 126)
        return false;
    size_t end = (p[1] & 0x7f) == 126 ? 4 : 10;
    uint64_t len = 0;
    for (size_t i = 2; i < end && end <= data.len; i++)
        len = len << 8 | p[i];
    return len > ws->ops->limits->message_bytes;
}

static void rest_if_idle(struct websocket *ws)
{
    struct rx *rx = ws->rx;
    if (ws->closed || !rx || !rx_idle(rx))
        return;
    ws->rx = NULL;
    rx_put(rx);
}

/* Anything else, and all that is wrong. */
static void receive_by_wslay(struct websocket *ws, struct str data)
{
    if (!ws->rx)
        ws->rx = rx_get(ws->ops->limits);
    struct rx *rx = ws->rx;
    if (rx->raw == 0 && declares_too_much(ws, data)) {
        end_by_peer(ws, CODE_TOO_BIG);
        return;
    }
    rx->input = data;
    while (!ws->closed) {
        struct wslay_frame_iocb f;
        memset(&f, 0, sizeof(f));
        ssize_t n = wslay_frame_recv(rx->frames, &f);
        if (n == WSLAY_ERR_WANT_READ)
            break;
        if (n < 0) {
            end_by_peer(ws, CODE_PROTOCOL);
            break;
        }
        frame_chunk(ws, rx, &f);
    }
    rest_if_idle(ws);
}

/* Nearly all that clients send is small messages, each in a frame of its own
 * that arrives whole: those need no context. */
static void receive(struct websocket *ws, struct str data)
{
    size_t len, head;
    while (!ws->rx && !ws->closed && (head = quick_head(ws, data, &len)) > 0)
        data = quick_frame(ws, data, head, len);
    if (!ws->closed && data.len > 0)
        receive_by_wslay(ws, data);
}

static void feed_early(void *arg)
{
    struct websocket *ws = arg;
    struct rx *rx = ws->rx;
    if (ws->closed || !rx || !rx->early)
        return;
    struct bytes *input = rx->aside;
    rx->aside = NULL;
    rx->early = false;
    receive(ws, bytes_str(input));
    bytes_unref(input);
}

static void on_data(struct stream *s, void *owner, struct str data)
{
    (void)s;
    struct websocket *ws = owner;
    feed_early(ws);
    if (!ws->closed)
        receive(ws, data);
}

static void on_end(struct stream *s, void *owner, int error)
{
    (void)s;
    struct websocket *ws = owner;
    const struct websocket_ops *ops = ws->ops;
    void *up = ws->owner;
    websocket_abort(ws);
    ops->on_close(up, (struct websocket_end){.clean = true, .error = error});
}

static void on_drain(struct stream *s, void *owner)
{
    struct websocket *ws = owner;
    struct rx *rx = ws->rx;
    if (rx && rx->aside && !rx->early) {
        stream_send(s, rx->aside);
        bytes_unref(rx->aside);
        rx->aside = NULL;
        rest_if_idle(ws);
    }
    if (ws->ops->on_drain)
        ws->ops->on_drain(ws->owner);
}

static const struct stream_ops ws_stream_ops = {
    .on_data = on_data, .on_end = on_end, .on_drain = on_drain};

/* ---- opening handshake --------------------------------------------------- */

/* 16 bytes in base64: 22 characters and "==". */
static bool key_valid(struct str key)
{
    if (key.len != 24 || key.p[22] != '=' || key.p[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++) {
        char c = key.p[i];
        if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
              (c >= '0' && c <= '9') || c == '+' || c == '/'))
            return false;
    }
    return true;
}

/* First of the offered subprotocols; false when the header is malformed. */
static bool first_protocol(struct str offered, struct str *first)
{
    struct str item;
    bool have = false;
    while (str_next(&offered, ',', &item)) {
        item = str_trim(item);
        if (item.len == 0)
            return false;
        for (size_t i = 0; i < item.len; i++) {
            if (!token_char(item.p[i]))
                return false;
        }
        if (!have)
            *first = item;
        have = true;
    }
    return have;
}

/* The header may come several times; together they are one list. */
static int read_offers(const struct http_request *r,
                       const struct websocket_limits *limits,
                       struct deflate_terms *terms)
{
    struct str name, value;
    *terms = (struct deflate_terms){0};
    for (size_t i = 0; limits->deflate && http_header_at(r, i, &name, &value);
         i++) {
        if (!str_ieq(name, STR("sec-websocket-extensions")))
            continue;
        int rc = extension_offers(value, terms);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int websocket_check(const struct http_request *r,
                    const struct websocket_limits *limits, struct str *why,
                    bool *versions)
{
    struct deflate_terms terms;
    struct str v, first;
    *versions = false;
    if (!http_header(r, STR("upgrade"), &v) || !str_ieq(v, STR("websocket"))) {
        *why = STR("Invalid Upgrade header");
        return ERR_PROTO;
    }
    if (!http_header(r, STR("sec-websocket-key"), &v) || !key_valid(v)) {
        *why = STR("Missing or invalid Sec-WebSocket-Key header");
        return ERR_PROTO;
    }
    if (!http_header(r, STR("sec-websocket-version"), &v) ||
        (!str_eq(v, STR("13")) && !str_eq(v, STR("8")))) {
        *why = STR("Missing or invalid Sec-WebSocket-Version header");
        *versions = true;
        return ERR_PROTO;
    }
    if (http_header(r, STR("sec-websocket-protocol"), &v) &&
        !first_protocol(v, &first)) {
        *why = STR("Invalid Sec-WebSocket-Protocol header");
        return ERR_PROTO;
    }
    if (read_offers(r, limits, &terms) < 0) {
        *why = STR("Invalid or unacceptable Sec-WebSocket-Extensions header");
        return ERR_PROTO;
    }
    return 0;
}

static void accept_key(struct str key, struct buf *out)
{
    unsigned char digest[20];
    struct buf in;
    buf_init(&in, 128);
    buf_add(&in, key);
    buf_add(&in, STR("258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    sha1(buf_str(&in), digest);
    buf_fini(&in);
    base64_encode((struct str){(const char *)digest, sizeof(digest)}, out);
}

struct websocket *websocket_accept(struct http_request *r, struct str headers,
                                   const struct websocket_ops *ops, void *owner)
{
    struct str key = STR(""), offered, protocol;
    struct deflate_terms terms;
    struct buf out;
    buf_init(&out, headers.len + 16 * 1024);
    buf_space(&out, headers.len + ANSWER_BYTES);
    http_header(r, STR("sec-websocket-key"), &key);
    buf_add(&out, STR("HTTP/1.1 101 Switching Protocols\r\n"
                      "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: "));
    accept_key(key, &out);
    buf_add(&out, STR("\r\n"));
    if (http_header(r, STR("sec-websocket-protocol"), &offered) &&
        first_protocol(offered, &protocol)) {
        buf_add(&out, STR("Sec-WebSocket-Protocol: "));
        buf_add(&out, protocol);
        buf_add(&out, STR("\r\n"));
    }
    if (read_offers(r, ops->limits, &terms) == 0)
        extension_answer(&terms, &out);
    buf_add(&out, headers);
    buf_add(&out, STR("\r\n"));

    struct websocket *ws = slab_alloc(sizeof(*ws));
    ws->window_bits = terms.window_bits;
    ws->ops = ops;
    ws->owner = owner;
    struct str rest;
    ws->stream = http_take_stream(r, &rest);
    stream_set_owner(ws->stream, &ws_stream_ops, ws);
    struct bytes *b = buf_take(&out);
    stream_send(ws->stream, b);
    bytes_unref(b);
    if (rest.len > 0) {
        ws->rx = rx_get(ops->limits);
        ws->rx->aside = bytes_new(rest);
        ws->rx->early = true;
        loop_call(stream_loop(ws->stream), feed_early, ws);
    }
    return ws;
}
