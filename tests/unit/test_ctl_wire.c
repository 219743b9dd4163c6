/* What confabctl's client reads: URLs, HTTP answers, WebSocket frames,
 * handshakes, and what nodes say of themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/id.h"
#include "common/mem.h"
#include "server/ctl/eio.h"
#include "server/ctl/frames.h"
#include "server/ctl/node_table.h"

/* ---- URLs ---------------------------------------------------------------- */

static void urls_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *text, *host, *authority, *path;
        bool secure;
        unsigned port;
    } all[] = {
        {"example.org", "example.org", "example.org", "/", false, 80},
        {"http://example.org:8080", "example.org", "example.org:8080", "/",
         false, 8080},
        {"HTTPS://example.org/a/b?c#d", "example.org", "example.org", "/a/b",
         true, 443},
        {"wss://[::1]:444/x", "::1", "[::1]:444", "/x", true, 444},
        {"ws://[::1]", "::1", "[::1]", "/", false, 80},
        {"localhost:443?x", "localhost", "localhost:443", "/", false, 443},
        {"https://h:443/", "h", "h", "/", true, 443},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct ctl_url u;
        const char *why = "";
        if (ctl_url_parse(&u, all[i].text, &why) < 0)
            fail_msg("%s: %s", all[i].text, why);
        assert_string_equal(u.host, all[i].host);
        assert_string_equal(u.authority, all[i].authority);
        assert_string_equal(u.path, all[i].path);
        assert_int_equal(u.secure, all[i].secure);
        assert_int_equal(u.port, all[i].port);
    }
}

static void what_is_no_url_is_refused(void **state)
{
    (void)state;
    static const char *const all[] = {
        "",       "http://",    "http:///path",   "ftp://h",
        "h:0",    "h:65536",    "h:8o",           "[::1",
        "[::1]x", "user@h",     "http://h/a b",   "h\r\nX: y",
        "h/\x7f", "http://:80", "h:999999999999",
    };
    struct ctl_url u;
    const char *why;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        why = NULL;
        if (ctl_url_parse(&u, all[i], &why) == 0)
            fail_msg("%s is taken", all[i]);
        assert_non_null(why);
    }
    char text[2048];
    memset(text, 'a', sizeof(text));
    text[sizeof(text) - 1] = '\0';
    assert_int_equal(ctl_url_parse(&u, text, &why), ERR_PROTO);
    text[1] = '/';
    assert_int_equal(ctl_url_parse(&u, text, &why), ERR_PROTO);
}

/* ---- HTTP ---------------------------------------------------------------- */

enum { BODY_MAX = 64 };

/* Feeds `text` in pieces of `step` bytes; the last result. `*rest` is what
 * belongs to no answer any more. */
static int feed(struct ctl_answer_reader *r, struct str text, size_t step,
                struct str *rest)
{
    int rc = 0;
    ctl_answer_reset(r, false);
    while (text.len > 0 && rc == 0) {
        size_t n = text.len < step ? text.len : step;
        struct str piece = {text.p, n};
        rc = ctl_answer_take(r, &piece);
        text = str_from(text, n - piece.len);
    }
    if (rest)
        *rest = text;
    return rc;
}

static void assert_str(struct str s, const char *text)
{
    if (!str_eq(s, str_of(text)))
        fail_msg("%.*s, not %s", STR_ARG(s), text);
}

