#include "adapter/resp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/mem.h"

enum { MAX_BYTES = 100, SEEN_MAX = 4096 };

static struct resp resp;

/* What came, as text: a type, then what is in it. */
static char seen[SEEN_MAX];
static size_t n_seen;

static void show(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(seen + n_seen, sizeof(seen) - n_seen, fmt, ap);
    va_end(ap);
    assert_true(n >= 0 && (size_t)n < sizeof(seen) - n_seen);
    n_seen += (size_t)n;
}

static void show_one(const struct redis_reply *r)
{
    assert_non_null(r->text.p);
    if (r->type != REPLY_TEXT && r->type != REPLY_ERROR)
        assert_int_equal(r->text.len, 0);
    if (r->type == REPLY_NIL)
        show("nil ");
    else if (r->type == REPLY_INTEGER)
        show("%lld ", (long long)r->integer);
    else if (r->type == REPLY_ARRAY)
        show("[");
    else
        show("%s<%.*s> ", r->type == REPLY_ERROR ? "error" : "",
             STR_ARG(r->text));
}

static void show_reply(const struct redis_reply *r)
{
    show_one(r);
    for (size_t i = 0; i < r->n; i++) {
        show_one(&r->items[i]);
        assert_int_equal(r->items[i].n, 0);
        if (r->items[i].type == REPLY_ARRAY)
            show("] ");
    }
    if (r->type == REPLY_ARRAY)
        show("] ");
}

static int feed(struct str data)
{
    char *copy = mem_strndup(data.p, data.len);
    resp_feed(&resp, (struct str){copy, data.len});
    struct redis_reply reply;
    int rc;
    while ((rc = resp_next(&resp, &reply)) > 0)
        show_reply(&reply);
    mem_free(copy);
    return rc;
}

/* Anew, in pieces of `size` bytes; the result of the last. */
static int read_in_pieces(struct str text, size_t size)
{
    resp_fini(&resp);
    resp_init(&resp, MAX_BYTES);
    seen[0] = '\0';
    n_seen = 0;
    int rc = 0;
    while (text.len > 0 && rc == 0) {
        size_t n = size < text.len ? size : text.len;
        rc = feed((struct str){text.p, n});
        text = str_from(text, n);
    }
    return rc;
}

static void assert_reads(const char *text, const char *as)
{
    for (size_t size = 1; size <= strlen(text); size++) {
        assert_int_equal(read_in_pieces(str_of(text), size), 0);
        assert_string_equal(seen, as);
        assert_int_equal(resp.kept.len, 0);
        assert_null(resp.kept.b);
    }
}

static void assert_refuses(const char *text, int rc, const char *why)
{
    for (size_t size = 1; size <= strlen(text); size++) {
        assert_int_equal(read_in_pieces(str_of(text), size), rc);
        assert_string_equal(resp.why, why);
        assert_string_equal(seen, "");
    }
}

static int teardown(void **state)
{
    (void)state;
    resp_fini(&resp);
    return 0;
}

/* ---- tests --------------------------------------------------------------- */

static void replies_are_the_same_in_pieces_of_any_size(void **state)
{
    (void)state;
    assert_reads("+OK\r\n-ERR no\r\n:7\r\n$3\r\na\r\n\r\n$-1\r\n$0\r\n\r\n",
                 "<OK> error<ERR no> 7 <a\r\n> nil <> ");
    assert_reads("*4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$2\r\n\r\n\r\n"
                 ":-1\r\n",
                 "[<pmessage> <*> <c> <\r\n> ] -1 ");
    assert_reads("+\r\n-\r\n*0\r\n*-1\r\n", "<> error<> [] nil ");
}

static void texts_of_any_length_follow_in_an_array(void **state)
{
    (void)state;
    char text[1300], as[1300], c[101], p[1001];
    memset(c, 'c', 100);
    memset(p, 'p', 1000);
    c[100] = p[1000] = '\0';
    (void)snprintf(text, sizeof(text),
                   "*3\r\n$7\r\nmessage\r\n$100\r\n%s\r\n$1000\r\n%s\r\n"
                   "*2\r\n$-1\r\n$0\r\n\r\n",
                   c, p);
    (void)snprintf(as, sizeof(as), "[<message> <%s> <%s> ] [nil <> ] ", c, p);
    assert_int_equal(read_in_pieces(str_of(text), strlen(text)), 0);
    assert_string_equal(seen, as);
    assert_reads("*9\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n"
                 "$1\r\ne\r\n$1\r\nf\r\n$1\r\ng\r\n$1\r\nh\r\n$1\r\ni\r\n"
                 ":2\r\n",
                 "[<a> <b> <c> <d> <e> <f> <g> <h> ] 2 ");
    assert_reads("*2\r\n*1\r\n$1\r\na\r\n$1\r\nb\r\n", "[[] <b> ] ");
}

static void arrays_in_arrays_are_passed_over(void **state)
{
    (void)state;
    assert_reads("*3\r\n*2\r\n:1\r\n*1\r\n+x\r\n:2\r\n*0\r\n:3\r\n",
                 "[[] 2 [] ] 3 ");
    assert_reads("*10\r\n:0\r\n:1\r\n:2\r\n:3\r\n:4\r\n:5\r\n:6\r\n:7\r\n"
                 ":8\r\n:9\r\n+OK\r\n",
                 "[0 1 2 3 4 5 6 7 ] <OK> ");
}

