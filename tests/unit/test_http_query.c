#include "server/http/http_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

static struct buf scratch;

static int set_up(void **state)
{
    (void)state;
    buf_init(&scratch, 256);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_fini(&scratch);
    return 0;
}

/* The value of `name`, "none" where there is none. */
static void expect(const char *query, const char *name, const char *value)
{
    struct str out = STR("none");
    buf_clear(&scratch);
    bool found = query_find(str_of(query), str_of(name), &scratch, &out);
    assert_int_equal(out.len, strlen(value));
    assert_memory_equal(out.p, value, out.len);
    assert_int_equal(found, strcmp(value, "none") != 0);
}

/* The same of a query that has to be decoded. */
static void expect_of_both(const char *query, const char *name,
                           const char *value)
{
    char escaped[128];
    expect(query, name, value);
    (void)snprintf(escaped, sizeof(escaped), "%%2B=&%s", query);
    expect(escaped, name, value);
}

static void finds_the_value_of_a_whole_name(void **state)
{
    (void)state;
    expect_of_both("EIO=4&transport=polling&sid=abc", "EIO", "4");
    expect_of_both("EIO=4&transport=polling&sid=abc", "sid", "abc");
    expect_of_both("EIO=4&transport=polling&sid=abc", "transport", "polling");
    expect_of_both("EIO=4&transport=polling", "sid", "none");
    expect_of_both("sidecar=1&as=2&id=3", "sid", "none");
    expect_of_both("=1&&", "sid", "none");
}

static void the_last_of_repeated_names_counts(void **state)
{
    (void)state;
    expect_of_both("sid=a&x=1&sid=b", "sid", "b");
    expect_of_both("sid=a&sid", "sid", "");
    expect_of_both("sid&sid=a=b", "sid", "a=b");
}

static void a_name_without_a_value_is_there(void **state)
{
    (void)state;
    expect_of_both("b64", "b64", "");
    expect_of_both("b64=", "b64", "");
    expect_of_both("x&b64&", "b64", "");
    expect("", "b64", "none");
}

static void names_and_values_are_decoded(void **state)
{
    (void)state;
    expect("a%20b=1+2%2B3", "a b", "1 2+3");
    expect("%73id=x", "sid", "x");
    expect("sid=100%", "sid", "100%");
    expect("sid=%zz%4", "sid", "%zz%4");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(finds_the_value_of_a_whole_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_last_of_repeated_names_counts,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_without_a_value_is_there, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(names_and_values_are_decoded, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
