#include "adapter/publisher.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include <hiredis/hiredis.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/stream.h"

/* A Redis that does as the test says. */
enum { TEXT_MAX = 8192, QUEUE_BYTES = 1000, NODES = 3 };

static struct {
    struct listener *listener;
    struct stream *stream; /* of the latest connection; NULL: none */
    redisReader *reader;
    unsigned connections;
    bool silent, refuses; /* no reply at all; an error to PUBLISH */
    int publishes;        /* so many are answered, then it is silent */
    unsigned nodes;       /* that NUMSUB tells */
    char got[TEXT_MAX];   /* what was published, each with a ' ' */
    char first[TEXT_MAX]; /* commands of the connection before its PING */
} fake;

static struct loop *loop;
static struct resolver *resolver;
static struct redis_url url;
static struct publisher *pub;
static uint64_t before[METRIC_COUNT];

/* ---- the other side ------------------------------------------------------ */

static void answer(const char *text)
{
    struct bytes *b = bytes_new(str_of(text));
    if (!fake.silent)
        stream_send(fake.stream, b);
    bytes_unref(b);
}

static void append(char *to, const char *text)
{
    size_t n = strlen(to);
    (void)snprintf(to + n, TEXT_MAX - n, "%s ", text);
}

static void on_publish(const char *payload)
{
    append(fake.got, payload);
    if (fake.publishes == 0)
        fake.silent = true;
    else
        fake.publishes--;
    answer(fake.refuses ? "-OOM no memory\r\n" : ":1\r\n");
}

static void on_client(const redisReply *r)
{
    char info[128], id[16];
    for (size_t i = 1; i < r->elements && r->elements > 2; i++)
        append(fake.first, r->element[i]->str);
    (void)snprintf(id, sizeof(id), "id=%u addr=h:%u", fake.connections,
                   fake.connections);
    (void)snprintf(info, sizeof(info), "$%zu\r\n%s\r\n", strlen(id), id);
    answer(strcmp(r->element[1]->str, "INFO") == 0 ? info : "+OK\r\n");
}

static void on_command(const redisReply *r)
{
    const char *name = r->element[0]->str;
    char text[64];
    if (strcmp(name, "PUBLISH") == 0) {
        on_publish(r->element[2]->str);
    } else if (strcmp(name, "CLIENT") == 0) {
        on_client(r);
    } else if (strcmp(name, "PUBSUB") == 0) {
        (void)snprintf(text, sizeof(text), "*2\r\n$1\r\nc\r\n:%u\r\n",
                       fake.nodes);
        answer(text);
    } else {
        answer("+PONG\r\n");
    }
}

static void on_data(struct stream *s, void *owner, struct str data)
{
    (void)owner;
    void *reply = NULL;
    assert_ptr_equal(s, fake.stream);
    assert_int_equal(redisReaderFeed(fake.reader, data.p, data.len), REDIS_OK);
    while (redisReaderGetReply(fake.reader, &reply) == REDIS_OK && reply) {
        on_command(reply);
        freeReplyObject(reply);
    }
}

static void hang_up(void)
{
    if (!fake.stream)
        return;
    stream_abort(fake.stream);
    redisReaderFree(fake.reader);
    fake.stream = NULL;
}

static void on_end(struct stream *s, void *owner, int error)
{
    (void)s;
    (void)owner;
    (void)error;
    hang_up();
}

static const struct stream_ops fake_ops = {.on_data = on_data,
                                           .on_end = on_end};

static void on_accept(void *arg, struct stream *s)
{
    (void)arg;
    hang_up();
    fake.stream = s;
    fake.reader = redisReaderCreate();
    fake.connections++;
    fake.first[0] = '\0';
    stream_set_owner(s, &fake_ops, NULL);
}

/* ---- setting up ---------------------------------------------------------- */

static uint64_t clock_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void run(uint64_t ms)
{
    for (uint64_t end = clock_ms() + ms; clock_ms() < end;)
        loop_turn(loop, 5);
}

#define WAIT(condition, ms)                       \
    do {                                          \
        uint64_t end_ = clock_ms() + (ms);        \
        while (!(condition) && clock_ms() < end_) \
            loop_turn(loop, 5);                   \
        assert_true(condition);                   \
    } while (0)

static void on_change(void *owner)
{
    (void)owner;
}

