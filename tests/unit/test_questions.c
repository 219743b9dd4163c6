#include "adapter/questions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/mem.h"
#include "common/metrics.h"

/* Others that are counted and answer as the test says. */
enum { ANSWER_BYTES = 100 };

static struct loop *loop;
static struct questions qs;
static bool can_reach, can_count;
static unsigned n_counts, n_published;
static char published[100];

static bool reachable(void *owner)
{
    (void)owner;
    return can_reach;
}

static bool count(void *owner)
{
    (void)owner;
    n_counts += can_count;
    return can_count;
}

static void publish(void *owner, struct str request)
{
    (void)owner;
    (void)snprintf(published, sizeof(published), "%.*s", STR_ARG(request));
    n_published++;
}

static const struct questions_ops ops = {reachable, count, publish};

static int setup(void **state)
{
    (void)state;
    loop = loop_new();
    can_reach = can_count = true;
    n_counts = n_published = 0;
    questions_init(&qs, loop, &ops, NULL, ANSWER_BYTES);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    questions_fini(&qs);
    loop_free(loop);
    return 0;
}

static void run(unsigned ms)
{
    uint64_t end = loop_now(loop) + ms;
    do {
        loop_turn(loop, 5);
    } while (loop_now(loop) < end);
}

struct result {
    unsigned calls, acks;
    size_t missing;
    char text[200];
};

static void on_answers(void *arg, struct str json, size_t missing)
{
    struct result *r = arg;
    r->calls++;
    r->missing = missing;
    (void)snprintf(r->text, sizeof(r->text), "%.*s", STR_ARG(json));
}

static void on_answered(void *arg, struct str json, struct bytes *const *bins,
                        size_t n_bins)
{
    (void)json;
    (void)bins;
    (void)n_bins;
    ((struct result *)arg)->acks++;
}

static void on_done(void *arg, size_t missing)
{
    struct result *r = arg;
    r->calls++;
    r->missing = missing;
}

static const struct adapter_ask_ops ask_ops = {on_answered, on_done};

static struct question *ask(enum question_kind kind, struct result *r,
                            uint32_t ms)
{
    struct question *q = NULL;
    union question_fn fn = {.answers = on_answers};
    if (kind == ASK_BROADCAST)
        fn.ask = &ask_ops;
    memset(r, 0, sizeof(*r));
    assert_int_equal(question_open(&qs, kind, fn, r, &q), 0);
    question_ask(q, kind == ASK_BROADCAST ? NULL : bytes_new(STR("request")),
                 ms);
    return q;
}

static void answer(struct question *q, const char *json)
{
    if (question_takes(q, strlen(json), 0))
        question_add(q, str_of(json));
    question_heard(q);
}

static void all_answers_end_a_question(void **state)
{
    (void)state;
    static struct result r;
    struct question *q = ask(ASK_SOCKETS, &r, 1000);
    assert_ptr_equal(questions_find(&qs, question_id(q)), q);
    assert_int_equal(n_counts, 1);
    assert_int_equal(n_published, 0);
    questions_counted(&qs, 3);
    assert_string_equal(published, "request");
    answer(q, "1");
    run(20);
    assert_int_equal(r.calls, 0);
    struct str id = question_id(q);
    char copy[QUESTION_ID_LEN];
    memcpy(copy, id.p, id.len);
    answer(q, "2");
    assert_int_equal(r.calls, 0);
    assert_null(questions_find(&qs, (struct str){copy, id.len}));
    run(20);
    assert_int_equal(r.calls, 1);
    assert_string_equal(r.text, "[1,2]");
    assert_int_equal(r.missing, 0);
}

static void a_count_serves_those_who_came_before_it(void **state)
{
    (void)state;
    static struct result r[3];
    (void)ask(ASK_SOCKETS, &r[0], 1000);
    (void)ask(ASK_SOCKETS, &r[1], 1000);
    (void)ask(ASK_SOCKETS, &r[2], 1000);
    assert_int_equal(n_counts, 1);
    questions_counted(&qs, 1);
    run(20);
    assert_int_equal(r[0].calls, 1);
    assert_int_equal(r[1].calls + r[2].calls, 0);
    assert_int_equal(n_counts, 2);
    questions_counted(&qs, 1);
    run(20);
    assert_int_equal(r[1].calls + r[2].calls, 2);
    assert_int_equal(n_published, 0);
}

static void two_counts_in_a_row_let_go_who_left(void **state)
{
    (void)state;
    static struct result r;
    struct question *q = ask(ASK_SOCKETS, &r, 5000);
    questions_counted(&qs, 4);
    answer(q, "1");
    run(320);
    assert_int_equal(n_counts, 2);
    questions_counted(&qs, 2); /* enough, for the first time */
    run(270);
    assert_int_equal(n_counts, 3);
    questions_counted(&qs, 3); /* not any more */
    run(270);
    questions_counted(&qs, 2);
    run(270);
    assert_int_equal(r.calls, 0);
    questions_counted(&qs, 2);
    run(20);
    assert_int_equal(r.calls, 1);
    assert_string_equal(r.text, "[1]");
    assert_int_equal(r.missing, 2);
}

static void counts_that_fail_say_nothing(void **state)
{
    (void)state;
    static struct result r;
    struct question *q = ask(ASK_SOCKETS, &r, 700);
    questions_counted(&qs, 2);
    run(320);
    questions_counted(&qs, -1);
    run(270);
    questions_counted(&qs, -1);
    run(270);
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.missing, 1);
    (void)q;
}

