#include "common/ring.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "tests/lib/forbid.h"

static char text_x[] = "x", text_yz[] = "yz";

/* Without a ring there is nothing to test but that. */
static struct ring *ring_or_skip(void)
{
    struct ring *r = ring_new();
    if (!r) {
        print_message("skipped: no io_uring here: %s\n", strerror(errno));
        skip();
    }
    return r;
}

static void open_pair(int pair[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair),
                     0);
}

static void close_pair(const int pair[2])
{
    close(pair[0]);
    close(pair[1]);
}

static void put(struct ring_send *s, int fd, char *p, size_t len)
{
    s->fd = fd;
    s->pieces = 1;
    s->piece[0] = (struct iovec){p, len};
}

static void one_call_sends_to_many(void **state)
{
    (void)state;
    struct ring *r = ring_or_skip();
    struct ring_send *s = ring_sends(r);
    static int pair[RING_SENDS][2];
    static char text[RING_SENDS][8];
    for (int i = 0; i < RING_SENDS; i++) {
        open_pair(pair[i]);
        int n = snprintf(text[i], sizeof(text[i]), "%d", i);
        put(&s[i], pair[i][0], text[i], (size_t)n);
    }
    for (int round = 0; round < 3; round++) {
        ring_send(r, RING_SENDS);
        for (int i = 0; i < RING_SENDS; i++) {
            char got[16] = {0};
            assert_int_equal(s[i].result, strlen(text[i]));
            assert_int_equal(read(pair[i][1], got, sizeof(got)), s[i].result);
            assert_string_equal(got, text[i]);
        }
    }
    for (int i = 0; i < RING_SENDS; i++)
        close_pair(pair[i]);
    ring_free(r);
}

static void pieces_arrive_in_order(void **state)
{
    (void)state;
    struct ring *r = ring_or_skip();
    struct ring_send *s = ring_sends(r);
    int pair[2];
    open_pair(pair);
    char letters[] = "abcdefghijklmnop", got[64] = {0};
    s[0].fd = pair[0];
    s[0].pieces = RING_PIECES;
    for (int i = 0; i < RING_PIECES; i++)
        s[0].piece[i] = (struct iovec){letters + i, 1};
    /* The same socket twice: requests of one call keep their order. */
    put(&s[1], pair[0], text_yz, 2);
    ring_send(r, 2);
    assert_int_equal(s[0].result, RING_PIECES);
    assert_int_equal(s[1].result, 2);
    assert_int_equal(read(pair[1], got, sizeof(got)), RING_PIECES + 2);
    assert_string_equal(got, "abcdefghijklmnopyz");
    close_pair(pair);
    ring_free(r);
}

static void a_full_socket_takes_a_part_and_then_nothing(void **state)
{
    (void)state;
    struct ring *r = ring_or_skip();
    struct ring_send *s = ring_sends(r);
    int pair[2], small = 4096;
    static char much[1 << 20];
    /* Also when the socket is one that blocks. */
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    put(&s[0], pair[0], much, sizeof(much));
    put(&s[1], pair[0], much, sizeof(much));
    ring_send(r, 2);
    assert_in_range(s[0].result, 1, sizeof(much) - 1);
    assert_int_equal(s[1].result, -EAGAIN);
    /* Nothing of it is kept in the kernel, to be sent later. */
    size_t all = 0;
    ssize_t n;
    while ((n = recv(pair[1], much, sizeof(much), MSG_DONTWAIT)) > 0)
        all += (size_t)n;
    assert_int_equal(all, s[0].result);
    close_pair(pair);
    ring_free(r);
}

static void a_failure_is_told_of_and_stops_no_other(void **state)
{
    (void)state;
    struct ring *r = ring_or_skip();
    struct ring_send *s = ring_sends(r);
    int gone[2], good[2];
    open_pair(gone);
    open_pair(good);
    close(gone[1]);
    put(&s[0], gone[0], text_x, 1);
    put(&s[1], -1, text_x, 1);
    put(&s[2], good[0], text_x, 1);
    ring_send(r, 3);
    assert_int_equal(s[0].result, -EPIPE);
    assert_int_equal(s[1].result, -EBADF);
    assert_int_equal(s[2].result, 1);
    close(gone[0]);
    close_pair(good);
    ring_free(r);
}

static int make_forbidden(void)
{
    if (!forbid(SYS_io_uring_setup))
        return 1;
    return ring_new() ? 2 : errno == EPERM ? 0 : 3;
}

static void there_is_no_ring_where_it_is_forbidden(void **state)
{
    (void)state;
    assert_int_equal(in_child(make_forbidden), 0);
}

static int make_unknowing(void)
{
    if (!forbid(SYS_io_uring_register))
        return 1;
    int before = dup(0);
    close(before);
    if (ring_new())
        return 2;
    int after = dup(0);
    return errno == ENOSYS && before == after ? 0 : 3;
}

static void there_is_no_ring_when_the_kernel_knows_too_little(void **state)
{
    (void)state;
    ring_free(ring_or_skip());
    assert_int_equal(in_child(make_unknowing), 0);
}

/* The submit fails as a whole: nothing was sent, all may try again. */
static int send_forbidden(void)
{
    struct ring *r = ring_new();
    int pair[2];
    if (!r || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) < 0 ||
        !forbid(SYS_io_uring_enter))
        return 1;
    struct ring_send *s = ring_sends(r);
    for (int round = 0; round < 3 * RING_SENDS; round++) {
        put(&s[0], pair[0], text_x, 1);
        put(&s[1], pair[0], text_yz, 1);
        ring_send(r, 2);
        if (s[0].result != -EAGAIN || s[1].result != -EAGAIN)
            return 2;
    }
    ring_free(r);
    char c;
    return read(pair[1], &c, 1) < 0 ? 0 : 3;
}

static void what_the_kernel_does_not_take_may_be_tried_again(void **state)
{
    (void)state;
    ring_free(ring_or_skip());
    assert_int_equal(in_child(send_forbidden), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_call_sends_to_many),
        cmocka_unit_test(pieces_arrive_in_order),
        cmocka_unit_test(a_full_socket_takes_a_part_and_then_nothing),
        cmocka_unit_test(a_failure_is_told_of_and_stops_no_other),
        cmocka_unit_test(there_is_no_ring_where_it_is_forbidden),
        cmocka_unit_test(there_is_no_ring_when_the_kernel_knows_too_little),
        cmocka_unit_test(what_the_kernel_does_not_take_may_be_tried_again),
    };
    return cmocka_run_group_tests_name("ring", tests, NULL, NULL);
}
