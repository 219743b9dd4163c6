#include "server/sio_emitter.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

/* A real Redis, which is started, stopped and killed as the test wants, with
 * one subscriber to everything. */
enum { TIMEOUT_MS = 300 };

static pid_t redis_pid;
static uint16_t redis_port;
static char redis_url[128];
static redisContext *spy;
static struct sio_emitter *em;

/* ---- Redis --------------------------------------------------------------- */

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    (void)close(fd);
    return ntohs(a.sin_port);
}

static uint64_t clock_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static redisContext *dial(void)
{
    for (uint64_t end = clock_ms() + 10000; clock_ms() < end;) {
        redisContext *c = redisConnect("127.0.0.1", redis_port);
        redisReply *r = c->err ? NULL : redisCommand(c, "AUTH secret");
        bool ready = r && r->type == REDIS_REPLY_STATUS;
        if (r)
            freeReplyObject(r);
        if (ready)
            return c;
        redisFree(c);
        (void)nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    fail_msg("Redis does not start");
    return NULL;
}

static void command(redisContext *c, const char *text)
{
    redisReply *r = redisCommand(c, text);
    assert_non_null(r);
    assert_int_not_equal(r->type, REDIS_REPLY_ERROR);
    freeReplyObject(r);
}

static void start_redis(void)
{
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", redis_port);
    redis_pid = fork();
    assert_true(redis_pid >= 0);
    if (redis_pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        int null = open("/dev/null", O_RDWR);
        (void)dup2(null, STDOUT_FILENO);
        (void)execlp("redis-server", "redis-server", "--port", port, "--bind",
                     "127.0.0.1", "--save", "", "--appendonly", "no",
                     "--requirepass", "secret", (char *)NULL);
        _exit(127);
    }
    spy = dial();
    command(spy, "PSUBSCRIBE *");
}

static void stop_redis(void)
{
    if (redis_pid <= 0)
        return;
    (void)kill(redis_pid, SIGKILL);
    (void)waitpid(redis_pid, NULL, 0);
    redis_pid = 0;
    redisFree(spy);
    spy = NULL;
}

static int set_up(void **state)
{
    (void)state;
    redis_port = free_port();
    (void)snprintf(redis_url, sizeof(redis_url),
                   "redis://:secret@127.0.0.1:%u/3", redis_port);
    start_redis();
    em = sio_emitter_new(redis_url, "test");
    sio_emitter_timeout(em, TIMEOUT_MS);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    sio_emitter_free(em);
    stop_redis();
    return 0;
}

/* The next message on the emitter's channel ends with the value `n`, which is
 * less than 128: that is one byte of it. */
static void assert_heard(int n)
{
    void *got = NULL;
    assert_int_equal(redisGetReply(spy, &got), REDIS_OK);
    redisReply *r = got;
    assert_int_equal(r->elements, 4);
    assert_string_equal(r->element[2]->str, "test#/#");
    const char *nsp = memmem(r->element[3]->str, r->element[3]->len, "nsp", 3);
    assert_non_null(nsp);
    assert_int_equal(nsp[-2], n);
    freeReplyObject(r);
}

static int emit(int n)
{
    struct sio_emission all = sio_emission_of(em, "/");
    return sio_emitter_emit(&all, "n", "i", n);
}

static void assert_error(int rc, int code, const char *text)
{
    assert_int_equal(rc, code);
    if (!strstr(sio_emitter_error(em), text))
        fail_msg("%s", sio_emitter_error(em));
}

/* All connections but this one. */
static void kill_clients(void)
{
    redisContext *c = dial();
    command(c, "CLIENT KILL TYPE normal SKIPME yes");
    redisFree(c);
}

/* ---- what is shown ------------------------------------------------------- */

static void receivers_are_counted(void **state)
{
    (void)state;
    assert_int_equal(emit(1), 1);
    assert_heard(1);
    redisContext *second = dial();
    command(second, "SUBSCRIBE test#/#");
    assert_int_equal(emit(2), 2);
    redisFree(second);
}

static void a_wrong_url_is_told_by_each_call(void **state)
{
    (void)state;
    sio_emitter_free(em);
    em = sio_emitter_new("http://localhost", NULL);
    assert_error(sio_emitter_connect(em), SIO_ERR_CONFIG, "redis://");
    assert_error(emit(1), SIO_ERR_CONFIG, "redis://");
    assert_error(sio_emitter_flush(em), SIO_ERR_CONFIG, "redis://");
    sio_emitter_timeout(em, 1);
}

static void a_redis_that_refuses_is_told_with_its_words(void **state)
{
    (void)state;
    char url[128];
    sio_emitter_free(em);
    (void)snprintf(url, sizeof(url), "redis://:wrong@127.0.0.1:%u", redis_port);
    em = sio_emitter_new(url, NULL);
    assert_error(sio_emitter_connect(em), SIO_ERR_IO, "refuses AUTH: ");
    assert_error(emit(1), SIO_ERR_IO, "refuses AUTH: ");
    sio_emitter_free(em);
    (void)snprintf(url, sizeof(url), "redis://:secret@127.0.0.1:%u/9999",
                   redis_port);
    em = sio_emitter_new(url, NULL);
    assert_error(emit(1), SIO_ERR_IO, "refuses SELECT: ");
    sio_emitter_free(em);
    (void)snprintf(url, sizeof(url), "redis://127.0.0.1:%u", redis_port);
    em = sio_emitter_new(url, NULL);
    assert_int_equal(sio_emitter_connect(em), 0);
    assert_error(emit(1), SIO_ERR_IO, "refuses PUBLISH: NOAUTH");
}

static void an_idle_connection_that_was_closed_costs_nothing(void **state)
{
    (void)state;
    assert_int_equal(emit(1), 1);
    assert_heard(1);
    kill_clients();
    assert_int_equal(emit(2), 1);
    assert_heard(2);
}

static void it_comes_back_with_redis(void **state)
{
    (void)state;
    assert_int_equal(emit(1), 1);
    stop_redis();
    assert_error(emit(2), SIO_ERR_IO, "cannot connect to Redis at 127.0.0.1:");
    start_redis();
    assert_int_equal(emit(3), 1);
    assert_heard(3);
}

static void a_silent_redis_is_not_waited_for(void **state)
{
    (void)state;
    assert_int_equal(emit(1), 1);
    assert_heard(1);
    (void)kill(redis_pid, SIGSTOP);
    for (int i = 0; i < 2; i++) { /* connected before, and anew */
        uint64_t began = clock_ms();
        assert_error(emit(2), SIO_ERR_IO, "does not answer within 300 ms");
        assert_in_range(clock_ms() - began, TIMEOUT_MS - 50, 5000);
    }
    (void)kill(redis_pid, SIGCONT);
    assert_int_equal(emit(3), 1);
}

static void what_is_held_goes_together_and_in_order(void **state)
{
    (void)state;
    sio_emitter_pipeline(em, true);
    for (int i = 0; i < 100; i++)
        assert_int_equal(emit(i), 0);
    assert_int_equal(sio_emitter_flush(em), 100);
    for (int i = 0; i < 100; i++)
        assert_heard(i);
    assert_int_equal(sio_emitter_flush(em), 0);
    /* more than are held at a time */
    for (int i = 0; i < 2500; i++)
        assert_int_equal(emit(i % 100), 0);
    for (int i = 0; i < 2000; i++)
        assert_heard(i % 100);
    assert_int_equal(sio_emitter_flush(em), 2500);
    sio_emitter_pipeline(em, false);
    assert_int_equal(emit(1), 1);
}

/* Writing to a connection that is gone must not end the program. */
static void a_loss_tells_how_many_it_may_have_taken(void **state)
{
    (void)state;
    static char text[60000];
    memset(text, 'x', sizeof(text));
    sio_emitter_pipeline(em, true);
    struct sio_emission all = sio_emission_of(em, "/");
    for (int i = 0; i < 12; i++)
        assert_int_equal(sio_emitter_emit(&all, "n", "S",
                                          (struct sio_str){text, sizeof(text)}),
                         0);
    kill_clients();
    assert_error(sio_emitter_flush(em), SIO_ERR_IO,
                 "of the last 12 messages some may be lost");
    assert_int_equal(sio_emitter_flush(em), 0);
    assert_int_equal(emit(1), 0);
    assert_true(sio_emitter_flush(em) >= 0);
}

static void refusals_do_not_shift_the_answers(void **state)
{
    (void)state;
    redisContext *c = dial();
    assert_int_equal(emit(1), 1);
    command(c, "ACL SETUSER default resetchannels &test#/#");
    struct sio_emission other = sio_emission_of(em, "/other");
    assert_error(sio_emitter_emit(&other, "x", NULL), SIO_ERR_IO,
                 "refuses PUBLISH: NOPERM");
    sio_emitter_pipeline(em, true);
    assert_int_equal(emit(2), 0);
    assert_int_equal(sio_emitter_emit(&other, "x", NULL), 0);
    assert_int_equal(emit(3), 0);
    assert_error(sio_emitter_flush(em), SIO_ERR_IO, "refuses PUBLISH: NOPERM");
    sio_emitter_pipeline(em, false);
    assert_true(emit(4) >= 0);
    redisFree(c);
}

int main(void)
{
    if (system("command -v redis-server >/dev/null") != 0) {
        puts("no redis-server");
        return 1;
    }
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(receivers_are_counted),
        TEST(a_wrong_url_is_told_by_each_call),
        TEST(a_redis_that_refuses_is_told_with_its_words),
        TEST(an_idle_connection_that_was_closed_costs_nothing),
        TEST(it_comes_back_with_redis),
        TEST(a_silent_redis_is_not_waited_for),
        TEST(what_is_held_goes_together_and_in_order),
        TEST(a_loss_tells_how_many_it_may_have_taken),
        TEST(refusals_do_not_shift_the_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