static void a_question_waits_a_second_for_the_others(void **state)
{
    (void)state;
    static struct result r, late, ack;
    can_reach = false;
    (void)ask(ASK_SOCKETS, &r, 5000);
    (void)ask(ASK_BROADCAST, &ack, 1200);
    run(500);
    (void)ask(ASK_SOCKETS, &late, 5000);
    assert_int_equal(n_counts, 0);
    run(600);
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.missing, 1);
    assert_int_equal(ack.calls, 0);
    can_reach = true;
    run(60);
    assert_int_equal(n_counts, 1);
    questions_counted(&qs, 1);
    run(20);
    assert_int_equal(late.calls, 1);
    assert_int_equal(late.missing, 0);
}

static void receivers_may_answer_before_the_count(void **state)
{
    (void)state;
    static struct result r;
    struct question *q = ask(ASK_BROADCAST, &r, 1000);
    assert_false(question_ack(q));
    q->receivers += 1;
    question_heard(q);
    assert_true(question_ack(q));
    assert_false(question_ack(q));
    question_check(q);
    run(20);
    assert_int_equal(r.calls, 0);
    questions_counted(&qs, 2);
    run(20);
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.missing, 0);
}

static void
receivers_are_not_waited_for_when_all_servers_have_left(void **state)
{
    (void)state;
    static struct result r;
    struct question *q = ask(ASK_BROADCAST, &r, 5000);
    questions_counted(&qs, 2);
    q->receivers += 3;
    question_heard(q);
    assert_true(question_ack(q));
    for (int i = 0; i < 2; i++) {
        unsigned before = n_counts;
        assert_int_equal(r.calls, 0);
        for (int j = 0; j < 100 && n_counts == before; j++)
            run(20);
        questions_counted(&qs, 1);
    }
    run(20);
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.missing, 2);
}

static void servers_and_receivers_can_be_missing(void **state)
{
    (void)state;
    static struct result r;
    struct question *q = ask(ASK_BROADCAST, &r, 100);
    questions_counted(&qs, 4);
    q->receivers += 5;
    question_heard(q);
    assert_true(question_ack(q));
    run(150);
    assert_int_equal(r.missing, 2 + 4);
}

static void answers_are_bounded(void **state)
{
    (void)state;
    static struct result r;
    char big[ANSWER_BYTES + 1];
    memset(big, '1', sizeof(big));
    big[ANSWER_BYTES - 1] = '\0';
    uint64_t refused = metrics_value[M_LIMIT_ANSWERS];
    struct question *q = ask(ASK_SOCKETS, &r, 1000);
    questions_counted(&qs, 4);
    answer(q, big);
    answer(q, "23");
    answer(q, "4");
    run(20);
    /* Not waited for, but not there. */
    assert_int_equal(r.calls, 1);
    assert_int_equal(r.missing, 1);
    assert_int_equal(metrics_value[M_LIMIT_ANSWERS], refused + 1);
    assert_int_equal(strlen(r.text), ANSWER_BYTES - 1 + 4);
}

static void what_questions_hold_is_bounded_together(void **state)
{
    (void)state;
    static struct result r, second;
    struct question *q = ask(ASK_SOCKETS, &r, 60000);
    size_t len = QUESTIONS_BYTES - 1;
    char *big = mem_alloc(len);
    memset(big, '1', len);
    question_add(q, (struct str){big, len});
    struct question *other = ask(ASK_SOCKETS, &second, 60000);
    questions_counted(&qs, 2);
    questions_counted(&qs, 2);
    answer(other, "23");
    run(20);
    assert_string_equal(second.text, "[]");
    assert_int_equal(second.missing, 1);
    question_add(q, STR("1"));
    union question_fn fn = {.answers = on_answers};
    assert_int_equal(question_open(&qs, ASK_ROOMS, fn, &r, &other), ERR_LIMIT);
    mem_free(big);
}

static void ask_again(void *arg, struct str json, size_t missing)
{
    (void)json;
    (void)missing;
    struct result *r = arg;
    union question_fn fn = {.answers = ask_again};
    struct question *q;
    int rc = question_open(&qs, ASK_SOCKETS, fn, r, &q);
    r->calls++;
    r->missing = rc == ERR_STATE;
    if (rc == 0)
        question_end(q);
}

static void who_is_told_may_ask_again_until_the_end(void **state)
{
    (void)state;
    static struct result r;
    ask_again(&r, STR(""), 0);
    run(20);
    assert_true(r.calls > 2);
    assert_int_equal(r.missing, 0);
    questions_fini(&qs);
    assert_int_equal(r.missing, 1);
    questions_init(&qs, loop, &ops, NULL, ANSWER_BYTES);
}

static void what_is_cancelled_tells_nobody(void **state)
{
    (void)state;
    static struct result r;
    struct question *q;
    union question_fn fn = {.answers = on_answers};
    assert_int_equal(question_open(&qs, ASK_ROOMS, fn, &r, &q), 0);
    question_add_name(q, STR("a"));
    question_cancel(q);
    assert_int_equal(qs.n, 0);
    run(20);
    assert_int_equal(r.calls, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_answers_end_a_question),
        TEST(a_count_serves_those_who_came_before_it),
        TEST(two_counts_in_a_row_let_go_who_left),
        TEST(counts_that_fail_say_nothing),
        TEST(a_question_waits_a_second_for_the_others),
        TEST(receivers_may_answer_before_the_count),
        TEST(receivers_are_not_waited_for_when_all_servers_have_left),
        TEST(servers_and_receivers_can_be_missing),
        TEST(answers_are_bounded),
        TEST(what_questions_hold_is_bounded_together),
        TEST(who_is_told_may_ask_again_until_the_end),
        TEST(what_is_cancelled_tells_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
