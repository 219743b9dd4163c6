/* The least a server can do for the load generator on this kernel: epoll, read
 * and write, with answers that are cut from what came in. No HTTP, no JSON, no
 * sessions, no timers; one room, of all who have joined.
 *
 * A broadcast is one frame, written to each member by one write(); what came in
 * one read goes out together. An echo's answer is written after the read that
 * it came with. So a server that batches better than that can pass the floor,
 * and one that does not costs at least this many system calls. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/wire.h"

enum { EVENTS = 256, BACKLOG = 4096, BATCH_BYTES = 1 << 20 };

struct peer {
    struct wire wire;
    struct peer *next, **link; /* among the members; link is NULL outside */
};

static int epoll;
static struct peer *members;

/* Frames for all members that the present read has brought. */
static char batch[BATCH_BYTES];
static size_t batch_len;

static struct peer *peer_of(struct wire *w)
{
    return (void *)((char *)w - offsetof(struct peer, wire));
}

static void join(struct peer *p)
{
    if (p->link)
        return;
    p->next = members;
    p->link = &members;
    if (members)
        members->link = &p->next;
    members = p;
}

static void peer_free(struct peer *p)
{
    if (p->link) {
        *p->link = p->next;
        if (p->next)
            p->next->link = p->link;
    }
    wire_fini(&p->wire);
    free(p);
}

static bool starts(const char *p, size_t len, const char *with)
{
    size_t n = strlen(with);
    return len >= n && memcmp(p, with, n) == 0;
}

static void answer(struct wire *w, const char *z)
{
    wire_text(w, z, strlen(z));
}

static void on_head(struct wire *w, const char *head, size_t len)
{
    static const char accepted[] =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Accept: unchecked\r\n\r\n";
    (void)head;
    (void)len;
    wire_add(w, accepted, sizeof(accepted) - 1);
    answer(w, "0{\"sid\":\"x\",\"upgrades\":[],\"pingInterval\":25000,"
              "\"pingTimeout\":20000,\"maxPayload\":1000000}");
}

static void say(const char *text, size_t len)
{
    if (batch_len + WIRE_HEAD_MAX + len > sizeof(batch))
        abort();
    batch_len += wire_head(batch + batch_len, len);
    memcpy(batch + batch_len, text, len);
    batch_len += len;
}

/* 42<id>["echo",x] becomes 43<id>[x]. */
static void echo(struct wire *w, char *text, const char *end)
{
    static const char name[] = "[\"echo\",";
    char *at = memmem(text, (size_t)(end - text), name, sizeof(name) - 1);
    if (!at)
        return;
    size_t head = (size_t)(at - text), cut = sizeof(name) - 2;
    text[1] = '3';
    memmove(text + cut, text, head);
    at[cut] = '[';
    wire_text(w, text + cut, (size_t)(end - text) - cut);
}

static void on_text(struct wire *w, char *text, size_t len)
{
    if (starts(text, len, "42[\"say\"")) {
        say(text, len);
    } else if (starts(text, len, "40")) {
        answer(w, "40{\"sid\":\"x\"}");
    } else if (starts(text, len, "420[\"join\"")) {
        join(peer_of(w));
        answer(w, "430[]");
    } else if (starts(text, len, "420[\"settle\"")) {
        answer(w, "430[]");
    } else if (starts(text, len, "42")) {
        echo(w, text, text + len);
    }
}

static void send_batch(void)
{
    /* A member that fails is noticed when it is read. */
    for (struct peer *p = members; p; p = p->next)
        wire_write(&p->wire, epoll, batch, batch_len);
    batch_len = 0;
}

static void serve(struct peer *p, uint32_t events)
{
    static const struct wire_ops ops = {on_head, on_text};
    if ((events & ~(uint32_t)EPOLLOUT) && !wire_read(&p->wire, &ops)) {
        peer_free(p);
        return;
    }
    wire_flush(&p->wire, epoll);
    if (batch_len)
        send_batch();
}

static void accept_peers(int listener)
{
    int fd, on = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct peer *p = calloc(1, sizeof(*p));
        if (!p)
            abort();
        wire_init(&p->wire, fd, false);
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = &p->wire};
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    }
}

static int listen_anywhere(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
        listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return -1;
    printf("ready on http://127.0.0.1:%u\n", (unsigned)ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

int main(void)
{
    int listener = listen_anywhere();
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN};
    if (listener < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &e) < 0) {
        perror("floor");
        return 1;
    }
    for (;;) {
        struct epoll_event events[EVENTS];
        int n = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct wire *w = events[i].data.ptr;
            if (w)
                serve(peer_of(w), events[i].events);
            else
                accept_peers(listener);
        }
    }
}
