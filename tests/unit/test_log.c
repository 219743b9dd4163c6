#include "common/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "common/json.h"

/* What the calls between start and stop wrote to standard output. */
static char said[16384];
static FILE *catch;
static int real_out;

static void start(void)
{
    catch = tmpfile();
    assert_non_null(catch);
    (void)fflush(stdout);
    real_out = dup(STDOUT_FILENO);
    (void)dup2(fileno(catch), STDOUT_FILENO);
}

static const char *stop(void)
{
    (void)fflush(stdout);
    (void)dup2(real_out, STDOUT_FILENO);
    (void)close(real_out);
    rewind(catch);
    size_t n = fread(said, 1, sizeof(said) - 1, catch);
    said[n] = '\0';
    (void)fclose(catch);
    return said;
}

/* The line behind its time stamp, which has a fixed length. */
static const char *after_time(const char *line)
{
    size_t len = strlen("2026-11-24T05:00:00.123Z");
    assert_true(strlen(line) > len);
    assert_int_equal(line[4], '-');
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[19], '.');
    assert_int_equal(line[len - 1], 'Z');
    return line + len;
}

static int reset(void **state)
{
    (void)state;
    log_set_level(LOG_INFO);
    log_set_json(false);
    log_set_node(STR(""));
    return 0;
}

static void a_line_has_time_level_event_and_fields(void **state)
{
    (void)state;
    start();
    log_info("session_open", "sid=%s n=%d", "abc", 7);
    assert_string_equal(after_time(stop()), " info session_open sid=abc n=7\n");
}

static void events_are_lines_of_their_own(void **state)
{
    (void)state;
    start();
    log_error("one", "a=%d", 1);
    log_error("two", "%s", "");
    const char *second = strchr(stop(), '\n');
    assert_non_null(second);
    assert_string_equal(after_time(second + 1), " error two\n");
}

static void the_level_decides(void **state)
{
    (void)state;
    start();
    log_debug("quiet", "n=%d", 1);
    log_set_level(LOG_ERROR);
    log_warn("quiet", "n=%d", 2);
    assert_string_equal(stop(), "");
    log_set_level(LOG_DEBUG);
    assert_int_equal(log_get_level(), LOG_DEBUG);
    start();
    log_debug("loud", "n=%d", 3);
    assert_string_equal(after_time(stop()), " debug loud n=3\n");
}

static void the_node_is_named_once_it_is_known(void **state)
{
    (void)state;
    log_set_node(STR("n 1\n"));
    start();
    log_info("up", "port=%d", 1);
    assert_string_equal(after_time(stop()), " info up node=n_1_ port=1\n");
}

static void a_long_node_name_is_cut(void **state)
{
    (void)state;
    char name[100];
    memset(name, 'x', sizeof(name));
    log_set_node((struct str){name, sizeof(name)});
    start();
    log_info("up", "a=1");
    const char *line = stop();
    const char *value = strstr(line, "node=");
    assert_non_null(value);
    assert_int_equal(strspn(value + 5, "x"), 64);
}

static void fields_cannot_start_a_new_line(void **state)
{
    (void)state;
    start();
    log_info("odd", "why=%s", "a\nb\x1b[31m");
    assert_string_equal(after_time(stop()), " info odd why=a b [31m\n");
}

static void a_long_line_is_cut_and_marked(void **state)
{
    (void)state;
    static char big[10000];
    memset(big, 'x', sizeof(big) - 1);
    start();
    log_info("big", "text=%s", big);
    const char *line = stop();
    assert_true(strlen(line) < 4096);
    assert_string_equal(line + strlen(line) - 4, "...\n");
}

static void check_json(const char *line, const char *key, struct str want)
{
    struct json j;
    json_init(&j);
    struct str text = {line, strlen(line)};
    assert_int_equal(json_parse(&j, text, (struct json_limits){2, 100}), 0);
    uint32_t value = json_get(&j, 0, str_of(key));
    assert_int_not_equal(value, JSON_NONE);
    assert_true(json_string_eq(&j, value, want));
    json_fini(&j);
}

static void json_lines_have_the_same_fields(void **state)
{
    (void)state;
    log_set_json(true);
    log_set_node(STR("n1"));
    start();
    log_warn("bad_packet", "sid=%s text=%s n=%d", "abc",
             log_safe(STR("a \"b\" \\\n")), 7);
    const char *line = stop();
    check_json(line, "level", STR("warn"));
    check_json(line, "event", STR("bad_packet"));
    check_json(line, "node", STR("n1"));
    check_json(line, "sid", STR("abc"));
    check_json(line, "text", STR("a \\x22b\\x22 \\x5c\\x0a"));
    check_json(line, "n", STR("7"));
    assert_int_equal(line[strlen(line) - 1], '\n');
}

