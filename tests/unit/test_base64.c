#include "common/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check_encode(struct str in, struct str want)
{
    struct buf out;
    buf_init(&out, 1000);
    base64_encode(in, &out);
    assert_true(str_eq(buf_str(&out), want));
    buf_fini(&out);
}

static void check_decode(struct str in, struct str want)
{
    struct buf out;
    buf_init(&out, 1000);
    base64_decode(in, &out);
    assert_true(str_eq(buf_str(&out), want));
    buf_fini(&out);
}

static void encodes_the_examples_of_the_standard(void **state)
{
    (void)state;
    check_encode(STR(""), STR(""));
    check_encode(STR("f"), STR("Zg=="));
    check_encode(STR("fo"), STR("Zm8="));
    check_encode(STR("foo"), STR("Zm9v"));
    check_encode(STR("foob"), STR("Zm9vYg=="));
    check_encode(STR("fooba"), STR("Zm9vYmE="));
    check_encode(STR("foobar"), STR("Zm9vYmFy"));
    check_encode(STR("\xfb\xff\x00"), STR("+/8A"));
}

static void decodes_with_and_without_padding(void **state)
{
    (void)state;
    check_decode(STR("Zg=="), STR("f"));
    check_decode(STR("Zg"), STR("f"));
    check_decode(STR("Zm8="), STR("fo"));
    check_decode(STR("Zm8"), STR("fo"));
    check_decode(STR("Zm9v"), STR("foo"));
}

static void decodes_both_alphabets_even_mixed(void **state)
{
    (void)state;
    check_decode(STR("+/8A"), STR("\xfb\xff\x00"));
    check_decode(STR("-_8A"), STR("\xfb\xff\x00"));
    check_decode(STR("-/8A"), STR("\xfb\xff\x00"));
}

static void skips_what_is_in_no_alphabet(void **state)
{
    (void)state;
    check_decode(STR("Z m\n9\0v\xff!"), STR("foo"));
    check_decode(STR("\xff\xfe*"), STR(""));
}

static void stops_at_the_first_equals_sign(void **state)
{
    (void)state;
    check_decode(STR("Zg=Zm9v"), STR("f"));
    check_decode(STR("=Zm9v"), STR(""));
}

static void a_single_leftover_character_holds_nothing(void **state)
{
    (void)state;
    check_decode(STR("Z"), STR(""));
    check_decode(STR("Zm9vZ"), STR("foo"));
}

static void every_length_survives_the_round_trip(void **state)
{
    (void)state;
    char data[3000];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7 + i / 256);
    struct buf text;
    struct buf back;
    buf_init(&text, 4000);
    for (size_t n = 0; n <= sizeof(data); n += n < 20 ? 1 : 149) {
        buf_clear(&text);
        buf_init(&back, n); /* no byte more than the result */
        base64_encode((struct str){data, n}, &text);
        assert_int_equal(text.len, (n + 2) / 3 * 4);
        base64_decode(buf_str(&text), &back);
        assert_false(back.full);
        assert_true(str_eq(buf_str(&back), (struct str){data, n}));
        buf_fini(&back);
    }
    buf_fini(&text);
}

static void respects_the_ceiling(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 5);
    base64_encode(STR("foob"), &out);
    assert_true(out.full);
    assert_int_equal(out.len, 0);
    buf_clear(&out);
    base64_decode(STR("Zm9vYmFy"), &out);
    assert_true(out.full);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(encodes_the_examples_of_the_standard),
        cmocka_unit_test(decodes_with_and_without_padding),
        cmocka_unit_test(decodes_both_alphabets_even_mixed),
        cmocka_unit_test(skips_what_is_in_no_alphabet),
        cmocka_unit_test(stops_at_the_first_equals_sign),
        cmocka_unit_test(a_single_leftover_character_holds_nothing),
        cmocka_unit_test(every_length_survives_the_round_trip),
        cmocka_unit_test(respects_the_ceiling),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