static uint64_t counted(enum metric m)
{
    return metrics_value[m] - before[m];
}

static void listen_again(void)
{
    fake.listener =
        listener_new(loop, "127.0.0.1", url.port, 100, on_accept, NULL);
    assert_non_null(fake.listener);
}

static void stop_listening(void)
{
    listener_free(fake.listener);
    fake.listener = NULL;
}

static int setup(void **state)
{
    (void)state;
    char err[CONFIG_ERR_MAX], text[64];
    memset(&fake, 0, sizeof(fake));
    fake.publishes = -1;
    fake.nodes = NODES;
    loop = loop_new();
    resolver = resolver_new(loop);
    fake.listener = listener_new(loop, "127.0.0.1", 0, 100, on_accept, NULL);
    (void)snprintf(text, sizeof(text), "redis://127.0.0.1:%u",
                   listener_port(fake.listener));
    assert_int_equal(redis_url_parse(&url, text, err), 0);
    struct publisher_settings s = {.url = &url,
                                   .client_name = "test",
                                   .queue_bytes = QUEUE_BYTES,
                                   .max_message_bytes = 300000};
    memcpy(before, metrics_value, sizeof(before));
    pub = publisher_new(loop, resolver, &s, on_change, NULL);
    publisher_expect(pub, STR("c"), NODES);
    WAIT(publisher_is_up(pub), 5000);
    run(20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    publisher_free(pub);
    hang_up();
    if (fake.listener)
        stop_listening();
    for (unsigned i = 0; i < 200 && stream_count() > 0; i++)
        loop_turn(loop, 5);
    loop_turn(loop, 5);
    resolver_free(resolver);
    redis_url_fini(&url);
    loop_free(loop);
    return 0;
}

static void publish(const char *payload, enum publish_kind kind)
{
    publisher_publish(pub, STR("channel"), str_of(payload), kind);
}

static void got(const char *want)
{
    WAIT(strcmp(fake.got, want) == 0, 5000);
}

/* What the header says of the counters. */
static void all_is_accounted_for(void)
{
    static const enum metric ends[] = {
        M_REDIS_PUBLISHED, M_LOST_FULL,    M_LOST_UNANSWERED,
        M_LOST_VOLATILE,   M_LOST_REFUSED, M_LOST_UNFIT,
    };
    uint64_t sum = 0;
    publisher_metrics(pub);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
        sum += counted(ends[i]);
    sum += metrics_value[M_REDIS_QUEUED_MESSAGES];
    sum += metrics_value[M_REDIS_UNANSWERED];
    assert_int_equal(counted(M_REDIS_OUTGOING), sum);
}

/* ---- tests --------------------------------------------------------------- */

static void what_redis_takes_is_published(void **state)
{
    (void)state;
    publish("a", PUBLISH_KEPT);
    publish("b", PUBLISH_VOLATILE);
    publish("c", PUBLISH_REPEATED);
    publisher_metrics(pub);
    assert_int_equal(metrics_value[M_REDIS_UNANSWERED], 2);
    got("a b c ");
    WAIT(counted(M_REDIS_PUBLISHED) == 2, 1000);
    assert_int_equal(counted(M_REDIS_OUTGOING), 2);
    assert_int_equal(counted(M_REDIS_LATE), 0);
    all_is_accounted_for();
}

static void what_redis_refuses_is_lost(void **state)
{
    (void)state;
    fake.refuses = true;
    publish("a", PUBLISH_KEPT);
    publish("b", PUBLISH_REPEATED);
    WAIT(counted(M_LOST_REFUSED) == 1, 1000);
    WAIT(counted(M_PRESENCE_LOST) == 1, 1000);
    fake.refuses = false;
    publish("c", PUBLISH_KEPT);
    got("a b c ");
    WAIT(counted(M_REDIS_PUBLISHED) == 1, 1000);
    all_is_accounted_for();
}

static void what_is_too_large_is_lost(void **state)
{
    (void)state;
    char *big = mem_alloc(300002);
    memset(big, 'x', 300001);
    big[300001] = '\0';
    publish(big, PUBLISH_KEPT);
    mem_free(big);
    assert_int_equal(counted(M_LOST_UNFIT), 1);
    all_is_accounted_for();
}

static void a_break_loses_the_unanswered_and_the_rest_is_late(void **state)
{
    (void)state;
    fake.publishes = 1;
    publish("a", PUBLISH_KEPT);
    publish("b", PUBLISH_KEPT);
    publish("c", PUBLISH_REPEATED);
    got("a b c ");
    WAIT(counted(M_REDIS_PUBLISHED) == 1, 1000);
    hang_up();
    WAIT(!publisher_is_up(pub), 1000);
    assert_int_equal(counted(M_LOST_UNANSWERED), 1);
    assert_int_equal(counted(M_PRESENCE_LOST), 1);
    publish("d", PUBLISH_KEPT);
    publish("e", PUBLISH_VOLATILE);
    publish("f", PUBLISH_REPEATED);
    publish("g", PUBLISH_KEPT);
    all_is_accounted_for();
    fake.silent = false;
    fake.publishes = -1;
    got("a b c d f g ");
    WAIT(counted(M_REDIS_LATE) == 2, 1000);
    assert_int_equal(counted(M_LOST_VOLATILE), 1);
    assert_int_equal(counted(M_REDIS_PUBLISHED), 3);
    publish("h", PUBLISH_KEPT);
    WAIT(counted(M_REDIS_PUBLISHED) == 4, 1000);
    assert_int_equal(counted(M_REDIS_LATE), 2);
    all_is_accounted_for();
}

/* Lost again while it sends what has waited. */
static void a_gap_may_have_several_breaks(void **state)
{
    (void)state;
    hang_up();
    WAIT(!publisher_is_up(pub), 1000);
    for (const char *p = "a\0b\0c\0"; *p; p += 2)
        publish(p, PUBLISH_KEPT);
    fake.publishes = 1;
    got("a b c ");
    WAIT(counted(M_REDIS_LATE) == 1, 1000);
    hang_up();
    WAIT(counted(M_LOST_UNANSWERED) == 2, 1000);
    fake.silent = false;
    fake.publishes = -1;
    WAIT(publisher_is_up(pub), 2000);
    publish("d", PUBLISH_KEPT);
    got("a b c d ");
    all_is_accounted_for();
}

static void a_new_connection_ends_the_lost_one_first(void **state)
{
    (void)state;
    assert_string_equal(fake.first, "SETNAME test ");
    hang_up();
    WAIT(fake.connections == 2, 2000);
    WAIT(publisher_is_up(pub), 1000);
    assert_string_equal(fake.first, "SETNAME test KILL ID 1 ADDR h:1 ");
    hang_up();
    WAIT(fake.connections == 3, 2000);
    WAIT(publisher_is_up(pub), 1000);
    assert_string_equal(fake.first, "SETNAME test KILL ID 2 ADDR h:2 ");
}

static void the_queue_is_for_those_that_are_kept(void **state)
{
    (void)state;
    char text[] = "00 0123456789 0123456789 0123456789";
    stop_listening();
    hang_up();
    WAIT(!publisher_is_up(pub), 1000);
    for (unsigned i = 0; i < 30; i++) {
        text[0] = (char)('0' + i / 10);
        text[1] = (char)('0' + i % 10);
        publish(text, i % 3 ? PUBLISH_KEPT : PUBLISH_VOLATILE);
    }
    publisher_metrics(pub);
    uint64_t in = metrics_value[M_REDIS_QUEUED_MESSAGES];
    assert_in_range(metrics_value[M_REDIS_QUEUED], QUEUE_BYTES - 100,
                    QUEUE_BYTES);
    assert_int_equal(counted(M_LOST_VOLATILE), 10);
    assert_int_equal(counted(M_LOST_FULL), 20 - in);
    all_is_accounted_for();
    listen_again();
    WAIT(counted(M_REDIS_LATE) == in, 5000);
    all_is_accounted_for();
}

static void it_waits_for_the_other_nodes(void **state)
{
    (void)state;
    hang_up();
    fake.nodes = NODES - 1;
    WAIT(!publisher_is_up(pub), 1000);
    publish("a", PUBLISH_KEPT);
    WAIT(publisher_is_up(pub), 2000);
    run(500);
    assert_string_equal(fake.got, "");
    fake.nodes = NODES;
    got("a ");
    /* But not for ever. */
    hang_up();
    fake.nodes = 0;
    WAIT(!publisher_is_up(pub), 1000);
    publish("b", PUBLISH_KEPT);
    got("a b ");
}

static void the_loss_of_the_subscriber_is_a_reason_to_look(void **state)
{
    (void)state;
    fake.nodes = NODES - 1; /* the others are there */
    publisher_doubt(pub);
    publish("a", PUBLISH_KEPT);
    run(50);
    assert_string_equal(fake.got, "a ");
    fake.nodes = NODES - 2;
    publisher_doubt(pub);
    publish("b", PUBLISH_KEPT);
    run(300);
    assert_string_equal(fake.got, "a ");
    fake.nodes = NODES - 1; /* it may be our own that is missing: no */
    run(300);
    assert_string_equal(fake.got, "a ");
    fake.nodes = NODES;
    got("a b ");
    WAIT(counted(M_REDIS_LATE) == 2, 1000);
    all_is_accounted_for();
}

static void a_redis_that_owes_a_reply_gets_no_more(void **state)
{
    (void)state;
    fake.silent = true;
    publish("a", PUBLISH_KEPT);
    run(500);
    publish("b", PUBLISH_KEPT);
    got("a b ");
    run(700);
    publish("c", PUBLISH_KEPT);
    publish("d", PUBLISH_VOLATILE);
    run(200);
    assert_string_equal(fake.got, "a b ");
    assert_int_equal(counted(M_LOST_VOLATILE), 1);
    publisher_metrics(pub);
    assert_int_equal(metrics_value[M_REDIS_QUEUED_MESSAGES], 1);
    assert_int_equal(metrics_value[M_REDIS_UNANSWERED], 2);
    all_is_accounted_for();
    fake.silent = false;
    answer(":1\r\n");
    answer(":1\r\n");
    got("a b c ");
    WAIT(counted(M_REDIS_PUBLISHED) == 3, 1000);
    assert_int_equal(counted(M_REDIS_LATE), 0);
    all_is_accounted_for();
}

/* What it owes may be the answer to a ping, after which nothing follows. */
static void it_goes_on_after_any_sign_of_life(void **state)
{
    (void)state;
    fake.silent = true;
    run(6500);
    publish("a", PUBLISH_KEPT);
    run(100);
    assert_string_equal(fake.got, "");
    fake.silent = false;
    answer("+PONG\r\n");
    WAIT(counted(M_REDIS_PUBLISHED) == 1, 1000);
    all_is_accounted_for();
}

/* The window is full of one message: the next ones wait, volatile ones too. */
static void volatile_ones_wait_behind_the_window_and_make_room(void **state)
{
    (void)state;
    char *big = mem_alloc(270001);
    memset(big, 'x', 270000);
    big[270000] = '\0';
    fake.silent = true;
    publish(big, PUBLISH_KEPT);
    mem_free(big);
    for (unsigned i = 0; i < 10; i++)
        publish("old volatile", PUBLISH_VOLATILE);
    publisher_metrics(pub);
    assert_int_equal(metrics_value[M_REDIS_QUEUED_MESSAGES], 10);
    char text[QUEUE_BYTES / 2] = "";
    memset(text, 'k', sizeof(text) - 1);
    publish(text, PUBLISH_KEPT);
    assert_in_range(counted(M_LOST_VOLATILE), 1, 9);
    assert_int_equal(counted(M_LOST_FULL), 0);
    publish(text, PUBLISH_KEPT);
    assert_int_equal(counted(M_LOST_FULL), 1);
    all_is_accounted_for();
    fake.silent = false;
    WAIT(fake.got[0] == 'x', 1000);
    answer(":1\r\n");
    WAIT(counted(M_REDIS_PUBLISHED) == 12 - counted(M_LOST_VOLATILE), 1000);
    all_is_accounted_for();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    log_set_level(LOG_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(what_redis_takes_is_published),
        TEST(what_redis_refuses_is_lost),
        TEST(what_is_too_large_is_lost),
        TEST(a_break_loses_the_unanswered_and_the_rest_is_late),
        TEST(a_gap_may_have_several_breaks),
        TEST(a_new_connection_ends_the_lost_one_first),
        TEST(the_queue_is_for_those_that_are_kept),
        TEST(it_waits_for_the_other_nodes),
        TEST(the_loss_of_the_subscriber_is_a_reason_to_look),
        TEST(a_redis_that_owes_a_reply_gets_no_more),
        TEST(it_goes_on_after_any_sign_of_life),
        TEST(volatile_ones_wait_behind_the_window_and_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
