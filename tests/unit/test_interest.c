#include "adapter/interest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "common/buf.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/stream.h"

/* A Redis that the test plays: it says what it is asked and answers as it is
 * told. The first letter of a command and the channel is what is noted: S for
 * SUBSCRIBE, P for PSUBSCRIBE, U and V for their opposites. */
static struct {
    struct listener *listener;
    struct stream *stream;
    struct buf in;
    char asked[4096];
    unsigned n_asked, most; /* waiting for an answer: now, at most */
    char waiting[1024][48];
    bool hold;          /* does not answer by itself */
    const char *refuse; /* the channel that nobody may subscribe */
    unsigned connections;
} fake;

static struct loop *loop;
static struct redis_url url;
static struct resolver *resolver;
static struct redis *sub;
static struct interest *interest;
static unsigned n_settled;

static uint64_t clock_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

#define WAIT(condition, ms)                       \
    do {                                          \
        uint64_t end_ = clock_ms() + (ms);        \
        while (!(condition) && clock_ms() < end_) \
            loop_turn(loop, 5);                   \
        assert_true(condition);                   \
    } while (0)

static void run(uint64_t ms)
{
    for (uint64_t end = clock_ms() + ms; clock_ms() < end;)
        loop_turn(loop, 5);
}

/* ---- the other side ------------------------------------------------------ */

static void say(const char *text)
{
    struct bytes *b = bytes_new(str_of(text));
    stream_send(fake.stream, b);
    bytes_unref(b);
}

/* To the oldest question. */
static void fake_answer(void)
{
    static const char *const words[] = {
        ['S'] = "subscribe",
        ['P'] = "psubscribe",
        ['U'] = "unsubscribe",
        ['V'] = "punsubscribe",
    };
    assert_true(fake.n_asked > 0);
    const char *what = fake.waiting[0];
    const char *word = words[(unsigned char)what[0]];
    struct buf out;
    buf_init(&out, 1000);
    if (fake.refuse && what[0] == 'S' && strcmp(what + 1, fake.refuse) == 0)
        buf_fmt(&out, "-NOPERM no\r\n");
    else
        buf_fmt(&out, "*3\r\n$%zu\r\n%s\r\n$%zu\r\n%s\r\n:1\r\n", strlen(word),
                word, strlen(what + 1), what + 1);
    fake.n_asked--;
    /* One by one: valgrind takes a checked memmove for a memcpy. */
    for (size_t i = 0; i < fake.n_asked; i++)
        memcpy(fake.waiting[i], fake.waiting[i + 1], sizeof(fake.waiting[0]));
    struct bytes *b = buf_take(&out);
    stream_send(fake.stream, b);
    bytes_unref(b);
}

static void fake_answer_all(void)
{
    while (fake.n_asked > 0)
        fake_answer();
}

static void fake_command(struct str name, struct str channel)
{
    char letter = str_eq(name, STR("SUBSCRIBE"))      ? 'S'
                  : str_eq(name, STR("PSUBSCRIBE"))   ? 'P'
                  : str_eq(name, STR("UNSUBSCRIBE"))  ? 'U'
                  : str_eq(name, STR("PUNSUBSCRIBE")) ? 'V'
                                                      : '?';
    if (letter == '?') {
        say(str_eq(name, STR("PING")) ? "+PONG\r\n" : "+OK\r\n");
        return;
    }
    size_t at = strlen(fake.asked);
    (void)snprintf(fake.asked + at, sizeof(fake.asked) - at, "%c%.*s ", letter,
                   STR_ARG(channel));
    (void)snprintf(fake.waiting[fake.n_asked++], sizeof(fake.waiting[0]),
                   "%c%.*s", letter, STR_ARG(channel));
    if (fake.most < fake.n_asked)
        fake.most = fake.n_asked;
    if (!fake.hold)
        fake_answer();
}

static bool take_line(struct str *rest, struct str *line)
{
    const char *end = memchr(rest->p, '\n', rest->len);
    if (!end)
        return false;
    *line = (struct str){rest->p, (size_t)(end - rest->p) - 1};
    *rest = str_from(*rest, (size_t)(end - rest->p) + 1);
    return true;
}

/* Names here have no line breaks: a line is a count, a length or a text. */
static bool take_command(struct str *rest, struct str argv[4])
{
    struct str line, at = *rest;
    if (!take_line(&at, &line))
        return false;
    unsigned n = (unsigned)line.p[1] - '0';
    assert_in_range(n, 1, 4);
    for (unsigned i = 0; i < n; i++) {
        if (!take_line(&at, &line) || !take_line(&at, &argv[i]))
            return false;
    }
    *rest = at;
    return true;
}

