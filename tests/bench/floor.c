/* The least a server can do for the load generator on this kernel: epoll, read
 * and write, with answers that are cut from what came in. No HTTP, no JSON, no
 * sessions, no timers; rooms have numbers.
 *
 *     floor          a broadcast is one frame, written to each member by one
 *                    write(); what came in one read goes out together
 *     floor --uring [--try]
 *                    the same by io_uring; the exit status is 3 when the kernel
 *                    does not allow it; --try does nothing more
 *     floor --bare   accept, recv, send and close, one connection at a time
 *
 * An echo's answer is written after the read that it came with. So a server
 * that batches better than that can pass the floor, and one that does not costs
 * at least this many system calls. */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/ring.h"
#include "tests/bench/wire.h"

enum {
    EVENTS = 256,
    BACKLOG = 4096,
    BATCH_BYTES = 1 << 20,
    ROOMS = 1 << 16,
    NO_RING = 3,
};

struct peer {
    struct wire wire;
    struct peer *next, **link; /* among the members; link is NULL outside */
};

static int epoll;
static bool uring;
static struct peer *rooms[ROOMS];

/* Frames for all members of a room that the present read has brought. */
static char batch[BATCH_BYTES];
static size_t batch_len;
static uint32_t batch_room;

static struct peer *peer_of(struct wire *w)
{
    return (void *)((char *)w - offsetof(struct peer, wire));
}

/* The number in the first "room-" of the text; joins, too, have one only. */
static uint32_t room_of(const char *text, size_t len)
{
    const char *at = memmem(text, len, "room-", 5);
    return at ? (uint32_t)strtoul(at + 5, NULL, 10) % ROOMS : 0;
}

static void join(struct peer *p, uint32_t room)
{
    if (p->link)
        return;
    p->next = rooms[room];
    p->link = &rooms[room];
    if (p->next)
        p->next->link = &p->next;
    rooms[room] = p;
}

static void peer_free(struct peer *p)
{
    if (p->link) {
        *p->link = p->next;
        if (p->next)
            p->next->link = p->link;
    }
    if (uring)
        ring_remove_file(p->wire.fd);
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
    wire_message(w, WIRE_TEXT, z, strlen(z));
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

static void send_batch(void)
{
    /* A member that fails is noticed when it is read. */
    for (struct peer *p = rooms[batch_room]; p; p = p->next) {
        if (uring)
            ring_send(p->wire.fd, batch, batch_len);
        else
            wire_write(&p->wire, epoll, batch, batch_len);
    }
    if (uring)
        ring_submit();
    batch_len = 0;
}

static void add_to_batch(unsigned opcode, const char *p, size_t len)
{
    if (batch_len + WIRE_HEAD_MAX + len > sizeof(batch))
        abort();
    batch_len += wire_head(batch + batch_len, opcode, len);
    memcpy(batch + batch_len, p, len);
    batch_len += len;
}

static void say(const char *text, size_t len)
{
    uint32_t room = room_of(text, len);
    if (batch_len && room != batch_room)
        send_batch();
    batch_room = room;
    add_to_batch(WIRE_TEXT, text, len);
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
    wire_message(w, WIRE_TEXT, text + cut, (size_t)(end - text) - cut);
}

static void on_text(struct wire *w, char *text, size_t len)
{
    if (starts(text, len, "42[\"say\"") || starts(text, len, "451-")) {
        say(text, len);
    } else if (starts(text, len, "40")) {
        answer(w, "40{\"sid\":\"x\"}");
    } else if (starts(text, len, "420[\"join\"")) {
        join(peer_of(w), room_of(text, len));
        answer(w, "430[]");
    } else if (starts(text, len, "420[\"settle\"")) {
        answer(w, "430[]");
    } else if (starts(text, len, "42")) {
        echo(w, text, text + len);
    }
}

/* The attachment of the message before it. */
static void on_binary(struct wire *w, char *p, size_t len)
{
    (void)w;
    add_to_batch(WIRE_BINARY, p, len);
}

static void serve(struct peer *p, uint32_t events)
{
    static const struct wire_ops ops = {on_head, on_text, on_binary, NULL};
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
        if (uring)
            ring_add_file(fd);
    }
}

static int listen_anywhere(int type)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | type, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&a, sizeof(a)) < 0 ||
        listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &len) < 0)
        return -1;
    printf("ready on http://127.0.0.1:%u\n", (unsigned)ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

/* Blocking: what a client sends is there, or about to be. */
static int serve_bare(void)
{
    static const char answer[64] = "answer";
    char request[1024];
    int fd, listener = listen_anywhere(0);
    while ((fd = accept4(listener, NULL, NULL, 0)) >= 0) {
        if (recv(fd, request, sizeof(request), 0) > 0)
            send(fd, answer, sizeof(answer), MSG_NOSIGNAL);
        close(fd);
    }
    perror("floor");
    return 1;
}

static int serve_all(void)
{
    int listener = listen_anywhere(SOCK_NONBLOCK);
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

int main(int argc, char **argv)
{
    const char *kind = argc > 1 ? argv[1] : "";
    uring = strcmp(kind, "--uring") == 0;
    if (uring && !ring_init())
        return NO_RING;
    if (argc > 2 && strcmp(argv[2], "--try") == 0)
        return 0;
    return strcmp(kind, "--bare") == 0 ? serve_bare() : serve_all();
}
