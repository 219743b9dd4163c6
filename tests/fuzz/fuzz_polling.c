/* Payloads of HTTP long-polling, from a client of a connected namespace: the
 * input is the bodies of its POST requests, separated by zero bytes. What the
 * server has to say is fetched after each. */
#include <assert.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "server/http/http.h"
#include "server/io/server.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sio_server *server;
static char answer[1 << 20];

static void on_event(struct sio_socket *s, struct sio_event *e, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < sio_arg_count(e) && i < 10; i++)
        sio_emit(s, "back", "v", sio_arg(e, i));
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
    int rc = sio_server_listen(server);
    assert(rc == 0);
    log_set_level(LOG_ERROR);
}

static int dial(void)
{
    int pair[2];
    int rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
    assert(rc == 0);
    http_server_accept(server->http, stream_new(server->loop, pair[0]));
    return pair[1];
}

/* Writes, and takes what comes back; its length. */
static size_t talk(int fd, const void *p, size_t n)
{
    ssize_t w = n ? send(fd, p, n, MSG_NOSIGNAL) : 0;
    (void)w;
    loop_turn(server->loop, 0);
    size_t len = 0;
    ssize_t r;
    while (len < sizeof(answer) - 1 &&
           (r = recv(fd, answer + len, sizeof(answer) - 1 - len,
                     MSG_DONTWAIT)) > 0)
        len += (size_t)r;
    answer[len] = 0;
    return len;
}

static size_t post(int fd, const char *sid, const void *p, size_t n)
{
    struct buf out;
    buf_init(&out, n + 1000);
    buf_fmt(&out,
            "POST /socket.io/?EIO=4&transport=polling&sid=%.20s HTTP/1.1\r\n"
            "Host: x\r\nContent-Length: %zu\r\n\r\n",
            sid, n);
    buf_add(&out, (struct str){p, n});
    size_t got = talk(fd, buf_ptr(&out), out.len);
    buf_fini(&out);
    return got;
}

static size_t get(int fd, const char *sid)
{
    char line[200];
    int n = snprintf(line, sizeof(line),
                     "GET /socket.io/?EIO=4&transport=polling%s%.20s "
                     "HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n",
                     sid ? "&sid=" : "", sid ? sid : "");
    return talk(fd, line, (size_t)n);
}

static void session(const uint8_t *data, size_t size, int getter, int poster)
{
    char sid[21];
    get(getter, NULL);
    const char *at = strstr(answer, "\"sid\":\"");
    assert(at);
    snprintf(sid, sizeof(sid), "%s", at + 7);
    post(poster, sid, "40", 2);
    bool polling = get(getter, sid) == 0;
    while (size > 0 && server->engine->sessions.count > 0) {
        const uint8_t *end = memchr(data, 0, size);
        size_t len = end ? (size_t)(end - data) : size;
        size_t got = post(poster, sid, data, len);
        assert(got > 0 || len > 10000); /* "ok", or why not */
        if (polling)
            polling = talk(getter, NULL, 0) == 0;
        if (!polling)
            polling = get(getter, sid) == 0;
        data += len + (end != NULL);
        size -= len + (end != NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!server)
        start();
    int getter = dial(), poster = dial();
    session(data, size, getter, poster);
    close(getter);
    close(poster);
    for (int i = 0; i < 4; i++)
        loop_turn(server->loop, 0);
    stream_abort_lingering();
    loop_end_of_turn(server->loop);
    while (server->engine->sessions.count > 0) {
        engine_close(server->engine);
        loop_end_of_turn(server->loop);
        server->engine->closing = false;
    }
    assert(stream_count() == 0);
    return 0;
}
