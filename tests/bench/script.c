#include "tests/bench/script.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/swarm.h"

enum { INPUT_MAX = 1024, EVENTS = 256, STALL_MS = 20000 };

struct talk {
    int fd;
    uint32_t index;
    unsigned step;
    size_t len;
    char sid[SCRIPT_SID_MAX];
    char input[INPUT_MAX];
};

static struct stage {
    const struct script *script;
    struct sockaddr_in to;
    int epoll;
    bool keeps;
    uint32_t begun, ended, n;
    struct talk *talks; /* one for each that is on its way, or stays */
    uint32_t n_talks;
} stage;

/* ---- the conversations --------------------------------------------------- */

static size_t get(const char *sid, char *out)
{
    return (size_t)snprintf(
        out, SCRIPT_REQUEST_MAX,
        "GET /socket.io/?EIO=4&transport=polling%s%s HTTP/1.1\r\n"
        "Host: localhost\r\n\r\n",
        *sid ? "&sid=" : "", sid);
}

static size_t post(const char *sid, const char *body, char *out)
{
    return (size_t)snprintf(
        out, SCRIPT_REQUEST_MAX,
        "POST /socket.io/?EIO=4&transport=polling&sid=%s HTTP/1.1\r\n"
        "Host: localhost\r\nContent-Type: text/plain;charset=UTF-8\r\n"
        "Content-Length: %zu\r\n\r\n%s",
        sid, strlen(body), body);
}

/* With a mask of zeros, which servers have to apply all the same. */
static size_t frame(const char *text, char *out)
{
    size_t len = strlen(text);
    out[0] = (char)0x81;
    out[1] = (char)(0x80 | len);
    memset(out + 2, 0, 4);
    memcpy(out + 6, text, len);
    return 6 + len;
}

static size_t websocket_request(unsigned step, const char *sid, uint32_t index,
                                char *out)
{
    static const char upgrade[] =
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
        "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n";
    (void)sid;
    (void)index;
    if (step > 0)
        return frame(step == 1 ? "40" : "420[\"echo\",\"x\"]", out);
    memcpy(out, upgrade, sizeof(upgrade) - 1);
    return sizeof(upgrade) - 1;
}

static size_t polling_step(unsigned step, const char *sid, const char *event,
                           char *out)
{
    switch (step) {
    case 1:
        return post(sid, "40", out);
    case 3:
        return post(sid, event, out);
    case 5:
        return post(sid, "1", out);
    default:
        return get(sid, out);
    }
}

static size_t polling_request(unsigned step, const char *sid, uint32_t index,
                              char *out)
{
    (void)index;
    return polling_step(step, sid, "420[\"echo\",\"x\"]", out);
}

static size_t stays_request(unsigned step, const char *sid, uint32_t index,
                            char *out)
{
    char event[64];
    snprintf(event, sizeof(event), "420[\"join\",\"room-%u\"]", index / 100);
    return polling_step(step, sid, event, out);
}

static size_t bare_request(unsigned step, const char *sid, uint32_t index,
                           char *out)
{
    (void)step;
    (void)sid;
    (void)index;
    memset(out, 'x', 64);
    return 64;
}

static const char *const websocket_wants[] = {"0{\"sid\":\"", "40{", "430[",
                                              NULL};
static const char *const polling_wants[] = {
    "\r\n\r\n0{\"sid\":\"", "\r\n\r\nok", "\r\n\r\n40{", "\r\n\r\nok",
    "\r\n\r\n430[",         "\r\n\r\nok", NULL};
static const char *const stays_wants[] = {"\r\n\r\n0{\"sid\":\"", "\r\n\r\nok",
                                          "\r\n\r\n40{",          "\r\n\r\nok",
                                          "\r\n\r\n430[",         NULL};
static const char *const bare_wants[] = {"", NULL};

const struct script script_websocket = {websocket_wants, websocket_request};
const struct script script_polling = {polling_wants, polling_request};
const struct script script_polling_stays = {stays_wants, stays_request};
const struct script script_bare = {bare_wants, bare_request};

/* ---- playing ------------------------------------------------------------- */

