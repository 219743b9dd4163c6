/* What quick_head takes, http-parser would read in the same way: of requests
 * that are well known, and of very many that are nearly so. */
#include "server/http/quick_head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <http_parser.h>

#include "common/str.h"

#define GET "GET /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n"
#define POST "POST /socket.io/?sid=abc HTTP/1.1\r\n"

enum { TEXT_MAX = 512, MUTATIONS = 300000 };

/* ---- what http-parser says ----------------------------------------------- */

struct reading {
    struct str target, body;
    struct str name[QUICK_LINES + 8], value[QUICK_LINES + 8];
    unsigned n;
    bool complete;
};

static int on_url(http_parser *p, const char *at, size_t len)
{
    struct reading *r = p->data;
    r->target = (struct str){at, len};
    return 0;
}

static int on_field(http_parser *p, const char *at, size_t len)
{
    struct reading *r = p->data;
    assert_true(r->n < QUICK_LINES + 8);
    r->name[r->n++] = (struct str){at, len};
    return 0;
}

static int on_value(http_parser *p, const char *at, size_t len)
{
    struct reading *r = p->data;
    r->value[r->n - 1] = (struct str){at, len};
    return 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
    struct reading *r = p->data;
    r->body = (struct str){at, len};
    return 0;
}

static int on_complete(http_parser *p)
{
    struct reading *r = p->data;
    r->complete = true;
    http_parser_pause(p, 1);
    return 0;
}

static size_t read_with_parser(struct str text, http_parser *p,
                               struct reading *r)
{
    static const http_parser_settings callbacks = {.on_url = on_url,
                                                   .on_header_field = on_field,
                                                   .on_header_value = on_value,
                                                   .on_body = on_body,
                                                   .on_message_complete =
                                                       on_complete};
    *r = (struct reading){0};
    http_parser_init(p, HTTP_REQUEST);
    p->data = r;
    return http_parser_execute(p, &callbacks, text.p, text.len);
}

/* ---- both ---------------------------------------------------------------- */

static void assert_text(struct str a, struct str b)
{
    assert_int_equal(a.len, b.len);
    assert_true(str_eq(a, b));
}

static void assert_same_lines(const char *kept, const struct quick_head *h,
                              const struct reading *r)
{
    assert_int_equal(h->n_lines, r->n);
    for (unsigned i = 0; i < r->n; i++) {
        const struct header_line *l = &h->line[i];
        assert_text((struct str){kept + l->name_at, l->name_len}, r->name[i]);
        assert_text(str_trim((struct str){kept + l->value_at, l->value_len}),
                    str_trim(r->value[i]));
    }
}

/* Whether it was taken. */
static bool taken(struct str text)
{
    struct quick_head h;
    struct reading r;
    http_parser p;
    size_t size = quick_head(text, &h);
    if (size == 0)
        return false;
    size_t n = read_with_parser(text, &p, &r);
    assert_true(r.complete);
    /* It stops at the last byte of a head, and behind a body. */
    assert_true(n == size + h.body_len || n + 1 == size + h.body_len);
    assert_int_equal(p.method, h.post ? HTTP_POST : HTTP_GET);
    assert_int_equal(p.http_major, 1);
    assert_int_equal(p.http_minor, 1);
    assert_int_equal(p.upgrade, 0);
    assert_true(http_should_keep_alive(&p));
    assert_text((struct str){text.p + h.target_at, h.target_len}, r.target);
    assert_text((struct str){text.p + size, h.body_len}, r.body);
    assert_same_lines(text.p + h.target_at, &h, &r);
    return true;
}

static const struct str plain[] = {
    STR_INIT(GET "Host: localhost\r\n\r\n"),
    STR_INIT(GET "Host:x\r\nConnection: keep-alive\r\nAccept: */*  \r\n"
                 "Cookie:   a=b; c=d\r\nX-Empty:\r\nX-Blank:  \r\n\r\n"),
    STR_INIT(POST "Host: x\r\nContent-Length: 6\r\n\r\n4hello"),
    STR_INIT(POST "content-type: text/plain;charset=UTF-8\r\nHOST: x\r\n"
                  "CONTENT-LENGTH: 003\r\n\r\n2\r\n" GET),
};

static void takes_plain_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        assert_true(taken(plain[i]));
}

static void takes_nothing_that_is_not_all_there(void **state)
{
    (void)state;
    struct quick_head h;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++) {
        size_t whole = quick_head(plain[i], &h) + h.body_len;
        for (size_t n = 0; n < whole; n++)
            assert_false(taken((struct str){plain[i].p, n}));
    }
}

