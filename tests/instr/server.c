/* The client's side costs its system calls' few instructions and is counted,
 * too; what members of a room receive is read between the counts. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "server/io/server.h"
#include "tests/instr/instr.h"

enum { MEMBERS = 1000, BURST = 8, FRAME_MAX = 125 };

static const char upgrade[] =
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

static struct sio_server *server;
static int members[MEMBERS]; /* the clients' ends */

static void on_echo(struct sio_socket *s, struct sio_event *e, void *arg)
{
    (void)s, (void)arg;
    sio_reply(e, "v", sio_arg(e, 0));
}

static void on_join(struct sio_socket *s, struct sio_event *e, void *arg)
{
    (void)e, (void)arg;
    (void)sio_join(s, sio_z("lobby"));
}

static void on_say(struct sio_socket *s, struct sio_event *e, void *arg)
{
    (void)arg;
    struct sio_broadcast all = sio_all(sio_namespace_of(s));
    sio_to(&all, sio_z("lobby"));
    sio_broadcast(&all, "say", "v", sio_arg(e, 0));
}

static void turn(void)
{
    loop_turn(server->loop, 0);
}

static void drain(int fd)
{
    char sink[4096];
    while (recv(fd, sink, sizeof(sink), MSG_DONTWAIT) > 0)
        ;
}

static void put(int fd, const void *p, size_t n)
{
    ssize_t w = send(fd, p, n, MSG_NOSIGNAL);
    assert(w == (ssize_t)n);
    (void)w;
    turn();
}

/* Appends a masked frame; returns its size. */
static size_t frame(char *out, const char *text)
{
    static const char mask[4] = {0x20, 0x51, 0x11, 0x7f};
    size_t len = strlen(text);
    assert(len <= FRAME_MAX);
    out[0] = (char)0x81;
    out[1] = (char)(0x80 | len);
    memcpy(out + 2, mask, sizeof(mask));
    for (size_t i = 0; i < len; i++)
        out[6 + i] = (char)(text[i] ^ mask[i & 3]);
    return 6 + len;
}

static void say(int fd, const char *text, unsigned times)
{
    char out[BURST * (6 + FRAME_MAX)];
    size_t n = 0;
    while (times-- > 0)
        n += frame(out + n, text);
    put(fd, out, n);
}

static int join(void)
{
    int pair[2];
    int rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
    assert(rc == 0);
    (void)rc;
    http_server_accept(server->http, stream_new(server->loop, pair[0]));
    put(pair[1], upgrade, sizeof(upgrade) - 1);
    say(pair[1], "40", 1);
    drain(pair[1]);
    return pair[1];
}

static void leave(int fd)
{
    close(fd);
    turn();
    stream_abort_lingering();
    loop_end_of_turn(server->loop);
}

static void connections(unsigned n)
{
    while (n-- > 0)
        leave(join());
}

static const char question[] =
    "4217[\"echo\",\"good morning, all of you, and a good night\"]";
static const char news[] =
    "42[\"say\",{\"seq\":12345,\"text\":\"good morning, all of you\"}]";

static void echo(unsigned n)
{
    while (n-- > 0) {
        say(members[0], question, 1);
        drain(members[0]);
    }
}

static void echo_burst(unsigned n)
{
    for (; n > 0; n -= BURST) {
        say(members[0], question, BURST);
        drain(members[0]);
    }
}

static void drain_all(void)
{
    for (size_t i = 0; i < MEMBERS; i++)
        drain(members[i]);
}

/* `n` deliveries. */
static void fan_out(unsigned n)
{
    for (; n > 0; n -= MEMBERS)
        say(members[0], news, 1);
}

static void fan_out_burst(unsigned n)
{
    for (; n > 0; n -= BURST * MEMBERS)
        say(members[0], news, BURST);
}

static void start(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_max < 2 * MEMBERS + 50) {
        (void)fprintf(stderr, "instr: needs more file descriptors\n");
        exit(1);
    }
    server = sio_server_new();
    struct sio_namespace *ns = sio_of(server, "/");
    sio_on(ns, "echo", on_echo, NULL);
    sio_on(ns, "join", on_join, NULL);
    sio_on(ns, "say", on_say, NULL);
    sio_server_set(server, "listen.host=127.0.0.1");
    /* Not every machine allows it. */
    sio_server_set(server, "engine.io_uring=off");
    sio_server_set(server, "listen.port=0");
    sio_server_set(server, "log.level=error");
    /* Limits that are there, and that one client can have all of. */
    sio_server_set(server, "rate.connection_events=100000");
    sio_server_set(server, "rate.connection_burst=1000000");
    sio_server_set(server, "rate.address_events=100000");
    sio_server_set(server, "rate.address_burst=1000000");
    int rc = sio_server_listen(server);
    assert(rc == 0);
    (void)rc;
}

void instr_server(void)
{
    start();
    instr_count("connect_and_leave", 50, connections);
    for (size_t i = 0; i < MEMBERS; i++) {
        members[i] = join();
        say(members[i], "42[\"join\"]", 1);
    }
    instr_count("echo", 200, echo);
    instr_count("echo_of_eight", 200, echo_burst);
    fan_out(2 * MEMBERS);
    drain_all();
    instr_count("fan_out", 4 * MEMBERS, fan_out);
    drain_all();
    instr_count("fan_out_of_eight", BURST * MEMBERS, fan_out_burst);
    drain_all();
    for (size_t i = 0; i < MEMBERS; i++)
        leave(members[i]);
    sio_server_free(server);
}
