#include "common/stream.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/mem.h"
#include "tests/lib/forbid.h"

/* Writing, by each stream for itself and by many together: what arrives is the
 * same. Each test runs both ways. */

enum { MANY = 1500, BIG = 400 * 1000 };

struct peer {
    struct stream *s;
    struct peer *victim; /* aborted when this one ends */
    int own, fd;         /* its descriptor, and the other end */
    unsigned ended, drained;
    int error;
};

static struct loop *loop;
static struct peer *peers;
static unsigned n_peers;

/* Takes the descriptors of those that were aborted, as a new connection would:
 * nothing may be written to it. */
static int catcher[2];
static int caught[MANY];
static unsigned n_caught;

static void on_data(struct stream *s, void *owner, struct str data)
{
    (void)s;
    (void)owner;
    (void)data;
}

static void on_end(struct stream *s, void *owner, int error)
{
    struct peer *p = owner;
    p->ended++;
    p->error = error;
    stream_abort(s);
    p->s = NULL;
    if (p->victim && p->victim->s) {
        stream_abort(p->victim->s);
        p->victim->s = NULL;
        caught[n_caught++] = dup2(catcher[0], p->victim->own);
    }
}

static void on_drain(struct stream *s, void *owner)
{
    (void)s;
    struct peer *p = owner;
    p->drained++;
}

static const struct stream_ops ops = {
    .on_data = on_data, .on_end = on_end, .on_drain = on_drain};

static void open_peers(unsigned n)
{
    peers = mem_zalloc(n * sizeof(*peers));
    n_peers = n;
    for (unsigned i = 0; i < n; i++) {
        int pair[2];
        int rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
        assert_int_equal(rc, 0);
        peers[i].own = pair[0];
        peers[i].fd = pair[1];
        peers[i].s = stream_new(loop, pair[0]);
        stream_set_owner(peers[i].s, &ops, &peers[i]);
    }
}

static int set_up_plain(void **state)
{
    (void)state;
    loop = loop_new();
    return 0;
}

static int set_up_ring(void **state)
{
    set_up_plain(state);
    if (!loop_open_ring(loop))
        print_message("no io_uring here: %s\n", strerror(errno));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (unsigned i = 0; i < n_peers; i++) {
        if (peers[i].s)
            stream_abort(peers[i].s);
        if (peers[i].fd >= 0)
            close(peers[i].fd);
    }
    mem_free(peers);
    peers = NULL;
    n_peers = 0;
    loop_end_of_turn(loop);
    assert_int_equal(stream_count(), 0);
    loop_free(loop);
    return 0;
}

static void send_text(struct peer *p, const char *text)
{
    struct bytes *b = bytes_new(str_of(text));
    stream_send(p->s, b);
    bytes_unref(b);
}

static void expect(const struct peer *p, const char *text)
{
    char got[256];
    ssize_t n = read(p->fd, got, sizeof(got));
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, (size_t)n);
}

static void expect_end(const struct peer *p)
{
    char c;
    assert_int_equal(read(p->fd, &c, 1), 0);
}

static void thousands_get_their_own_and_the_shared_in_order(void **state)
{
    (void)state;
    open_peers(MANY);
    struct bytes *shared = bytes_new(STR("to all;"));
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < MANY; i++) {
            char own[32];
            snprintf(own, sizeof(own), "to %u in %u;", i, round);
            send_text(&peers[i], own);
            stream_send(peers[i].s, shared);
        }
        loop_end_of_turn(loop);
        assert_int_equal(shared->refs, 1);
        for (unsigned i = 0; i < MANY; i++) {
            char want[64];
            snprintf(want, sizeof(want), "to %u in %u;to all;", i, round);
            expect(&peers[i], want);
            assert_int_equal(stream_queued(peers[i].s), 0);
        }
    }
    bytes_unref(shared);
}

