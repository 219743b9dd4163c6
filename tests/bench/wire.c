#include "tests/bench/wire.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    FIRST_ADDRESS = 0x7f000101, /* 127.0.1.1 */
    ADDRESSES = 200,
    ADDRESS_CONNS = 2048,
};
enum { INPUT_BYTES = 1 << 20, STORE_MIN = 128, FIN = 0x80, RSV1 = 0x40 };

/* Servers have to unmask whatever the key is. */
static const char mask_key[4] = {0x5a, 0x13, 0x77, 0x2e};

static char input[INPUT_BYTES];

struct wire_bytes wire_bytes;

struct frame {
    char *body;
    size_t len;
    unsigned first; /* FIN, reserved bits, opcode */
};

static char *store_space(struct wire_store *s, size_t n)
{
    if (s->len + n > s->cap) {
        size_t cap = s->cap ? s->cap : STORE_MIN;
        while (cap < s->len + n)
            cap *= 2;
        s->p = realloc(s->p, cap);
        if (!s->p)
            abort();
        s->cap = cap;
    }
    return s->p + s->len;
}

static void store_add(struct wire_store *s, const char *p, size_t len)
{
    if (len == 0)
        return;
    memcpy(store_space(s, len), p, len);
    s->len += len;
}

static void store_fini(struct wire_store *s)
{
    free(s->p);
    *s = (struct wire_store){0};
}

/* The server's kernel has room for some segments: small ones. */
static void make_narrow(int fd)
{
    int bytes = 4096, segment = 536;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
    setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof(segment));
}

int wire_dial(const struct sockaddr_in *to, uint32_t index, int flags,
              bool narrow)
{
    const struct sockaddr_in from = {
        .sin_family = AF_INET,
        .sin_addr.s_addr =
            htonl(FIRST_ADDRESS + index / ADDRESS_CONNS % ADDRESSES)};
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (narrow)
        make_narrow(fd);
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (bind(fd, (const struct sockaddr *)&from, sizeof(from)) < 0 ||
        (connect(fd, (const struct sockaddr *)to, sizeof(*to)) < 0 &&
         errno != EINPROGRESS)) {
        int why = errno;
        close(fd);
        errno = why;
        return -1;
    }
    return fd;
}

void wire_init(struct wire *w, int fd, bool masks)
{
    *w = (struct wire){.fd = fd, .masks = masks};
}

void wire_fini(struct wire *w)
{
    struct linger reset = {1, 0};
    setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    close(w->fd);
    w->fd = -1;
    store_fini(&w->in);
    store_fini(&w->out);
}

/* ---- receiving ----------------------------------------------------------- */

static void apply_mask(char *p, size_t len, const char key[4])
{
    uint32_t once;
    memcpy(&once, key, 4);
    uint64_t twice = (uint64_t)once << 32 | once;
    size_t i = 0;
    for (; i + 8 <= len; i += 8) {
        uint64_t v;
        memcpy(&v, p + i, 8);
        v ^= twice;
        memcpy(p + i, &v, 8);
    }
    for (; i < len; i++)
        p[i] = (char)(p[i] ^ key[i & 3]);
}

/* The size of the frame that begins at `p`; 0 while it is not all there. */
static size_t parse_frame(char *p, size_t have, struct frame *f)
{
    if (have < 2)
        return 0;
    const unsigned char *u = (const unsigned char *)p;
    bool masked = u[1] & 0x80;
    uint64_t len = u[1] & 0x7f;
    size_t extra = len == 126 ? 2 : len == 127 ? 8 : 0;
    size_t head = 2 + extra + (masked ? 4 : 0);
    if (have < head)
        return 0;
    if (extra)
        len = 0;
    for (size_t i = 0; i < extra; i++)
        len = len << 8 | u[2 + i];
    if (len > have - head)
        return 0;
    f->body = p + head;
    f->len = (size_t)len;
    f->first = u[0];
    if (masked)
        apply_mask(f->body, f->len, p + head - 4);
    return head + f->len;
}

