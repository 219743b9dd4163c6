#include "server/http/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define OK "HTTP/1.1 200 OK\r\n"

/* What answer_feed says in the end, given so many bytes at a time. */
static int read_by(struct answer *a, struct str in, size_t step,
                   struct str *rest)
{
    int rc = 0;
    answer_init(a);
    *rest = STR("");
    for (size_t at = 0; rc == 0 && at < in.len; at += step) {
        struct str piece = str_from(in, at);
        if (piece.len > step)
            piece.len = step;
        struct str left = piece;
        rc = answer_feed(a, &left);
        if (rc > 0)
            *rest = (struct str){left.p, in.len - (size_t)(left.p - in.p)};
        else if (rc == 0)
            assert_int_equal(left.len, 0);
    }
    return rc;
}

static void refuse(const char *text, int why)
{
    struct str in = str_of(text), rest;
    for (size_t step = 1; step <= in.len; step++) {
        struct answer a;
        int rc = read_by(&a, in, step, &rest);
        if (rc != why)
            fail_msg("%d instead of %d, %zu at a time: %s", rc, why, step,
                     text);
        answer_fini(&a);
    }
}

static void heads_are_read_in_pieces_of_any_size(void **state)
{
    (void)state;
    struct str in = STR("HTTP/1.1 400 Bad Request\r\nX-A:  b c \r\n"
                        "CONTENT-length: 12\r\nEmpty:\r\n\r\n\r\nbody");
    for (size_t step = 1; step <= in.len; step++) {
        struct answer a;
        struct str rest;
        assert_int_equal(read_by(&a, in, step, &rest), 1);
        assert_true(str_eq(rest, STR("\r\nbody")));
        assert_int_equal(a.status, 400);
        assert_int_equal(a.length, 12);
        assert_true(a.keep_alive);
        answer_fini(&a);
    }
}

static void lines_of_the_connection_are_not_handed_on(void **state)
{
    (void)state;
    struct answer a;
    struct str rest;
    struct buf out;
    buf_init(&out, 1000);
    assert_int_equal(read_by(&a,
                             STR("HTTP/1.1 200 Connection: x\r\nX-A: b\r\n"
                                 "connection: foo, Close\r\n"
                                 "Content-Length: 0\r\nKeep-Alive: 5\r\n"
                                 "Upgrade: h2\r\nProxy-Connection: x\r\n"
                                 "Set-Cookie: a\r\nSet-Cookie: b\r\n\r\n"),
                             7, &rest),
                     1);
    assert_false(a.keep_alive);
    answer_lines(&a, &out);
    assert_true(
        str_eq(buf_str(&out), STR("HTTP/1.1 200 Connection: x\r\nX-A: b\r\n"
                                  "Content-Length: 0\r\nSet-Cookie: a\r\n"
                                  "Set-Cookie: b\r\n")));
    buf_fini(&out);
    answer_fini(&a);
}

static void a_switch_is_handed_on_whole(void **state)
{
    (void)state;
    struct answer a;
    struct str rest;
    struct buf out;
    struct str lines = STR("HTTP/1.1 101 Switching Protocols\r\n"
                           "Upgrade: websocket\r\nConnection: Upgrade\r\n");
    struct buf in;
    buf_init(&in, 1000);
    buf_init(&out, 1000);
    buf_add(&in, lines);
    buf_add(&in, STR("\r\n\x81\x00"));
    assert_int_equal(read_by(&a, buf_str(&in), 1000, &rest), 1);
    assert_int_equal(a.status, 101);
    assert_int_equal(rest.len, 2);
    answer_lines(&a, &out);
    assert_true(str_eq(buf_str(&out), lines));
    buf_fini(&in);
    buf_fini(&out);
    answer_fini(&a);
}

static void whatever_is_unclear_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\r\n\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 20\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 2000\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 600 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 099 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 +20 No\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        "http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 102 Wait\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n",
        OK "\r\n",
        OK "Content-Length: 1\r\nContent-Length: 1\r\n\r\n",
        OK "Content-Length: 1, 1\r\n\r\n",
        OK "Content-Length: -1\r\n\r\n",
        OK "Content-Length: +1\r\n\r\n",
        OK "Content-Length: 0x1\r\n\r\n",
        OK "Content-Length:\r\n\r\n",
        OK "Content-Length: 4294967296\r\n\r\n",
        OK "Content-Length: 99999999999999999999\r\n\r\n",
        OK "Content-Length : 1\r\n\r\n",
        OK "Transfer-Encoding: chunked\r\n\r\n",
        OK "Content-Length: 1\r\nTransfer-Encoding: identity\r\n\r\n",
        OK "Content-Length: 1\r\nX\r\n\r\n",
        OK "Content-Length: 1\r\n: x\r\n\r\n",
        OK "Content-Length: 1\r\nX Y: x\r\n\r\n",
        OK "Content-Length: 1\r\nX: y\r\n z\r\n\r\n",
        OK " Content-Length: 1\r\n\r\n",
        OK "Content-Length: 1\nX: y\r\n\r\n",
        OK "Content-Length: 1\r\nX: y\rz\r\n\r\n",
        OK "Content-Length: 1\r\nX: y\x7f\r\n\r\n",
        "HTTP/1.1 200 O\x01K\r\nContent-Length: 1\r\n\r\n",
        "HTTP/1.1 101 Go\r\n\r\n",
        "HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuse(bad[i], ERR_PROTO);
}

static void heads_are_bounded(void **state)
{
    (void)state;
    struct answer a;
    struct str rest;
    struct buf in;
    buf_init(&in, 1 << 20);
    buf_add(&in, STR(OK "Content-Length: 0\r\nX: "));
    while (in.len < ANSWER_HEAD_MAX - 4)
        buf_addc(&in, 'x');
    buf_add(&in, STR("\r\n\r\n"));
    assert_int_equal(read_by(&a, buf_str(&in), 1000, &rest), 1);
    answer_fini(&a);
    buf_truncate(&in, in.len - 4);
    buf_add(&in, STR("x\r\n\r\n"));
    for (size_t step = 999; step < 2 * in.len; step *= 3) {
        assert_int_equal(read_by(&a, buf_str(&in), step, &rest), ERR_LIMIT);
        answer_fini(&a);
    }
    buf_clear(&in);
    buf_add(&in, STR(OK "Content-Length: 0\r\n"));
    for (unsigned i = 0; i < ANSWER_LINES_MAX; i++)
        buf_add(&in, STR("X: y\r\n"));
    buf_add(&in, STR("\r\n"));
    assert_int_equal(read_by(&a, buf_str(&in), 1000, &rest), ERR_PROTO);
    answer_fini(&a);
    buf_fini(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_read_in_pieces_of_any_size),
        cmocka_unit_test(lines_of_the_connection_are_not_handed_on),
        cmocka_unit_test(a_switch_is_handed_on_whole),
        cmocka_unit_test(whatever_is_unclear_is_refused),
        cmocka_unit_test(heads_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
