#include "adapter/redis.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "common/metrics.h"
#include "tests/lib/fake_stream.h"

/* ---- the owner ----------------------------------------------------------- */

enum { MAX_BYTES = 100000 };

static struct loop *loop;
static struct redis *redis;
static unsigned n_up, n_down, n_messages, n_replies, n_lost;
static char reason[200];
static struct str channel_seen, payload_seen;
static enum redis_reply_type type_seen;

static void on_up(void *owner)
{
    (void)owner;
    n_up++;
}

static void on_down(void *owner, const char *why)
{
    (void)owner;
    n_down++;
    (void)snprintf(reason, sizeof(reason), "%s", why);
}

static void on_message(void *owner, struct str pattern, struct str channel,
                       struct str payload)
{
    (void)owner;
    /* Whoever gets them may compare and copy them. */
    assert_non_null(pattern.p);
    assert_non_null(channel.p);
    assert_non_null(payload.p);
    n_messages++;
    channel_seen = channel;
    payload_seen = payload;
}

static void on_reply(void *arg, const struct redis_reply *reply)
{
    (void)arg;
    if (!reply) {
        n_lost++;
        return;
    }
    n_replies++;
    type_seen = reply->type;
    assert_non_null(reply->text.p);
    for (size_t i = 0; i < reply->n; i++)
        assert_non_null(reply->items[i].text.p);
}

static const struct redis_ops subscriber = {on_up, on_down, on_message};

static void hear(const char *p, size_t len)
{
    wire->ops->on_data(wire, wire->owner, (struct str){p, len});
}

static void say(const char *z)
{
    hear(z, strlen(z));
}

static void greet(void)
{
    static char user[] = "u", password[] = "p", host[] = "h";
    static struct redis_url url;
    url = (struct redis_url){
        .host = host, .port = 1, .user = user, .password = password, .db = 1};
    struct redis_settings s = {.url = &url,
                               .role = "test",
                               .client_name = "test",
                               .max_bytes = MAX_BYTES};
    redis = redis_new(loop, NULL, &s, &subscriber, NULL);
    loop_turn(loop, 20);
    assert_non_null(wire);
    wire->ops->on_connect(wire, wire->owner);
    while (redis_unanswered(redis) > 1)
        say("+OK\r\n");
    assert_false(redis_is_up(redis));
    say("+PONG\r\n");
    assert_true(redis_is_up(redis));
}

static int setup(void **state)
{
    (void)state;
    loop = loop_new();
    n_up = n_down = n_messages = n_replies = n_lost = 0;
    reason[0] = '\0';
    greet();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    redis_free(redis);
    loop_turn(loop, 0);
    loop_free(loop);
    assert_null(wire);
    return 0;
}

static void assert_given_up(const char *why)
{
    assert_null(wire);
    assert_int_equal(n_down, 1);
    assert_string_equal(reason, why);
}

/* Each: the bytes that came end the connection, which is counted. */
static void assert_refuses(const char *p, size_t len, const char *why)
{
    uint64_t bad = metrics_value[M_REDIS_BAD];
    hear(p, len);
    assert_given_up(why);
    assert_int_equal(metrics_value[M_REDIS_BAD], bad + 1);
}

static void ask(void)
{
    struct str argv[] = {STR("X")};
    assert_true(redis_command(redis, argv, 1, on_reply, NULL));
}

/* ---- tests --------------------------------------------------------------- */

static void replies_come_in_the_order_of_the_questions(void **state)
{
    (void)state;
    ask();
    ask();
    ask();
    say("+OK\r\n:7\r\n*2\r\n*1\r\n:1\r\n$-1\r\n");
    assert_int_equal(n_replies, 3);
    assert_int_equal(type_seen, REPLY_ARRAY);
    assert_int_equal(redis_unanswered(redis), 0);
}

static void messages_come_in_single_bytes_too(void **state)
{
    (void)state;
    static const char text[] = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$3\r\na\r\n"
                               "\r\n";
    for (size_t i = 0; i + 1 < sizeof(text); i++)
        hear(text + i, 1);
    assert_int_equal(n_messages, 1);
}

