#include "common/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/mem.h"

static struct json tape;
static const struct json_limits wide = {.depth = 64, .nodes = 1 << 20};

static int open_tape(void **state)
{
    (void)state;
    json_init(&tape);
    return 0;
}

static int close_tape(void **state)
{
    (void)state;
    json_fini(&tape);
    return 0;
}

/* Parses a copy that ends where its block ends, so that a sanitizer sees every
 * step past the end. */
static int parse_exact(struct str text)
{
    char *copy = mem_alloc(text.len + 1);
    memcpy(copy + 1, text.p, text.len);
    int rc = json_parse(&tape, (struct str){copy + 1, text.len}, wide);
    mem_free(copy);
    return rc;
}

static void check_accepted(const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (parse_exact(str_of(texts[i])) != 0)
            fail_msg("refused: %s", texts[i]);
    }
}

static void check_refused(const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (parse_exact(str_of(texts[i])) != ERR_PROTO)
            fail_msg("accepted: %s", texts[i]);
        assert_true(tape.err_at <= strlen(texts[i]));
        assert_int_equal(tape.n, 0);
    }
}

#define ACCEPTED(...)                                            \
    do {                                                         \
        const char *const texts[] = {__VA_ARGS__};               \
        check_accepted(texts, sizeof(texts) / sizeof(texts[0])); \
    } while (0)
#define REFUSED(...)                                            \
    do {                                                        \
        const char *const texts[] = {__VA_ARGS__};              \
        check_refused(texts, sizeof(texts) / sizeof(texts[0])); \
    } while (0)

static void parse(const char *text)
{
    assert_int_equal(json_parse(&tape, str_of(text), wide), 0);
}

static void accepts_values_of_every_kind_as_root(void **state)
{
    (void)state;
    ACCEPTED("null", "true", "false", "0", "\"\"", "[]", "{}", " \t\r\n1 \n");
}

static void refuses_empty_text(void **state)
{
    (void)state;
    REFUSED("", " ", "\n\t");
    assert_int_equal(json_parse(&tape, (struct str){NULL, 0}, wide), ERR_PROTO);
}

static void refuses_trailing_commas(void **state)
{
    (void)state;
    REFUSED("[1,]", "{\"a\":1,}", "[,]", "[,1]", "{,}", "[1,,2]");
}

static void refuses_missing_or_wrong_brackets(void **state)
{
    (void)state;
    REFUSED("[", "{", "]", "}", "[1", "[1}", "{\"a\":1]", "[[1]", "[1]]",
            "{\"a\":{}");
}

static void refuses_text_behind_the_value(void **state)
{
    (void)state;
    REFUSED("1 2", "{} {}", "null,", "\"a\"b", "[]x", "truefalse");
}

static void refuses_objects_without_colon_key_or_value(void **state)
{
    (void)state;
    REFUSED("{\"a\"}", "{\"a\" 1}", "{\"a\":}", "{1:2}", "{a:1}", "{:1}",
            "{\"a\":1 \"b\":2}", "{\"a\"::1}", "{'a':1}", "{null:1}");
}

static void refuses_half_words_and_other_cases(void **state)
{
    (void)state;
    REFUSED("t", "tru", "nul", "nulL", "True", "NaN", "Infinity", "-Infinity",
            "undefined", "fals e");
}

static void refuses_comments(void **state)
{
    (void)state;
    REFUSED("/* a */ 1", "1 // a", "[1, /**/ 2]", "# a\n1");
}

static void accepts_numbers_in_all_legal_forms(void **state)
{
    (void)state;
    ACCEPTED("0", "-0", "10", "1.5", "-0.001", "1e5", "1E+5", "1.5e-5", "0e0",
             "123456789012345678901234567890", "1e99999");
}

static void refuses_numbers_in_other_forms(void **state)
{
    (void)state;
    REFUSED("01", "-01", "+1", "-", "1.", ".5", "1e", "1e+", "0x10", "1_000",
            "1.e5", "--1", "00", "1.5.5", "1e5.5", "- 1");
}

static void accepts_every_legal_escape(void **state)
{
    (void)state;
    ACCEPTED("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\u0000\\uFFFF\\uabCD\"",
             "\"\\ud83d\\ude00\"", "\"\\ud83d\"", "\"\\ude00\"");
}

static void refuses_other_escapes(void **state)
{
    (void)state;
    REFUSED("\"\\\"", "\"\\a\"", "\"\\x41\"", "\"\\u\"", "\"\\u123\"",
            "\"\\u12g4\"", "\"\\U0041\"", "\"\\", "\"\\u00", "\"\\0\"");
    assert_int_equal(parse_exact(STR("\"\\\0\"")), ERR_PROTO);
}

