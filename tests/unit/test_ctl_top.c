/* What confabctl top shows: numbers in few columns, text that steers no
 * terminal, and what two answers of a node say together. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/id.h"
#include "common/mem.h"
#include "server/ctl/human.h"
#include "server/ctl/top_sample.h"

/* ---- numbers ------------------------------------------------------------- */

static void counts_have_at_most_five_columns(void **state)
{
    (void)state;
    static const struct {
        double n;
        const char *text;
    } all[] = {
        {0, "0"},          {7, "7"},       {999, "999"},     {999.4, "999"},
        {999.6, "1.0k"},   {1000, "1.0k"}, {1049, "1.0k"},   {9949, "9.9k"},
        {9950, "10k"},     {12345, "12k"}, {999499, "999k"}, {999600, "1.0M"},
        {1234567, "1.2M"}, {1e9, "1.0G"},  {1e17, "100P"},
    };
    char out[HUMAN_MAX];
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        assert_string_equal(human_count(out, all[i].n), all[i].text);
    for (double n = 1; n < 1e17; n *= 1.37)
        assert_true(strlen(human_count(out, n)) <= 5);
}

static void bytes_and_times_have_units(void **state)
{
    (void)state;
    char out[HUMAN_MAX], exact[2 * HUMAN_MAX];
    assert_string_equal(human_bytes(out, 0), "0B");
    assert_string_equal(human_bytes(out, 1023), "1023B");
    assert_string_equal(human_bytes(out, 1536), "1.5kB");
    assert_string_equal(human_bytes(out, 20.0 * 1024 * 1024), "20MB");
    assert_string_equal(human_us(out, 16), "16us");
    assert_string_equal(human_us(out, 1500), "1.5ms");
    assert_string_equal(human_us(out, 2e6), "2.0s");
    assert_string_equal(human_us(out, 2e9), "2000s");
    assert_string_equal(human_span(out, 59999), "59s");
    assert_string_equal(human_span(out, 200000), "3m20s");
    assert_string_equal(human_span(out, 3600000 * 4 + 300000), "4h05m");
    assert_string_equal(human_span(out, UINT64_C(86400000) * 12), "12d00h");
    assert_string_equal(human_exact(exact, 0), "0");
    assert_string_equal(human_exact(exact, 999), "999");
    assert_string_equal(human_exact(exact, 1000), "1,000");
    assert_string_equal(human_exact(exact, UINT64_MAX),
                        "18,446,744,073,709,551,615");
}

static void expect_text(const char *in, size_t columns, bool fill,
                        const char *out)
{
    struct buf b;
    buf_init(&b, 1024);
    human_text(&b, str_of(in), columns, fill);
    buf_addc(&b, '\0');
    assert_string_equal(buf_ptr(&b), out);
    buf_fini(&b);
}

