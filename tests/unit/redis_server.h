/* A real Redis for unit tests, which is started, stopped and killed as the test
 * wants, and a loop to wait with. */
#ifndef CONFAB_TESTS_UNIT_REDIS_SERVER_H
#define CONFAB_TESTS_UNIT_REDIS_SERVER_H

#include <arpa/inet.h>
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

#include "adapter/redis.h"

static struct loop *loop;
static pid_t redis_pid;
static uint16_t redis_port;
static char redis_url[128];

static inline uint16_t free_port(void)
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

static inline void start_redis(const char *password)
{
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", redis_port);
    redis_pid = fork();
    assert_true(redis_pid >= 0);
    if (redis_pid > 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR);
    (void)dup2(null, STDOUT_FILENO);
    (void)execlp("redis-server", "redis-server", "--port", port, "--bind",
                 "127.0.0.1", "--save", "", "--appendonly", "no",
                 "--requirepass", password, (char *)NULL);
    _exit(127);
}

static inline void stop_redis(void)
{
    if (redis_pid <= 0)
        return;
    (void)kill(redis_pid, SIGKILL);
    (void)waitpid(redis_pid, NULL, 0);
    redis_pid = 0;
}

static inline bool have_redis(void)
{
    return system("command -v redis-server >/dev/null") == 0;
}

static inline uint64_t clock_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static inline void run(uint64_t ms)
{
    for (uint64_t end = clock_ms() + ms; clock_ms() < end;)
        loop_turn(loop, 5);
}

#define WAIT(condition, ms)                       \
    do {                                          \
        uint64_t end_ = clock_ms() + (ms);        \
        while (!(condition) && clock_ms() < end_) \
            loop_turn(loop, 5);                   \
        assert_true(condition);                   \
    } while (0)

#define NEEDS_REDIS() \
    do {              \
        (void)state;  \
        if (!loop)    \
            skip();   \
    } while (0)

/* ---- another client ------------------------------------------------------ */

static int64_t reply_integer;

static inline void on_reply(void *arg, const struct redis_reply *reply)
{
    (void)arg;
    reply_integer = -1;
    if (reply && reply->type == REPLY_INTEGER)
        reply_integer = reply->integer;
    if (reply && reply->type == REPLY_ARRAY && reply->n == 2)
        reply_integer = reply->items[1].integer;
}

static inline void on_nothing(void *owner)
{
    (void)owner;
}

static inline void on_nothing_down(void *owner, const char *reason)
{
    (void)owner;
    (void)reason;
}

/* What it answers, or the second of two things that it answers. */
static inline int64_t command(struct str a, struct str b, struct str c)
{
    static const struct redis_ops ops = {on_nothing, on_nothing_down, NULL};
    char err[CONFIG_ERR_MAX];
    struct redis_url url;
    assert_int_equal(redis_url_parse(&url, redis_url, err), 0);
    struct redis_settings s = {
        .url = &url, .role = "test", .client_name = "test", .max_bytes = 1000};
    struct resolver *resolver = resolver_new(loop);
    struct redis *r = redis_new(loop, resolver, &s, &ops, NULL);
    WAIT(redis_is_up(r), 5000);
    struct str argv[] = {a, b, c};
    reply_integer = -2;
    assert_true(redis_command(r, argv, c.len || c.p ? 3 : 2, on_reply, NULL));
    WAIT(reply_integer != -2, 5000);
    redis_free(r);
    loop_turn(loop, 0);
    resolver_free(resolver);
    redis_url_fini(&url);
    return reply_integer;
}

#endif