static void answers_are_read_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const struct {
        const char *text, *body, *rest;
        unsigned status;
        bool keep;
    } all[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP", "abc", "HTTP",
         200, true},
        {"HTTP/1.1 204\r\n\r\n", "", "", 204, true},
        {"HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
         "", "", 200, true},
        {"HTTP/1.1 101 Yes\r\nUpgrade: x\r\n\r\nrest", "", "rest", 101, true},
        {"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na", "a", "", 200, false},
        {"HTTP/1.1 200 OK\r\nConnection: x, CLOSE\r\nContent-Length: "
         "1\r\n\r\na",
         "a", "", 200, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: z\r\n\r\n!",
         "abc0123456789", "!", 200, true},
    };
    struct ctl_answer_reader r;
    ctl_answer_init(&r, BODY_MAX);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        for (size_t step = 1; step < 200; step++) {
            struct str rest;
            assert_int_equal(feed(&r, str_of(all[i].text), step, &rest), 1);
            assert_int_equal(r.answer.status, all[i].status);
            assert_str(r.answer.body, all[i].body);
            assert_str(rest, all[i].rest);
            assert_int_equal(r.answer.keep, all[i].keep);
        }
    }
    ctl_answer_fini(&r);
}

static void headers_are_found_whatever_their_case(void **state)
{
    (void)state;
    struct ctl_answer_reader r;
    struct str v;
    ctl_answer_init(&r, BODY_MAX);
    assert_int_equal(feed(&r,
                          STR("HTTP/1.1 204 x\r\nX-One:  1 \r\nx-two:\r\n"
                              "X-One: 2\r\n\r\n"),
                          7, NULL),
                     1);
    assert_true(ctl_answer_header(&r.answer, STR("x-ONE"), &v));
    assert_str(v, "1");
    assert_true(ctl_answer_header(&r.answer, STR("X-Two"), &v));
    assert_str(v, "");
    assert_false(ctl_answer_header(&r.answer, STR("X-Three"), &v));
    assert_false(ctl_answer_header(&r.answer, STR("HTTP/1.1 204 x"), &v));
    ctl_answer_fini(&r);
}

static void a_body_may_last_until_the_end(void **state)
{
    (void)state;
    struct ctl_answer_reader r;
    ctl_answer_init(&r, BODY_MAX);
    assert_int_equal(feed(&r, STR("HTTP/1.1 200 OK\r\n\r\nabc"), 5, NULL), 0);
    assert_int_equal(ctl_answer_end(&r), 1);
    assert_str(r.answer.body, "abc");
    assert_false(r.answer.keep);
    assert_int_equal(
        feed(&r, STR("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc"), 5,
             NULL),
        0);
    assert_int_equal(ctl_answer_end(&r), ERR_PROTO);
    ctl_answer_reset(&r, false);
    assert_false(ctl_answer_begun(&r));
    ctl_answer_fini(&r);
}

static void an_answer_to_head_has_no_body(void **state)
{
    (void)state;
    struct ctl_answer_reader r;
    struct str text = STR("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n");
    ctl_answer_init(&r, BODY_MAX);
    ctl_answer_reset(&r, true);
    assert_int_equal(ctl_answer_take(&r, &text), 1);
    ctl_answer_fini(&r);
}

static void what_is_no_answer_is_refused(void **state)
{
    (void)state;
#define OK_HEAD "HTTP/1.1 200 OK\r\n"
#define CHUNKED OK_HEAD "Transfer-Encoding: chunked\r\n\r\n"
    static const char *const all[] = {
        "220 mail.example ESMTP\r\n",
        "HTTP/2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 +20 OK\r\n\r\n",
        OK_HEAD "Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
        OK_HEAD "Content-Length: -1\r\n\r\n",
        OK_HEAD "Content-Length: 1, 1\r\n\r\n",
        OK_HEAD "Content-Length: 99999999999999999999\r\n\r\n",
        OK_HEAD "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK_HEAD "Transfer-Encoding: gzip, chunked\r\n\r\n",
        OK_HEAD "No colon\r\n\r\n",
        OK_HEAD ": no name\r\n\r\n",
        OK_HEAD "A: b\r\n folded\r\n\r\n",
        OK_HEAD "A: b\nB: c\r\n\r\n",
        OK_HEAD "A: b\rc\r\n\r\n",
        CHUNKED "\r\n",
        CHUNKED "x\r\n",
        CHUNKED "-1\r\n",
        CHUNKED "1x\r\na\r\n",
        CHUNKED "1\na\r\n",
        CHUNKED "1\r\nab\r\n",
        OK_HEAD "Content-Length: 65\r\n\r\n",
        CHUNKED "41\r\n",
        CHUNKED "ffffffffffffffffffffff\r\n",
        CHUNKED "40\r\n0123456789012345678901234567890123456789012345678901"
                "234567890123\r\n1\r\na\r\n",
    };
    struct ctl_answer_reader r;
    ctl_answer_init(&r, BODY_MAX);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        for (size_t step = 1; step < 80; step += 13) {
            if (feed(&r, str_of(all[i]), step, NULL) >= 0)
                fail_msg("%s is taken", all[i]);
        }
    }
    ctl_answer_fini(&r);
}

