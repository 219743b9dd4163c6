#include "common/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define assert_buf(b, want) assert_true(str_eq(buf_str(b), STR(want)))

static void an_empty_buffer_owns_no_memory(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10);
    buf_add(&b, STR(""));
    assert_null(buf_ptr(&b));
    assert_buf(&b, "");
    assert_non_null(buf_str(&b).p);
}

static void pieces_of_all_kinds_follow_each_other(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    buf_add(&b, STR("a\0b"));
    buf_addc(&b, '-');
    buf_add_u64(&b, UINT64_MAX);
    buf_addc(&b, ' ');
    buf_add_i64(&b, INT64_MIN);
    buf_add_i64(&b, 0);
    buf_fmt(&b, " %s=%d", "x", 7);
    assert_buf(&b, "a\0b-18446744073709551615 -92233720368547758080 x=7");
    buf_fini(&b);
    assert_null(buf_ptr(&b));
}

static void grows_to_any_size_below_the_ceiling(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 300000);
    for (unsigned i = 0; i < 300000; i++)
        buf_addc(&b, (char)('a' + i % 26));
    assert_false(b.full);
    assert_int_equal(b.len, 300000);
    assert_true(b.cap <= 300000);
    for (unsigned i = 0; i < 300000; i++)
        assert_int_equal(buf_ptr(&b)[i], (char)('a' + i % 26));
    buf_fini(&b);
}

static void past_the_ceiling_adds_nothing_and_stays_full(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4);
    buf_add(&b, STR("abc"));
    buf_add(&b, STR("de"));
    assert_true(b.full);
    assert_buf(&b, "abc");
    buf_addc(&b, 'x');
    buf_add_u64(&b, 1);
    buf_fmt(&b, "%d", 2);
    assert_null(buf_space(&b, 1));
    assert_buf(&b, "abc");
    buf_clear(&b);
    assert_false(b.full);
    buf_add(&b, STR("abcd"));
    assert_false(b.full);
    assert_buf(&b, "abcd");
    buf_fini(&b);
}

static void formatting_may_fill_it_to_the_last_byte(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 3);
    buf_fmt(&b, "%d", 123);
    assert_false(b.full);
    assert_buf(&b, "123");
    buf_fmt(&b, "%s", "");
    assert_false(b.full);
    buf_fmt(&b, "4");
    assert_true(b.full);
    buf_fini(&b);
}

static void space_counts_only_what_is_committed(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 200);
    char *p = buf_space(&b, 100);
    assert_non_null(p);
    memcpy(p, "hello", 5);
    buf_commit(&b, 5);
    assert_buf(&b, "hello");
    assert_null(buf_space(&b, 196));
    assert_true(b.full);
    buf_fini(&b);
}

static void truncate_cuts_the_end(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    buf_add(&b, STR("hello"));
    buf_truncate(&b, 2);
    buf_addc(&b, 'y');
    assert_buf(&b, "hey");
    buf_fini(&b);
}

static void clear_keeps_the_storage(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    buf_add(&b, STR("hello"));
    char *before = buf_ptr(&b);
    buf_clear(&b);
    buf_add(&b, STR("world"));
    assert_ptr_equal(buf_ptr(&b), before);
    buf_fini(&b);
}

static void take_moves_the_content_out(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    buf_add(&b, STR("hello"));
    char *before = buf_ptr(&b);
    struct bytes *got = buf_take(&b);
    assert_ptr_equal(got->p, before);
    assert_int_equal(got->refs, 1);
    assert_int_equal(got->head, 0);
    assert_int_equal(got->binary, 0);
    assert_true(str_eq(bytes_str(got), STR("hello")));
    assert_null(buf_ptr(&b));
    buf_add(&b, STR("again"));
    assert_buf(&b, "again");
    assert_true(str_eq(bytes_str(got), STR("hello")));
    bytes_unref(got);
    buf_fini(&b);
}

static void take_of_nothing_is_empty_bytes(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    struct bytes *got = buf_take(&b);
    assert_int_equal(got->len, 0);
    bytes_unref(got);
    assert_non_null(buf_space(&b, 900));
    got = buf_take(&b);
    assert_int_equal(got->len, 0);
    bytes_unref(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_buffer_owns_no_memory),
        cmocka_unit_test(pieces_of_all_kinds_follow_each_other),
        cmocka_unit_test(grows_to_any_size_below_the_ceiling),
        cmocka_unit_test(past_the_ceiling_adds_nothing_and_stays_full),
        cmocka_unit_test(formatting_may_fill_it_to_the_last_byte),
        cmocka_unit_test(space_counts_only_what_is_committed),
        cmocka_unit_test(truncate_cuts_the_end),
        cmocka_unit_test(clear_keeps_the_storage),
        cmocka_unit_test(take_moves_the_content_out),
        cmocka_unit_test(take_of_nothing_is_empty_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