static void on_data(struct stream *s, void *owner, struct str data)
{
    (void)s, (void)owner;
    buf_add(&fake.in, data);
    struct str rest = buf_str(&fake.in), argv[4];
    while (take_command(&rest, argv))
        fake_command(argv[0], argv[1]);
    memmove(buf_ptr(&fake.in), rest.p, rest.len);
    buf_truncate(&fake.in, (uint32_t)rest.len);
}

static void on_end(struct stream *s, void *owner, int error)
{
    (void)owner, (void)error;
    stream_abort(s);
    if (fake.stream == s)
        fake.stream = NULL;
}

static void on_accept(void *arg, struct stream *s)
{
    (void)arg;
    static const struct stream_ops ops = {.on_data = on_data, .on_end = on_end};
    fake.stream = s;
    fake.connections++;
    fake.asked[0] = '\0';
    fake.n_asked = 0;
    buf_clear(&fake.in);
    stream_set_owner(s, &ops, NULL);
}

/* ---- this side ----------------------------------------------------------- */

static void on_up(void *owner)
{
    (void)owner;
    interest_up(interest);
}

static void on_down(void *owner, const char *reason)
{
    (void)owner, (void)reason;
    interest_down(interest);
}

static void on_message(void *owner, struct str pattern, struct str channel,
                       struct str payload)
{
    (void)owner, (void)pattern, (void)channel, (void)payload;
}

static void on_settled(void *owner)
{
    (void)owner;
    n_settled++;
    assert_true(interest_settled(interest));
}