static void what_never_ends_is_refused(void **state)
{
    (void)state;
    static const char *const all[][2] = {
        {"HTTP/1.1 200 OK\r\n", "X: y\r\n"},
        {"HTTP/1.1 200 OK\r\nX: ", "y"},
        {"HTTP/1.1 200 OK\r\n\r\n", "x"},
        {"", "HTTP/1.1 102 Wait\r\n\r\n"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
         "X: y\r\n"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "x"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"},
    };
    struct ctl_answer_reader r;
    ctl_answer_init(&r, BODY_MAX);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        int rc = feed(&r, str_of(all[i][0]), 1000, NULL);
        for (int k = 0; rc == 0 && k < 100000; k++) {
            struct str more = str_of(all[i][1]);
            rc = ctl_answer_take(&r, &more);
        }
        if (rc >= 0)
            fail_msg("%s%s... goes on", all[i][0], all[i][1]);
    }
    ctl_answer_fini(&r);
}

/* ---- WebSocket ----------------------------------------------------------- */

/* All that comes of these bytes, a line each, in pieces of `step` bytes. */
static int read_frames(struct str text, size_t max, size_t step,
                       struct buf *out)
{
    struct ctl_frames f;
    struct ctl_frame frame;
    int rc = 0;
    ctl_frames_init(&f, max);
    while (text.len > 0 && rc >= 0) {
        size_t n = text.len < step ? text.len : step;
        struct str piece = {text.p, n};
        text = str_from(text, n);
        do {
            rc = ctl_frames_take(&f, &piece, &frame);
            if (rc > 0)
                buf_fmt(out, "%d:%.*s\n", (int)frame.opcode,
                        STR_ARG(frame.data));
        } while (rc > 0);
    }
    ctl_frames_fini(&f);
    return rc;
}

static void frames_are_read_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const char text[] = "\x81\x02hi" /* text */
                               "\x01\x01"
                               "a"         /* one in pieces, */
                               "\x89\x01p" /* a ping between them */
                               "\x00\x01"
                               "b"
                               "\x80\x01"
                               "c"
                               "\x82\x00" /* binary, empty */
                               "\x82\x7e\x00\x03"
                               "xyz" /* a longer length */
                               "\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x01z"
                               "\x88\x02\x03\xe8";
    for (size_t step = 1; step < sizeof(text); step++) {
        struct buf out;
        buf_init(&out, 4096);
        assert_int_equal(
            read_frames((struct str){text, sizeof(text) - 1}, 100, step, &out),
            0);
        assert_str(buf_str(&out), "1:hi\n9:p\n1:abc\n2:\n2:xyz\n2:z\n"
                                  "8:\x03\xe8\n");
        buf_fini(&out);
    }
}

