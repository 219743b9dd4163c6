#include "common/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void new_copies_with_one_reference(void **state)
{
    (void)state;
    char text[] = "a\0b";
    struct bytes *b = bytes_new((struct str){text, 3});
    text[0] = 'x';
    assert_int_equal(b->refs, 1);
    assert_int_equal(b->head, 0);
    assert_int_equal(b->binary, 0);
    assert_true(str_eq(bytes_str(b), STR("a\0b")));
    bytes_unref(b);
}

static void the_last_reference_frees(void **state)
{
    (void)state;
    struct bytes *b = bytes_new(STR("x"));
    assert_ptr_equal(bytes_ref(b), b);
    bytes_unref(b);
    assert_int_equal(b->refs, 1);
    bytes_unref(b);
    bytes_unref(NULL);
}

static void the_body_starts_behind_the_head(void **state)
{
    (void)state;
    struct bytes *b = bytes_new(STR("\x81\x01hello"));
    b->head = 2;
    assert_true(str_eq(bytes_body(b), STR("hello")));
    assert_int_equal(bytes_str(b).len, 7);
    bytes_unref(b);
}

static void empty_bytes_exist(void **state)
{
    (void)state;
    struct bytes *b = bytes_new((struct str){NULL, 0});
    assert_int_equal(b->len, 0);
    bytes_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_copies_with_one_reference),
        cmocka_unit_test(the_last_reference_frees),
        cmocka_unit_test(the_body_starts_behind_the_head),
        cmocka_unit_test(empty_bytes_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
