/* What confabctl bench counts with: latencies, and who has heard what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/mem.h"
#include "server/ctl/latency.h"
#include "server/ctl/reasons.h"
#include "server/ctl/sequence.h"

/* ---- latencies ----------------------------------------------------------- */

static void quantiles_are_those_of_the_values(void **state)
{
    (void)state;
    struct latency *h = mem_zalloc(sizeof(*h));
    assert_int_equal(latency_at(h, 0.5), 0);
    for (uint64_t us = 1; us <= 100000; us++)
        latency_add(h, us);
    static const double qs[] = {0, 0.00001, 0.001, 0.5, 0.9, 0.99, 0.999, 1};
    for (size_t i = 0; i < sizeof(qs) / sizeof(qs[0]); i++) {
        double exact = qs[i] * 100000 < 1 ? 1 : qs[i] * 100000;
        double found = (double)latency_at(h, qs[i]);
        if (found < exact || found > exact * (1 + 1.0 / 32) + 1)
            fail_msg("%g: %g, not %g", qs[i], found, exact);
    }
    assert_int_equal(latency_at(h, 1), 100000);
    assert_int_equal(h->n, 100000);
    mem_free(h);
}

static void one_slow_one_is_not_hidden(void **state)
{
    (void)state;
    struct latency *h = mem_zalloc(sizeof(*h));
    for (int i = 0; i < 999; i++)
        latency_add(h, 10);
    latency_add(h, 5000000);
    assert_int_equal(latency_at(h, 0.999), 10);
    assert_int_equal(latency_at(h, 0.9991), 5000000);
    assert_int_equal(h->max_us, 5000000);
    mem_free(h);
}

static void any_value_has_a_place(void **state)
{
    (void)state;
    struct latency *h = mem_zalloc(sizeof(*h));
    static const uint64_t values[] = {
        0, 63, 64, 65, 127, 128, UINT64_C(1) << 40, UINT64_MAX};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        memset(h, 0, sizeof(*h));
        latency_add(h, values[i]);
        assert_true(latency_at(h, 0.5) == values[i]);
    }
    mem_free(h);
}

static void the_drawing_adds_up(void **state)
{
    (void)state;
    struct latency *h = mem_zalloc(sizeof(*h));
    struct buf out;
    buf_init(&out, UINT32_MAX);
    latency_draw(h, &out);
    assert_int_equal(out.len, 0);
    for (int i = 0; i < 1500; i++)
        latency_add(h, 200);
    latency_add(h, 900);
    latency_draw(h, &out);
    buf_addc(&out, '\0');
    assert_string_equal(
        buf_ptr(&out),
        "  <= 256us  ######################################## 1,500\n"
        "  <= 512us                                           0\n"
        "  <= 1.0ms  #                                        1\n");
    buf_fini(&out);
    mem_free(h);
}

/* ---- who has heard what -------------------------------------------------- */

enum { CLIENTS = 6, ROOMS = 2 };

static struct sequence *everybody(void)
{
    struct sequence *s = sequence_new(CLIENTS, ROOMS);
    for (uint32_t i = 0; i < CLIENTS; i++)
        sequence_enter(s, i);
    return s;
}

static uint32_t say(struct sequence *s, uint32_t client)
{
    uint32_t number;
    assert_true(sequence_say(s, client, 1000, &number));
    sequence_taken(s, client % ROOMS, number);
    return number;
}

static enum verdict hear(struct sequence *s, uint32_t client, uint32_t number)
{
    uint64_t since = 0;
    enum verdict v =
        sequence_hear(s, client, client % ROOMS, number, 1500, &since);
    if (v != HEARD_STRANGE)
        assert_int_equal(since, 500);
    return v;
}

static void what_all_hear_once_is_well(void **state)
{
    (void)state;
    struct sequence *s = everybody();
    for (int turn = 0; turn < 200; turn++) {
        for (uint32_t c = 0; c < CLIENTS; c++) {
            uint32_t n = say(s, c);
            for (uint32_t k = c % ROOMS; k < CLIENTS; k += ROOMS)
                assert_int_equal(hear(s, k, n), HEARD_WELL);
        }
    }
    assert_int_equal(sequence_sum(s).expected, 200 * CLIENTS * 3);
    assert_int_equal(sequence_sum(s).missing, 0);
    sequence_free(s);
}