static void say(struct talk *t)
{
    char request[SCRIPT_REQUEST_MAX];
    size_t len = stage.script->request(t->step, t->sid, t->index, request);
    t->len = 0;
    if (write(t->fd, request, len) != (ssize_t)len)
        die("conversation %u: write: %s", t->index, strerror(errno));
}

static void begin(struct talk *t)
{
    t->index = stage.begun++;
    t->step = 0;
    t->sid[0] = '\0';
    /* On this machine the kernel accepts for the server, at once. */
    t->fd = wire_dial(&stage.to, t->index, 0, false);
    if (t->fd < 0)
        die("connect: %s", strerror(errno));
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = t};
    if (epoll_ctl(stage.epoll, EPOLL_CTL_ADD, t->fd, &e) < 0)
        die("epoll_ctl: %s", strerror(errno));
    say(t);
}

static void hang_up(struct talk *t)
{
    struct linger reset = {1, 0};
    setsockopt(t->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(t->fd);
}

/* The next one takes the place of one that has ended, or has one of its own. */
static void end(struct talk *t)
{
    stage.ended++;
    if (!stage.keeps)
        hang_up(t);
    if (stage.begun == stage.n)
        return;
    begin(stage.keeps ? &stage.talks[stage.begun] : t);
}

static bool answered(struct talk *t)
{
    const char *want = stage.script->wants[t->step];
    size_t n = strlen(want);
    const char *at = memmem(t->input, t->len, want, n);
    if (!at || n == 0 || want[n - 1] != '"')
        return at;
    at += n;
    const char *quote = memchr(at, '"', (size_t)(t->input + t->len - at));
    if (!quote || quote - at >= SCRIPT_SID_MAX)
        return false;
    memcpy(t->sid, at, (size_t)(quote - at));
    t->sid[quote - at] = '\0';
    return true;
}

static void hear(struct talk *t)
{
    ssize_t n = recv(t->fd, t->input + t->len, INPUT_MAX - t->len, 0);
    if (n < 0 && errno == EINTR)
        return;
    if (n <= 0)
        die("conversation %u: ended in step %u: %.*s", t->index, t->step,
            (int)t->len, t->input);
    t->len += (size_t)n;
    if (!answered(t)) {
        if (t->len == INPUT_MAX)
            die("conversation %u: not what step %u waits for: %.*s", t->index,
                t->step, (int)t->len, t->input);
        return;
    }
    t->step++;
    if (stage.script->wants[t->step])
        say(t);
    else
        end(t);
}

static void play(void)
{
    struct epoll_event events[EVENTS];
    while (stage.ended < stage.n) {
        int n = epoll_wait(stage.epoll, events, EVENTS, STALL_MS);
        if (n == 0)
            die("%u of %u conversations have ended, and no more do",
                stage.ended, stage.n);
        for (int i = 0; i < n; i++)
            hear(events[i].data.ptr);
    }
}

static void start(const struct script *s, struct script_end to, uint32_t n,
                  uint32_t window, bool keeps)
{
    stage = (struct stage){.script = s, .keeps = keeps, .n = n};
    stage.to =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(to.port)};
    if (inet_pton(AF_INET, to.host, &stage.to.sin_addr) != 1)
        die("not an IPv4 address: %s", to.host);
    stage.epoll = epoll_create1(EPOLL_CLOEXEC);
    stage.n_talks = keeps ? n : window;
    stage.talks = calloc(stage.n_talks, sizeof(*stage.talks));
    if (stage.epoll < 0 || !stage.talks)
        die("out of memory or descriptors");
    for (uint32_t i = 0; i < window && stage.begun < n; i++)
        begin(&stage.talks[i]);
    play();
}

void script_run(const struct script *s, struct script_end to, uint32_t n,
                uint32_t window)
{
    start(s, to, n, window, false);
    close(stage.epoll);
    free(stage.talks);
}

void script_keep(const struct script *s, struct script_end to, uint32_t n,
                 uint32_t window)
{
    start(s, to, n, window, true);
}

void script_close(void)
{
    for (uint32_t i = 0; i < stage.n_talks; i++)
        hang_up(&stage.talks[i]);
    close(stage.epoll);
    free(stage.talks);
    stage.talks = NULL;
}