static void numbers_are_written_in_one_way(void **state)
{
    (void)state;
    assert_reads(":0\r\n:9223372036854775807\r\n:-9223372036854775808\r\n",
                 "0 9223372036854775807 -9223372036854775808 ");
    static const char *const bad[] = {
        ":\r\n",
        ":-\r\n",
        ":-0\r\n",
        ":01\r\n",
        ":+1\r\n",
        ": 1\r\n",
        ":1 \r\n",
        ":1\rx",
        ":1\n",
        ":abc",
        "$\r\n",
        "$x",
        "*\r\n",
        "*1\n\r",
        ":9223372036854775808\r\n",
        "$99999999999999999999\r\n",
        ":-9223372036854775809\r\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refuses(bad[i], ERR_PROTO, "a number that is none");
}

static void lengths_are_possible_ones(void **state)
{
    (void)state;
    assert_refuses("$-2\r\n", ERR_PROTO, "a text of an impossible length");
    assert_refuses("*-2\r\n", ERR_PROTO, "an array of an impossible length");
    assert_refuses("*1025\r\n", ERR_LIMIT,
                   "an array that is larger than allowed");
    assert_refuses("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
                   ERR_LIMIT, "an array that is deeper than allowed");
}

static void everything_has_its_end(void **state)
{
    (void)state;
    assert_refuses("$1\r\nab\r\n", ERR_PROTO, "a text without its end");
    assert_refuses("*2\r\n$1\r\nab\r\n$1\r\nc\r\n", ERR_PROTO,
                   "a text without its end");
    assert_refuses("*2\r\n$1\r\na\r\n$1\r\nb\n\r", ERR_PROTO,
                   "a text without its end");
    assert_refuses("+OK\n", ERR_PROTO, "a line that does not end as it should");
    assert_refuses("+\n", ERR_PROTO, "a line that does not end as it should");
}

static void other_protocols_are_refused_by_their_first_byte(void **state)
{
    (void)state;
    static const char *const bad[] = {"H", "\r", "\x01", ">", "%", "~", "_",
                                      "#", ",",  "(",    "=", "|", "!"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refuses(bad[i], ERR_PROTO, "something that is no reply");
}

static void the_beginning_of_a_reply_is_bounded(void **state)
{
    (void)state;
    static char text[MAX_BYTES + 2];
    memset(text, 'x', sizeof(text));
    memcpy(text, "$2000\r\n", 7);
    assert_int_equal(read_in_pieces((struct str){text, MAX_BYTES}, 9), 0);
    assert_int_equal(read_in_pieces((struct str){text, MAX_BYTES + 1}, 9),
                     ERR_LIMIT);
    assert_string_equal(resp.why, "a message that is larger than allowed");
}

static void lines_are_bounded_even_when_they_are_complete(void **state)
{
    (void)state;
    static char text[RESP_LINE_MAX + 2];
    memset(text, 'x', sizeof(text));
    text[0] = '-';
    memcpy(text + sizeof(text) - 2, "\r\n", 2);
    assert_int_equal(
        read_in_pieces((struct str){text, sizeof(text)}, sizeof(text)),
        ERR_LIMIT);
    assert_string_equal(resp.why, "a line that is longer than allowed");
    memcpy(text + sizeof(text) - 3, "\r\n", 2);
    struct redis_reply reply;
    resp_init(&resp, MAX_BYTES);
    resp_feed(&resp, (struct str){text, sizeof(text) - 1});
    assert_int_equal(resp_next(&resp, &reply), 1);
    assert_int_equal(reply.text.len, RESP_LINE_MAX - 2);
}

static void what_is_complete_is_not_copied(void **state)
{
    (void)state;
    static const char text[] = "$3\r\nabc\r\n+OK";
    struct redis_reply reply;
    resp_init(&resp, MAX_BYTES);
    resp_feed(&resp, STR(text));
    assert_int_equal(resp_next(&resp, &reply), 1);
    assert_ptr_equal(reply.text.p, text + 4);
    assert_null(resp.kept.b);
    assert_int_equal(resp_next(&resp, &reply), 0);
    assert_int_equal(resp.kept.len, 3);
}

static void publishing_is_a_command_of_three_texts(void **state)
{
    (void)state;
    struct bytes *b = resp_publish(STR("c#/#"), STR("a\r\n"));
    assert_true(str_eq(bytes_str(b), STR("*3\r\n$7\r\nPUBLISH\r\n$4\r\n"
                                         "c#/#\r\n$3\r\na\r\n\r\n")));
    bytes_unref(b);
    b = resp_publish(STR(""), STR(""));
    assert_true(str_eq(bytes_str(b), STR("*3\r\n$7\r\nPUBLISH\r\n$0\r\n"
                                         "\r\n$0\r\n\r\n")));
    bytes_unref(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(replies_are_the_same_in_pieces_of_any_size,
                                  teardown),
        cmocka_unit_test_teardown(texts_of_any_length_follow_in_an_array,
                                  teardown),
        cmocka_unit_test_teardown(arrays_in_arrays_are_passed_over, teardown),
        cmocka_unit_test_teardown(numbers_are_written_in_one_way, teardown),
        cmocka_unit_test_teardown(lengths_are_possible_ones, teardown),
        cmocka_unit_test_teardown(everything_has_its_end, teardown),
        cmocka_unit_test_teardown(
            other_protocols_are_refused_by_their_first_byte, teardown),
        cmocka_unit_test_teardown(the_beginning_of_a_reply_is_bounded,
                                  teardown),
        cmocka_unit_test_teardown(lines_are_bounded_even_when_they_are_complete,
                                  teardown),
        cmocka_unit_test_teardown(what_is_complete_is_not_copied, teardown),
        cmocka_unit_test(publishing_is_a_command_of_three_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
