#include "tests/bench/swarm.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "tests/bench/inflate.h"
#include "tests/bench/packet.h"
#include "tests/bench/probe.h"

enum {
    OPENING_MAX = 64,
    EVENTS = 1024,
    OPEN_STALL_MS = 20000,
    NS_PER_S = 1000000000,
};

enum client_state { LOST, REFUSED, UPGRADE, ENGINE, NAMESPACE, ROOM, READY };

void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("load: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
    va_end(ap);
    exit(2);
}

static struct client *client_of(struct wire *w)
{
    return (void *)((char *)w - offsetof(struct client, wire));
}

static bool starts(const char *p, size_t len, const char *with)
{
    size_t n = strlen(with);
    return len >= n && memcmp(p, with, n) == 0;
}

static void lose(struct client *c, const char *what)
{
    struct swarm *s = c->swarm;
    if (!s->on_lost)
        die("client %u: %s: %s", c->index, what,
            errno ? strerror(errno) : "closed, or no frame of ours");
    enum swarm_loss how = c->state == READY     ? SWARM_LOST_READY
                          : c->state == REFUSED ? SWARM_REFUSED
                          : c->state == UPGRADE ? SWARM_UNREACHED
                                                : SWARM_LOST_OPENING;
    s->ready -= c->state == READY;
    c->state = LOST;
    if (c->wire.fd >= 0)
        wire_fini(&c->wire);
    s->on_lost(c, how, s->arg);
}

/* ---- sending ------------------------------------------------------------- */

void swarm_send(struct client *c, const char *packet, size_t len)
{
    char text[PACKET_MAX + 1];
    if (len > PACKET_MAX)
        die("a packet of %zu bytes is too large", len);
    if (c->swarm->msgpack) {
        wire_message(&c->wire, WIRE_BINARY, packet, len);
        return;
    }
    text[0] = '4';
    memcpy(text + 1, packet, len);
    wire_message(&c->wire, WIRE_TEXT, text, len + 1);
}

void swarm_attach(struct client *c, const char *p, size_t len)
{
    wire_message(&c->wire, WIRE_BINARY, p, len);
}

void swarm_flush(struct client *c)
{
    if (c->state != LOST && !wire_flush(&c->wire, c->swarm->epoll))
        lose(c, "write");
}

/* ---- opening ------------------------------------------------------------- */

static void send_upgrade(struct client *c)
{
    static const char request[] =
        "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n"
        "Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Version: 13\r\n";
    static const char deflate[] =
        "Sec-WebSocket-Extensions: permessage-deflate; "
        "server_no_context_takeover; client_no_context_takeover\r\n";
    c->state = UPGRADE;
    wire_add(&c->wire, request, sizeof(request) - 1);
    if (c->swarm->deflate)
        wire_add(&c->wire, deflate, sizeof(deflate) - 1);
    wire_add(&c->wire, "\r\n", 2);
}

void swarm_room(uint32_t number, char out[SWARM_ROOM_MAX])
{
    snprintf(out, SWARM_ROOM_MAX, "room-%u", number);
}

static void become_ready(struct client *c)
{
    c->state = READY;
    c->swarm->ready++;
}

static void send_join(struct client *c)
{
    char room[SWARM_ROOM_MAX], packet[PACKET_HEAD_MAX];
    if (!c->swarm->per_room) {
        become_ready(c);
        return;
    }
    swarm_room(c->swarm->first_room + c->index / c->swarm->per_room, room);
    c->state = ROOM;
    swarm_send(c, packet, packet_join(c->swarm->msgpack, room, packet));
}

static void on_opening_packet(struct client *c, const char *p, size_t len)
{
    bool msgpack = c->swarm->msgpack;
    if (c->state == NAMESPACE && packet_is_connect(msgpack, p, len))
        send_join(c);
    else if (c->state == ROOM && packet_is_ack(msgpack, p, len))
        become_ready(c);
    else
        die("client %u: unexpected packet %.*s", c->index, (int)len, p);
}

static void on_head(struct wire *w, const char *head, size_t len)
{
    struct client *c = client_of(w);
    if (c->swarm->on_lost && !starts(head, len, "HTTP/1.1 101")) {
        c->state = REFUSED;
        return;
    }
    if (c->state != UPGRADE || !starts(head, len, "HTTP/1.1 101"))
        die("client %u: not accepted: %.*s", c->index, (int)len, head);
    if (c->swarm->deflate && !memmem(head, len, "permessage-deflate", 18))
        die("the server does not compress");
    c->state = ENGINE;
}

static void on_packet(struct client *c, const char *p, size_t len)
{
    if (c->state == READY)
        c->swarm->on_packet(c, p, len, c->swarm->arg);
    else
        on_opening_packet(c, p, len);
}

static void on_text(struct wire *w, char *text, size_t len)
{
    struct client *c = client_of(w);
    char packet[PACKET_HEAD_MAX];
    c->swarm->messages++;
    if (len == 1 && text[0] == '2') {
        wire_message(w, WIRE_TEXT, "3", 1);
    } else if (c->state == ENGINE && starts(text, len, "0{")) {
        c->state = NAMESPACE;
        swarm_send(c, packet, packet_connect(c->swarm->msgpack, packet));
    } else if (len < 2 || text[0] != '4') {
        die("client %u: unexpected message %.*s", c->index, (int)len, text);
    } else {
        on_packet(c, text + 1, len - 1);
    }
}