static bool take_frame(struct wire *w, const struct wire_ops *ops,
                       const struct frame *f)
{
    unsigned opcode = f->first & ~(unsigned)(FIN | RSV1);
    bool data = opcode == WIRE_TEXT || opcode == WIRE_BINARY;
    /* WebSocket's own pings: no peer here sends any, so none is answered. */
    if (!(f->first & FIN) || !data)
        return f->first == (FIN | WIRE_PING);
    if (f->first & RSV1) {
        if (!ops->on_deflated)
            return false;
        ops->on_deflated(w, opcode, f->body, f->len);
    } else if (opcode == WIRE_TEXT) {
        ops->on_text(w, f->body, f->len);
    } else {
        if (!ops->on_binary)
            return false;
        ops->on_binary(w, f->body, f->len);
    }
    return true;
}

/* Hands up what is complete in `p`; `*used` says how far. */
static bool take_all(struct wire *w, const struct wire_ops *ops, char *p,
                     size_t len, size_t *used)
{
    size_t at = 0;
    bool good = true;
    if (!w->framed) {
        const char *end = memmem(p, len, "\r\n\r\n", 4);
        if (end) {
            w->framed = true;
            at = (size_t)(end - p) + 4;
            ops->on_head(w, p, at - 4);
        }
    }
    while (good && w->framed) {
        struct frame f;
        size_t n = parse_frame(p + at, len - at, &f);
        if (n == 0)
            break;
        good = take_frame(w, ops, &f);
        at += n;
    }
    *used = at;
    return good;
}

bool wire_read(struct wire *w, const struct wire_ops *ops)
{
    size_t len = w->in.len;
    if (len >= INPUT_BYTES)
        return false;
    errno = 0;
    ssize_t n = read(w->fd, input + len, INPUT_BYTES - len);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    wire_bytes.in += (uint64_t)n;
    if (len)
        memcpy(input, w->in.p, len);
    len += (size_t)n;
    size_t used;
    bool good = take_all(w, ops, input, len, &used);
    w->in.len = 0;
    store_add(&w->in, input + used, len - used);
    return good;
}

/* ---- sending ------------------------------------------------------------- */

size_t wire_head(char *head, unsigned opcode, size_t len)
{
    size_t extra = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;
    head[0] = (char)(FIN | opcode);
    head[1] = (char)(extra == 0 ? len : extra == 2 ? 126 : 127);
    for (size_t i = 0; i < extra; i++)
        head[2 + i] = (char)(len >> (8 * (extra - 1 - i)));
    return 2 + extra;
}

void wire_add(struct wire *w, const char *p, size_t len)
{
    store_add(&w->out, p, len);
}

void wire_message(struct wire *w, unsigned opcode, const char *text, size_t len)
{
    char *p = store_space(&w->out, WIRE_HEAD_MAX + len);
    size_t head = wire_head(p, opcode, len);
    if (w->masks) {
        p[1] = (char)(p[1] | 0x80);
        memcpy(p + head, mask_key, 4);
        head += 4;
    }
    memcpy(p + head, text, len);
    if (w->masks)
        apply_mask(p + head, len, mask_key);
    w->out.len += head + len;
}

static void ask_for_room(struct wire *w, int epoll, bool want)
{
    if (w->blocked == want)
        return;
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = w};
    if (want)
        e.events |= EPOLLOUT;
    epoll_ctl(epoll, EPOLL_CTL_MOD, w->fd, &e);
    w->blocked = want;
}

/* Bytes taken; -1 when the connection has failed. */
static ssize_t write_some(int fd, const char *p, size_t len)
{
    ssize_t n = write(fd, p, len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n > 0)
        wire_bytes.out += (uint64_t)n;
    return n;
}

bool wire_flush(struct wire *w, int epoll)
{
    if (w->out.len == 0)
        return true;
    ssize_t n = write_some(w->fd, w->out.p, w->out.len);
    if (n < 0)
        return false;
    w->out.len -= (size_t)n;
    if (w->out.len)
        memmove(w->out.p, w->out.p + n, w->out.len);
    ask_for_room(w, epoll, w->out.len > 0);
    return true;
}

bool wire_write(struct wire *w, int epoll, const char *p, size_t len)
{
    ssize_t n = 0;
    if (w->out.len == 0)
        n = write_some(w->fd, p, len);
    if (n < 0)
        return false;
    if ((size_t)n < len) {
        store_add(&w->out, p + n, len - (size_t)n);
        ask_for_room(w, epoll, true);
    }
    return true;
}
