#include "adapter/redis_sync.h"

#include <errno.h>
#include <hiredis/hiredis.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "common/mem.h"

enum { ERROR_MAX = 768, PLACE_MAX = 300, COMMAND_BYTES = 64 };

struct redis_sync {
    const struct redis_url *url;
    uint32_t timeout_ms;
    redisContext *context; /* NULL: not connected */
    size_t held, held_bytes;
    char place[PLACE_MAX]; /* host and port, or path */
    char error[ERROR_MAX];
};

/* ---- what goes wrong ----------------------------------------------------- */

static struct timeval timeout_of(const struct redis_sync *r)
{
    return (struct timeval){.tv_sec = r->timeout_ms / 1000,
                            .tv_usec =
                                (suseconds_t)(r->timeout_ms % 1000) * 1000};
}

static void drop(struct redis_sync *r)
{
    if (r->context)
        redisFree(r->context);
    r->context = NULL;
    r->held = r->held_bytes = 0;
}

/* `error` is errno's, from before anything else could change it. */
static int fail_lost(struct redis_sync *r, int error)
{
    char lost[96] = "";
    if (r->held > 0)
        (void)snprintf(lost, sizeof(lost),
                       "; of the last %zu messages some may be lost", r->held);
    if (r->context->err == REDIS_ERR_IO &&
        (error == EAGAIN || error == ETIMEDOUT || error == EINPROGRESS))
        (void)snprintf(r->error, sizeof(r->error),
                       "Redis at %s does not answer within %u ms%s", r->place,
                       r->timeout_ms, lost);
    else
        (void)snprintf(r->error, sizeof(r->error),
                       "lost the connection to Redis at %s: %s%s", r->place,
                       r->context->errstr, lost);
    drop(r);
    return ERR_IO;
}

static int fail_refused(struct redis_sync *r, const char *command,
                        const redisReply *reply)
{
    const char *why = reply->type == REDIS_REPLY_ERROR
                          ? reply->str
                          : "an answer of another kind";
    (void)snprintf(r->error, sizeof(r->error), "Redis at %s refuses %s: %s",
                   r->place, command, why);
    return ERR_IO;
}

/* ---- commands ------------------------------------------------------------ */

/* Writing to a connection that is gone raises SIGPIPE, which is none of the
 * program's business: it is held back meanwhile and taken away. NULL: lost. */
static redisReply *get_reply(struct redis_sync *r)
{
    sigset_t pipe, before, pending;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, &before);
    sigpending(&pending);
    void *got = NULL;
    errno = 0;
    int rc = redisGetReply(r->context, &got);
    int error = errno;
    if (!sigismember(&pending, SIGPIPE))
        while (sigtimedwait(&pipe, NULL, &(struct timespec){0}) < 0 &&
               errno == EINTR)
            ;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == REDIS_OK)
        return got;
    (void)fail_lost(r, error);
    return NULL;
}

static int append(struct redis_sync *r, const struct str *argv, size_t argc)
{
    const char *p[3];
    size_t len[3];
    for (size_t i = 0; i < argc; i++) {
        p[i] = argv[i].p;
        len[i] = argv[i].len;
    }
    if (redisAppendCommandArgv(r->context, (int)argc, p, len) != REDIS_OK)
        return fail_lost(r, 0);
    return 0;
}

/* A command of the greeting: anything but an error will do. */
static int greet(struct redis_sync *r, const struct str *argv, size_t argc)
{
    int rc = append(r, argv, argc);
    if (rc < 0)
        return rc;
    redisReply *reply = get_reply(r);
    if (!reply)
        return ERR_IO;
    if (reply->type == REDIS_REPLY_ERROR) {
        rc = fail_refused(r, argv[0].p, reply);
        drop(r);
    }
    freeReplyObject(reply);
    return rc;
}