static void refuses_raw_control_characters_in_strings(void **state)
{
    (void)state;
    for (int c = 0; c < 0x20; c++) {
        for (int at = 1; at < 20; at++) {
            char text[] = "\"aaaaaaaaaaaaaaaaaaaa\"";
            text[at] = (char)c;
            assert_int_equal(parse_exact((struct str){text, sizeof(text) - 1}),
                             ERR_PROTO);
            assert_int_equal(tape.err_at, at);
        }
    }
    ACCEPTED("\"\x7f\"");
}

static void refuses_strings_that_do_not_end(void **state)
{
    (void)state;
    REFUSED("\"", "\"abc", "\"abcdefgh", "\"abcdefghijklmnop", "[\"a]",
            "{\"a:1}");
}

static void refuses_strings_that_are_not_utf8(void **state)
{
    (void)state;
    REFUSED("\"\xff\"", "\"\xC0\x80\"", "\"\xED\xA0\x80\"", "\"\xE2\x82\"",
            "{\"\x80\":1}", "\"abcdefgh\xF5\x80\x80\x80\"");
    ACCEPTED("\"\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\"");
    assert_int_equal(parse_exact(STR("[\"ab\xC3\xA9\xFF\"]")), ERR_PROTO);
    assert_int_equal(tape.err_at, 6);
}

static void refuses_bytes_outside_of_values(void **state)
{
    (void)state;
    REFUSED("\xEF\xBB\xBF{}", "[1\xC2\xA0]", "\xff");
    assert_int_equal(parse_exact(STR("[1]\0")), ERR_PROTO);
    assert_int_equal(parse_exact(STR("[\0]")), ERR_PROTO);
}

static void tells_where_it_stopped(void **state)
{
    (void)state;
    assert_int_equal(parse_exact(STR("[1, 2, x]")), ERR_PROTO);
    assert_int_equal(tape.err_at, 7);
    assert_int_equal(parse_exact(STR("[1, 2")), ERR_PROTO);
    assert_int_equal(tape.err_at, 5);
}

static void depth_is_limited(void **state)
{
    (void)state;
    struct json_limits two = {.depth = 2, .nodes = 100};
    assert_int_equal(json_parse(&tape, STR("[{}]"), two), 0);
    assert_int_equal(json_parse(&tape, STR("[{\"a\":[]}]"), two), ERR_LIMIT);
    two.depth = 0;
    assert_int_equal(json_parse(&tape, STR("1"), two), 0);
    assert_int_equal(json_parse(&tape, STR("[]"), two), ERR_LIMIT);
    char deep[130];
    memset(deep, '[', 65);
    memset(deep + 65, ']', 65);
    two.depth = 1000;
    assert_int_equal(json_parse(&tape, (struct str){deep, 130}, two),
                     ERR_LIMIT);
    assert_int_equal(json_parse(&tape, (struct str){deep + 1, 128}, two), 0);
}

static void nodes_are_limited(void **state)
{
    (void)state;
    struct json_limits four = {.depth = 64, .nodes = 4};
    assert_int_equal(json_parse(&tape, STR("[1,2,3]"), four), 0);
    assert_int_equal(json_parse(&tape, STR("[1,2,3,4]"), four), ERR_LIMIT);
    assert_int_equal(json_parse(&tape, STR("[{\"a\":1}]"), four), 0);
    assert_int_equal(json_parse(&tape, STR("[0,{\"a\":1}]"), four), ERR_LIMIT);
    /* A tape that is larger already must not loosen the limit. */
    assert_int_equal(parse_exact(STR("[1,2,3,4,5,6,7,8]")), 0);
    assert_int_equal(json_parse(&tape, STR("[1,2,3,4]"), four), ERR_LIMIT);
}

static void the_tape_keeps_its_storage(void **state)
{
    (void)state;
    parse("[1,2,3]");
    struct json_node *before = tape.nodes;
    parse("{\"a\":[1,2,3,4,5,6]}");
    assert_ptr_equal(tape.nodes, before);
}

static void spans_give_the_text_back_as_it_came(void **state)
{
    (void)state;
    parse(" { \"k\\u0041\" : [ 1.50 , \"x\" ] , \"b\":{ } } ");
    assert_true(str_eq(json_text(&tape, 0),
                       STR("{ \"k\\u0041\" : [ 1.50 , \"x\" ] , \"b\":{ } }")));
    assert_true(str_eq(json_text(&tape, 1), STR("\"k\\u0041\"")));
    assert_true(str_eq(json_text(&tape, 2), STR("[ 1.50 , \"x\" ]")));
    assert_true(str_eq(json_text(&tape, 3), STR("1.50")));
    assert_true(str_eq(json_text(&tape, 6), STR("{ }")));
    assert_int_equal(tape.n, 7);
    assert_int_equal(tape.nodes[0].count, 2);
    assert_int_equal(tape.nodes[2].count, 2);
    assert_int_equal(tape.nodes[6].count, 0);
    assert_int_equal(tape.nodes[1].escaped, 1);
    assert_int_equal(tape.nodes[4].escaped, 0);
}

