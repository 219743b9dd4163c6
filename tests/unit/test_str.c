#include "common/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define assert_str(got, want) assert_true(str_eq(got, STR(want)))

static void equality_is_about_bytes_and_length(void **state)
{
    (void)state;
    assert_true(str_eq(STR("a\0b"), STR("a\0b")));
    assert_false(str_eq(STR("a\0b"), STR("a\0c")));
    assert_false(str_eq(STR("a"), STR("ab")));
    assert_true(str_eq((struct str){NULL, 0}, STR("")));
    assert_true(str_ieq(STR("Upgrade"), STR("uPGRADE")));
    assert_false(str_ieq(STR("Upgrade"), STR("Upgrades")));
}

static void prefix_and_tail(void **state)
{
    (void)state;
    assert_true(str_starts(STR("/chat"), STR("/")));
    assert_true(str_starts(STR("/chat"), STR("")));
    assert_false(str_starts(STR("/"), STR("/chat")));
    assert_str(str_from(STR("abc"), 1), "bc");
    assert_str(str_from(STR("abc"), 9), "");
}

static void next_yields_every_part_and_then_stops(void **state)
{
    (void)state;
    struct str rest = STR("a,,bc,");
    struct str part;
    assert_true(str_next(&rest, ',', &part));
    assert_str(part, "a");
    assert_true(str_next(&rest, ',', &part));
    assert_str(part, "");
    assert_true(str_next(&rest, ',', &part));
    assert_str(part, "bc");
    assert_non_null(rest.p);
    assert_true(str_next(&rest, ',', &part));
    assert_str(part, "");
    assert_null(rest.p);
    assert_false(str_next(&rest, ',', &part));
}

static void next_of_an_empty_text_is_one_empty_part(void **state)
{
    (void)state;
    struct str rest = STR("");
    struct str part = STR("x");
    assert_true(str_next(&rest, ',', &part));
    assert_str(part, "");
    assert_false(str_next(&rest, ',', &part));
}

static void trim_takes_spaces_and_tabs_only(void **state)
{
    (void)state;
    assert_str(str_trim(STR(" \t a b\t ")), "a b");
    assert_str(str_trim(STR("\na\n")), "\na\n");
    assert_str(str_trim(STR(" \t ")), "");
}

static void numbers_are_digits_up_to_the_maximum(void **state)
{
    (void)state;
    uint64_t n = 7;
    assert_true(str_to_u64(STR("0"), 10, &n));
    assert_int_equal(n, 0);
    assert_true(str_to_u64(STR("00010"), 10, &n));
    assert_int_equal(n, 10);
    assert_true(str_to_u64(STR("18446744073709551615"), UINT64_MAX, &n));
    assert_true(n == UINT64_MAX);
    assert_false(str_to_u64(STR("11"), 10, &n));
    assert_false(str_to_u64(STR("18446744073709551616"), UINT64_MAX, &n));
    assert_false(str_to_u64(STR("99999999999999999999"), UINT64_MAX, &n));
    assert_true(n == UINT64_MAX);
}

static void numbers_are_nothing_but_digits(void **state)
{
    (void)state;
    uint64_t n;
    assert_false(str_to_u64(STR(""), 10, &n));
    assert_false(str_to_u64(STR("-1"), 10, &n));
    assert_false(str_to_u64(STR("+1"), 10, &n));
    assert_false(str_to_u64(STR(" 1"), 10, &n));
    assert_false(str_to_u64(STR("1 "), 10, &n));
    assert_false(str_to_u64(STR("0x1"), 10, &n));
    assert_false(str_to_u64(STR("1\0"), 10, &n));
}

static void header_lists_ignore_case_and_space(void **state)
{
    (void)state;
    assert_true(str_list_has(STR("keep-alive, Upgrade"), STR("upgrade")));
    assert_true(str_list_has(STR("\tupgrade ,x"), STR("Upgrade")));
    assert_false(str_list_has(STR("upgrades, not upgrade"), STR("upgrade")));
    assert_false(str_list_has(STR(""), STR("upgrade")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_is_about_bytes_and_length),
        cmocka_unit_test(prefix_and_tail),
        cmocka_unit_test(next_yields_every_part_and_then_stops),
        cmocka_unit_test(next_of_an_empty_text_is_one_empty_part),
        cmocka_unit_test(trim_takes_spaces_and_tabs_only),
        cmocka_unit_test(numbers_are_digits_up_to_the_maximum),
        cmocka_unit_test(numbers_are_nothing_but_digits),
        cmocka_unit_test(header_lists_ignore_case_and_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
