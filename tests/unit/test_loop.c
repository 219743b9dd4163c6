#include "common/loop.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Loops in virtual time; those of the kernel's are run by everything else. */

struct probe {
    struct timer timer;
    struct loop_task flush, reap;
    struct loop *loop;
    uint64_t fired_at, again_ms;
    unsigned fired, flushed, reaped;
};

static void on_flush(struct loop_task *t)
{
    struct probe *p = container_of(t, struct probe, flush);
    assert_int_equal(p->reaped, 0);
    p->flushed++;
}

static void on_reap(struct loop_task *t)
{
    struct probe *p = container_of(t, struct probe, reap);
    p->reaped++;
}

static void on_fire(struct timer *t)
{
    struct probe *p = container_of(t, struct probe, timer);
    p->fired++;
    p->fired_at = loop_now(p->loop);
    loop_reap(p->loop, &p->reap);
    loop_flush(p->loop, &p->flush);
    if (p->again_ms)
        loop_timer(p->loop, t, p->again_ms);
}

static void probe_init(struct probe *p, struct loop *l)
{
    *p = (struct probe){.loop = l};
    timer_init(&p->timer, on_fire);
    loop_task_init(&p->flush, on_flush);
    loop_task_init(&p->reap, on_reap);
}

static void the_clock_stands_until_it_is_told(void **state)
{
    (void)state;
    struct loop *l = loop_new_at(5000);
    assert_int_equal(loop_now(l), 5000);
    loop_set_clock(l, 5010);
    assert_int_equal(loop_now(l), 5010);
    loop_advance(l, 5020);
    assert_int_equal(loop_now(l), 5020);
    loop_free(l);
}

static void a_turn_fires_what_is_due_and_ends_with_its_tasks(void **state)
{
    (void)state;
    struct probe p;
    struct loop *l = loop_new_at(1000);
    probe_init(&p, l);
    loop_timer(l, &p.timer, 300);
    loop_advance(l, 1299);
    assert_int_equal(p.fired, 0);
    loop_advance(l, 1300);
    assert_int_equal(p.fired, 1);
    assert_int_equal(p.fired_at, 1300);
    assert_int_equal(p.flushed, 1);
    assert_int_equal(p.reaped, 1);
    loop_free(l);
}

static void a_timer_counts_from_the_clock_of_its_turn(void **state)
{
    (void)state;
    struct probe p;
    struct loop *l = loop_new_at(0);
    probe_init(&p, l);
    /* The wheel still stands at 0. */
    loop_set_clock(l, 500);
    loop_timer(l, &p.timer, 100);
    loop_advance(l, 599);
    assert_int_equal(p.fired, 0);
    loop_advance(l, 600);
    assert_int_equal(p.fired, 1);
    loop_free(l);
}

static void due_leads_from_timer_to_timer(void **state)
{
    (void)state;
    struct probe p;
    struct loop *l = loop_new_at(123);
    probe_init(&p, l);
    assert_true(loop_due(l) == UINT64_MAX);
    p.again_ms = 70000;
    loop_timer(l, &p.timer, 5000);
    unsigned steps = 0;
    while (p.fired < 3) {
        uint64_t due = loop_due(l);
        assert_true(due > loop_now(l) && due <= 123 + 5000 + 2 * 70000);
        loop_advance(l, due);
        p.reaped = 0;
        steps++;
    }
    assert_int_equal(p.fired_at, 123 + 5000 + 2 * 70000);
    assert_true(steps < 20);
    timer_stop(&p.timer);
    loop_free(l);
}

/* What calls and graves did, in order. */
static char order[16];
static char letter[][2] = {"a", "b", "c", "x"};

static void note(void *arg)
{
    strcat(order, arg);
}

struct caller {
    struct loop *loop;
    struct loop_task task;
    bool flushed;
};

static void on_caller_flush(struct loop_task *t)
{
    container_of(t, struct caller, task)->flushed = true;
}

/* Asks again until the task has run. */
static void wait_for_flush(void *arg)
{
    struct caller *c = arg;
    if (!c->flushed) {
        loop_flush(c->loop, &c->task);
        loop_call(c->loop, wait_for_flush, c);
    }
}

static void a_call_may_wait_for_a_task_of_the_same_turn(void **state)
{
    (void)state;
    struct caller c = {.loop = loop_new_at(0)};
    loop_task_init(&c.task, on_caller_flush);
    loop_call(c.loop, wait_for_flush, &c);
    loop_advance(c.loop, 1);
    assert_true(c.flushed);
    loop_free(c.loop);
}

static void bury_and_call(void *arg)
{
    struct caller *c = arg;
    note(letter[0]);
    loop_bury(c->loop, note, letter[3]);
    loop_call(c->loop, note, letter[2]);
}

static void nothing_is_freed_before_all_calls_were_made(void **state)
{
    (void)state;
    struct caller c = {.loop = loop_new_at(0)};
    order[0] = '\0';
    loop_call(c.loop, bury_and_call, &c);
    loop_call(c.loop, note, letter[1]);
    loop_advance(c.loop, 1);
    assert_string_equal(order, "abcx");
    loop_advance(c.loop, 2);
    assert_string_equal(order, "abcx");
    loop_free(c.loop);
}

static void count_call(void *arg)
{
    (*(unsigned *)arg)++;
}

/* Far more of them than are usual find room. */
static void a_crowd_may_call_in_one_turn(void **state)
{
    (void)state;
    enum { CROWD = 20000 };
    static unsigned called;
    struct loop *l = loop_new_at(0);
    for (unsigned i = 0; i < CROWD; i++) {
        loop_call(l, count_call, &called);
        loop_bury(l, count_call, &called);
    }
    loop_advance(l, 1);
    assert_int_equal(called, 2 * CROWD);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clock_stands_until_it_is_told),
        cmocka_unit_test(a_turn_fires_what_is_due_and_ends_with_its_tasks),
        cmocka_unit_test(a_timer_counts_from_the_clock_of_its_turn),
        cmocka_unit_test(due_leads_from_timer_to_timer),
        cmocka_unit_test(nothing_is_freed_before_all_calls_were_made),
        cmocka_unit_test(a_call_may_wait_for_a_task_of_the_same_turn),
        cmocka_unit_test(a_crowd_may_call_in_one_turn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