static void children_are_walked_in_order(void **state)
{
    (void)state;
    parse("[10,[20,21],{\"a\":30},40]");
    uint32_t at = json_first(&tape, 0);
    assert_true(str_eq(json_text(&tape, at), STR("10")));
    at = json_next(&tape, 0, at);
    assert_true(str_eq(json_text(&tape, at), STR("[20,21]")));
    at = json_next(&tape, 0, at);
    assert_true(str_eq(json_text(&tape, at), STR("{\"a\":30}")));
    at = json_next(&tape, 0, at);
    assert_true(str_eq(json_text(&tape, at), STR("40")));
    assert_int_equal(json_next(&tape, 0, at), JSON_NONE);
}

static void what_is_empty_has_no_children(void **state)
{
    (void)state;
    parse("[[],{},1,\"\"]");
    for (uint32_t i = 1; i <= 4; i++)
        assert_int_equal(json_first(&tape, i), JSON_NONE);
}

static void at_counts_elements_not_nodes(void **state)
{
    (void)state;
    parse("[[1,2],{\"a\":3},4]");
    assert_true(str_eq(json_text(&tape, json_at(&tape, 0, 2)), STR("4")));
    assert_int_equal(json_at(&tape, 0, 3), JSON_NONE);
    assert_int_equal(json_at(&tape, json_at(&tape, 0, 1), 0), JSON_NONE);
    assert_int_equal(json_at(&tape, json_at(&tape, 0, 2), 0), JSON_NONE);
}

static void get_finds_the_last_of_duplicate_keys(void **state)
{
    (void)state;
    parse("{\"a\":{\"b\":0},\"b\":1,\"\\u0062\":2,\"c\":\"b\"}");
    assert_true(
        str_eq(json_text(&tape, json_get(&tape, 0, STR("b"))), STR("2")));
    assert_int_equal(json_get(&tape, 0, STR("d")), JSON_NONE);
    assert_int_equal(json_get(&tape, 0, STR("")), JSON_NONE);
    parse("[\"a\",1]");
    assert_int_equal(json_get(&tape, 0, STR("a")), JSON_NONE);
}

static void check_string(const char *text, struct str want)
{
    struct buf out;
    buf_init(&out, 1000);
    parse(text);
    json_string(&tape, 0, &out);
    assert_true(str_eq(buf_str(&out), want));
    assert_true(str_eq(json_string_view(&tape, 0, &out), want));
    assert_true(json_string_eq(&tape, 0, want));
    assert_false(json_string_eq(&tape, 0, STR("other")));
    if (want.len > 0) {
        struct str shorter = {want.p, want.len - 1};
        assert_false(json_string_eq(&tape, 0, shorter));
    }
    buf_fini(&out);
}

static void strings_lose_their_escapes(void **state)
{
    (void)state;
    check_string("\"\"", STR(""));
    check_string("\"plain\"", STR("plain"));
    check_string("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", STR("\"\\/\b\f\n\r\t"));
    check_string("\"a\\u0000b\\u0041\"", STR("a\0bA"));
    check_string("\"\\u00e9\\u20AC\"", STR("\xC3\xA9\xE2\x82\xAC"));
    check_string("\"x\\ud83d\\ude00y\"", STR("x\xF0\x9F\x98\x80y"));
}

static void lone_surrogates_become_replacements(void **state)
{
    (void)state;
    check_string("\"\\ud83d\"", STR("\xEF\xBF\xBD"));
    check_string("\"\\ude00\\ud83d\"", STR("\xEF\xBF\xBD\xEF\xBF\xBD"));
    check_string("\"\\ud83d\\u0041\"", STR("\xEF\xBF\xBD\x41"));
    check_string("\"\\ud83d\\ud83d\\ude00\"",
                 STR("\xEF\xBF\xBD\xF0\x9F\x98\x80"));
    check_string("\"\\ud83dude00\"", STR("\xEF\xBF\xBDude00"));
}

static void a_view_borrows_when_it_can(void **state)
{
    (void)state;
    struct buf scratch;
    buf_init(&scratch, 100);
    const char *text = "\"plain\"";
    parse(text);
    assert_ptr_equal(json_string_view(&tape, 0, &scratch).p, text + 1);
    assert_null(buf_ptr(&scratch));
}

static void only_strings_equal_strings(void **state)
{
    (void)state;
    parse("[1,null]");
    assert_false(json_string_eq(&tape, 1, STR("1")));
    assert_false(json_string_eq(&tape, 2, STR("null")));
}

static bool as_i64(const char *text, int64_t *n)
{
    parse(text);
    return json_i64(&tape, 0, n);
}