static void text_is_cut_and_harmless(void **state)
{
    (void)state;
    expect_text("lobby", 8, true, "lobby   ");
    expect_text("lobby", 5, true, "lobby");
    expect_text("lobby", 4, true, "lob~");
    expect_text("", 2, true, "  ");
    expect_text("a\x1b[2J\r\n\x7f", 20, false, "a?[2J???");
    expect_text("\xc2\x9b"
                "2J",
                20, false, "?2J");
    expect_text("\xe2\x80\xae"
                "abc"
                "\xe2\x81\xa6",
                20, false, "?abc?");
    expect_text("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 3, false,
                "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80");
    expect_text("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 2, false, "\xc3\xa4~");
}

/* ---- answers ------------------------------------------------------------- */

#define ANSWER(pid, up, events, turns)                                      \
    "{\"node\":\"n1\",\"pid\":" pid ",\"uptime_ms\":" up                    \
    ",\"state\":\"serving\",\"adapter\":\"redis\",\"cluster_usable\":true," \
    "\"loop\":{\"turn_us\":" turns "},\"numbers\":{\"events_in\":" events   \
    ",\"sockets\":5},\"largest_rooms\":[{\"room\":\"a\\u0022\","            \
    "\"namespace\":\"/\",\"members\":3}]}"

static const char first[] = ANSWER("1", "1000", "100", "[[16,10],[null,1]]");

static struct top_sample *read_sample(const char *text, uint64_t us)
{
    struct top_sample *s = mem_zalloc(sizeof(*s));
    assert_int_equal(top_sample_read(s, str_of(text), us), 0);
    return s;
}

static void two_answers_give_rates(void **state)
{
    (void)state;
    struct top_sample *a = read_sample(first, 1000000);
    struct top_sample *b =
        read_sample(ANSWER("1", "3000", "350", "[[16,110],[null,2]]"), 3000000);
    assert_string_equal(a->node, "n1");
    assert_true(a->usable);
    assert_int_equal(a->number[TOP_SOCKETS], 5);
    assert_int_equal(a->number[TOP_DROPPED], 0);
    assert_int_equal(a->n_rooms, 1);
    assert_string_equal(a->rooms[0].name, "a\"");
    assert_true(top_sample_follows(b, a));
    assert_false(top_sample_follows(a, b));
    assert_true(top_rate(b, a, TOP_EVENTS) == 125);
    assert_true(isnan(top_rate(a, b, TOP_EVENTS)));
    assert_true(top_lag(b, a) == 16); /* 100 of 101 */
    assert_true(top_lag(b, b) == 0);
    mem_free(a);
    mem_free(b);
}

static void a_node_that_began_anew_has_no_rates_yet(void **state)
{
    (void)state;
    struct top_sample *a = read_sample(first, 1000000);
    struct top_sample *b =
        read_sample(ANSWER("2", "5000", "350", "[]"), 3000000);
    assert_false(top_sample_follows(b, a));
    mem_free(a);
    mem_free(b);
}

static void long_turns_are_seen(void **state)
{
    (void)state;
    struct top_sample *a = read_sample(first, 0);
    struct top_sample *b =
        read_sample(ANSWER("1", "3000", "1", "[[16,59],[32,59],[null,3]]"), 1);
    assert_true(isinf(top_lag(b, a)));
    mem_free(a);
    mem_free(b);
}

static void what_no_node_says_is_refused(void **state)
{
    (void)state;
    static const char *const all[] = {
        "",
        "[]",
        "{}",
        "ok",
        ANSWER("-1", "1000", "100", "[]"),
        ANSWER("1", "1.5", "100", "[]"),
        ANSWER("1", "1", "100", "{}"),
        ANSWER("1", "1", "100", "[3]"),
        ANSWER("1", "1", "100", "[[16,\"x\"]]"),
    };
    struct top_sample *s = mem_zalloc(sizeof(*s));
    struct top_slow slow[TOP_SLOW];
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        assert_true(top_sample_read(s, str_of(all[i]), 0) < 0);
    assert_true(top_slow_read(slow, STR("{\"slow\":[3]}")) < 0);
    assert_true(top_slow_read(slow, STR("{}")) < 0);
    assert_int_equal(top_slow_read(slow, STR("{\"slow\":[]}")), 0);
    assert_int_equal(
        top_slow_read(slow, STR("{\"slow\":[{\"sid\":\"abcdefgh\",\"address\":"
                                "\"::1\",\"transport\":\"polling\","
                                "\"queued_bytes\":9,\"slow_ms\":7}]}")),
        1);
    assert_int_equal(slow[0].queued_bytes, 9);
    mem_free(s);
}

static void noise_harms_nothing(void **state)
{
    (void)state;
    char text[sizeof(first)];
    struct top_sample *s = mem_zalloc(sizeof(*s));
    id_seed(7);
    for (int i = 0; i < 20000; i++) {
        memcpy(text, first, sizeof(text));
        for (uint32_t n = 1 + id_below(3); n > 0; n--)
            text[id_below(sizeof(text) - 1)] =
                first[id_below(sizeof(text) - 1)];
        int rc =
            top_sample_read(s, (struct str){text, id_below(sizeof(text))}, 0);
        assert_true(rc == 0 || rc == ERR_PROTO);
    }
    mem_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_have_at_most_five_columns),
        cmocka_unit_test(bytes_and_times_have_units),
        cmocka_unit_test(text_is_cut_and_harmless),
        cmocka_unit_test(two_answers_give_rates),
        cmocka_unit_test(a_node_that_began_anew_has_no_rates_yet),
        cmocka_unit_test(long_turns_are_seen),
        cmocka_unit_test(what_no_node_says_is_refused),
        cmocka_unit_test(noise_harms_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
