#include "server/http/deflate.h"
#include "server/http/extension.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* ---- messages ------------------------------------------------------------ */

static void check_inflate(struct str in, size_t max, int want_rc,
                          struct str want)
{
    struct buf out;
    buf_init(&out, max);
    assert_int_equal(inflate_message(in, &out), want_rc);
    if (want_rc == 0)
        assert_true(str_eq(buf_str(&out), want));
    buf_fini(&out);
}

#define HELLO_PACKED STR("\xf2\x48\xcd\xc9\xc9\x07\x00")

static void inflates_the_examples_of_the_standard(void **state)
{
    (void)state;
    check_inflate(HELLO_PACKED, 100, 0, STR("Hello"));
    /* stored */
    check_inflate(STR("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), 100, 0,
                  STR("Hello"));
    /* last block, then an empty one */
    check_inflate(STR("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), 100, 0,
                  STR("Hello"));
    /* two blocks */
    check_inflate(STR("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
                  100, 0, STR("Hello"));
    check_inflate(STR("\x00"), 100, 0, STR(""));
}

static void inflates_what_ends_with_a_last_block(void **state)
{
    (void)state;
    check_inflate(STR("\xf3\x48\xcd\xc9\xc9\x07\x00"), 100, 0, STR("Hello"));
    check_inflate(STR(""), 100, 0, STR(""));
}

static void damage_is_found(void **state)
{
    (void)state;
    check_inflate(STR("\xff\xff\xff"), 100, ERR_PROTO, STR(""));
    /* cut off: in a block, in a stored block's length, in its content */
    for (size_t n = 1; n < HELLO_PACKED.len - 1; n++)
        check_inflate((struct str){HELLO_PACKED.p, n}, 100, ERR_PROTO, STR(""));
    check_inflate(STR("\x00\x05"), 100, ERR_PROTO, STR(""));
    check_inflate(STR("\x00\x0f\x00\xf0\xff\x48"), 100, ERR_PROTO, STR(""));
    /* a reference to before the message */
    check_inflate(STR("\xf2\x00\x11\x00\x00"), 100, ERR_PROTO, STR(""));
    /* and the next message is none the worse for it */
    check_inflate(HELLO_PACKED, 100, 0, STR("Hello"));
}

static void output_is_bounded(void **state)
{
    (void)state;
    check_inflate(HELLO_PACKED, 5, 0, STR("Hello"));
    check_inflate(HELLO_PACKED, 4, ERR_LIMIT, STR(""));
}

static void fill(struct buf *b, size_t n, bool noise)
{
    uint32_t x = 1;
    buf_init(b, n);
    for (size_t i = 0; i < n; i++) {
        x = x * 1103515245 + 12345;
        buf_addc(b, noise ? (char)(x >> 16) : (char)('a' + i % 7));
    }
}

static void messages_come_back(void **state)
{
    (void)state;
    static const size_t sizes[] = {20, 1024, 32768, 32769, 70000, 1000000};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf plain, packed;
        fill(&plain, sizes[i], false);
        buf_init(&packed, sizes[i]);
        assert_true(deflate_message(buf_str(&plain), &packed));
        assert_true(packed.len < sizes[i]);
        check_inflate(buf_str(&packed), sizes[i], 0, buf_str(&plain));
        check_inflate(buf_str(&packed), sizes[i] - 1, ERR_LIMIT, STR(""));
        buf_fini(&plain);
        buf_fini(&packed);
    }
}

static void what_does_not_shrink_is_left_alone(void **state)
{
    (void)state;
    struct buf noise, out;
    fill(&noise, 5000, true);
    buf_init(&out, 5000);
    assert_false(deflate_message(buf_str(&noise), &out));
    assert_false(deflate_message(STR("2"), &out));
    assert_false(deflate_message(STR(""), &out));
    assert_int_equal(out.len, 0);
    buf_fini(&noise);
    buf_fini(&out);
}

/* ---- HTTP ---------------------------------------------------------------- */

static void codings_are_chosen_as_the_client_prefers(void **state)
{
    (void)state;
    static const struct {
        struct str accept;
        enum coding want;
    } table[] = {
        {STR_INIT(""), CODING_NONE},
        {STR_INIT("br"), CODING_NONE},
        {STR_INIT("identity"), CODING_NONE},
        {STR_INIT("gzip"), CODING_GZIP},
        {STR_INIT("GZip"), CODING_GZIP},
        {STR_INIT("xgzip, gzipx"), CODING_NONE},
        {STR_INIT("deflate"), CODING_DEFLATE},
        {STR_INIT("gzip, deflate, br"), CODING_GZIP},
        {STR_INIT("br,deflate ,gzip"), CODING_DEFLATE},
        {STR_INIT("gzip;q=0.5, deflate;q=0.8"), CODING_DEFLATE},
        {STR_INIT("deflate;q=0.5, gzip ; Q=0.501"), CODING_GZIP},
        {STR_INIT("gzip;q=0"), CODING_NONE},
        {STR_INIT("gzip;q=0.000, deflate;q=0.001"), CODING_DEFLATE},
        {STR_INIT("gzip;q=0, *"), CODING_DEFLATE},
        {STR_INIT("*"), CODING_GZIP},
        {STR_INIT("*;q=0"), CODING_NONE},
        {STR_INIT("*, deflate"), CODING_DEFLATE},
        {STR_INIT("gzip;q=nonsense"), CODING_NONE},
        {STR_INIT("gzip;q="), CODING_NONE},
        {STR_INIT(",;,gzip;x=1;q=1.0,;"), CODING_GZIP},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        assert_int_equal(coding_accepted(table[i].accept), table[i].want);
}

static void bodies_are_in_the_named_format(void **state)
{
    (void)state;
    struct buf out;
    assert_true(coding_encode(CODING_GZIP, STR("hello hello hello"), &out));
    assert_true(str_starts(buf_str(&out), STR("\x1f\x8b\x08")));
    buf_fini(&out);
    assert_true(coding_encode(CODING_DEFLATE, STR("hello hello hello"), &out));
    assert_true(str_starts(buf_str(&out), STR("\x78\x9c")));
    buf_fini(&out);
}

/* ---- negotiation --------------------------------------------------------- */

enum { MALFORMED = 99, PLAIN = 0 };

/* Window bits, and 100 more when the answer must name them. */
static unsigned negotiate(const char *header)
{
    struct deflate_terms t = {0};
    if (extension_offers(str_of(header), &t) < 0)
        return MALFORMED;
    return t.window_bits + (t.named ? 100U : 0U);
}

static void offers_are_taken_or_skipped(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        unsigned want;
    } table[] = {
        {"permessage-deflate", 15},
        {" permessage-deflate\t", 15},
        {"permessage-deflate; client_max_window_bits", 15},
        {"permessage-deflate;client_max_window_bits=10", 15},
        {"permessage-deflate; client_max_window_bits=\"10\"", 15},
        {"permessage-deflate; server_no_context_takeover; "
         "client_no_context_takeover",
         15},
        {"permessage-deflate; server_max_window_bits=15", 115},
        {"permessage-deflate; server_max_window_bits = 9", 109},
        {"foo, permessage-deflate", 15},
        {"foo; a=1; b=\"x\\y\"; c, permessage-deflate", 15},
        /* the first that will do */
        {"permessage-deflate; server_max_window_bits=10, permessage-deflate",
         110},
        {"permessage-deflate; server_max_window_bits=7, permessage-deflate",
         15},
        {"foo", PLAIN},
        {"permessage-deflate; foo", PLAIN},
        {"permessage-deflate; server_max_window_bits", PLAIN},
        {"permessage-deflate; server_max_window_bits=16", PLAIN},
        {"permessage-deflate; server_max_window_bits=010", PLAIN},
        {"permessage-deflate; client_max_window_bits=7", PLAIN},
        {"permessage-deflate; client_max_window_bits=\"1\\0\"", PLAIN},
        {"permessage-deflate; server_no_context_takeover=1", PLAIN},
        {"permessage-deflate; client_max_window_bits; client_max_window_bits",
         PLAIN},
        {"", MALFORMED},
        {",", MALFORMED},
        {"permessage-deflate,", MALFORMED},
        {"permessage-deflate;", MALFORMED},
        {"permessage-deflate; =", MALFORMED},
        {"permessage-deflate; a=", MALFORMED},
        {"permessage-deflate; a=\"", MALFORMED},
        {"permessage-deflate; a=\"\"", MALFORMED},
        {"permessage-deflate; a=\"b c\"", MALFORMED},
        {"permessage-deflate; a=\"b\\", MALFORMED},
        {"permessage-deflate; a=\"b", MALFORMED},
        {"permessage deflate", MALFORMED},
        {"permessage-deflate, @", MALFORMED},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (negotiate(table[i].header) != table[i].want)
            fail_msg("%s: %u", table[i].header, negotiate(table[i].header));
    }
}

static void check_answer(struct deflate_terms terms, const char *want)
{
    struct buf out;
    buf_init(&out, 1000);
    extension_answer(&terms, &out);
    assert_true(str_eq(buf_str(&out), str_of(want)));
    buf_fini(&out);
}

static void the_answer_names_what_it_must(void **state)
{
    (void)state;
    check_answer((struct deflate_terms){0}, "");
    check_answer((struct deflate_terms){15, false},
                 "Sec-WebSocket-Extensions: permessage-deflate; "
                 "server_no_context_takeover; client_no_context_takeover\r\n");
    check_answer((struct deflate_terms){9, true},
                 "Sec-WebSocket-Extensions: permessage-deflate; "
                 "server_no_context_takeover; client_no_context_takeover; "
                 "server_max_window_bits=9\r\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inflates_the_examples_of_the_standard),
        cmocka_unit_test(inflates_what_ends_with_a_last_block),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(output_is_bounded),
        cmocka_unit_test(messages_come_back),
        cmocka_unit_test(what_does_not_shrink_is_left_alone),
        cmocka_unit_test(codings_are_chosen_as_the_client_prefers),
        cmocka_unit_test(bodies_are_in_the_named_format),
        cmocka_unit_test(offers_are_taken_or_skipped),
        cmocka_unit_test(the_answer_names_what_it_must),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
