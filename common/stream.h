/* A non-blocking byte stream over a TCP socket: the only code that calls
 * accept, connect, read and send.
 *
 * Input is read into one buffer shared by all streams and handed up as a slice;
 * whoever needs more than this call keeps its own copy, so an idle connection
 * has no buffer. Output is a queue of shared bytes written once at the end of
 * the loop turn, and gone when it is empty; write readiness is asked for only
 * when the kernel refused. An idle stream is 40 bytes.
 *
 * A stream belongs to one owner at a time (stream_set_owner hands it over, as
 * an HTTP connection does when it becomes a WebSocket). Closing notifies
 * nobody: the owner who closes knows. When the peer or the kernel ends the
 * stream the owner gets on_end once and must close. Memory is freed after the
 * turn. */
#ifndef CONFAB_COMMON_STREAM_H
#define CONFAB_COMMON_STREAM_H

#include <sys/socket.h>

#include "common/bytesq.h"
#include "common/loop.h"

struct stream;

struct stream_ops {
    /* Bytes arrived; valid during the call. */
    void (*on_data)(struct stream *s, void *owner, struct str data);
    /* The peer closed its side (error 0) or the connection failed (errno). */
    void (*on_end)(struct stream *s, void *owner, int error);
    /* The output queue ran empty after it had been refused, or after
     * stream_tell. May be NULL. */
    void (*on_drain)(struct stream *s, void *owner);
    /* stream_connect succeeded. NULL for accepted streams. */
    void (*on_connect)(struct stream *s, void *owner);
};

/* How bytes get on and off the wire, and whose loop it is. One serves all plain
 * streams of a loop; each TLS connection has its own (tls.h), so that a stream
 * pays one pointer. */
struct stream_io {
    /* As read(2) and writev(2). EINPROGRESS: wait for the other direction. A
     * refused write is tried again with the same bytes, or more. */
    ssize_t (*read)(struct stream_io *io, int fd, char *p, size_t n);
    ssize_t (*write)(struct stream_io *io, int fd, struct iovec *iov, int n);
    /* Says that nothing more will be written, before the FIN. */
    void (*bye)(struct stream_io *io);
    void (*drop)(struct stream_io *io);
    bool opening; /* the handshake is not over: there is nobody to talk to */
    bool more;    /* read has something without the socket being readable */
    /* stream.c's own */
    struct loop *loop;
    struct stream *stream; /* NULL: of many */
    struct timer again;    /* reads on when there is more */
};

/* Longest textual peer address, with NUL. */
enum { STREAM_ADDR_MAX = 46 };

/* Takes over a connected, non-blocking descriptor, whose options are the
 * caller's to set. */
struct stream *stream_new(struct loop *l, int fd);
/* Starts connecting; on_connect or on_end follows. NULL when the kernel refuses
 * at once (errno says why). */
struct stream *stream_connect(struct loop *l, const struct sockaddr *addr,
                              socklen_t len, const struct stream_ops *ops,
                              void *owner);
void stream_set_owner(struct stream *s, const struct stream_ops *ops,
                      void *owner);

/* Queues bytes (takes its own reference); written at the end of the turn. */
void stream_send(struct stream *s, struct bytes *b);
/* Writes what the kernel takes now, without waiting for the end of the turn.
 * Calls nobody: whatever comes of it is told then. */
void stream_push(struct stream *s);
/* Bytes queued and not yet taken by the kernel. */
size_t stream_queued(const struct stream *s);
/* The kernel has refused bytes and they still wait. */
bool stream_blocked(const struct stream *s);
/* Says so (on_drain) when the queue runs empty, even if nothing is refused. */
void stream_tell(struct stream *s);
/* Drops what is queued and has not begun to be written; entries stay whole. */
void stream_cut(struct stream *s);
/* Stops or goes on reading: back-pressure on the peer. The peer's leaving is
 * not noticed while reading is paused. */
void stream_pause(struct stream *s, bool paused);

/* Writes what is queued, sends FIN and waits for the peer's, for at most
 * `linger_ms` in all; then closes. No callback follows. */
void stream_close(struct stream *s, uint32_t linger_ms);
/* Closes now and drops what is queued. */
void stream_abort(struct stream *s);

/* A stream that has connected, and neither sent nor read, goes on by way of
 * what `fn` makes of its descriptor, which is returned and is the stream's. */
typedef struct stream_io *stream_io_fn(void *arg, int fd);
struct stream_io *stream_wrap(struct stream *s, stream_io_fn *fn, void *arg);

struct loop *stream_loop(const struct stream *s);
/* The bytes are encrypted on the wire. */
bool stream_secure(const struct stream *s);
/* The peer's address as text; "" when unknown. */
void stream_peer(const struct stream *s, char out[STREAM_ADDR_MAX]);
/* The same of this end. */
void stream_local(const struct stream *s, char out[STREAM_ADDR_MAX]);

struct listener;
typedef void listener_fn(void *arg, struct stream *s);

/* Binds and listens; `max_streams` bounds the streams that are open at once:
 * while there are as many, or no descriptor is left, new connections wait in
 * the kernel. NULL with errno when the address cannot be had. Port 0 lets the
 * kernel choose. */
struct listener *listener_new(struct loop *l, const char *host, uint16_t port,
                              uint32_t max_streams, listener_fn *on_accept,
                              void *arg);
/* Up to `n` streams more than max_streams are still accepted, for `fn` (with
 * listener_new's `arg`) to say why they cannot stay and to close them. */
void listener_turn_away(struct listener *li, uint32_t n, listener_fn *fn);
/* Streams accepted from now on get their own stream_io from `fn`. */
void listener_wrap(struct listener *li, stream_io_fn *fn, void *arg);
/* Streams accepted from now on are counted apart from all others: they fill
 * nobody's `max_streams` but their own listener's, and no counters. For one
 * listener that must be reached when the process is full. */
void listener_set_apart(struct listener *li);
uint16_t listener_port(const struct listener *li);
/* The address it is bound to; "" when that is every one. */
void listener_address(const struct listener *li, char out[STREAM_ADDR_MAX]);
/* Stops accepting; open streams stay. NULL is allowed. */
void listener_free(struct listener *li);

/* Streams open in this process (accepted and connected), those counted apart,
 * and those of all that are closing: stream_close was called and the peer has
 * not answered yet. */
uint32_t stream_count(void);
uint32_t stream_count_apart(void);
uint32_t stream_lingering(void);
/* Cuts off those that linger. */
void stream_abort_lingering(void);

#endif
