#include "common/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/map.h"

static struct buf told;

static void tell(void *arg, const struct journal_record *r)
{
    (void)arg;
    if (told.len)
        buf_addc(&told, '\n');
    journal_sentence(r, &told);
}

/* All that the journal has of it, a line for each record. */
static const char *history(const char *id, uint32_t most)
{
    buf_clear(&told);
    journal_of(str_of(id), most, tell, NULL);
    buf_addc(&told, '\0');
    return buf_ptr(&told);
}

static int set_up(void **state)
{
    (void)state;
    struct map any;
    map_init(&any, NULL);
    buf_init(&told, 1 << 20);
    journal_open(8);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    buf_fini(&told);
    journal_close();
    return 0;
}

static void a_connection_s_records_come_in_order_and_alone(void **state)
{
    (void)state;
    journal_add(STR("one"), J_OPENED_POLLING, 0);
    journal_add(STR("two"), J_OPENED_WEBSOCKET, 0);
    journal_add(STR("one"), J_UPGRADED, 0);
    journal_add(STR("one"), J_SLOW, 1234);
    journal_add(STR("one"), J_STREAM_FAILED, ECONNRESET);
    journal_add(STR("one"), J_END_ERROR, 0);
    assert_string_equal(history("one", 100),
                        "opened over polling\n"
                        "moved to the WebSocket\n"
                        "does not keep up: 1234 bytes wait\n"
                        "its TCP connection broke: Connection reset by peer\n"
                        "ended: transport error");
    assert_string_equal(history("two", 100), "opened over WebSocket");
    assert_string_equal(history("three", 100), "");
}

static void the_oldest_are_written_over(void **state)
{
    (void)state;
    journal_add(STR("old"), J_OPENED_POLLING, 0);
    for (uint32_t i = 0; i < 7; i++)
        journal_add(STR("busy"), J_DROPPED, i);
    assert_string_equal(history("old", 100), "opened over polling");
    journal_add(STR("busy"), J_DROPPED, 7);
    assert_string_equal(history("old", 100), "");
    assert_int_equal(journal_count(), 8);
    assert_true(journal_since() > 0);
}

static void the_head_of_a_sid_is_enough(void **state)
{
    (void)state;
    journal_add(STR("0123456789abcdefghij.node-1"), J_OPENED_POLLING, 0);
    assert_string_equal(history("01234567", 1), "opened over polling");
    assert_string_equal(history("0123456789abcdefghij", 1),
                        "opened over polling");
    assert_string_equal(history("0123456", 1), "");
}

static void only_the_latest_are_told_when_fewer_are_asked_for(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 5; i++)
        journal_add(STR("a"), J_DROPPED, i);
    assert_string_equal(history("a", 2), "3 messages to it were dropped\n"
                                         "4 messages to it were dropped");
    assert_int_equal(journal_of(STR("a"), 2, tell, NULL), 5);
}

static void a_socket_s_id_leads_to_its_connection(void **state)
{
    (void)state;
    journal_add(STR("sid"), J_OPENED_WEBSOCKET, 0);
    journal_add_socket(STR("sid"), STR("socket"), J_CONNECTED,
                       journal_name(STR("/chat")));
    journal_add(STR("sid"), J_END_PING, 0);
    assert_string_equal(history("socket", 100), history("sid", 100));
    assert_non_null(
        strstr(history("socket", 100), "connected to namespace /chat\n"));
}

/* With recovery a socket keeps its id and gets another connection. */
static void a_socket_that_came_back_is_found_where_it_is_now(void **state)
{
    (void)state;
    journal_add_socket(STR("first"), STR("socket"), J_CONNECTED, 0);
    journal_add_socket(STR("second"), STR("socket"), J_RECOVERED,
                       journal_name(STR("/")));
    assert_string_equal(history("socket", 100),
                        "took up an earlier session in /");
}

static void names_are_numbered_once_and_the_latest_are_kept(void **state)
{
    (void)state;
    uint32_t first = journal_name(STR("/first"));
    assert_int_equal(journal_name(STR("/first")), first);
    journal_add(STR("a"), J_CONNECTED, first);
    assert_string_equal(history("a", 1), "connected to namespace /first");
    for (unsigned i = 0; i < 256; i++) {
        char name[100];
        int n = snprintf(name, sizeof(name), "/%u/%080u", i, i);
        journal_name((struct str){name, (size_t)n});
    }
    assert_string_equal(history("a", 1), "connected to namespace ?");
}

static void without_room_nothing_is_written(void **state)
{
    (void)state;
    journal_open(0);
    journal_add(STR("a"), J_OPENED_POLLING, 0);
    journal_add_socket(STR("a"), STR("b"), J_CONNECTED, 0);
    assert_int_equal(journal_count(), 0);
    assert_int_equal(journal_since(), 0);
    assert_string_equal(history("a", 100), "");
}

static void every_record_has_a_name_and_a_sentence(void **state)
{
    (void)state;
    for (uint16_t code = 0; code < JOURNAL_CODES; code++) {
        struct journal_record r = {.code = code, .detail = 1};
        buf_clear(&told);
        journal_sentence(&r, &told);
        assert_true(told.len > 0);
        assert_null(memchr(buf_ptr(&told), '%', told.len));
        assert_non_null(journal_event(&r));
        assert_int_equal(journal_is_end(&r),
                         strcmp(journal_event(&r), "ended") == 0);
    }
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_connection_s_records_come_in_order_and_alone),
        TEST(the_oldest_are_written_over),
        TEST(the_head_of_a_sid_is_enough),
        TEST(only_the_latest_are_told_when_fewer_are_asked_for),
        TEST(a_socket_s_id_leads_to_its_connection),
        TEST(a_socket_that_came_back_is_found_where_it_is_now),
        TEST(names_are_numbered_once_and_the_latest_are_kept),
        TEST(without_room_nothing_is_written),
        TEST(every_record_has_a_name_and_a_sentence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
