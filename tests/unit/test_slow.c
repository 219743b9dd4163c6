#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "common/metrics.h"
#include "server/io/socket.h"

static const char upgrade[] =
    "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: x\r\n"
    "Connection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

enum { CLIENTS = 4 };

static struct sio_server *server;
static struct {
    int fd; /* the client's end */
    struct sio_socket *socket;
} client[CLIENTS];
static int n_clients;
static char text[10001];

static void turn(void)
{
    loop_turn(server->loop, 0);
}

static void on_connection(struct sio_socket *s, void *arg)
{
    (void)arg;
    client[n_clients].socket = s;
}

static void put(int fd, const void *p, size_t n)
{
    assert_int_equal(send(fd, p, n, MSG_NOSIGNAL), n);
    turn();
}

static void join(void)
{
    /* "40", masked with zeros. */
    static const char connect[] = "\x81\x82\0\0\0\0"
                                  "40";
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
                     0);
    http_server_accept(server->http, stream_new(server->loop, pair[0]));
    put(pair[1], upgrade, sizeof(upgrade) - 1);
    put(pair[1], connect, sizeof(connect) - 1);
    client[n_clients++].fd = pair[1];
}

static void serve(const char *const *set)
{
    memset(text, 'x', sizeof(text) - 1);
    n_clients = 0;
    server = sio_server_new();
    sio_on_connection(sio_of(server, "/"), on_connection, NULL);
    sio_server_set(server, "listen.host=127.0.0.1");
    sio_server_set(server, "listen.port=0");
    sio_server_set(server, "engine.io_uring=off");
    sio_server_set(server, "log.level=error");
    for (; *set; set++)
        assert_int_equal(sio_server_set(server, *set), 0);
    assert_int_equal(sio_server_listen(server), 0);
    for (int i = 0; i < CLIENTS; i++)
        join();
}

static void end(void)
{
    for (int i = 0; i < CLIENTS; i++)
        close(client[i].fd);
    sio_server_free(server);
    assert_int_equal(bytes_held(), 0);
}

/* More than what the kernel takes in, in turns of its own. */
static void fill(int i, int times)
{
    for (; times > 0; times--) {
        assert_int_equal(sio_emit(client[i].socket, "e", "s", text), 0);
        turn();
    }
}

static void drain(int i)
{
    static char sink[65536];
    for (int quiet = 0; quiet < 3; quiet++) {
        while (recv(client[i].fd, sink, sizeof(sink), 0) > 0)
            quiet = 0;
        turn();
    }
}

struct seen {
    struct engine_slow of[CLIENTS];
    uint32_t n;
};

static void see(void *arg, const struct engine_slow *s)
{
    struct seen *seen = arg;
    seen->of[seen->n++] = *s;
}

static struct session *session_of(int i)
{
    return session_around(client[i].socket->client);
}

static bool is_of(const struct engine_slow *s, int i)
{
    return str_eq(s->sid, session_sid(session_of(i)));
}

static void lists_those_behind_the_longest_queue_first(void **state)
{
    (void)state;
    serve((const char *const[]){NULL});
    struct seen seen = {.n = 0};
    engine_slowest(server->engine, 10, see, &seen);
    assert_int_equal(seen.n, 0);
    fill(0, 60);
    fill(2, 80);
    fill(3, 70);
    engine_slowest(server->engine, 10, see, &seen);
    assert_int_equal(seen.n, 3);
    assert_true(is_of(&seen.of[0], 2));
    assert_true(is_of(&seen.of[1], 3));
    assert_true(is_of(&seen.of[2], 0));
    assert_true(seen.of[0].queued_bytes > seen.of[1].queued_bytes);
    assert_string_equal(seen.of[0].transport, "websocket");
    assert_string_equal(seen.of[0].address, "");
    assert_true(seen.of[0].slow_ms < 60000);
    drain(3);
    seen.n = 0;
    engine_slowest(server->engine, 1, see, &seen);
    assert_int_equal(seen.n, 1);
    drain(2);
    seen.n = 0;
    engine_slowest(server->engine, 10, see, &seen);
    assert_int_equal(seen.n, 1);
    assert_true(is_of(&seen.of[0], 0));
    end();
}

static void sheds_the_worst_until_it_is_below_the_bound(void **state)
{
    (void)state;
    serve((const char *const[]){"slow.total_bytes=1500000", NULL});
    uint64_t before = metrics_value[M_SLOW_SHED];
    fill(0, 60);
    fill(1, 90);
    fill(2, 50);
    assert_int_equal(metrics_value[M_SLOW_SHED], before);
    fill(3, 70);
    assert_int_equal(metrics_value[M_SLOW_SHED], before + 1);
    struct seen seen = {.n = 0};
    engine_slowest(server->engine, 10, see, &seen);
    assert_int_equal(seen.n, 3);
    assert_true(is_of(&seen.of[0], 3));
    assert_true(bytes_held() <= 1500000);
    end();
}

/* What is dropped is counted, and who reads again gets the rest. */
static void drops_by_policy_and_goes_on_when_read(void **state)
{
    (void)state;
    serve((const char *const[]){"slow.policies=e=drop_oldest",
                                "slow.queue_bytes=100000", NULL});
    uint64_t dropped = metrics_value[M_DROP_SLOW_OLDEST];
    fill(0, 500);
    const struct session *s = session_of(0);
    assert_true(session_queued(s) <= 100000 + sizeof(text) + 200);
    assert_true(metrics_value[M_DROP_SLOW_OLDEST] - dropped > 400);
    drain(0);
    assert_int_equal(session_queued(s), 0);
    assert_int_equal(bytes_held(), 0);
    dropped = metrics_value[M_DROP_SLOW_OLDEST];
    fill(0, 5);
    assert_int_equal(metrics_value[M_DROP_SLOW_OLDEST], dropped);
    fill(0, 100);
    end(); /* with packets that wait */
}

/* A turn may have more to say than the bounds; that alone is nobody's fault. */
static void a_burst_to_one_that_reads_is_not_slow(void **state)
{
    (void)state;
    serve((const char *const[]){"slow.policies=e=drop_new",
                                "slow.queue_bytes=100000", NULL});
    uint64_t dropped = metrics_value[M_DROP_SLOW_NEW];
    for (int i = 0; i < 15; i++)
        assert_int_equal(sio_emit(client[0].socket, "e", "s", text), 0);
    turn();
    assert_int_equal(metrics_value[M_DROP_SLOW_NEW], dropped);
    drain(0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_those_behind_the_longest_queue_first),
        cmocka_unit_test(sheds_the_worst_until_it_is_below_the_bound),
        cmocka_unit_test(drops_by_policy_and_goes_on_when_read),
        cmocka_unit_test(a_burst_to_one_that_reads_is_not_slow),
    };
    return cmocka_run_group_tests_name("slow", tests, NULL, NULL);
}
