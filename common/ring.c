#include "common/ring.h"

#include <assert.h>
#include <errno.h>
#include <linux/io_uring.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/mem.h"

/* Newer than some headers that we are built with. */
#ifndef IORING_SETUP_SUBMIT_ALL
#define IORING_SETUP_SUBMIT_ALL (1U << 7)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

enum { PROBE_OPS = 64, NOT_ANSWERED = INT32_MIN };

struct ring {
    int fd;
    unsigned sq_mask, cq_mask;
    unsigned *sq_head, *sq_tail, *sq_index;
    unsigned *cq_head, *cq_tail;
    struct io_uring_sqe *sqes;
    struct io_uring_cqe *cqes;
    char *shared; /* both queues */
    size_t shared_size, sqes_size;
    struct ring_send sends[RING_SENDS];
    struct msghdr msgs[RING_SENDS]; /* of the sends in pieces */
};

static int setup(unsigned entries, struct io_uring_params *p)
{
    return (int)syscall(__NR_io_uring_setup, entries, p);
}

static int enter(int fd, unsigned submit, unsigned wait_for)
{
    return (int)syscall(__NR_io_uring_enter, fd, submit, wait_for,
                        IORING_ENTER_GETEVENTS, NULL, 0);
}

/* ---- making -------------------------------------------------------------- */

/* With what makes it cheaper where the kernel knows it, without elsewhere. */
static int setup_best(struct io_uring_params *p)
{
    static const unsigned flags[] = {
        IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
            IORING_SETUP_DEFER_TASKRUN,
        IORING_SETUP_SUBMIT_ALL,
        0,
    };
    int fd = -1;
    errno = EINVAL;
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (fd >= 0 || errno != EINVAL)
            break;
        *p = (struct io_uring_params){.flags = flags[i]};
        fd = setup(RING_SENDS, p);
    }
    return fd;
}

static bool knows_our_operations(int fd)
{
    union {
        struct io_uring_probe head;
        char room[sizeof(struct io_uring_probe) +
                  PROBE_OPS * sizeof(struct io_uring_probe_op)];
    } p = {0};
    if (syscall(__NR_io_uring_register, fd, IORING_REGISTER_PROBE, &p,
                PROBE_OPS) < 0)
        return false;
    const struct io_uring_probe_op *op = p.head.ops;
    return p.head.last_op >= IORING_OP_SEND &&
           (op[IORING_OP_SEND].flags & IO_URING_OP_SUPPORTED) &&
           (op[IORING_OP_SENDMSG].flags & IO_URING_OP_SUPPORTED);
}

static void *map_queue(int fd, size_t size, uint64_t offset)
{
    void *p =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)offset);
    return p == MAP_FAILED ? NULL : p;
}

static bool map_queues(struct ring *r, const struct io_uring_params *p)
{
    size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned);
    size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    r->shared_size = sq > cq ? sq : cq;
    r->sqes_size = p->sq_entries * sizeof(struct io_uring_sqe);
    r->shared = map_queue(r->fd, r->shared_size, IORING_OFF_SQ_RING);
    r->sqes = map_queue(r->fd, r->sqes_size, IORING_OFF_SQES);
    if (!r->shared || !r->sqes)
        return false;
    r->sq_head = (void *)(r->shared + p->sq_off.head);
    r->sq_tail = (void *)(r->shared + p->sq_off.tail);
    r->sq_index = (void *)(r->shared + p->sq_off.array);
    r->cq_head = (void *)(r->shared + p->cq_off.head);
    r->cq_tail = (void *)(r->shared + p->cq_off.tail);
    r->cqes = (void *)(r->shared + p->cq_off.cqes);
    r->sq_mask = p->sq_entries - 1;
    r->cq_mask = p->cq_entries - 1;
    for (unsigned i = 0; i < p->sq_entries; i++)
        r->sq_index[i] = i;
    return true;
}

struct ring *ring_new(void)
{
    struct io_uring_params p;
    int fd = setup_best(&p);
    if (fd < 0)
        return NULL;
    struct ring *r = mem_zalloc(sizeof(*r));
    r->fd = fd;
    if (!(p.features & IORING_FEAT_SINGLE_MMAP) || !knows_our_operations(fd) ||
        p.sq_entries < RING_SENDS || p.cq_entries < RING_SENDS)
        errno = ENOSYS;
    else if (map_queues(r, &p))
        return r;
    int saved = errno;
    ring_free(r);
    errno = saved;
    return NULL;
}

void ring_free(struct ring *r)
{
    if (!r)
        return;
    if (r->shared)
        munmap(r->shared, r->shared_size);
    if (r->sqes)
        munmap(r->sqes, r->sqes_size);
    close(r->fd);
    mem_free(r);
}

/* ---- sending ------------------------------------------------------------- */

struct ring_send *ring_sends(struct ring *r)
{
    return r->sends;
}

/* MSG_DONTWAIT: a full socket refuses, rather than keep the request. */
static void describe(struct ring *r, unsigned i, struct io_uring_sqe *e)
{
    struct ring_send *s = &r->sends[i];
    s->result = NOT_ANSWERED;
    *e = (struct io_uring_sqe){
        .opcode = IORING_OP_SEND,
        .fd = s->fd,
        .addr = (uintptr_t)s->piece[0].iov_base,
        .len = (uint32_t)s->piece[0].iov_len,
        .msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL,
        .user_data = i,
    };
    if (s->pieces == 1)
        return;
    r->msgs[i] = (struct msghdr){.msg_iov = s->piece, .msg_iovlen = s->pieces};
    e->opcode = IORING_OP_SENDMSG;
    e->addr = (uintptr_t)&r->msgs[i];
    e->len = 1;
}

static unsigned reap(struct ring *r)
{
    unsigned head = *r->cq_head, n = 0;
    unsigned tail = __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE);
    for (; head != tail; head++, n++) {
        const struct io_uring_cqe *c = &r->cqes[head & r->cq_mask];
        assert(c->user_data < RING_SENDS);
        r->sends[c->user_data].result = c->res;
    }
    __atomic_store_n(r->cq_head, head, __ATOMIC_RELEASE);
    return n;
}

/* How many the kernel did not take: they are forgotten. */
static unsigned take_back(struct ring *r, unsigned tail)
{
    unsigned head = __atomic_load_n(r->sq_head, __ATOMIC_ACQUIRE);
    __atomic_store_n(r->sq_tail, head, __ATOMIC_RELEASE);
    return tail - head;
}

/* Submits `n` and waits for all; returns how many of them the kernel took. */
static unsigned submit(struct ring *r, unsigned n)
{
    unsigned tail = *r->sq_tail + n, taken = 0, answered = 0;
    __atomic_store_n(r->sq_tail, tail, __ATOMIC_RELEASE);
    while (answered < n) {
        int rc = enter(r->fd, n - taken, n - answered);
        if (rc > 0)
            taken += (unsigned)rc;
        answered += reap(r);
        if (rc < 0 && errno != EINTR)
            return n - take_back(r, tail);
    }
    return n;
}

void ring_send(struct ring *r, unsigned n)
{
    assert(n <= RING_SENDS);
    for (unsigned i = 0; i < n; i++)
        describe(r, i, &r->sqes[(*r->sq_tail + i) & r->sq_mask]);
    unsigned taken = submit(r, n);
    for (unsigned i = 0; i < n; i++) {
        struct ring_send *s = &r->sends[i];
        if (s->result == NOT_ANSWERED)
            s->result = i < taken ? -EIO : -EAGAIN;
    }
}