static void any_number_of_streams_and_of_messages_arrives(void **state)
{
    (void)state;
    open_peers(2 * RING_SENDS + 3);
    for (unsigned streams = 1; streams < n_peers; streams += 1 + streams / 3) {
        for (unsigned messages = 1; messages < 2 * RING_PIECES; messages += 5) {
            char want[64] = {0};
            for (unsigned m = 0; m < messages; m++) {
                char text[2] = {(char)('a' + (int)(m % 26)), 0};
                want[m] = text[0];
                for (unsigned i = 0; i < streams; i++)
                    send_text(&peers[i], text);
            }
            loop_end_of_turn(loop);
            for (unsigned i = 0; i < streams; i++)
                expect(&peers[i], want);
        }
    }
}

/* What a peer gets in pieces is a sequence of numbers. */
static void check_sequence(const char *p, size_t n, size_t *at)
{
    for (size_t i = 0; i < n; i++, ++*at)
        assert_int_equal((unsigned char)p[i], (*at * 7 + *at / 251) % 256);
}

static struct bytes *sequence(void)
{
    static char text[BIG];
    for (size_t i = 0; i < BIG; i++)
        text[i] = (char)(unsigned char)((i * 7 + i / 251) % 256);
    return bytes_new((struct str){text, BIG});
}

static void
a_slow_peer_gets_every_byte_once_and_the_rest_wait_for_none(void **state)
{
    (void)state;
    enum { N = 40 };
    open_peers(N);
    size_t at[N] = {0}, done = 0;
    struct bytes *big = sequence();
    for (unsigned i = 0; i < N; i++) {
        int size = i % 2 ? 4096 : 32768;
        if (i % 4)
            setsockopt(peers[i].fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
        stream_send(peers[i].s, big);
    }
    bytes_unref(big);
    loop_end_of_turn(loop);
    for (unsigned i = 0; i < N; i++) {
        assert_true(stream_blocked(peers[i].s));
        assert_in_range(stream_queued(peers[i].s), 1, BIG - 1);
        /* It waits for the kernel: more is queued behind it, not sent. */
        send_text(&peers[i], "end");
    }
    for (unsigned turn = 0; done < N && turn < 100000; turn++) {
        static char got[65536];
        unsigned i = turn % N;
        ssize_t n = read(peers[i].fd, got, turn % 3 ? sizeof(got) : 1000);
        for (; n > 0 && at[i] < BIG; n = 0) {
            size_t part = (size_t)n < BIG - at[i] ? (size_t)n : BIG - at[i];
            check_sequence(got, part, &at[i]);
            if (at[i] < BIG)
                continue;
            done++;
            assert_memory_equal(got + part, "end", (size_t)n - part);
        }
        loop_turn(loop, 0);
    }
    assert_int_equal(done, N);
    for (unsigned i = 0; i < N; i++) {
        assert_int_equal(peers[i].drained, 1);
        assert_false(stream_blocked(peers[i].s));
    }
}

static void peers_that_left_end_their_streams_and_no_others(void **state)
{
    (void)state;
    open_peers(300);
    for (unsigned i = 0; i < n_peers; i += 3) {
        close(peers[i].fd);
        peers[i].fd = -1;
    }
    for (unsigned i = 0; i < n_peers; i++)
        send_text(&peers[i], "hello");
    loop_end_of_turn(loop);
    for (unsigned i = 0; i < n_peers; i++) {
        assert_int_equal(peers[i].ended, i % 3 == 0);
        if (i % 3)
            expect(&peers[i], "hello");
        else
            assert_int_equal(peers[i].error, EPIPE);
    }
    assert_int_equal(stream_count(), 200);
}

/* Each that fails takes its neighbours with it, those that were written to
 * before and those that have more to write. */
static void an_owner_may_close_others_while_they_are_written_to(void **state)
{
    (void)state;
    open_peers(301);
    struct bytes *big = sequence();
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, catcher);
    for (unsigned i = 0; i < n_peers - 1; i++)
        peers[i].victim = &peers[i * 7 % (n_peers - 1) + 1];
    for (unsigned i = 0; i < n_peers; i += 2) {
        close(peers[i].fd);
        peers[i].fd = -1;
    }
    for (unsigned i = 0; i < n_peers; i++)
        stream_send(peers[i].s, big);
    bytes_unref(big);
    loop_end_of_turn(loop);
    uint32_t left = 0;
    for (unsigned i = 0; i < n_peers; i++) {
        assert_in_range(peers[i].ended, 0, i % 2 == 0);
        left += peers[i].s != NULL;
    }
    assert_int_equal(stream_count(), left);
    char c;
    assert_int_equal(read(catcher[1], &c, 1), -1);
    while (n_caught > 0)
        close(caught[--n_caught]);
    close(catcher[0]);
    close(catcher[1]);
}

