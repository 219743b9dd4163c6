#include "common/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static const char *print(struct buf *b)
{
    buf_init(b, 1 << 20);
    metrics_print(b);
    buf_addc(b, '\0');
    assert_false(b->full);
    return buf_ptr(b);
}

static unsigned occurrences(const char *text, const char *what)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

static void counters_add_and_gauges_are_set(void **state)
{
    (void)state;
    struct buf b;
    metrics_add(M_ACCEPTED, 2);
    metrics_add(M_ACCEPTED, 3);
    metrics_set(M_ROOMS, 9);
    metrics_set(M_ROOMS, 7);
    const char *text = print(&b);
    assert_non_null(strstr(text, "\nconfab_accepted_total 5\n"));
    assert_non_null(strstr(text, "\nconfab_rooms 7\n"));
    buf_fini(&b);
}

static void a_metric_has_its_help_and_type_above_it(void **state)
{
    (void)state;
    struct buf b;
    const char *text = print(&b);
    assert_non_null(strstr(text, "# HELP confab_connections open TCP "
                                 "connections\n"
                                 "# TYPE confab_connections gauge\n"
                                 "confab_connections 0\n"));
    assert_non_null(strstr(text, "# TYPE confab_upgrades_total counter\n"
                                 "confab_upgrades_total 0\n"));
    buf_fini(&b);
}

static void labels_of_a_family_share_one_heading(void **state)
{
    (void)state;
    struct buf b;
    const char *text = print(&b);
    assert_int_equal(occurrences(text, "# TYPE confab_sessions "), 1);
    assert_int_equal(occurrences(text, "# HELP confab_sessions "), 1);
    assert_int_equal(occurrences(text, "\nconfab_sessions{transport="), 2);
    buf_fini(&b);
}

/* Prometheus refuses a family that is split. */
static void families_stand_together(void **state)
{
    (void)state;
    struct buf b;
    struct str rest = str_of(print(&b));
    struct str line;
    while (str_next(&rest, '\n', &line)) {
        char heading[128];
        if (!str_starts(line, STR("# TYPE ")))
            continue;
        assert_true(line.len < sizeof(heading));
        memcpy(heading, line.p, line.len);
        heading[line.len] = '\0';
        assert_int_equal(occurrences(buf_ptr(&b), heading), 1);
    }
    buf_fini(&b);
}

static void every_metric_is_printed(void **state)
{
    (void)state;
    struct buf b;
    const char *text = print(&b);
    /* of a histogram: its buckets, the one for more, sum and count */
    assert_int_equal(occurrences(text, "\n") - occurrences(text, "# "),
                     METRIC_COUNT + HISTOGRAM_COUNT * (HISTOGRAM_BUCKETS + 3));
    buf_fini(&b);
}

static void a_histogram_s_buckets_take_what_is_at_most_their_bound(void **state)
{
    (void)state;
    struct histogram h = {0};
    for (uint64_t v = 0; v <= 5; v++)
        histogram_add(&h, 0, v);
    assert_int_equal(h.count[0], 2); /* 0 and 1 */
    assert_int_equal(h.count[1], 1);
    assert_int_equal(h.count[2], 2); /* 3 and 4 */
    assert_int_equal(h.count[3], 1);
    assert_int_equal(h.sum, 15);
    h = (struct histogram){0};
    histogram_add(&h, 4, 16);
    histogram_add(&h, 4, 17);
    histogram_add(&h, 4, (uint64_t)1 << (4 + HISTOGRAM_BUCKETS - 1));
    histogram_add(&h, 4, ((uint64_t)1 << (4 + HISTOGRAM_BUCKETS - 1)) + 1);
    histogram_add(&h, 4, UINT64_MAX);
    assert_int_equal(h.count[0], 1);
    assert_int_equal(h.count[1], 1);
    assert_int_equal(h.count[HISTOGRAM_BUCKETS - 1], 1);
    assert_int_equal(h.count[HISTOGRAM_BUCKETS], 2);
}

static void a_histogram_is_printed_with_sums_that_grow(void **state)
{
    (void)state;
    struct buf b;
    metrics_observe(H_FAN_OUT, 1);
    metrics_observe(H_FAN_OUT, 3);
    metrics_observe(H_FAN_OUT, 1000000);
    metrics_observe(H_FAN_OUT_TIME, 20);
    const char *text = print(&b);
    assert_non_null(strstr(text,
                           "# TYPE confab_fan_out_receivers histogram\n"
                           "confab_fan_out_receivers_bucket{le=\"1\"} 1\n"
                           "confab_fan_out_receivers_bucket{le=\"2\"} 1\n"
                           "confab_fan_out_receivers_bucket{le=\"4\"} 2\n"));
    assert_non_null(strstr(text,
                           "confab_fan_out_receivers_bucket{le=\"524288\"} 2\n"
                           "confab_fan_out_receivers_bucket{le=\"+Inf\"} 3\n"
                           "confab_fan_out_receivers_sum 1000004\n"
                           "confab_fan_out_receivers_count 3\n"));
    assert_non_null(
        strstr(text, "confab_fan_out_seconds_bucket{le=\"1.6e-05\"} 0\n"
                     "confab_fan_out_seconds_bucket{le=\"3.2e-05\"} 1\n"));
    assert_non_null(strstr(text, "confab_fan_out_seconds_sum 2e-05\n"));
    assert_int_equal(histogram_total(H_FAN_OUT), 3);
    buf_fini(&b);
}

static void texts_of_labels_are_escaped(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    metrics_line(&b, "x", "l", STR("a\\b\"c\nd"), 7);
    assert_true(str_eq(buf_str(&b), STR("x{l=\"a\\\\b\\\"c\\nd\"} 7\n")));
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_add_and_gauges_are_set),
        cmocka_unit_test(a_metric_has_its_help_and_type_above_it),
        cmocka_unit_test(labels_of_a_family_share_one_heading),
        cmocka_unit_test(families_stand_together),
        cmocka_unit_test(every_metric_is_printed),
        cmocka_unit_test(
            a_histogram_s_buckets_take_what_is_at_most_their_bound),
        cmocka_unit_test(a_histogram_is_printed_with_sums_that_grow),
        cmocka_unit_test(texts_of_labels_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
