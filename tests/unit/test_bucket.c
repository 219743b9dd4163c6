#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/map.h"
#include "common/metrics.h"
#include "server/io/bucket_table.h"

static struct bucket_rate rate_of(double per_second, uint32_t burst)
{
    struct bucket_rate r;
    assert_true(bucket_rate(&r, per_second, burst));
    return r;
}

static bool take(const struct bucket_rate *r, uint32_t *full, uint64_t ms)
{
    uint32_t now = bucket_time(ms);
    if (bucket_wait(r, *full, now))
        return false;
    bucket_take(r, full, now);
    return true;
}

/* From any moment on, at the end of the clock's round, too. */
static void gives_a_burst_and_then_the_rate(void **state)
{
    (void)state;
    const uint64_t begins[] = {1, 1000, (UINT64_C(1) << 24) - 100,
                               (UINT64_C(1) << 24) - 3000, UINT64_C(1) << 40};
    struct bucket_rate r = rate_of(100, 500);
    for (size_t b = 0; b < sizeof(begins) / sizeof(begins[0]); b++) {
        uint32_t full = 0;
        uint64_t now = begins[b];
        int n = 0;
        while (take(&r, &full, now))
            n++;
        assert_int_equal(n, 500);
        for (n = 0; now < begins[b] + 10000; now++)
            n += take(&r, &full, now);
        assert_in_range(n, 999, 1000);
        now += 20000; /* it is full again */
        for (n = 0; take(&r, &full, now); n++)
            ;
        assert_int_equal(n, 500);
    }
}

static void waiting_as_long_as_it_says_is_enough(void **state)
{
    (void)state;
    const double rates[] = {0.01, 0.3, 1, 7, 33, 1000, 30000};
    const uint32_t bursts[] = {1, 3, 70};
    for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
        for (size_t k = 0; k < sizeof(bursts) / sizeof(bursts[0]); k++) {
            struct bucket_rate r = rate_of(rates[i], bursts[k]);
            uint32_t full = 0;
            uint64_t now = 12345;
            for (int n = 0; n < 300; n++) {
                uint32_t wait = bucket_wait(&r, full, bucket_time(now));
                if (wait > 1)
                    assert_false(take(&r, &full, now + wait - 1));
                now += wait;
                assert_true(take(&r, &full, now));
            }
        }
    }
}

static void knows_what_is_no_rate(void **state)
{
    (void)state;
    struct bucket_rate r;
    assert_false(bucket_rate(&r, 0, 1));
    assert_false(bucket_rate(&r, -1, 1));
    assert_false(bucket_rate(&r, 1, 0));
    assert_false(bucket_rate(&r, 1, 7201));
    assert_false(bucket_rate(&r, BUCKET_RATE_MAX + 1, 7));
    assert_true(bucket_rate(&r, 1, 7200));
    assert_true(bucket_rate(&r, BUCKET_RATE_MAX, 1000000));
}

static uint64_t key_of(uint32_t i)
{
    return map_hash((struct str){(const char *)&i, sizeof(i)});
}

static void a_table_remembers_those_that_are_not_full(void **state)
{
    (void)state;
    enum { KEYS = 10000 };
    struct bucket_rate r = rate_of(10, 5);
    struct bucket_table t = {.most = r.most};
    uint32_t now = bucket_time(777);
    for (uint32_t i = 0; i < KEYS; i++) {
        for (int n = 0; n < 5; n++)
            bucket_take(&r, bucket_table_at(&t, key_of(i), now), now);
    }
    uint64_t forgotten = metrics_value[M_RATE_FORGOTTEN];
    uint32_t free = 0;
    for (uint32_t i = 0; i < KEYS; i++)
        free += !bucket_wait(&r, *bucket_table_at(&t, key_of(i), now), now);
    assert_true(free <= forgotten);
    assert_true(forgotten < KEYS / 100);
    /* Later they are nobody's, and others have their places. */
    now = bucket_time(777 + 600);
    for (uint32_t i = 0; i < KEYS; i++)
        assert_false(
            bucket_wait(&r, *bucket_table_at(&t, key_of(i), now), now));
    bucket_table_fini(&t);
}

static void a_full_table_forgets_who_was_nearest_to_full(void **state)
{
    (void)state;
    struct bucket_rate r = rate_of(1, 100);
    struct bucket_table t = {.most = r.most};
    uint32_t now = bucket_time(1000);
    uint64_t before = metrics_value[M_RATE_FORGOTTEN];
    for (uint64_t i = 0; i < BUCKET_ROW; i++) {
        for (uint64_t n = 0; n < 10 + (i == 3 ? 0 : i); n++)
            bucket_take(&r, bucket_table_at(&t, (i + 1) << 32, now), now);
    }
    /* The first and the fourth lack least. */
    bucket_take(&r, bucket_table_at(&t, UINT64_C(1) << 32, now), now);
    assert_int_equal(metrics_value[M_RATE_FORGOTTEN], before);
    bucket_take(&r, bucket_table_at(&t, UINT64_C(99) << 32, now), now);
    assert_int_equal(metrics_value[M_RATE_FORGOTTEN], before + 1);
    for (uint64_t i = 0; i < BUCKET_ROW; i++) {
        if (i != 3)
            assert_true(bucket_lacks(
                &r, *bucket_table_at(&t, (i + 1) << 32, now), now));
    }
    bucket_table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_a_burst_and_then_the_rate),
        cmocka_unit_test(waiting_as_long_as_it_says_is_enough),
        cmocka_unit_test(knows_what_is_no_rate),
        cmocka_unit_test(a_table_remembers_those_that_are_not_full),
        cmocka_unit_test(a_full_table_forgets_who_was_nearest_to_full),
    };
    return cmocka_run_group_tests_name("bucket", tests, NULL, NULL);
}