static void what_one_does_not_hear_is_missing(void **state)
{
    (void)state;
    struct sequence *s = everybody();
    for (int i = 0; i < 130; i++) {
        uint32_t n = say(s, 0);
        hear(s, 0, n);
        hear(s, 2, n);
        if (i != 64 && i != 129)
            hear(s, 4, n);
    }
    assert_int_equal(sequence_sum(s).expected, 390);
    assert_int_equal(sequence_sum(s).missing, 2);
    sequence_leave(s, 4); /* who has left misses nothing */
    assert_int_equal(sequence_sum(s).expected, 260);
    assert_int_equal(sequence_sum(s).missing, 0);
    sequence_free(s);
}

static void twice_is_seen_whenever_it_comes(void **state)
{
    (void)state;
    struct sequence *s = everybody();
    uint32_t a = say(s, 1), b = say(s, 1);
    assert_int_equal(hear(s, 3, a), HEARD_WELL);
    assert_int_equal(hear(s, 3, a), HEARD_TWICE);
    assert_int_equal(hear(s, 3, b), HEARD_WELL);
    assert_int_equal(hear(s, 3, a), HEARD_TWICE);
    sequence_free(s);
}

static void order_is_that_of_each_speaker(void **state)
{
    (void)state;
    struct sequence *s = everybody();
    uint32_t a1 = say(s, 0), b1 = say(s, 2), a2 = say(s, 0);
    assert_int_equal(hear(s, 4, a2), HEARD_WELL);
    assert_int_equal(hear(s, 4, b1), HEARD_WELL); /* another's */
    assert_int_equal(hear(s, 4, a1), HEARD_LATE_ORDER);
    assert_int_equal(sequence_sum(s).missing, 6); /* of 0 and 2 */
    sequence_free(s);
}

static void what_was_refused_need_not_be_heard(void **state)
{
    (void)state;
    struct sequence *s = everybody();
    uint32_t n;
    assert_true(sequence_say(s, 0, 0, &n));
    assert_int_equal(sequence_sum(s).expected, 0);
    sequence_free(s);
}

static void what_nobody_said_is_strange(void **state)
{
    (void)state;
    struct sequence *s = everybody();
    uint64_t since;
    uint32_t n = say(s, 0);
    assert_int_equal(hear(s, 2, n + 1), HEARD_STRANGE);
    assert_int_equal(sequence_hear(s, 2, 1, n, 0, &since), HEARD_STRANGE);
    assert_int_equal(sequence_hear(s, 1, 0, n, 0, &since), HEARD_STRANGE);
    assert_int_equal(sequence_hear(s, 2, UINT64_MAX, UINT64_MAX, 0, &since),
                     HEARD_STRANGE);
    sequence_free(s);
    s = sequence_new(2, 1); /* 1 has not entered */
    sequence_enter(s, 0);
    assert_true(sequence_say(s, 0, 0, &n));
    assert_int_equal(sequence_hear(s, 1, 0, n, 0, &since), HEARD_STRANGE);
    sequence_free(s);
}

/* ---- reasons ------------------------------------------------------------- */

static void reasons_are_counted_and_bounded(void **state)
{
    (void)state;
    struct reasons r = {0};
    struct buf out;
    char text[32];
    buf_init(&out, UINT32_MAX);
    for (int i = 0; i < 1234; i++)
        reasons_add(&r, STR("a \x1b[2J b"));
    for (int i = 0; i < 20; i++) {
        (void)snprintf(text, sizeof(text), "other %d", i);
        reasons_add(&r, str_of(text));
    }
    assert_int_equal(r.all, 1254);
    assert_int_equal(r.others, 20 - (REASONS_MAX - 1));
    reasons_list(&r, &out);
    buf_addc(&out, '\0');
    assert_true(strstr(buf_ptr(&out), "          1,234  a ?[2J b\n") != NULL);
    assert_true(strstr(buf_ptr(&out), " 9  other reasons\n") != NULL);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quantiles_are_those_of_the_values),
        cmocka_unit_test(one_slow_one_is_not_hidden),
        cmocka_unit_test(any_value_has_a_place),
        cmocka_unit_test(the_drawing_adds_up),
        cmocka_unit_test(what_all_hear_once_is_well),
        cmocka_unit_test(what_one_does_not_hear_is_missing),
        cmocka_unit_test(twice_is_seen_whenever_it_comes),
        cmocka_unit_test(order_is_that_of_each_speaker),
        cmocka_unit_test(what_was_refused_need_not_be_heard),
        cmocka_unit_test(what_nobody_said_is_strange),
        cmocka_unit_test(reasons_are_counted_and_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