static void what_is_no_frame_is_refused(void **state)
{
    (void)state;
    static const struct {
        struct str text;
        int rc;
    } all[] = {
        {STR_INIT("\x81\x81\x01\x02\x03\x04x"), ERR_PROTO}, /* masked */
        {STR_INIT("\xc1\x01x"), ERR_PROTO},                 /* reserved bit */
        {STR_INIT("\x83\x01x"), ERR_PROTO},                 /* opcode */
        {STR_INIT("\x80\x01x"), ERR_PROTO},          /* continues nothing */
        {STR_INIT("\x01\x01x\x81\x01x"), ERR_PROTO}, /* in the middle */
        {STR_INIT("\x09\x01x"), ERR_PROTO},          /* a ping in pieces */
        {STR_INIT("\x89\x7e\x00\x80"), ERR_PROTO},   /* a long ping */
        {STR_INIT("\x81\x02\xc3\x28"), ERR_PROTO},   /* no UTF-8 */
        {STR_INIT("\x82\x0b"), ERR_LIMIT},           /* 11 bytes */
        {STR_INIT("\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff"), ERR_LIMIT},
        {STR_INIT("\x02\x06"
                  "abcdef"
                  "\x80\x05"),
         ERR_LIMIT},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        for (size_t step = 1; step < 12; step++) {
            struct buf out;
            buf_init(&out, 4096);
            if (read_frames(all[i].text, 10, step, &out) != all[i].rc)
                fail_msg("case %zu in steps of %zu", i, step);
            buf_fini(&out);
        }
    }
}

static void empty_fragments_without_end_are_refused(void **state)
{
    (void)state;
    struct ctl_frames f;
    struct ctl_frame frame;
    struct str data = {"\x01\x00", 2};
    ctl_frames_init(&f, 10);
    int rc = ctl_frames_take(&f, &data, &frame);
    for (int i = 0; rc == 0 && i < 2 * CTL_FRAGMENTS_MAX; i++) {
        data = (struct str){"\x00\x00", 2};
        rc = ctl_frames_take(&f, &data, &frame);
    }
    assert_int_equal(rc, ERR_LIMIT);
    ctl_frames_fini(&f);
}

static void sent_frames_are_masked(void **state)
{
    (void)state;
    static const unsigned char mask[4] = {1, 2, 3, 4};
    struct buf out;
    buf_init(&out, 1024 * 1024);
    ctl_frame_write(&out, FRAME_TEXT, STR("abcde"), mask);
    assert_int_equal(out.len, 11);
    assert_memory_equal(buf_str(&out).p,
                        "\x81\x85\x01\x02\x03\x04"
                        "\x60\x60\x60\x60\x64",
                        11);
    static char large[70000];
    buf_clear(&out);
    ctl_frame_write(&out, FRAME_BINARY, (struct str){large, 126}, mask);
    assert_memory_equal(buf_str(&out).p, "\x82\xfe\x00\x7e", 4);
    assert_int_equal(out.len, 126 + 8);
    buf_clear(&out);
    ctl_frame_write(&out, FRAME_BINARY, (struct str){large, sizeof(large)},
                    mask);
    assert_memory_equal(buf_str(&out).p, "\x82\xff\0\0\0\0\0\x01\x11\x70", 10);
    buf_fini(&out);
}

/* ---- noise --------------------------------------------------------------- */

static void noise_harms_nothing(void **state)
{
    (void)state;
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
                               "chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n";
    char text[256];
    struct ctl_answer_reader r;
    ctl_answer_init(&r, BODY_MAX);
    for (int i = 0; i < 20000; i++) {
        size_t n = 1 + id_below(sizeof(text) - 1);
        struct buf out;
        buf_init(&out, 65536);
        id_bytes(text, n);
        (void)read_frames((struct str){text, n}, 100, 1 + id_below(64), &out);
        buf_fini(&out);
        memcpy(text, head, sizeof(head) - 1);
        text[id_below(sizeof(head) - 1)] = (char)id_below(256);
        (void)feed(&r, (struct str){text, sizeof(head) - 1}, 1 + id_below(64),
                   NULL);
    }
    ctl_answer_fini(&r);
}

/* ---- handshakes ---------------------------------------------------------- */

