/* One end of a WebSocket connection, client or server: what the load generator
 * and the floor share. Blocking is never waited for; the owner runs epoll.
 *
 * Frames are parsed where they were read: all connections share one input
 * buffer, and only the unfinished end of a read is kept aside. Messages are
 * whole frames, since neither side of the benchmark makes fragments; anything
 * else ends the connection. Callbacks must not end it. */
#ifndef CONFAB_TESTS_BENCH_WIRE_H
#define CONFAB_TESTS_BENCH_WIRE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_TEXT = 1,
    WIRE_BINARY = 2,
    WIRE_PING = 9,
    WIRE_HEAD_MAX = 14,
};

struct wire_store {
    char *p;
    size_t len, cap;
};

struct wire {
    int fd;
    bool masks;   /* a client: masks what it sends */
    bool framed;  /* the HTTP handshake is over */
    bool blocked; /* EPOLLOUT is asked for */
    struct wire_store in, out;
};

struct wire_ops {
    /* The HTTP head of the other side, without the empty line. */
    void (*on_head)(struct wire *w, const char *head, size_t len);
    /* A text message; may be changed in place; gone after the call. */
    void (*on_text)(struct wire *w, char *text, size_t len);
    /* The same for a binary message, and for a compressed one of either kind.
     * NULL: such a message ends the connection. */
    void (*on_binary)(struct wire *w, char *p, size_t len);
    void (*on_deflated)(struct wire *w, unsigned opcode, char *p, size_t len);
};

/* A socket that connects to `to`, with flags of socket(2); -1 with errno. The
 * own address, in 127.0.1.0/24, changes with `index`: to search a free port
 * among thousands that are taken would be most of the work. `narrow`: the
 * kernel keeps little for it at either end. */
int wire_dial(const struct sockaddr_in *to, uint32_t index, int flags,
              bool narrow);

/* What all connections have read and written. */
extern struct wire_bytes {
    uint64_t in, out;
} wire_bytes;

void wire_init(struct wire *w, int fd, bool masks);
/* Closes with a reset, so that thousands of connections leave no trace in the
 * kernel's table for the next run. */
void wire_fini(struct wire *w);

/* Reads once and hands up what is complete. False when the connection is of no
 * more use; errno is 0 when that is not the kernel's word. */
bool wire_read(struct wire *w, const struct wire_ops *ops);

/* Both only queue; wire_flush writes. A message is framed. */
void wire_add(struct wire *w, const char *p, size_t len);
void wire_message(struct wire *w, unsigned opcode, const char *p, size_t len);
/* Writes `p` at once when nothing waits, and queues what is left. */
bool wire_write(struct wire *w, int epoll, const char *p, size_t len);
/* Writes what is queued, and asks for EPOLLOUT while there is more. */
bool wire_flush(struct wire *w, int epoll);

/* Puts an unmasked header for a message of `len` bytes at `head` (WIRE_HEAD_MAX
 * bytes); its size. */
size_t wire_head(char *head, unsigned opcode, size_t len);

#endif
