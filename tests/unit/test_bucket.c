#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/bucket.h"

static uint32_t take(struct bucket *b, uint64_t now_ms, uint32_t rate,
                     uint32_t tries)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < tries; i++)
        n += bucket_take(b, now_ms, rate);
    return n;
}

static void it_begins_full_and_holds_a_second(void **state)
{
    (void)state;
    struct bucket b = {0};
    assert_int_equal(take(&b, 5000, 7, 100), 7);
    assert_int_equal(take(&b, 5000, 7, 100), 0);
    assert_int_equal(take(&b, 1000000, 7, 100), 7);
}

static void it_fills_at_its_rate(void **state)
{
    (void)state;
    struct bucket b = {0};
    assert_int_equal(take(&b, 5000, 10, 100), 10);
    assert_int_equal(take(&b, 5099, 10, 100), 0);
    assert_int_equal(take(&b, 5100, 10, 100), 1);
    assert_int_equal(take(&b, 5600, 10, 100), 5);
    uint32_t n = 0;
    for (uint64_t now = 5601; now <= 105600; now++)
        n += take(&b, now, 10, 3);
    assert_int_equal(n, 1000); /* nothing is lost by looking often */
}

static void its_rate_may_change(void **state)
{
    (void)state;
    struct bucket b = {0};
    assert_int_equal(take(&b, 5000, 1000000, 1), 1);
    assert_int_equal(take(&b, 5000, 3, 100), 3);
    assert_int_equal(take(&b, 5001, 1000000, 2000), 1000);
    assert_int_equal(take(&b, 9000, 0, 10), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_begins_full_and_holds_a_second),
        cmocka_unit_test(it_fills_at_its_rate),
        cmocka_unit_test(its_rate_may_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