static void a_hello_is_read(void **state)
{
    (void)state;
    struct ctl_eio_hello h;
    assert_int_equal(
        ctl_eio_read_hello(
            STR("{\"sid\":\"a-Z_0.node-1~\",\"upgrades\":[1,\"websocket\"],"
                "\"pingInterval\":25000,\"pingTimeout\":20000,"
                "\"maxPayload\":1000000,\"more\":{}}"),
            &h),
        0);
    assert_string_equal(h.sid, "a-Z_0.node-1~");
    assert_true(h.websocket);
    assert_int_equal(h.ping_interval_ms, 25000);
    assert_int_equal(h.ping_timeout_ms, 20000);
    assert_int_equal(h.max_payload, 1000000);
}

static void a_hello_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
#define TIMES "\"pingInterval\":1,\"pingTimeout\":1"
    static const char *const all[] = {
        "",
        "[]",
        "{}",
        "{\"sid\":\"a\"}",
        "{\"sid\":7," TIMES "}",
        "{\"sid\":\"\"," TIMES "}",
        "{\"sid\":\"a b\"," TIMES "}",
        "{\"sid\":\"a&b\"," TIMES "}",
        "{\"sid\":\"a\\r\\nb\"," TIMES "}",
        "{\"sid\":\"\\u0000\"," TIMES "}",
        "{\"sid\":\"\xc3\xa9\"," TIMES "}",
        "{\"sid\":\"a\",\"pingInterval\":0,\"pingTimeout\":1}",
        "{\"sid\":\"a\",\"pingInterval\":-5,\"pingTimeout\":1}",
        "{\"sid\":\"a\",\"pingInterval\":1.5,\"pingTimeout\":1}",
        "{\"sid\":\"a\",\"pingInterval\":\"1\",\"pingTimeout\":1}",
        "{\"sid\":\"a\",\"pingInterval\":1,\"pingTimeout\":1e15}",
        "{\"sid\":\"a\",\"pingInterval\":1}",
    };
    struct ctl_eio_hello h;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (ctl_eio_read_hello(str_of(all[i]), &h) == 0)
            fail_msg("%s is taken", all[i]);
    }
}

/* ---- nodes --------------------------------------------------------------- */

static bool everyone(const struct node_state *n, const void *arg)
{
    (void)n, (void)arg;
    return true;
}

static void nodes_are_told_apart_and_kept_up_to_date(void **state)
{
    (void)state;
    struct node_table t;
    node_table_init(&t);
    assert_int_equal(
        node_table_take(&t,
                        STR("{\"status\":\"ready\",\"adapter\":\"redis\","
                            "\"node\":\"one\",\"peers\":[\"two\",7,\"thr\"],"
                            "\"prefix\":\"ab\",\"time_ms\":1000}"),
                        200, 990, 1010),
        1);
    assert_int_equal(node_table_take(&t,
                                     STR("{\"status\":\"degraded\","
                                         "\"node\":\"two\",\"time_ms\":6000}"),
                                     503, 1000, 1000),
                     1);
    struct node_state *one = node_table_find(&t, STR("one"));
    assert_non_null(one);
    assert_true(node_hears(one, STR("thr")));
    assert_false(node_hears(one, STR("thre")));
    assert_false(node_hears(one, STR("")));
    assert_int_equal(one->ahead_ms, 0);
    assert_true(node_joined(one));
    assert_false(node_ready(node_table_find(&t, STR("two"))));
    assert_true(node_degraded(node_table_find(&t, STR("two"))));
    /* A slow answer says less about the clock. */
    assert_int_equal(node_table_take(&t,
                                     STR("{\"status\":\"ready\","
                                         "\"node\":\"one\",\"time_ms\":1}"),
                                     200, 0, 5000),
                     0);
    assert_int_equal(one->ahead_ms, 0);
    assert_false(node_hears(one, STR("two")));
    struct buf names;
    buf_init(&names, 100);
    assert_int_equal(node_names(&t, everyone, NULL, &names), 2);
    assert_str(buf_str(&names), "one and two");
    buf_fini(&names);
    node_table_fini(&t);
}