static void what_is_queued_goes_out_before_the_end(void **state)
{
    (void)state;
    open_peers(100);
    for (unsigned i = 0; i < n_peers; i++) {
        send_text(&peers[i], "last");
        send_text(&peers[i], " words");
        stream_close(peers[i].s, 1000);
        peers[i].s = NULL;
    }
    loop_end_of_turn(loop);
    for (unsigned i = 0; i < n_peers; i++) {
        expect(&peers[i], "last words");
        expect_end(&peers[i]);
    }
    stream_abort_lingering();
}

static void a_stream_that_is_dropped_sends_nothing(void **state)
{
    (void)state;
    open_peers(100);
    for (unsigned i = 0; i < n_peers; i++) {
        send_text(&peers[i], "hello");
        if (i % 2 == 0) {
            stream_abort(peers[i].s);
            peers[i].s = NULL;
        }
    }
    loop_end_of_turn(loop);
    for (unsigned i = 0; i < n_peers; i++) {
        if (i % 2)
            expect(&peers[i], "hello");
        else
            expect_end(&peers[i]);
    }
}

/* In a child, that may not send in any other way. */
static int send_by_ring_only(void)
{
    if (!loop_open_ring(loop))
        return 1;
    open_peers(100);
    for (unsigned i = 0; i < n_peers; i++)
        send_text(&peers[i], "hello");
    if (!forbid(SYS_sendto) || !forbid(SYS_sendmsg))
        return 2;
    loop_end_of_turn(loop);
    for (unsigned i = 0; i < n_peers; i++) {
        char got[8];
        if (read(peers[i].fd, got, sizeof(got)) != 5)
            return 3;
    }
    return 0;
}

static void many_write_through_the_ring(void **state)
{
    (void)state;
    struct ring *r = ring_new();
    if (!r) {
        print_message("skipped: no io_uring here: %s\n", strerror(errno));
        skip();
    }
    ring_free(r);
    assert_int_equal(in_child(send_by_ring_only), 0);
}

static int go_without(void)
{
    if (!forbid(SYS_io_uring_setup) || loop_open_ring(loop) || loop->ring)
        return 1;
    open_peers(100);
    for (unsigned i = 0; i < n_peers; i++)
        send_text(&peers[i], "hello");
    loop_end_of_turn(loop);
    char got[8];
    return read(peers[99].fd, got, sizeof(got)) == 5 ? 0 : 2;
}

static void where_the_ring_is_forbidden_each_writes_for_itself(void **state)
{
    (void)state;
    assert_int_equal(in_child(go_without), 0);
}

#define BOTH_WAYS(test)                                      \
    {#test, test, set_up_plain, tear_down, NULL},            \
    {                                                        \
#test " by ring", test, set_up_ring, tear_down, NULL \
    }

int main(void)
{
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    rl.rlim_cur = rl.rlim_max;
    setrlimit(RLIMIT_NOFILE, &rl);
    const struct CMUnitTest tests[] = {
        BOTH_WAYS(thousands_get_their_own_and_the_shared_in_order),
        BOTH_WAYS(any_number_of_streams_and_of_messages_arrives),
        BOTH_WAYS(a_slow_peer_gets_every_byte_once_and_the_rest_wait_for_none),
        BOTH_WAYS(peers_that_left_end_their_streams_and_no_others),
        BOTH_WAYS(an_owner_may_close_others_while_they_are_written_to),
        BOTH_WAYS(what_is_queued_goes_out_before_the_end),
        BOTH_WAYS(a_stream_that_is_dropped_sends_nothing),
        cmocka_unit_test_setup_teardown(many_write_through_the_ring,
                                        set_up_plain, tear_down),
        cmocka_unit_test_setup_teardown(
            where_the_ring_is_forbidden_each_writes_for_itself, set_up_plain,
            tear_down),
    };
    return cmocka_run_group_tests_name("stream", tests, NULL, NULL);
}
