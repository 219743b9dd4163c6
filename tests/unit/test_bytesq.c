#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/bytesq.h"
#include "common/id.h"

static void push(struct bytesq *q, const char *text)
{
    struct bytes *b = bytes_new(str_of(text));
    bytesq_push(q, b);
    bytes_unref(b);
}

static void gives_back_what_was_put_in_order(void **state)
{
    (void)state;
    struct bytesq q;
    bytesq_init(&q);
    for (int i = 0; i < 100; i++)
        push(&q, i % 2 ? "odd" : "even");
    assert_int_equal(q.count, 100);
    assert_int_equal(q.bytes, 350);
    for (int i = 0; i < 100; i++) {
        struct bytes *b = bytesq_take(&q);
        assert_true(str_eq(bytes_str(b), i % 2 ? STR("odd") : STR("even")));
        bytes_unref(b);
    }
    assert_null(bytesq_take(&q));
    assert_int_equal(q.bytes, 0);
    assert_null(q.first);
}

static void takes_a_reference_and_drops_it_when_sent(void **state)
{
    (void)state;
    struct bytesq q;
    bytesq_init(&q);
    struct bytes *b = bytes_new(STR("shared"));
    bytesq_push(&q, b);
    assert_int_equal(b->refs, 2);
    bytesq_sent(&q, 5);
    assert_int_equal(b->refs, 2);
    assert_int_equal(q.bytes, 1);
    bytesq_sent(&q, 1);
    assert_int_equal(b->refs, 1);
    bytes_unref(b);
}

/* Sending any number of bytes at a time puts the same stream out. */
static void partial_sends_lose_and_double_nothing(void **state)
{
    (void)state;
    enum { N = 200 };
    char want[N * 8], got[N * 8];
    size_t n_want = 0, n_got = 0;
    struct bytesq q;
    bytesq_init(&q);
    for (int i = 0; i < N; i++) {
        char text[8] = {0};
        id_random(text, 1 + id_below(7));
        memcpy(want + n_want, text, strlen(text));
        n_want += strlen(text);
        push(&q, text);
    }
    while (!bytesq_empty(&q)) {
        struct iovec iov[16];
        int n = bytesq_iov(&q, iov, 16);
        assert_in_range(n, 1, 16);
        size_t all = 0;
        for (int i = 0; i < n; i++) {
            memcpy(got + n_got + all, iov[i].iov_base, iov[i].iov_len);
            all += iov[i].iov_len;
        }
        size_t sent = 1 + id_below((uint32_t)all);
        n_got += sent;
        bytesq_sent(&q, sent);
    }
    assert_int_equal(n_got, n_want);
    assert_memory_equal(got, want, n_want);
}

static size_t memory_of(const struct bytes *b)
{
    return sizeof(*b) + b->len;
}

static void counts_a_shared_buffer_once_and_each_place_in_a_queue(void **state)
{
    (void)state;
    enum { QUEUES = 5, EACH = 30 };
    size_t before = bytes_held();
    struct bytesq q[QUEUES];
    struct bytes *b = bytes_new(STR("one for all"));
    for (int i = 0; i < QUEUES; i++) {
        bytesq_init(&q[i]);
        for (int k = 0; k < EACH; k++) {
            bytesq_push(&q[i], b);
            if (k == EACH / 2)
                bytesq_hold(&q[i]); /* what comes later counts, too */
        }
    }
    assert_int_equal(bytes_held() - before,
                     memory_of(b) + QUEUES * EACH * sizeof(b));
    for (int i = 0; i < QUEUES; i++)
        bytesq_sent(&q[i], 10 * b->len + 3);
    assert_int_equal(bytes_held() - before,
                     memory_of(b) + QUEUES * (EACH - 10) * sizeof(b));
    for (int i = 0; i < QUEUES; i++)
        bytesq_sent(&q[i], q[i].bytes);
    assert_int_equal(bytes_held(), before);
    bytesq_push(&q[0], b);
    assert_int_equal(bytes_held(), before); /* it keeps up again */
    bytesq_hold(&q[0]);
    assert_int_equal(bytes_held() - before, memory_of(b) + sizeof(b));
    bytesq_fini(&q[0]);
    assert_int_equal(bytes_held(), before);
    assert_int_equal(b->refs, 1);
    bytes_unref(b);
}

static void push_five(struct bytesq *q)
{
    bytesq_init(q);
    for (int i = 0; i < 5; i++)
        push(q, "0123456789");
}

static void cuts_behind_what_has_begun_to_be_sent(void **state)
{
    (void)state;
    struct bytesq q;
    push_five(&q);
    assert_int_equal(bytesq_cut(&q, 0), 5);
    assert_true(bytesq_empty(&q));
    assert_int_equal(q.bytes, 0);
    push_five(&q);
    bytesq_sent(&q, 13);
    assert_int_equal(bytesq_cut(&q, 0), 3);
    assert_int_equal(q.bytes, 7);
    bytesq_fini(&q);
    push_five(&q);
    bytesq_sent(&q, 13);
    bytesq_hold(&q);
    size_t held = bytes_held();
    assert_int_equal(bytesq_cut(&q, 8), 2); /* 7 are left of the second */
    assert_int_equal(q.count, 2);
    assert_int_equal(q.bytes, 17);
    assert_true(bytes_held() < held);
    struct iovec iov[4];
    assert_int_equal(bytesq_iov(&q, iov, 4), 2);
    assert_memory_equal(iov[0].iov_base, "3456789", 7);
    bytesq_sent(&q, 17);
    assert_true(bytesq_empty(&q));
    assert_int_equal(bytes_held(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_back_what_was_put_in_order),
        cmocka_unit_test(takes_a_reference_and_drops_it_when_sent),
        cmocka_unit_test(partial_sends_lose_and_double_nothing),
        cmocka_unit_test(counts_a_shared_buffer_once_and_each_place_in_a_queue),
        cmocka_unit_test(cuts_behind_what_has_begun_to_be_sent),
    };
    return cmocka_run_group_tests_name("bytesq", tests, NULL, NULL);
}
