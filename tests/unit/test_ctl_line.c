#include "server/ctl/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/mem.h"

static struct ctl_line_reader reader;
static struct ctl_line line;

static int set_up(void **state)
{
    (void)state;
    ctl_line_reader_init(&reader, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ctl_line_reader_fini(&reader);
    return 0;
}

static void reads(const char *text)
{
    if (ctl_line_read(&reader, str_of(text), &line) < 0)
        fail_msg("%s: %s", text, reader.error);
}

static void refuses(const char *text, const char *why)
{
    assert_int_equal(ctl_line_read(&reader, str_of(text), &line), ERR_PROTO);
    if (!strstr(reader.error, why))
        fail_msg("%s: %s", text, reader.error);
}

static void assert_text(struct sio_str s, const char *text)
{
    assert_int_equal(s.len, strlen(text));
    assert_memory_equal(s.p, text, s.len);
}

static void an_event_alone_is_for_everybody(void **state)
{
    (void)state;
    reads(" { \"event\" : \"chat message\" } ");
    assert_string_equal(line.event, "chat message");
    assert_int_equal(line.args.len, 0);
    assert_string_equal(line.to.nsp, "/");
    assert_int_equal(line.to.n_rooms, 0);
    assert_int_equal(line.to.n_except, 0);
    assert_false(line.to.is_volatile);
    assert_false(line.to.says_compress);
}

static void all_keys_are_read(void **state)
{
    (void)state;
    reads("{\"args\":[1, {\"a\":[]}],\"to\":[\"r\",7,\"r\"],\"except\":-1,"
          "\"namespace\":\"chat\",\"volatile\":true,\"compress\":false,"
          "\"event\":\"\\u00e9\\n\"}");
    assert_string_equal(line.event, "é\n");
    assert_text(line.args, "1, {\"a\":[]}");
    assert_string_equal(line.to.nsp, "chat");
    assert_int_equal(line.to.n_rooms, 2);
    assert_text(line.to.rooms[0].name, "r");
    assert_true(line.to.rooms[1].is_number);
    assert_int_equal(line.to.rooms[1].number, 7);
    assert_int_equal(line.to.n_except, 1);
    assert_int_equal(line.to.except[0].number, -1);
    assert_true(line.to.is_volatile);
    assert_true(line.to.says_compress);
    assert_false(line.to.compress);
}

static void nothing_is_left_of_the_line_before(void **state)
{
    (void)state;
    all_keys_are_read(state);
    an_event_alone_is_for_everybody(state);
    reads("{\"event\":\"x\",\"args\":[ ],\"to\":[]}");
    assert_int_equal(line.args.len, 0);
    assert_int_equal(line.to.n_rooms, 0);
}

/* The names of a line are together as long as the line nearly, each with a NUL
 * behind it. */
static void names_stay_where_they_are(void **state)
{
    (void)state;
    struct buf text;
    buf_init(&text, 100000);
    buf_add(&text, STR("{\"to\":["));
    for (int i = 0; i < SIO_EMISSION_ROOMS; i++)
        buf_fmt(&text, "%s\"%c%c\"", i ? "," : "", 'A' + i % 26, '0' + i / 26);
    buf_add(&text, STR("],\"except\":[\"\"],\"event\":\"\"}"));
    assert_int_equal(ctl_line_read(&reader, buf_str(&text), &line), 0);
    buf_fini(&text);
    assert_int_equal(line.to.n_rooms, SIO_EMISSION_ROOMS);
    for (int i = 0; i < SIO_EMISSION_ROOMS; i++) {
        char name[] = {(char)('A' + i % 26), (char)('0' + i / 26), '\0'};
        assert_text(line.to.rooms[i].name, name);
    }
    assert_text(line.to.except[0].name, "");
    assert_string_equal(line.event, "");
}

static void a_room_may_hold_a_nul_the_event_may_not(void **state)
{
    (void)state;
    reads("{\"event\":\"x\",\"to\":\"a\\u0000b\"}");
    assert_int_equal(line.to.rooms[0].name.len, 3);
    assert_memory_equal(line.to.rooms[0].name.p, "a\0b", 3);
    refuses("{\"event\":\"a\\u0000b\"}", "event holds a NUL");
    refuses("{\"event\":\"x\",\"namespace\":\"\\u0000\"}",
            "namespace holds a NUL");
}

static void what_is_wrong_is_told(void **state)
{
    (void)state;
    refuses("", "no JSON");
    refuses("{\"event\":\"x\"}}", "no JSON");
    refuses("\"x\"", "no object");
    refuses("{}", "no event");
    refuses("{\"event\":null}", "event is no string");
    refuses("{\"event\":\"x\",\"args\":\"y\"}", "args is no array");
    refuses("{\"event\":\"x\",\"to\":1.5}", "to names a room");
    refuses("{\"event\":\"x\",\"to\":1e300}", "to names a room");
    refuses("{\"event\":\"x\",\"except\":[true]}", "except names a room");
    refuses("{\"event\":\"x\",\"volatile\":\"true\"}", "volatile is neither");
    refuses("{\"event\":\"x\",\"compress\":null}", "compress is neither");
    refuses("{\"event\":\"x\",\"Event\":\"x\"}", "unknown key \"Event\"");
    refuses("{\"event\":\"x\",\"args\":[],\"args\":[]}", "args comes twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_alone_is_for_everybody),
        cmocka_unit_test(all_keys_are_read),
        cmocka_unit_test(nothing_is_left_of_the_line_before),
        cmocka_unit_test(names_stay_where_they_are),
        cmocka_unit_test(a_room_may_hold_a_nul_the_event_may_not),
        cmocka_unit_test(what_is_wrong_is_told),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