static void on_binary(struct wire *w, char *p, size_t len)
{
    struct client *c = client_of(w);
    c->swarm->messages++;
    if (c->swarm->msgpack)
        on_packet(c, p, len);
    else if (c->swarm->on_attachment)
        c->swarm->on_attachment(c, p, len, c->swarm->arg);
    else
        die("client %u: unexpected binary message", c->index);
}

static void on_deflated(struct wire *w, unsigned opcode, char *p, size_t len)
{
    size_t n;
    char *text = inflate_message(p, len, &n);
    if (!text)
        die("a compressed message of %zu bytes is broken", len);
    if (opcode == WIRE_TEXT)
        on_text(w, text, n);
    else
        on_binary(w, text, n);
}

static void start_client(struct swarm *s, struct client *c)
{
    const struct sockaddr_in to = {.sin_family = AF_INET,
                                   .sin_addr = s->to,
                                   .sin_port = htons(s->ports[c->node])};
    int fd = wire_dial(&to, c->index, SOCK_NONBLOCK,
                       s->narrow_from && c->index >= s->narrow_from);
    wire_init(&c->wire, fd, true);
    c->state = UPGRADE;
    if (fd < 0) {
        lose(c, "connect");
        return;
    }
    send_upgrade(c);
    /* Written when the connection is there. */
    c->wire.blocked = true;
    struct epoll_event e = {.events = EPOLLIN | EPOLLOUT, .data.ptr = &c->wire};
    if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &e) < 0)
        die("epoll_ctl: %s", strerror(errno));
}

void swarm_open(struct swarm *s, uint32_t n, uint32_t per_room)
{
    if (inet_pton(AF_INET, s->host, &s->to) != 1)
        die("not an IPv4 address: %s", s->host);
    s->epoll = epoll_create1(EPOLL_CLOEXEC);
    s->clients = calloc(n, sizeof(*s->clients));
    if (s->epoll < 0 || !s->clients)
        die("out of memory or descriptors");
    s->n = n;
    s->per_room = per_room;
    s->started = s->ready = 0;
    uint64_t seen = 0, since = probe_now_ns();
    while (s->ready < n) {
        while (s->started < n && s->started - s->ready < OPENING_MAX) {
            struct client *c = &s->clients[s->started];
            c->swarm = s;
            c->index = s->started++;
            c->node = (uint8_t)(c->index % s->n_nodes);
            start_client(s, c);
        }
        swarm_turn(s, 100);
        uint64_t now = probe_now_ns();
        if (s->messages != seen)
            since = now;
        seen = s->messages;
        if (now - since > OPEN_STALL_MS * UINT64_C(1000000))
            die("%u of %u clients are ready and no more come", s->ready, n);
    }
}

void swarm_reopen(struct client *c)
{
    start_client(c->swarm, c);
}

bool swarm_is_ready(const struct client *c)
{
    return c->state == READY;
}

void swarm_pause(struct client *c)
{
    epoll_ctl(c->swarm->epoll, EPOLL_CTL_DEL, c->wire.fd, NULL);
}

void swarm_resume(struct client *c)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = &c->wire};
    int bytes = 1 << 20;
    setsockopt(c->wire.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    if (epoll_ctl(c->swarm->epoll, EPOLL_CTL_ADD, c->wire.fd, &e) < 0)
        die("epoll_ctl: %s", strerror(errno));
    c->wire.blocked = false;
}

void swarm_close(struct swarm *s)
{
    for (uint32_t i = 0; i < s->started; i++)
        if (s->clients[i].wire.fd >= 0)
            wire_fini(&s->clients[i].wire);
    close(s->epoll);
    free(s->clients);
    s->clients = NULL;
    s->n = s->started = s->ready = 0;
}

/* ---- events -------------------------------------------------------------- */

static void serve(const struct epoll_event *events, int n)
{
    static const struct wire_ops ops = {on_head, on_text, on_binary,
                                        on_deflated};
    for (int i = 0; i < n; i++) {
        struct wire *w = events[i].data.ptr;
        struct client *c = client_of(w);
        bool good =
            !(events[i].events & ~(uint32_t)EPOLLOUT) || wire_read(w, &ops);
        if (!good || c->state == REFUSED) {
            lose(c, "the connection has ended");
            continue;
        }
        if (w->out.len && (!w->blocked || events[i].events & EPOLLOUT))
            swarm_flush(c);
    }
}

void swarm_turn(struct swarm *s, int ms)
{
    struct epoll_event events[EVENTS];
    serve(events, epoll_wait(s->epoll, events, EVENTS, ms));
}

void swarm_turn_ns(struct swarm *s, uint64_t ns)
{
    struct epoll_event events[EVENTS];
    struct timespec wait = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
    serve(events, epoll_pwait2(s->epoll, events, EVENTS, &wait, NULL));
}