static void json_lines_survive_careless_values(void **state)
{
    (void)state;
    log_set_json(true);
    start();
    log_warn("odd", "why=%s path=\"%s end=%s", "Connection refused  twice",
             "a b c=d", "\xff");
    const char *line = stop();
    check_json(line, "why", STR("Connection refused  twice"));
    check_json(line, "path", STR("a b c=d end=\xEF\xBF\xBD"));
    start();
    log_warn("odd", "only text = here");
    check_json(stop(), "text", STR("only text = here"));
    start();
    log_warn("odd", "%s", "");
    check_json(stop(), "event", STR("odd"));
}

static void safe_quotes_and_keeps_readable_text(void **state)
{
    (void)state;
    assert_string_equal(log_safe(STR("")), "\"\"");
    assert_string_equal(log_safe(STR("caf\xC3\xA9 \xF0\x9F\x98\x80")),
                        "\"caf\xC3\xA9 \xF0\x9F\x98\x80\"");
}

static void safe_escapes_what_could_mislead(void **state)
{
    (void)state;
    assert_string_equal(log_safe(STR("a\"b\\c\n\0\x7f")),
                        "\"a\\x22b\\x5cc\\x0a\\x00\\x7f\"");
    assert_string_equal(log_safe(STR("\xff\xC3(\xED\xA0\x80")),
                        "\"\\xff\\xc3(\\xed\\xa0\\x80\"");
    /* C1 controls: U+009B starts a terminal sequence. */
    assert_string_equal(log_safe(STR("\xC2\x9B")), "\"\\xc2\\x9b\"");
}

static void safe_cuts_between_characters(void **state)
{
    (void)state;
    char text[200];
    char want[200];
    memset(text, 'a', sizeof(text));
    memset(want, 'a', sizeof(want));
    assert_string_equal(log_safe((struct str){text, 128}) + 129, "\"");
    memcpy(text + 126, "\xF0\x9F\x98\x80", 4);
    want[0] = '"';
    memcpy(want + 127, "...\"", 5);
    assert_string_equal(log_safe((struct str){text, sizeof(text)}), want);
    memset(text, 0x80, sizeof(text));
    assert_int_equal(strlen(log_safe((struct str){text, sizeof(text)})),
                     128 * 4 + 5);
}

static void four_safe_values_fit_into_one_call(void **state)
{
    (void)state;
    char out[64];
    (void)snprintf(out, sizeof(out), "%s%s%s%s", log_safe(STR("1")),
                   log_safe(STR("2")), log_safe(STR("3")), log_safe(STR("4")));
    assert_string_equal(out, "\"1\"\"2\"\"3\"\"4\"");
}

static void the_gate_holds_back_and_counts(void **state)
{
    (void)state;
    struct log_gate g = {0};
    assert_true(log_allow(&g, 1000, 2));
    assert_true(log_allow(&g, 1000, 2));
    assert_false(log_allow(&g, 60999, 2));
    assert_false(log_allow(&g, 60999, 2));
    assert_int_equal(g.held, 2);
    assert_true(log_allow(&g, 70000, 2));
    assert_int_equal(g.held, 2);
    assert_true(log_allow(&g, 70001, 2));
    assert_int_equal(g.held, 0);
}

static void a_gate_of_one_counts_each_window_anew(void **state)
{
    (void)state;
    struct log_gate g = {0};
    for (uint64_t now = 0; now < 600000; now += 60000) {
        assert_true(log_allow(&g, now, 1));
        assert_int_equal(g.held, now ? 3 : 0);
        for (int i = 0; i < 3; i++)
            assert_false(log_allow(&g, now + 1, 1));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_line_has_time_level_event_and_fields, reset),
        cmocka_unit_test_setup(events_are_lines_of_their_own, reset),
        cmocka_unit_test_setup(the_level_decides, reset),
        cmocka_unit_test_setup(the_node_is_named_once_it_is_known, reset),
        cmocka_unit_test_setup(a_long_node_name_is_cut, reset),
        cmocka_unit_test_setup(fields_cannot_start_a_new_line, reset),
        cmocka_unit_test_setup(a_long_line_is_cut_and_marked, reset),
        cmocka_unit_test_setup(json_lines_have_the_same_fields, reset),
        cmocka_unit_test_setup(json_lines_survive_careless_values, reset),
        cmocka_unit_test(safe_quotes_and_keeps_readable_text),
        cmocka_unit_test(safe_escapes_what_could_mislead),
        cmocka_unit_test(safe_cuts_between_characters),
        cmocka_unit_test(four_safe_values_fit_into_one_call),
        cmocka_unit_test(the_gate_holds_back_and_counts),
        cmocka_unit_test(a_gate_of_one_counts_each_window_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
