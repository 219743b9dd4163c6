#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "server/io/pace.h"

enum { MOST_MS = 70000, START = 1000000 };

static uint32_t at[MOST_MS]; /* how many were due in each millisecond */

/* Asks as a timer would: when pace_wait says so. Returns when the last was due.
 */
static uint64_t play(uint32_t n, uint32_t window_ms)
{
    struct pace p;
    uint64_t now = START, last = START;
    memset(at, 0, sizeof(at));
    pace_begin(&p, now, window_ms, n);
    uint32_t done = 0;
    while (pace_wait(&p, now) != UINT64_MAX) {
        now += pace_wait(&p, now);
        uint32_t due = pace_due(&p, now);
        assert_true(due > 0); /* it is never asked too soon */
        assert_int_equal(pace_due(&p, now), 0);
        done += due;
        last = now;
        assert_true(now - START < MOST_MS);
        at[now - START] = due;
    }
    assert_int_equal(done, n);
    assert_int_equal(p.done, n);
    return last - START;
}

/* The most that were due in any span of that length. */
static uint32_t most_in(uint32_t span_ms)
{
    uint32_t sum = 0, most = 0;
    for (uint32_t i = 0; i < MOST_MS; i++) {
        sum += at[i];
        if (i >= span_ms)
            sum -= at[i - span_ms];
        most = sum > most ? sum : most;
    }
    return most;
}

static const struct {
    uint32_t n, window_ms;
} cases[] = {
    {1, 1},       {1, 20000},     {3, 20000},      {20, 20000}, {200, 4000},
    {999, 20000}, {18000, 20000}, {100000, 60000}, {50, 7},
};

static void all_are_due_within_the_window(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t last = play(cases[i].n, cases[i].window_ms);
        uint64_t slot = cases[i].window_ms / cases[i].n;
        assert_true(last <= cases[i].window_ms);
        assert_true(last + slot + 1 >= cases[i].window_ms);
    }
}

static void no_span_has_more_than_the_pace_and_one(void **state)
{
    (void)state;
    static const uint32_t spans[] = {1, 100, 1000, 5000};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        play(cases[i].n, cases[i].window_ms);
        for (size_t j = 0; j < sizeof(spans) / sizeof(spans[0]); j++) {
            uint64_t pace = ((uint64_t)cases[i].n * (spans[j] + 1) +
                             cases[i].window_ms - 1) /
                            cases[i].window_ms;
            assert_true(most_in(spans[j]) <= pace + 1);
        }
    }
}

static void chance_has_a_hand_in_it(void **state)
{
    (void)state;
    uint32_t first[1000];
    play(100, 1000);
    memcpy(first, at, sizeof(first));
    play(100, 1000);
    assert_memory_not_equal(first, at, sizeof(first));
}

static void who_comes_late_does_not_catch_up(void **state)
{
    (void)state;
    struct pace p;
    pace_begin(&p, START, 10000, 10000); /* one each millisecond */
    uint32_t done = pace_due(&p, START + 1000);
    done += pace_due(&p, START + 1001);
    assert_in_range(done, 1, 8); /* the first second was slept through */
    for (uint64_t now = START + 1002; now < START + 3000; now++)
        done += pace_due(&p, now);
    assert_in_range(done, 1990, 2010);
    uint32_t late = pace_due(&p, START + 9000);
    assert_in_range(late, 1, 8);
    uint64_t now = START + 9000;
    while (pace_wait(&p, now) != UINT64_MAX) {
        now++;
        late += pace_due(&p, now);
    }
    assert_int_equal(done + late, 10000);
    assert_in_range(now - START, 9000 + 7900, 9000 + 8100);
}

static void nothing_is_never_due(void **state)
{
    (void)state;
    struct pace p;
    pace_begin(&p, START, 1000, 0);
    assert_int_equal(pace_due(&p, START + 5000), 0);
    assert_true(pace_wait(&p, START) == UINT64_MAX);
    assert_int_equal(pace_per_second(&p), 0);
}

static void the_pace_is_told_rounded_up(void **state)
{
    (void)state;
    struct pace p;
    pace_begin(&p, START, 20000, 18000);
    assert_int_equal(pace_per_second(&p), 900);
    pace_begin(&p, START, 20000, 1);
    assert_int_equal(pace_per_second(&p), 1);
    pace_begin(&p, START, 3600000, 10000000);
    assert_int_equal(pace_per_second(&p), 2778);
    assert_true(pace_due(&p, START + 3600000) > 0); /* and no overflow */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_are_due_within_the_window),
        cmocka_unit_test(no_span_has_more_than_the_pace_and_one),
        cmocka_unit_test(chance_has_a_hand_in_it),
        cmocka_unit_test(who_comes_late_does_not_catch_up),
        cmocka_unit_test(nothing_is_never_due),
        cmocka_unit_test(the_pace_is_told_rounded_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
