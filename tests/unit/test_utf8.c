#include "common/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define R "\xEF\xBF\xBD" /* U+FFFD */

static void check_repair(struct str in, struct str want)
{
    struct buf out;
    buf_init(&out, 1000);
    utf8_repair(in, &out);
    assert_true(str_eq(buf_str(&out), want));
    buf_fini(&out);
}

/* The definition, as a table of what may follow what: counts the code points
 * from 0 up and encodes each the long way. */
static size_t encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

static void accepts_every_code_point_but_surrogates(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x1FFFFF; c++) {
        char text[12] = "abcd        "; /* room for the quick path, too */
        size_t n = encode(c, text + 2);
        bool legal = c <= 0x10FFFF && (c < 0xD800 || c > 0xDFFF);
        assert_int_equal(utf8_valid((struct str){text + 2, n}), legal);
        for (size_t i = n + 2; i < sizeof(text); i++)
            text[i] = ' ';
        assert_int_equal(utf8_valid((struct str){text, sizeof(text)}), legal);
    }
}

static void accepts_exactly_one_spelling(void **state)
{
    (void)state;
    assert_false(utf8_valid(STR("\xC0\x80")));
    assert_false(utf8_valid(STR("\xC1\xBF")));
    assert_false(utf8_valid(STR("\xE0\x9F\xBF")));
    assert_false(utf8_valid(STR("\xF0\x8F\xBF\xBF")));
    assert_false(utf8_valid(STR("\xF8\x88\x80\x80\x80")));
}

static void refuses_what_is_cut_or_out_of_place(void **state)
{
    (void)state;
    assert_true(utf8_valid(STR("")));
    assert_true(utf8_valid(STR("a\0b")));
    assert_false(utf8_valid(STR("\x80")));
    assert_false(utf8_valid(STR("abcdefgh\xFF")));
    assert_false(utf8_valid(STR("\xE2\x82")));
    assert_false(utf8_valid(STR("\xE2\x82"
                                "a")));
    assert_false(utf8_valid(STR("\xF0\x9F\x98")));
    assert_false(utf8_valid(STR("\xC3(abcdefgh")));
}

static void a_bad_byte_is_found_at_every_offset(void **state)
{
    (void)state;
    for (size_t at = 0; at < 40; at++) {
        char text[40];
        memset(text, 'a', sizeof(text));
        assert_true(utf8_valid((struct str){text, sizeof(text)}));
        text[at] = (char)0x80;
        assert_false(utf8_valid((struct str){text, sizeof(text)}));
    }
}

static void pieces_may_be_cut_anywhere(void **state)
{
    (void)state;
    struct str s = STR("a\xC3\xA9 \xE2\x82\xAC and \xF0\x9F\x98\x80 12345678");
    for (size_t cut = 0; cut <= s.len; cut++) {
        uint32_t st = 0;
        assert_true(utf8_feed(&st, (struct str){s.p, cut}));
        assert_int_equal(st == 0, utf8_valid((struct str){s.p, cut}));
        assert_true(utf8_feed(&st, str_from(s, cut)));
        assert_int_equal(st, 0);
    }
}

static void once_bad_always_bad(void **state)
{
    (void)state;
    uint32_t st = 0;
    assert_false(utf8_feed(&st, STR("\xFF")));
    assert_false(utf8_feed(&st, STR("a")));
    assert_false(utf8_feed(&st, STR("\x80")));
    assert_false(utf8_feed(&st, STR("")));
    assert_int_not_equal(st, 0);
}

static void repair_keeps_valid_text(void **state)
{
    (void)state;
    check_repair(STR(""), STR(""));
    check_repair(STR("a\0\xC3\xA9\xF0\x9F\x98\x80"),
                 STR("a\0\xC3\xA9\xF0\x9F\x98\x80"));
}

static void repair_replaces_each_stray_byte(void **state)
{
    (void)state;
    check_repair(STR("a\xFF\xFE"
                     "b"),
                 STR("a" R R "b"));
    check_repair(STR("\x80\xBF"), STR(R R));
    check_repair(STR("\xC0\x80"), STR(R R));
    check_repair(STR("\xE0\x80\x80"), STR(R R R));
    check_repair(STR("\xED\xA0\x80"), STR(R R R));
    check_repair(STR("\xF5\x80\x80\x80"), STR(R R R R));
}

static void repair_replaces_a_cut_character_once(void **state)
{
    (void)state;
    check_repair(STR("\xE2\x82"), STR(R));
    check_repair(STR("\xE2\x82"
                     "a"),
                 STR(R "a"));
    check_repair(STR("\xF0\x9F\x98"), STR(R));
    check_repair(STR("\xF0\x9F\xE2\x82\xAC"), STR(R "\xE2\x82\xAC"));
    check_repair(STR("\xF0\x9F\xC3"), STR(R R));
    check_repair(STR("\xC3\xC3\xA9"), STR(R "\xC3\xA9"));
    /* Table 3-8 of the Unicode standard, chapter 3.9. */
    check_repair(STR("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64"),
                 STR("a" R R R "b" R "c" R R "d"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_every_code_point_but_surrogates),
        cmocka_unit_test(accepts_exactly_one_spelling),
        cmocka_unit_test(refuses_what_is_cut_or_out_of_place),
        cmocka_unit_test(a_bad_byte_is_found_at_every_offset),
        cmocka_unit_test(pieces_may_be_cut_anywhere),
        cmocka_unit_test(once_bad_always_bad),
        cmocka_unit_test(repair_keeps_valid_text),
        cmocka_unit_test(repair_replaces_each_stray_byte),
        cmocka_unit_test(repair_replaces_a_cut_character_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