static void messages_of_other_types_are_empty(void **state)
{
    (void)state;
    say("*3\r\n$7\r\nmessage\r\n:1\r\n:2\r\n");
    say("*3\r\n$7\r\nmessage\r\n$-1\r\n$-1\r\n");
    say("*3\r\n$7\r\nmessage\r\n*1\r\n:1\r\n*-1\r\n");
    say("*4\r\n$8\r\npmessage\r\n*0\r\n:1\r\n$-1\r\n");
    assert_int_equal(n_messages, 4);
    assert_int_equal(channel_seen.len + payload_seen.len, 0);
    assert_non_null(wire);
}

static void what_nobody_asked_for_ends_the_connection(void **state)
{
    (void)state;
    static const char text[] = "+OK\r\n";
    ask();
    hear(text, sizeof(text) - 1);
    assert_int_equal(n_replies, 1);
    assert_refuses(text, sizeof(text) - 1, "a reply that nobody asked for");
}

static void large_arrays_are_refused_by_their_heads(void **state)
{
    (void)state;
    static const char text[] = "*1000000000\r\n";
    assert_refuses(text, sizeof(text) - 1,
                   "an array that is larger than allowed");
}

static void large_bulks_are_kept_until_they_are_too_large(void **state)
{
    (void)state;
    static const char head[] = "$2147483647\r\n";
    static char part[LOOP_READ_BYTES];
    ask();
    say(head);
    hear(part, sizeof(part));
    hear(part, sizeof(part));
    assert_non_null(wire);
    assert_refuses(part, sizeof(part), "a message that is larger than allowed");
    assert_int_equal(n_lost, 1);
}

static void lines_are_short(void **state)
{
    (void)state;
    static char part[4096];
    memset(part, '\r', sizeof(part));
    part[0] = '+';
    ask();
    for (unsigned i = 0; i < 4; i++)
        hear(part, sizeof(part));
    assert_non_null(wire);
    assert_refuses(part, sizeof(part), "a line that is longer than allowed");
}

static void a_bulk_is_no_line(void **state)
{
    (void)state;
    static char part[40000];
    memset(part, 'x', sizeof(part));
    ask();
    say("$80000\r\n");
    hear(part, sizeof(part));
    hear(part, sizeof(part));
    say("\r\n");
    assert_int_equal(n_replies, 1);
    assert_int_equal(type_seen, REPLY_TEXT);
}

static void no_bytes_are_another_protocol(void **state)
{
    (void)state;
    say("HTTP/1.1 200 OK\r\n");
    assert_null(wire);
    assert_int_equal(n_down, 1);
}

/* What the function prints, at most `size` bytes. */
static void printed_by(void (*fn)(void), char *text, size_t size)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    (void)fflush(stdout);
    int kept = dup(STDOUT_FILENO);
    assert_true(dup2(fileno(file), STDOUT_FILENO) >= 0);
    fn();
    (void)fflush(stdout);
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    (void)close(kept);
    rewind(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    (void)fclose(file);
}

static unsigned count_of(const char *text, const char *word)
{
    unsigned n = 0;
    for (const char *p = text; (p = strstr(p, word)); p++)
        n++;
    return n;
}

enum { FAILURES = 6 };

static void come_and_go(void)
{
    for (unsigned i = 0; i < FAILURES; i++) {
        redis_drop(redis, "again");
        while (!wire)
            loop_turn(loop, 50);
        wire->ops->on_connect(wire, wire->owner);
        while (redis_unanswered(redis) > 0)
            say("+OK\r\n");
    }
}

static void what_fails_again_and_again_is_told_now_and_then(void **state)
{
    (void)state;
    char text[4096];
    printed_by(come_and_go, text, sizeof(text));
    assert_int_equal(n_down, FAILURES);
    assert_int_equal(n_up, FAILURES + 1);
    assert_int_equal(count_of(text, "redis_lost"), 4);
    assert_int_equal(count_of(text, "redis_up"), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            replies_come_in_the_order_of_the_questions, setup, teardown),
        cmocka_unit_test_setup_teardown(messages_come_in_single_bytes_too,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(messages_of_other_types_are_empty,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            what_nobody_asked_for_ends_the_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(large_arrays_are_refused_by_their_heads,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(
            large_bulks_are_kept_until_they_are_too_large, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_are_short, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bulk_is_no_line, setup, teardown),
        cmocka_unit_test_setup_teardown(no_bytes_are_another_protocol, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            what_fails_again_and_again_is_told_now_and_then, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
