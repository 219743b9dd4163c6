/* The server side of a WebSocket with permessage-deflate: the input is what the
 * client sends behind the handshake. It comes once in one piece and once in
 * small ones: both must lead to the same messages and the same end. */
#include <assert.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 20000, OUTCOME_MAX = 1 << 20, LENGTH_LIMIT = 4000 };

static const char upgrade[] =
    "GET / HTTP/1.1\r\nHost: x\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static const struct websocket_limits limits = {
    .message_bytes = LENGTH_LIMIT, .fragments = 50, .deflate = true};

static struct loop *loop;
static struct http_server *http;
static struct websocket *ws; /* NULL once it is over */
static struct buf *outcome;  /* of this run: messages, then the end */

static void on_message(void *owner, struct str body, bool binary)
{
    (void)owner;
    char *p;
    assert(body.len <= LENGTH_LIMIT);
    buf_fmt(outcome, "%c%zu:", binary ? 'b' : 't', body.len);
    buf_add(outcome, body);
    struct bytes *frame = ws_frame_new(body.len, binary, &p);
    memcpy(p, body.p, body.len);
    websocket_send(ws, frame);
    bytes_unref(frame);
}

static void on_close(void *owner, struct websocket_end end)
{
    (void)owner;
    buf_fmt(outcome, "end %d", end.clean);
    ws = NULL;
}

static const struct websocket_ops ops = {
    .limits = &limits, .on_message = on_message, .on_close = on_close};

static void on_request(void *arg, struct http_request *r)
{
    (void)arg;
    struct str why;
    bool versions;
    int rc = websocket_check(r, &limits, &why, &versions);
    assert(rc == 0);
    ws = websocket_accept(r, STR(""), &ops, NULL);
}

static void start(void)
{
    static const struct http_limits http_limits = {.header_bytes = 16384,
                                                   .request_line_bytes = 8192,
                                                   .header_count = 100,
                                                   .header_timeout_ms = 10000,
                                                   .body_timeout_ms = 10000,
                                                   .idle_timeout_ms = 10000};
    loop = loop_new();
    http = http_server_new(loop, &http_limits);
    http_route(http, STR("/"), true, on_request, NULL);
}

static void drain(int peer)
{
    char sink[65536];
    while (recv(peer, sink, sizeof(sink), MSG_DONTWAIT) > 0)
        ;
}

static void put(int peer, const void *p, size_t n)
{
    ssize_t w = send(peer, p, n, MSG_NOSIGNAL);
    (void)w;
    loop_turn(loop, 0);
    drain(peer);
}

/* `step` is the size of the first piece; later ones vary. */
static void run(struct str in, size_t step, struct buf *out)
{
    int pair[2];
    outcome = out;
    int rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
    assert(rc == 0);
    http_server_accept(http, stream_new(loop, pair[0]));
    put(pair[1], upgrade, sizeof(upgrade) - 1);
    assert(ws);
    for (size_t n = step; in.len > 0 && ws; n = n * 5 % 23 + 1) {
        if (step == 0 || n > in.len)
            n = in.len;
        put(pair[1], in.p, n);
        in = str_from(in, n);
    }
    close(pair[1]);
    for (int i = 0; i < 4; i++)
        loop_turn(loop, 0);
    assert(!ws);
    stream_abort_lingering();
    loop_end_of_turn(loop);
    assert(stream_count() == 0);
}

/* Records of a first byte, a length and a body, as masked frames: so that the
 * fuzzer need not know how a mask works. */
static void add_frames(struct buf *in, const uint8_t *p, size_t n)
{
    static const char mask[4] = {0x20, 0, 0x11, 0x7f};
    while (n >= 2) {
        size_t len = p[1] < n - 2 ? p[1] : n - 2;
        buf_addc(in, (char)p[0]);
        buf_addc(in, (char)(0x80 | (len < 126 ? len : 126)));
        if (len >= 126) {
            buf_addc(in, 0);
            buf_addc(in, (char)len);
        }
        buf_add(in, (struct str){mask, sizeof(mask)});
        for (size_t i = 0; i < len; i++)
            buf_addc(in, (char)(p[2 + i] ^ (uint8_t)mask[i & 3]));
        p += 2 + len;
        n -= 2 + len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* Ends a header that was cut off, and gives it a byte of its body. */
    static const char zeros[20];
    struct buf in, whole, parts;
    if (size == 0)
        return 0;
    if (!loop)
        start();
    buf_init(&in, INPUT_MAX);
    buf_init(&whole, OUTCOME_MAX);
    buf_init(&parts, OUTCOME_MAX);
    if (data[0] % 2)
        add_frames(&in, data + 1, size - 1);
    else
        buf_add(&in, (struct str){(const char *)data + 1, size - 1});
    buf_add(&in, (struct str){zeros, sizeof(zeros)});
    if (!in.full) {
        run(buf_str(&in), 0, &whole);
        run(buf_str(&in), data[0] / 2 % 23 + 1, &parts);
        assert(str_eq(buf_str(&whole), buf_str(&parts)));
    }
    buf_fini(&in);
    buf_fini(&whole);
    buf_fini(&parts);
    return 0;
}
