/* A whole server (HTTP, WebSocket, Engine.IO, Socket.IO, a handler) behind a
 * socket pair. The first byte says how the rest is sent: as raw bytes, as
 * masked WebSocket frames behind a good handshake, or as packets that a client
 * of a connected namespace could send. Nothing may crash, leak or stall. */
#include <assert.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "server/http/http.h"
#include "server/io/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char upgrade[] =
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Extensions: permessage-deflate\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static struct sio_server *server;
static int peer = -1;

static void on_event(struct sio_socket *s, struct sio_event *e, void *arg)
{
    (void)arg;
    struct sio_str room;
    if (sio_str(sio_arg(e, 0), &room) && sio_join(s, room) == 0) {
        struct sio_broadcast b = sio_others(s);
        sio_to(&b, room);
        sio_broadcast(&b, "say", "v", sio_arg(e, 0));
    }
    for (size_t i = 0; i < sio_arg_count(e) && i < 10; i++)
        sio_emit(s, "back", "v,[v]", sio_arg(e, i), sio_arg(e, i));
    sio_emit_ack(s, 1000, NULL, NULL, "connect", "");
    sio_reply(e, "{ok:b}", 1);
}

static void start(void)
{
    log_set_level(LOG_ERROR);
    server = sio_server_new();
    sio_on(sio_of(server, "/"), "a", on_event, NULL);
    sio_server_set(server, "listen.host=127.0.0.1");
    sio_server_set(server, "listen.port=0");
    sio_server_set(server, "limits.handshakes_per_second=0");
    sio_server_set(server, "engine.max_payload_bytes=10000");
    sio_server_set(server, "engine.allow_eio3=true");
    sio_server_set(server, "engine.per_message_deflate=true");
    sio_server_set(server, "engine.deflate_threshold_bytes=16");
    int rc = sio_server_listen(server);
    assert(rc == 0);
    log_set_level(LOG_ERROR);
}

static void drain(void)
{
    char sink[65536];
    while (read(peer, sink, sizeof(sink)) > 0)
        ;
}

static void put(const void *p, size_t n)
{
    ssize_t w = write(peer, p, n);
    (void)w;
    loop_turn(server->loop, 0);
    drain();
}

static void frame(unsigned op, const uint8_t *p, size_t n)
{
    uint8_t out[8 + 256] = {(uint8_t)(op & 0xff), (uint8_t)(0x80 | n)};
    size_t at = 2;
    if (n >= 126) {
        out[1] = 0xfe;
        out[2] = 0;
        out[3] = (uint8_t)n;
        at = 4;
    }
    at += 4; /* a mask of zeros */
    for (size_t i = 0; i < n; i++)
        out[at + i] = p[i];
    put(out, at + n);
}

/* `old`: of protocol 3. */
static void begin(bool old)
{
    char request[sizeof(upgrade)];
    memcpy(request, upgrade, sizeof(upgrade));
    if (old)
        *strchr(request, '4') = '3';
    put(request, sizeof(upgrade) - 1);
}

/* Each record: a byte of opcode, a byte of length, the payload. */
static void frames(const uint8_t *p, size_t n)
{
    while (n >= 2) {
        unsigned op = p[0];
        size_t len = p[1] < n - 2 ? p[1] : n - 2;
        frame(op, p + 2, len);
        p += 2 + len;
        n -= 2 + len;
    }
}

/* Packets separated by 0x1e; one that begins with 'B' goes as binary. */
static void packets(const uint8_t *p, size_t n)
{
    while (n > 0) {
        const uint8_t *end = memchr(p, 0x1e, n);
        size_t len = end ? (size_t)(end - p) : n;
        size_t cut = len > 250 ? 250 : len;
        if (len && p[0] == 'B')
            frame(0x82, p + 1, cut - 1);
        else
            frame(0x81, p, cut);
        p += len + (end != NULL);
        n -= len + (end != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int pair[2];
    if (size == 0)
        return 0;
    if (!server)
        start();
    int rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
    assert(rc == 0);
    peer = pair[1];
    http_server_accept(server->http, stream_new(server->loop, pair[0]));
    if (data[0] % 3 == 0) {
        put(data + 1, size - 1);
    } else {
        bool old = data[0] & 0x80;
        begin(old);
        if (data[0] % 3 == 1) {
            frames(data + 1, size - 1);
        } else {
            if (!old) /* the others are connected already */
                frame(0x81, (const uint8_t *)"40", 2);
            packets(data + 1, size - 1);
        }
    }
    close(peer);
    for (int i = 0; i < 4; i++)
        loop_turn(server->loop, 0);
    stream_abort_lingering();
    loop_end_of_turn(server->loop);
    /* Polling sessions outlive their connection; not this input. */
    while (server->engine->sessions.count > 0) {
        engine_close(server->engine);
        loop_end_of_turn(server->loop);
        server->engine->closing = false;
    }
    assert(stream_count() == 0);
    return 0;
}
