#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/id.h"
#include "common/timer.h"

struct probe {
    struct timer timer;
    uint64_t due, fired_at;
    unsigned count;
};

static struct timer_wheel wheel;

static void note(struct timer *t)
{
    struct probe *p = container_of(t, struct probe, timer);
    p->fired_at = wheel.now_ms;
    p->count++;
}

static void start(struct probe *p, uint64_t ms)
{
    if (!p->timer.fire)
        timer_init(&p->timer, note);
    p->due = wheel.now_ms + ms;
    timer_start(&wheel, &p->timer, ms);
}

static void fires_at_its_time_and_not_before(void **state)
{
    (void)state;
    static const uint64_t delays[] = {1,    2,    63,    64,      65,
                                      4095, 4096, 25000, 3600000, 86400000};
    for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
        struct probe p = {0};
        timer_wheel_init(&wheel, 1234567);
        start(&p, delays[i]);
        timer_wheel_advance(&wheel, p.due - 1);
        assert_int_equal(p.count, 0);
        timer_wheel_advance(&wheel, p.due);
        assert_int_equal(p.count, 1);
        timer_wheel_advance(&wheel, p.due + 100000);
        assert_int_equal(p.count, 1);
    }
}

static void a_stopped_timer_does_not_fire(void **state)
{
    (void)state;
    struct probe p = {0};
    timer_wheel_init(&wheel, 0);
    start(&p, 100);
    timer_stop(&p.timer);
    timer_stop(&p.timer);
    timer_wheel_advance(&wheel, 1000);
    assert_int_equal(p.count, 0);
    assert_false(timer_running(&p.timer));
}

static void restarting_moves_it(void **state)
{
    (void)state;
    struct probe p = {0};
    timer_wheel_init(&wheel, 0);
    start(&p, 100);
    timer_wheel_advance(&wheel, 90);
    start(&p, 100);
    timer_wheel_advance(&wheel, 189);
    assert_int_equal(p.count, 0);
    timer_wheel_advance(&wheel, 190);
    assert_int_equal(p.count, 1);
}

static struct probe other;

static void start_other(struct timer *t)
{
    note(t);
    start(&other, 5);
}

static void a_timer_may_start_another_while_it_fires(void **state)
{
    (void)state;
    struct probe p = {0};
    other = (struct probe){0};
    timer_wheel_init(&wheel, 10);
    timer_init(&p.timer, start_other);
    timer_start(&wheel, &p.timer, 7);
    timer_wheel_advance(&wheel, 17);
    assert_int_equal(p.count, 1);
    assert_int_equal(other.count, 0);
    timer_wheel_advance(&wheel, 22);
    assert_int_equal(other.count, 1);
}

static void waits_no_longer_than_the_next_timer(void **state)
{
    (void)state;
    struct probe p = {0};
    timer_wheel_init(&wheel, 0);
    assert_true(timer_wheel_wait(&wheel) == UINT64_MAX);
    start(&p, 25000);
    unsigned looks = 0;
    while (p.count == 0) {
        uint64_t wait = timer_wheel_wait(&wheel);
        assert_true(wait >= 1 && wait <= p.due - wheel.now_ms);
        timer_wheel_advance(&wheel, wheel.now_ms + wait);
        looks++;
    }
    assert_int_equal(p.fired_at, 25000);
    assert_in_range(looks, 1, TIMER_LEVELS);
}

static void thousands_of_random_timers_each_fire_once_in_time(void **state)
{
    (void)state;
    enum { N = 5000 };
    static struct probe p[N];
    timer_wheel_init(&wheel, 999999937);
    for (int i = 0; i < N; i++)
        start(&p[i], 1 + id_below(200000));
    for (int i = 0; i < N; i += 3)
        start(&p[i], 1 + id_below(200000));
    for (int i = 1; i < N; i += 7)
        timer_stop(&p[i].timer);
    uint64_t end = wheel.now_ms + 200001;
    while (wheel.now_ms < end) {
        uint64_t step = 1 + id_below(500);
        timer_wheel_advance(&wheel, wheel.now_ms + step);
        for (int i = 0; i < N; i++) {
            if (p[i].count == 0 && i % 7 != 1)
                assert_true(p[i].due > wheel.now_ms);
        }
    }
    for (int i = 0; i < N; i++) {
        assert_int_equal(p[i].count, i % 7 == 1 ? 0 : 1);
        if (p[i].count)
            assert_int_equal(p[i].fired_at, p[i].due);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fires_at_its_time_and_not_before),
        cmocka_unit_test(a_stopped_timer_does_not_fire),
        cmocka_unit_test(restarting_moves_it),
        cmocka_unit_test(a_timer_may_start_another_while_it_fires),
        cmocka_unit_test(waits_no_longer_than_the_next_timer),
        cmocka_unit_test(thousands_of_random_timers_each_fire_once_in_time),
    };
    return cmocka_run_group_tests_name("timer", tests, NULL, NULL);
}