static void leaves_to_the_parser_what_is_not_plain(void **state)
{
    (void)state;
    static const struct str other[] = {
        STR_INIT(GET "\r\n"),
        STR_INIT(GET "Host: x\n\n"),
        STR_INIT(GET "Host: x\r\n folded\r\n\r\n"),
        STR_INIT(GET "Host : x\r\n\r\n"),
        STR_INIT(GET "Host: x\r\n: x\r\n\r\n"),
        STR_INIT(GET "Host: x\r\nA: \x01\r\n\r\n"),
        STR_INIT(GET "Host: x\r\nA: \xc3\xa9\r\n\r\n"),
        STR_INIT(GET "Host: x\r\nConnection: close\r\n\r\n"),
        STR_INIT(GET "Host: x\r\nConnection: Upgrade\r\n\r\n"),
        STR_INIT(GET "Host: x\r\nUpgrade: websocket\r\n\r\n"),
        STR_INIT(GET "Host: x\r\nProxy-Connection: close\r\n\r\n"),
        STR_INIT(GET "Host: x\r\nContent-Length: 1\r\n\r\nx"),
        STR_INIT(GET "Host: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        STR_INIT(POST "Host: x\r\n\r\n"),
        STR_INIT(POST "Host: x\r\nContent-Length: 0\r\n\r\n"),
        STR_INIT(POST "Host: x\r\nContent-Length: +1\r\n\r\nx"),
        STR_INIT(POST "Host: x\r\nContent-Length: 1 \r\n\r\nx"),
        STR_INIT(POST "Host: x\r\nContent-Length: 1, 1\r\n\r\nx"),
        STR_INIT(POST
                 "Host: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx"),
        STR_INIT(POST "Host: x\r\nContent-Length: 1\r\n"
                      "Transfer-Encoding: chunked\r\n\r\nx"),
        STR_INIT(POST "Host: x\r\nContent-Length: 1\r\nExpect: 100-continue\r\n"
                      "\r\nx"),
        STR_INIT("GET /#x HTTP/1.1\r\nHost: x\r\n\r\n"),
        STR_INIT("GET / HTTP/1.0\r\nHost: x\r\n\r\n"),
        STR_INIT("GET /  HTTP/1.1\r\nHost: x\r\n\r\n"),
        STR_INIT("GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n"),
        STR_INIT("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"),
        STR_INIT("\r\n" GET "Host: x\r\n\r\n"),
    };
    for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
        assert_false(taken(other[i]));
}

static void takes_as_many_lines_as_it_has_room_for(void **state)
{
    (void)state;
    for (unsigned lines = QUICK_LINES - 1; lines <= QUICK_LINES; lines++) {
        char text[TEXT_MAX] = GET "Host: x\r\n";
        size_t n = strlen(text);
        for (unsigned i = 0; i < lines; i++, n += 6)
            memcpy(text + n, "a: b\r\n", 6);
        memcpy(text + n, "\r\n", 2);
        assert_int_equal(taken((struct str){text, n + 2}), lines < QUICK_LINES);
    }
}

static uint32_t draw(uint32_t *seed, size_t below)
{
    *seed = *seed * 1664525U + 1013904223U;
    return (*seed >> 8) % (uint32_t)below;
}

/* One byte becomes another, or goes, or one or a word comes in. */
static size_t mutate(char *text, size_t n, uint32_t *seed)
{
    static const struct str words[] = {
        STR_INIT("\r\n"),
        STR_INIT(": "),
        STR_INIT("\n"),
        STR_INIT(" "),
        STR_INIT("\t"),
        STR_INIT("?"),
        STR_INIT("0"),
        STR_INIT("Content-Length: 1\r\n"),
        STR_INIT("Upgrade: x\r"),
        STR_INIT("Transfer-Encoding: chunked\r\n"),
        STR_INIT("close"),
        STR_INIT("Connection: "),
    };
    size_t at = draw(seed, n);
    struct str word = words[draw(seed, sizeof(words) / sizeof(words[0]))];
    switch (draw(seed, 3)) {
    case 0:
        text[at] = (char)draw(seed, 256);
        return n;
    case 1:
        memmove(text + at, text + at + 1, n - at - 1);
        return n - 1;
    default:
        memmove(text + at + word.len, text + at, n - at);
        memcpy(text + at, word.p, word.len);
        return n + word.len;
    }
}

static void reads_nearly_plain_ones_as_the_parser_does(void **state)
{
    (void)state;
    uint32_t seed = 12345;
    unsigned count = 0;
    for (unsigned i = 0; i < MUTATIONS; i++) {
        char text[TEXT_MAX];
        struct str from = plain[i % (sizeof(plain) / sizeof(plain[0]))];
        memcpy(text, from.p, from.len);
        size_t n = from.len;
        for (unsigned k = 1 + draw(&seed, 3); k > 0; k--)
            n = mutate(text, n, &seed);
        count += taken((struct str){text, n});
    }
    assert_true(count > MUTATIONS / 10 && count < MUTATIONS * 9 / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_plain_requests),
        cmocka_unit_test(takes_nothing_that_is_not_all_there),
        cmocka_unit_test(leaves_to_the_parser_what_is_not_plain),
        cmocka_unit_test(takes_as_many_lines_as_it_has_room_for),
        cmocka_unit_test(reads_nearly_plain_ones_as_the_parser_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