static int sign_in(struct redis_sync *r)
{
    const struct redis_url *url = r->url;
    int rc = 0;
    if (url->password && url->user) {
        struct str auth[] = {STR("AUTH"), str_of(url->user),
                             str_of(url->password)};
        rc = greet(r, auth, 3);
    } else if (url->password) {
        struct str auth[] = {STR("AUTH"), str_of(url->password)};
        rc = greet(r, auth, 2);
    }
    if (rc == 0 && url->db > 0) {
        char db[16];
        (void)snprintf(db, sizeof(db), "%u", url->db);
        struct str select[] = {STR("SELECT"), str_of(db)};
        rc = greet(r, select, 2);
    }
    return rc;
}

/* ---- the connection ------------------------------------------------------ */

/* With no answer outstanding there is nothing to read, unless it is the end. */
static bool is_stale(const struct redis_sync *r)
{
    struct pollfd fd = {.fd = r->context->fd, .events = POLLIN};
    return r->held == 0 && poll(&fd, 1, 0) != 0;
}

int redis_sync_connect(struct redis_sync *r)
{
    if (r->context && is_stale(r))
        drop(r);
    if (r->context)
        return 0;
    struct timeval timeout = timeout_of(r);
    redisContext *c =
        redis_url_is_socket(r->url)
            ? redisConnectUnixWithTimeout(r->url->host, timeout)
            : redisConnectWithTimeout(r->url->host, r->url->port, timeout);
    if (!c || c->err) {
        (void)snprintf(r->error, sizeof(r->error),
                       "cannot connect to Redis at %s: %s", r->place,
                       c ? c->errstr : "out of memory");
        if (c)
            redisFree(c);
        return ERR_IO;
    }
    r->context = c;
    if (redisSetTimeout(c, timeout) != REDIS_OK)
        return fail_lost(r, 0);
    return sign_in(r);
}

int redis_sync_publish(struct redis_sync *r, struct str channel,
                       struct str payload)
{
    int rc = redis_sync_connect(r);
    if (rc < 0)
        return rc;
    struct str argv[] = {STR("PUBLISH"), channel, payload};
    rc = append(r, argv, 3);
    if (rc < 0)
        return rc;
    r->held++;
    r->held_bytes += channel.len + payload.len + COMMAND_BYTES;
    return 0;
}

/* What Redis refuses it refuses alone: the other answers are read all the same,
 * or they would be taken for those of later publishes. */
int redis_sync_flush(struct redis_sync *r, int64_t *receivers)
{
    int result = 0;
    while (r->held > 0) {
        redisReply *reply = get_reply(r);
        if (!reply)
            return ERR_IO;
        if (reply->type == REDIS_REPLY_INTEGER)
            *receivers += reply->integer;
        else
            result = fail_refused(r, "PUBLISH", reply);
        freeReplyObject(reply);
        r->held--;
    }
    r->held_bytes = 0;
    return result;
}

/* ---- life ---------------------------------------------------------------- */

struct redis_sync *redis_sync_new(const struct redis_url *url,
                                  uint32_t timeout_ms)
{
    struct redis_sync *r = mem_zalloc(sizeof(*r));
    r->url = url;
    r->timeout_ms = timeout_ms;
    bool ipv6 = strchr(url->host, ':') != NULL;
    if (redis_url_is_socket(url))
        (void)snprintf(r->place, sizeof(r->place), "%s", url->host);
    else
        (void)snprintf(r->place, sizeof(r->place), ipv6 ? "[%s]:%u" : "%s:%u",
                       url->host, url->port);
    return r;
}

void redis_sync_free(struct redis_sync *r)
{
    if (!r)
        return;
    drop(r);
    mem_free(r);
}

void redis_sync_timeout(struct redis_sync *r, uint32_t ms)
{
    r->timeout_ms = ms;
    if (r->context && redisSetTimeout(r->context, timeout_of(r)) != REDIS_OK)
        drop(r);
}

size_t redis_sync_held(const struct redis_sync *r)
{
    return r->held;
}

size_t redis_sync_held_bytes(const struct redis_sync *r)
{
    return r->held_bytes;
}

const char *redis_sync_error(const struct redis_sync *r)
{
    return r->error;
}