static int setup(void **state)
{
    (void)state;
    static const struct redis_ops ops = {on_up, on_down, on_message};
    char err[CONFIG_ERR_MAX], text[64];
    memset(&fake, 0, sizeof(fake));
    n_settled = 0;
    loop = loop_new();
    buf_init(&fake.in, 1 << 20);
    fake.listener = listener_new(loop, "127.0.0.1", 0, 100, on_accept, NULL);
    assert_non_null(fake.listener);
    (void)snprintf(text, sizeof(text), "redis://127.0.0.1:%u",
                   listener_port(fake.listener));
    assert_int_equal(redis_url_parse(&url, text, err), 0);
    resolver = resolver_new(loop);
    struct redis_settings s = {
        .url = &url, .role = "test", .client_name = "test", .max_bytes = 1000};
    sub = redis_new(loop, resolver, &s, &ops, NULL);
    interest = interest_new(loop, sub, on_settled, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    interest_free(interest);
    redis_free(sub);
    if (fake.stream)
        stream_abort(fake.stream);
    listener_free(fake.listener);
    for (unsigned i = 0; i < 200 && stream_count() > 0; i++)
        loop_turn(loop, 5);
    assert_int_equal(stream_count(), 0);
    loop_turn(loop, 0);
    resolver_free(resolver);
    redis_url_fini(&url);
    buf_fini(&fake.in);
    loop_free(loop);
    return 0;
}

struct waiter {
    struct interest_wait wait;
    int calls, rc;
};

static void on_done(struct interest_wait *w, int rc)
{
    struct waiter *me = container_of(w, struct waiter, wait);
    me->calls++;
    me->rc = rc;
}

static int wait_for(struct waiter *w, const char *channel, enum redis_kind kind)
{
    *w = (struct waiter){.wait.done = on_done};
    return interest_wait(interest, str_of(channel), kind, &w->wait);
}

static void add(const char *channel, enum redis_kind kind)
{
    interest_add(interest, str_of(channel), kind);
}

static void drop(const char *channel, enum redis_kind kind)
{
    interest_drop(interest, str_of(channel), kind);
}

static bool asked(const char *what)
{
    return strcmp(fake.asked, what) == 0;
}

static void lose_connection(void)
{
    unsigned before = fake.connections;
    struct stream *s = fake.stream;
    fake.stream = NULL;
    stream_abort(s);
    WAIT(!redis_is_up(sub), 2000);
    WAIT(fake.connections > before && redis_is_up(sub), 8000);
}

/* ---- tests --------------------------------------------------------------- */

static void a_new_connection_asks_in_the_order_of_kinds(void **state)
{
    (void)state;
    add("last", REDIS_COUNTED);
    add("room", REDIS_ROOM);
    add("all", REDIS_CHANNEL);
    add("any*", REDIS_PATTERN);
    add("all2", REDIS_CHANNEL);
    assert_false(interest_settled(interest));
    WAIT(interest_settled(interest), 3000);
    assert_true(asked("Pany* Sall Sall2 Sroom Slast "));
    lose_connection();
    WAIT(interest_settled(interest), 3000);
    assert_true(asked("Pany* Sall Sall2 Sroom Slast "));
    assert_int_equal(n_settled, 2);
    assert_int_equal(interest_count(interest), 5);
}

static void what_is_wanted_later_does_not_unsettle(void **state)
{
    (void)state;
    fake.hold = true;
    add("a", REDIS_CHANNEL);
    WAIT(fake.n_asked == 1, 3000);
    add("b", REDIS_ROOM);
    WAIT(fake.n_asked == 2, 1000);
    fake_answer();
    WAIT(interest_settled(interest), 1000);
    add("c", REDIS_ROOM);
    assert_true(interest_settled(interest));
    /* What is given up is not waited for either. */
    lose_connection();
    WAIT(fake.n_asked == 3, 1000);
    fake_answer();
    fake_answer();
    run(50);
    assert_false(interest_settled(interest));
    drop("c", REDIS_CHANNEL);
    assert_true(interest_settled(interest));
}

static void asking_is_paced_by_the_answers(void **state)
{
    (void)state;
    char name[32];
    fake.hold = true;
    for (unsigned i = 0; i < 1500; i++) {
        (void)snprintf(name, sizeof(name), "room %u", i);
        add(name, REDIS_ROOM);
    }
    WAIT(fake.n_asked == 512, 3000);
    run(50);
    assert_int_equal(fake.n_asked, 512);
    fake_answer_all();
    WAIT(fake.n_asked == 512, 1000);
    assert_false(interest_settled(interest));
    fake.hold = false;
    fake_answer_all();
    WAIT(interest_settled(interest), 3000);
    assert_int_equal(fake.most, 512);
}

static void a_channel_is_shared_by_its_users(void **state)
{
    (void)state;
    WAIT(redis_is_up(sub), 3000);
    add("P#/#x#", REDIS_ROOM);
    add("P#/#x#", REDIS_CHANNEL);
    run(50);
    assert_true(asked("SP#/#x# "));
    drop("P#/#x#", REDIS_ROOM);
    run(3300);
    assert_true(asked("SP#/#x# "));
    drop("P#/#x#", REDIS_CHANNEL);
    run(50);
    assert_true(asked("SP#/#x# UP#/#x# "));
    /* A pattern of the same name is something else. */
    add("x", REDIS_PATTERN);
    add("x", REDIS_CHANNEL);
    assert_int_equal(interest_count(interest), 2);
    drop("x", REDIS_PATTERN);
    run(50);
    assert_true(asked("SP#/#x# UP#/#x# Px Sx Vx "));
}

static void a_room_leaves_after_a_while_unless_it_comes_back(void **state)
{
    (void)state;
    WAIT(redis_is_up(sub), 3000);
    add("r", REDIS_ROOM);
    add("s", REDIS_ROOM);
    drop("r", REDIS_ROOM);
    run(1500);
    drop("s", REDIS_ROOM);
    add("r", REDIS_ROOM);
    run(2000);
    assert_true(asked("Sr Ss "));
    drop("r", REDIS_ROOM);
    run(1500);
    assert_true(asked("Sr Ss Us "));
    run(2000);
    assert_true(asked("Sr Ss Us Ur "));
    assert_int_equal(interest_count(interest), 0);
}

static void rooms_that_leave_are_bounded(void **state)
{
    (void)state;
    char name[32];
    WAIT(redis_is_up(sub), 3000);
    for (unsigned i = 0; i < 30000; i++) {
        (void)snprintf(name, sizeof(name), "r%u", i);
        add(name, REDIS_ROOM);
        drop(name, REDIS_ROOM);
    }
    assert_in_range(interest_count(interest), 1, 20000);
    WAIT(interest_count(interest) == 0, 10000);
}

static void who_waits_is_told_once(void **state)
{
    (void)state;
    struct waiter a, b, c, d;
    assert_int_equal(wait_for(&a, "nobody's", REDIS_ROOM), ERR_STATE);
    add("r", REDIS_ROOM);
    assert_int_equal(wait_for(&a, "r", REDIS_ROOM), ERR_STATE);
    fake.hold = true;
    WAIT(fake.n_asked == 1, 3000);
    assert_int_equal(wait_for(&a, "r", REDIS_ROOM), 1);
    assert_int_equal(wait_for(&b, "r", REDIS_ROOM), 1);
    run(50);
    assert_int_equal(a.calls + b.calls, 0);
    fake_answer();
    WAIT(a.calls == 1 && b.calls == 1, 1000);
    assert_int_equal(a.rc, 0);
    assert_int_equal(b.rc, 0);
    assert_int_equal(wait_for(&a, "r", REDIS_ROOM), 0);
    /* The connection is lost: those that were asked for, those that were not.
     */
    char name[32];
    for (unsigned i = 0; i < 600; i++) {
        (void)snprintf(name, sizeof(name), "r%u", i);
        add(name, REDIS_ROOM);
    }
    assert_int_equal(wait_for(&a, "r0", REDIS_ROOM), 1);
    assert_int_equal(wait_for(&b, "r599", REDIS_ROOM), 1);
    assert_int_equal(wait_for(&c, "r1", REDIS_ROOM), 1);
    drop("r1", REDIS_CHANNEL);
    assert_int_equal(c.calls, 1);
    assert_int_equal(c.rc, ERR_STATE);
    lose_connection();
    assert_int_equal(a.calls + b.calls + c.calls, 3);
    assert_int_equal(a.rc, ERR_STATE);
    assert_int_equal(b.rc, ERR_STATE);
    assert_int_equal(wait_for(&d, "r", REDIS_ROOM), 1);
    fake.hold = false;
    fake_answer_all();
    WAIT(d.calls == 1, 1000);
    assert_int_equal(d.rc, 0);
}

static void an_answer_to_a_former_wish_does_not_count(void **state)
{
    (void)state;
    struct waiter w;
    fake.hold = true;
    WAIT(redis_is_up(sub), 3000);
    add("r", REDIS_CHANNEL);
    drop("r", REDIS_CHANNEL);
    add("r", REDIS_CHANNEL);
    assert_int_equal(wait_for(&w, "r", REDIS_CHANNEL), 1);
    WAIT(fake.n_asked == 3, 1000);
    assert_true(asked("Sr Ur Sr "));
    fake_answer();
    fake_answer();
    run(50);
    assert_int_equal(w.calls, 0);
    fake_answer();
    WAIT(w.calls == 1, 1000);
    assert_int_equal(w.rc, 0);
}

static void what_was_never_asked_for_is_not_taken_back(void **state)
{
    (void)state;
    add("a", REDIS_CHANNEL);
    drop("a", REDIS_CHANNEL);
    WAIT(redis_is_up(sub), 3000);
    assert_true(interest_settled(interest));
    assert_true(asked(""));
}

static void a_room_may_be_refused(void **state)
{
    (void)state;
    struct waiter w;
    uint64_t refused = metrics_value[M_REDIS_SUBSCRIBE_REFUSED];
    fake.refuse = "bad";
    add("bad", REDIS_ROOM);
    add("last", REDIS_COUNTED);
    WAIT(interest_settled(interest), 3000);
    assert_int_equal(metrics_value[M_REDIS_SUBSCRIBE_REFUSED], refused + 1);
    assert_int_equal(wait_for(&w, "bad", REDIS_ROOM), ERR_STATE);
    run(100);
    assert_int_equal(fake.connections, 1);
    drop("bad", REDIS_CHANNEL);
    run(50);
    assert_true(asked("Sbad Slast "));
    fake.hold = true;
    add("bad", REDIS_ROOM);
    assert_int_equal(wait_for(&w, "bad", REDIS_ROOM), 1);
    WAIT(fake.n_asked == 1, 1000);
    fake_answer();
    WAIT(w.calls == 1, 1000);
    assert_int_equal(w.rc, ERR_STATE);
    fake.refuse = NULL;
    fake.hold = false;
    lose_connection();
    WAIT(interest_settled(interest), 3000);
    assert_int_equal(wait_for(&w, "bad", REDIS_ROOM), 0);
}

static void without_the_rest_the_connection_is_of_no_use(void **state)
{
    (void)state;
    fake.refuse = "all";
    add("all", REDIS_CHANNEL);
    add("room", REDIS_ROOM);
    WAIT(fake.connections >= 2, 5000);
    run(3000);
    /* Not in a loop without end: the pauses grow. */
    assert_in_range(fake.connections, 3, 12);
    assert_false(interest_settled(interest));
    fake.refuse = NULL;
    WAIT(interest_settled(interest), 5000);
}

static void an_answer_to_something_else_ends_the_connection(void **state)
{
    (void)state;
    fake.hold = true;
    add("a", REDIS_CHANNEL);
    WAIT(fake.n_asked == 1, 3000);
    say("*3\r\n$9\r\nsubscribe\r\n$1\r\nb\r\n:1\r\n");
    WAIT(!redis_is_up(sub), 1000);
    fake.hold = false;
    WAIT(interest_settled(interest), 5000);
    assert_true(asked("Sa "));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    log_set_level(getenv("VERBOSE") ? LOG_DEBUG : LOG_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(a_new_connection_asks_in_the_order_of_kinds),
        TEST(what_is_wanted_later_does_not_unsettle),
        TEST(asking_is_paced_by_the_answers),
        TEST(a_channel_is_shared_by_its_users),
        TEST(a_room_leaves_after_a_while_unless_it_comes_back),
        TEST(rooms_that_leave_are_bounded),
        TEST(who_waits_is_told_once),
        TEST(an_answer_to_a_former_wish_does_not_count),
        TEST(what_was_never_asked_for_is_not_taken_back),
        TEST(a_room_may_be_refused),
        TEST(without_the_rest_the_connection_is_of_no_use),
        TEST(an_answer_to_something_else_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
