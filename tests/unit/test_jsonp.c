#include "server/engine/jsonp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check_script(struct str target, struct str payload, struct str want)
{
    struct buf out;
    buf_init(&out, jsonp_script_max(target, payload));
    jsonp_script(target, payload, &out);
    assert_false(out.full);
    assert_true(str_eq(buf_str(&out), want));
    buf_fini(&out);
}

static void writes_a_call(void **state)
{
    (void)state;
    check_script(STR("/x?EIO=3&j=12&b64=1"), STR("1:6"),
                 STR("___eio[12](\"1:6\");"));
    check_script(STR("/x?j=1);alert(2"), STR("a\"b\\\n"),
                 STR("___eio[12](\"a\\\"b\\\\\\n\");"));
    check_script(STR("/x?j=%33"), STR(""), STR("___eio[3](\"\");"));
    check_script(STR("/x"), STR("6"), STR("___eio[](\"6\");"));
    check_script(STR("/x?j="), STR("\1\1\1"),
                 STR("___eio[](\"\\u0001\\u0001\\u0001\");"));
}

static void escapes_the_line_breaks_of_scripts(void **state)
{
    (void)state;
    check_script(STR("/x?j=0"), STR("\xe2\x80\xa8-\xe2\x80\xa9\xe2\x80\xa7"),
                 STR("___eio[0](\"\\u2028-\\u2029\xe2\x80\xa7\");"));
}

static void check_form(struct str form, bool found, struct str want)
{
    struct buf out;
    buf_init(&out, form.len);
    assert_int_equal(jsonp_payload(form, &out), found);
    if (found)
        assert_true(str_eq(buf_str(&out), want));
    buf_fini(&out);
}

static void reads_the_field_of_a_form(void **state)
{
    (void)state;
    check_form(STR("d=2%3A40"), true, STR("2:40"));
    check_form(STR("x=1&d=a+b%25&y"), true, STR("a b%"));
    check_form(STR("%64=1"), true, STR("1"));
    check_form(STR("d="), true, STR(""));
    check_form(STR("d"), true, STR(""));
    check_form(STR(""), false, STR(""));
    check_form(STR("e=1"), false, STR(""));
    check_form(STR("d=1&d=1"), false, STR(""));
}

static void restores_line_breaks(void **state)
{
    (void)state;
    check_form(STR("d=a\\nb"), true, STR("a\nb"));
    check_form(STR("d=a\\\\nb"), true, STR("a\\nb"));
    check_form(STR("d=a\\\\\\nb"), true, STR("a\\\\nb"));
    check_form(STR("d=\\\\"), true, STR("\\\\"));
    check_form(STR("d=\\"), true, STR("\\"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_a_call),
        cmocka_unit_test(escapes_the_line_breaks_of_scripts),
        cmocka_unit_test(reads_the_field_of_a_form),
        cmocka_unit_test(restores_line_breaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
