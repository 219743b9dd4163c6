#include "common/json_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <float.h>
#include <math.h>

#include "common/json.h"

static void check_string(struct str in, struct str want)
{
    struct buf out;
    buf_init(&out, 1000);
    json_out_string(&out, in);
    assert_true(str_eq(buf_str(&out), want));
    buf_fini(&out);
}

static void plain_text_is_only_quoted(void **state)
{
    (void)state;
    check_string(STR(""), STR("\"\""));
    check_string(STR("a/b'c\x7f"), STR("\"a/b'c\x7f\""));
    check_string(STR("\xC3\xA9\xE2\x80\xA8\xF0\x9F\x98\x80"),
                 STR("\"\xC3\xA9\xE2\x80\xA8\xF0\x9F\x98\x80\""));
}

static void escapes_are_as_short_as_they_can_be(void **state)
{
    (void)state;
    check_string(STR("\"\\\b\f\n\r\t"), STR("\"\\\"\\\\\\b\\f\\n\\r\\t\""));
    check_string(STR("a\0b\x1f\x0b"), STR("\"a\\u0000b\\u001f\\u000b\""));
}

static void text_that_is_not_utf8_is_repaired(void **state)
{
    (void)state;
    check_string(STR("a\xff\n\xE2\x82"),
                 STR("\"a\xEF\xBF\xBD\\n\xEF\xBF\xBD\""));
}

static void what_is_written_reads_back(void **state)
{
    (void)state;
    char text[256];
    struct buf out;
    struct json j;
    buf_init(&out, 10000);
    json_init(&j);
    for (unsigned i = 0; i < 128; i++)
        text[i] = (char)i;
    json_out_string(&out, (struct str){text, 128});
    struct json_limits one = {.depth = 1, .nodes = 1};
    assert_int_equal(json_parse(&j, buf_str(&out), one), 0);
    assert_true(json_string_eq(&j, 0, (struct str){text, 128}));
    json_fini(&j);
    buf_fini(&out);
}

static void check_double(double d, const char *want)
{
    struct buf out;
    buf_init(&out, 100);
    json_out_double(&out, d);
    buf_addc(&out, '\0');
    assert_string_equal(buf_ptr(&out), want);
    buf_fini(&out);
}

static void whole_numbers_have_no_point(void **state)
{
    (void)state;
    check_double(0, "0");
    check_double(-0.0, "0");
    check_double(1, "1");
    check_double(-42, "-42");
    check_double(9007199254740991, "9007199254740991");
    check_double(0x1p53, "9007199254740992");
    check_double(1e20, "100000000000000000000");
    check_double(123456789012345680000.0, "123456789012345680000");
}

static void fractions_take_the_fewest_digits(void **state)
{
    (void)state;
    check_double(0.1, "0.1");
    check_double(0.1 + 0.2, "0.30000000000000004");
    check_double(-1.5, "-1.5");
    check_double(1.0 / 3, "0.3333333333333333");
    check_double(123.456, "123.456");
    check_double(5e-324, "5e-324");
    check_double(DBL_MIN, "2.2250738585072014e-308");
    check_double(DBL_MAX, "1.7976931348623157e+308");
    check_double(4.35, "4.35");
}

/* Above a power of two the next double is twice as far as below. */
static void powers_of_two_take_the_fewest_digits(void **state)
{
    (void)state;
    check_double(0x1p-44, "5.684341886080802e-14");
    check_double(0x1p-24, "5.960464477539063e-8");
    check_double(0x1p-1074, "5e-324");
    check_double(0x1p100, "1.2676506002282294e+30");
    check_double(0x1p-1, "0.5");
}

static void exponents_start_where_javascript_starts_them(void **state)
{
    (void)state;
    check_double(1e21, "1e+21");
    check_double(1.5e21, "1.5e+21");
    check_double(999999999999999900000.0, "999999999999999900000");
    check_double(0.000001, "0.000001");
    check_double(0.0000012345, "0.0000012345");
    check_double(0.0000001, "1e-7");
    check_double(-1.25e-7, "-1.25e-7");
    check_double(1e300, "1e+300");
}

static void what_is_no_number_is_null(void **state)
{
    (void)state;
    check_double((double)NAN, "null");
    check_double((double)INFINITY, "null");
    check_double(-(double)INFINITY, "null");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_text_is_only_quoted),
        cmocka_unit_test(escapes_are_as_short_as_they_can_be),
        cmocka_unit_test(text_that_is_not_utf8_is_repaired),
        cmocka_unit_test(what_is_written_reads_back),
        cmocka_unit_test(whole_numbers_have_no_point),
        cmocka_unit_test(fractions_take_the_fewest_digits),
        cmocka_unit_test(powers_of_two_take_the_fewest_digits),
        cmocka_unit_test(exponents_start_where_javascript_starts_them),
        cmocka_unit_test(what_is_no_number_is_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