static void what_no_node_says_is_refused(void **state)
{
    (void)state;
    static const char *const all[] = {
        "",
        "<html>",
        "[]",
        "7",
        "{}",
        "{\"node\":\"a\"}",
        "{\"status\":\"ready\"}",
        "{\"status\":\"ready\",\"node\":7}",
        "{\"status\":\"ready\",\"node\":\"\"}",
        "{\"status\":\"ready\",\"node\":\"a\\nb\"}",
        "{\"status\":\"ready\",\"node\":\"a\\u001b[2J\"}",
        "{\"status\":\"so ready that it does not fit\",\"node\":\"a\"}",
        "{\"status\":\"ready\",\"node\":\"a12345678901234567890123456789012345"
        "678901234567890123456789012345678\"}",
    };
    struct node_table t;
    node_table_init(&t);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (node_table_take(&t, str_of(all[i]), 200, 0, 0) != ERR_PROTO)
            fail_msg("%s is taken", all[i]);
    }
    for (int i = 0; i <= NODES_MAX; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text),
                       "{\"status\":\"ready\",\"node\":\"n%d\"}", i);
        assert_int_equal(node_table_take(&t, str_of(text), 200, 0, 0),
                         i < NODES_MAX ? 1 : ERR_LIMIT);
    }
    node_table_fini(&t);
}

static int64_t time_of(const int64_t *ahead, size_t n)
{
    struct node_table t;
    node_table_init(&t);
    for (size_t i = 0; i < n; i++) {
        char text[96];
        (void)snprintf(text, sizeof(text),
                       "{\"status\":\"ready\",\"node\":\"n%zu\","
                       "\"time_ms\":%lld}",
                       i, (long long)(100000 + ahead[i]));
        assert_int_equal(node_table_take(&t, str_of(text), 200, 100000, 100000),
                         1);
    }
    int64_t right = node_table_time(&t);
    node_table_fini(&t);
    return right;
}

static void most_clocks_are_right(void **state)
{
    (void)state;
    assert_int_equal(time_of(NULL, 0), 0);
    assert_int_equal(time_of((const int64_t[]){5000}, 1), 0);
    assert_int_equal(time_of((const int64_t[]){0, 5000}, 2), 0);
    assert_int_equal(time_of((const int64_t[]){5000, 5001}, 2), 5000);
    assert_int_equal(time_of((const int64_t[]){3, 5000, -2}, 3), 0);
    assert_int_equal(time_of((const int64_t[]){-7000, -7000, -7001}, 3), -7000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_are_taken_apart),
        cmocka_unit_test(what_is_no_url_is_refused),
        cmocka_unit_test(answers_are_read_in_pieces_of_any_size),
        cmocka_unit_test(headers_are_found_whatever_their_case),
        cmocka_unit_test(a_body_may_last_until_the_end),
        cmocka_unit_test(an_answer_to_head_has_no_body),
        cmocka_unit_test(what_is_no_answer_is_refused),
        cmocka_unit_test(what_never_ends_is_refused),
        cmocka_unit_test(frames_are_read_in_pieces_of_any_size),
        cmocka_unit_test(what_is_no_frame_is_refused),
        cmocka_unit_test(empty_fragments_without_end_are_refused),
        cmocka_unit_test(sent_frames_are_masked),
        cmocka_unit_test(noise_harms_nothing),
        cmocka_unit_test(a_hello_is_read),
        cmocka_unit_test(a_hello_that_makes_no_sense_is_refused),
        cmocka_unit_test(nodes_are_told_apart_and_kept_up_to_date),
        cmocka_unit_test(what_no_node_says_is_refused),
        cmocka_unit_test(most_clocks_are_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
