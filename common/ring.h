/* Many sends in one system call, through io_uring.
 *
 * The kernel may be too old for it, or a container may forbid it: then there is
 * no ring, and its owner sends one by one. A ring is used by the thread that
 * made it and costs one descriptor.
 *
 * Nothing stays in the kernel: each send is done at once or refused, and all
 * are answered before ring_send returns, so bytes and descriptors need to live
 * no longer than the call. */
#ifndef CONFAB_COMMON_RING_H
#define CONFAB_COMMON_RING_H

#include <stdint.h>
#include <sys/uio.h>

enum {
    RING_SENDS = 256, /* in one call */
    RING_PIECES = 16, /* of one send */
};

/* One send to a stream socket. The result is that of send(2), an error as a
 * negative number: fewer bytes than asked for when the socket's buffer is full,
 * -EAGAIN when nothing was sent and may be tried again. */
struct ring_send {
    int fd;
    int32_t result;
    uint32_t pieces;
    struct iovec piece[RING_PIECES];
};

struct ring;

/* NULL with errno when the kernel does not let us: EPERM or ENOSYS as a rule.
 */
struct ring *ring_new(void);
/* NULL is allowed. */
void ring_free(struct ring *r);
/* The places for the sends of the next call: RING_SENDS of them. */
struct ring_send *ring_sends(struct ring *r);
/* Sends the first `n`, in order, and fills their results. */
void ring_send(struct ring *r, unsigned n);

#endif
