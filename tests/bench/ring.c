#include "tests/bench/ring.h"

#include <errno.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct ring {
    int fd;
    unsigned *sq_head, *sq_tail, *cq_head, *cq_tail;
    unsigned sq_mask, cq_mask;
    struct io_uring_sqe *entries;
    const struct io_uring_cqe *completions;
    unsigned queued;
} ring;

static int setup(struct io_uring_params *p, unsigned flags)
{
    *p = (struct io_uring_params){.flags = flags};
    return (int)syscall(SYS_io_uring_setup, RING_BATCH, p);
}

static int enter(unsigned n)
{
    return (int)syscall(SYS_io_uring_enter, ring.fd, n, 0, 0, NULL, 0);
}

static int register_at(unsigned what, const void *arg, unsigned n)
{
    return (int)syscall(SYS_io_uring_register, ring.fd, what, arg, n);
}

static void *map(size_t size, off_t offset)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_SHARED | MAP_POPULATE, ring.fd, offset);
    return p == MAP_FAILED ? NULL : p;
}

static bool map_queues(const struct io_uring_params *p)
{
    size_t sq = p->sq_off.array + p->sq_entries * sizeof(unsigned);
    size_t cq = p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe);
    char *q = map(sq > cq ? sq : cq, IORING_OFF_SQ_RING);
    ring.entries =
        map(p->sq_entries * sizeof(struct io_uring_sqe), IORING_OFF_SQES);
    if (!q || !ring.entries || !(p->features & IORING_FEAT_SINGLE_MMAP))
        return false;
    ring.sq_head = (void *)(q + p->sq_off.head);
    ring.sq_tail = (void *)(q + p->sq_off.tail);
    ring.cq_head = (void *)(q + p->cq_off.head);
    ring.cq_tail = (void *)(q + p->cq_off.tail);
    ring.completions = (void *)(q + p->cq_off.cqes);
    ring.sq_mask = p->sq_entries - 1;
    ring.cq_mask = p->cq_entries - 1;
    unsigned *array = (void *)(q + p->sq_off.array);
    for (unsigned i = 0; i < p->sq_entries; i++)
        array[i] = i;
    return true;
}

bool ring_init(void)
{
    static int none[RING_FILES];
    struct io_uring_params p;
    ring.fd = setup(&p, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN);
    if (ring.fd < 0)
        ring.fd = setup(&p, 0);
    if (ring.fd < 0 || !map_queues(&p))
        return false;
    memset(none, 0xff, sizeof(none));
    return register_at(IORING_REGISTER_FILES, none, RING_FILES) == 0;
}

static void set_file(int at, int fd)
{
    struct io_uring_files_update u = {.offset = (unsigned)at,
                                      .fds = (uintptr_t)&fd};
    if (at >= RING_FILES ||
        register_at(IORING_REGISTER_FILES_UPDATE, &u, 1) < 0)
        abort();
}

void ring_add_file(int fd)
{
    set_file(fd, fd);
}

void ring_remove_file(int fd)
{
    set_file(fd, -1);
}

static void look_for_failures(void)
{
    unsigned head = *ring.cq_head;
    if (head == __atomic_load_n(ring.cq_tail, __ATOMIC_ACQUIRE))
        return;
    int rc = ring.completions[head & ring.cq_mask].res;
    fprintf(stderr, "floor: a send by the ring: %s\n", strerror(-rc));
    exit(1);
}

void ring_send(int fd, const char *p, size_t len)
{
    unsigned tail = *ring.sq_tail;
    ring.entries[tail & ring.sq_mask] = (struct io_uring_sqe){
        .opcode = IORING_OP_SEND,
        .flags = IOSQE_FIXED_FILE | IOSQE_CQE_SKIP_SUCCESS,
        .fd = fd,
        .addr = (uintptr_t)p,
        .len = (unsigned)len,
        .msg_flags = MSG_WAITALL | MSG_NOSIGNAL,
    };
    __atomic_store_n(ring.sq_tail, tail + 1, __ATOMIC_RELEASE);
    if (++ring.queued == RING_BATCH)
        ring_submit();
}

void ring_submit(void)
{
    while (ring.queued > 0) {
        int n = enter(ring.queued);
        if (n < 0 && errno != EINTR) {
            perror("floor: io_uring_enter");
            exit(1);
        }
        ring.queued -= n > 0 ? (unsigned)n : 0;
    }
    look_for_failures();
}