static void whole_numbers_are_exact(void **state)
{
    (void)state;
    int64_t n;
    assert_true(as_i64("0", &n) && n == 0);
    assert_true(as_i64("-0", &n) && n == 0);
    assert_true(as_i64("9007199254740993", &n) && n == 9007199254740993);
    assert_true(as_i64("9223372036854775807", &n) && n == INT64_MAX);
    assert_true(as_i64("-9223372036854775808", &n) && n == INT64_MIN);
    assert_true(as_i64("1.0", &n) && n == 1);
    assert_true(as_i64("-12.50e1", &n) && n == -125);
    assert_true(as_i64("1e18", &n) && n == 1000000000000000000);
}

static void other_numbers_are_not_whole(void **state)
{
    (void)state;
    int64_t n;
    assert_false(as_i64("0.5", &n));
    assert_false(as_i64("1e-1", &n));
    assert_false(as_i64("9223372036854775808", &n));
    assert_false(as_i64("-9223372036854775809", &n));
    assert_false(as_i64("1e19", &n));
    assert_false(as_i64("1e999", &n));
    assert_false(as_i64("\"1\"", &n));
    assert_false(as_i64("true", &n));
}

static bool as_double(const char *text, double *d)
{
    parse(text);
    return json_double(&tape, 0, d);
}

static void doubles_are_read_whole(void **state)
{
    (void)state;
    double d;
    assert_true(as_double("0.1", &d) && d == 0.1);
    assert_true(as_double("-1.5e3", &d) && d == -1500);
    assert_true(as_double("12345678901234567890", &d) &&
                d == 12345678901234567890.0);
    assert_true(as_double("0.000000000000000000000000000000000000000000000000"
                          "00000000000000000000000000000000000000000000000025",
                          &d) &&
                d == 2.5e-97);
    assert_false(as_double("1e999", &d));
    assert_false(as_double("null", &d));
    /* The number ends where its span ends, not where digits end. */
    assert_int_equal(json_parse(&tape, (struct str){"123", 2}, wide), 0);
    assert_true(json_double(&tape, 0, &d) && d == 12);
}

static void a_large_document_keeps_its_links(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1 << 20);
    buf_addc(&b, '[');
    for (unsigned i = 0; i < 10000; i++)
        buf_fmt(&b, "%s{\"n\":[%u]}", i ? "," : "", i);
    buf_addc(&b, ']');
    assert_int_equal(json_parse(&tape, buf_str(&b), wide), 0);
    assert_int_equal(tape.nodes[0].count, 10000);
    uint32_t at = json_first(&tape, 0);
    for (int64_t i = 0; i < 10000; i++) {
        int64_t n;
        uint32_t list = json_get(&tape, at, STR("n"));
        assert_true(json_i64(&tape, json_at(&tape, list, 0), &n) && n == i);
        at = json_next(&tape, 0, at);
    }
    assert_int_equal(at, JSON_NONE);
    buf_fini(&b);
}

#define with_tape(f) cmocka_unit_test_setup_teardown(f, open_tape, close_tape)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_tape(accepts_values_of_every_kind_as_root),
        with_tape(refuses_empty_text),
        with_tape(refuses_trailing_commas),
        with_tape(refuses_missing_or_wrong_brackets),
        with_tape(refuses_text_behind_the_value),
        with_tape(refuses_objects_without_colon_key_or_value),
        with_tape(refuses_half_words_and_other_cases),
        with_tape(refuses_comments),
        with_tape(accepts_numbers_in_all_legal_forms),
        with_tape(refuses_numbers_in_other_forms),
        with_tape(accepts_every_legal_escape),
        with_tape(refuses_other_escapes),
        with_tape(refuses_raw_control_characters_in_strings),
        with_tape(refuses_strings_that_do_not_end),
        with_tape(refuses_strings_that_are_not_utf8),
        with_tape(refuses_bytes_outside_of_values),
        with_tape(tells_where_it_stopped),
        with_tape(depth_is_limited),
        with_tape(nodes_are_limited),
        with_tape(the_tape_keeps_its_storage),
        with_tape(spans_give_the_text_back_as_it_came),
        with_tape(children_are_walked_in_order),
        with_tape(what_is_empty_has_no_children),
        with_tape(at_counts_elements_not_nodes),
        with_tape(get_finds_the_last_of_duplicate_keys),
        with_tape(strings_lose_their_escapes),
        with_tape(lone_surrogates_become_replacements),
        with_tape(a_view_borrows_when_it_can),
        with_tape(only_strings_equal_strings),
        with_tape(whole_numbers_are_exact),
        with_tape(other_numbers_are_not_whole),
        with_tape(doubles_are_read_whole),
        with_tape(a_large_document_keeps_its_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
