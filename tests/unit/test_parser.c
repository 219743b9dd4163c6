#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/io/parser.h"

static const struct parser_limits limits = {{24, 1000}, 256};
static struct json tape;

static int decode(const char *text, struct packet_head *h)
{
    return parser_decode(str_of(text), &limits, &tape, h);
}

static void decodes_every_form_of_packet(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum packet_type type;
        const char *nsp;
        int64_t ack;
        unsigned bins;
        const char *payload;
    } rows[] = {
        {"0", PACKET_CONNECT, "/", -1, 0, ""},
        {"0{\"token\":\"123\"}", PACKET_CONNECT, "/", -1, 0,
         "{\"token\":\"123\"}"},
        {"0/custom,", PACKET_CONNECT, "/custom", -1, 0, ""},
        {"0/custom", PACKET_CONNECT, "/custom", -1, 0, ""},
        {"01{\"a\":1}", PACKET_CONNECT, "/", 1, 0, "{\"a\":1}"},
        {"1", PACKET_DISCONNECT, "/", -1, 0, ""},
        {"2", PACKET_EVENT, "/", -1, 0, ""},
        {"2[\"hey\",\"Jude\"]", PACKET_EVENT, "/", -1, 0, "[\"hey\",\"Jude\"]"},
        {"2[1,\"a\"]", PACKET_EVENT, "/", -1, 0, "[1,\"a\"]"},
        {"20[\"echo\"]", PACKET_EVENT, "/", 0, 0, "[\"echo\"]"},
        {"2007[\"echo\"]", PACKET_EVENT, "/", 7, 0, "[\"echo\"]"},
        {"2/,[\"echo\"]", PACKET_EVENT, "/", -1, 0, "[\"echo\"]"},
        {"2/admin,13[\"foo\"]", PACKET_EVENT, "/admin", 13, 0, "[\"foo\"]"},
        {"2[\"\"]", PACKET_EVENT, "/", -1, 0, "[\"\"]"},
        {"30[]", PACKET_ACK, "/", 0, 0, "[]"},
        {"3", PACKET_ACK, "/", -1, 0, ""},
        {"51-[\"baz\",{\"_placeholder\":true,\"num\":0}]", PACKET_EVENT, "/",
         -1, 1, "[\"baz\",{\"_placeholder\":true,\"num\":0}]"},
        {"52-/admin,7[\"baz\"]", PACKET_EVENT, "/admin", 7, 2, "[\"baz\"]"},
        {"510-[\"baz\"]", PACKET_EVENT, "/", -1, 10, "[\"baz\"]"},
        {"61-7[]", PACKET_ACK, "/", 7, 1, "[]"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct packet_head h;
        assert_int_equal(decode(rows[i].text, &h), 0);
        assert_int_equal(h.type, rows[i].type);
        assert_true(str_eq(h.nsp, str_of(rows[i].nsp)));
        assert_int_equal(h.ack, rows[i].ack);
        assert_int_equal(h.n_bins, rows[i].bins);
        assert_true(str_eq(h.has_payload ? h.payload : STR(""),
                           str_of(rows[i].payload)));
    }
}

static void refuses_what_the_official_server_refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "7",
        "a",
        "[]",
        "2[]",
        "2{}",
        "2\"x\"",
        "2[null]",
        "2[true]",
        "2[[\"a\"]]",
        "2[\"a\"",
        "2[\"a\"]x",
        "2[NaN]",
        "2[\"connect\"]",
        "2[\"connect_error\"]",
        "2[\"disconnect\"]",
        "2[\"disconnecting\"]",
        "2[\"newListener\"]",
        "2[\"removeListener\"]",
        "2[\"dis\\u0063onnect\"]",
        "2-1[\"a\"]",
        "21.5[\"a\"]",
        "2abc[\"a\"]",
        "3{}",
        "0null",
        "0[]",
        "0\"x\"",
        "0true",
        "0{\"a\":1",
        "0-1",
        "0custom",
        "1{}",
        "1[]",
        "1,",
        "50-[\"a\"]",
        "5-[\"a\"]",
        "51[\"a\"]",
        "5",
        "6",
        "511-[\"a\"]",
        "5999999999999999999999-[\"a\"]",
        "218446744073709551617[\"a\"]",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct packet_head h;
        if (decode(rows[i], &h) == 0)
            fail_msg("accepted %s", rows[i]);
    }
}

static void bounds_depth_values_and_names(void **state)
{
    (void)state;
    struct packet_head h;
    struct buf b;
    buf_init(&b, 100000);
    buf_add(&b, STR("2[\"a\","));
    for (int i = 0; i < 24; i++)
        buf_addc(&b, '[');
    for (int i = 0; i < 25; i++)
        buf_addc(&b, ']');
    assert_int_equal(parser_decode(buf_str(&b), &limits, &tape, &h), ERR_LIMIT);
    buf_clear(&b);
    buf_add(&b, STR("2[\"a\""));
    for (int i = 0; i < 1000; i++)
        buf_add(&b, STR(",1"));
    buf_addc(&b, ']');
    assert_int_equal(parser_decode(buf_str(&b), &limits, &tape, &h), ERR_LIMIT);
    for (unsigned len = 256; len <= 257; len++) {
        buf_clear(&b);
        buf_add(&b, STR("2[\""));
        for (unsigned i = 0; i < len; i++)
            buf_addc(&b, 'n');
        buf_add(&b, STR("\"]"));
        assert_int_equal(parser_decode(buf_str(&b), &limits, &tape, &h),
                         len == 256 ? 0 : ERR_LIMIT);
    }
    buf_fini(&b);
}

static void placeholders_must_name_an_attachment(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int rc;
    } rows[] = {
        {"51-[\"a\",{\"_placeholder\":true,\"num\":0}]", 0},
        {"51-[\"a\",{\"num\":0,\"_placeholder\":true,\"x\":1}]", 0},
        {"51-[\"a\",{\"b\":[{\"_placeholder\":true,\"num\":0}]}]", 0},
        {"51-[\"a\"]", 0},
        {"51-[\"a\",{\"_placeholder\":true,\"num\":1}]", ERR_PROTO},
        {"51-[\"a\",{\"_placeholder\":true,\"num\":-1}]", ERR_PROTO},
        {"51-[\"a\",{\"_placeholder\":true,\"num\":\"0\"}]", ERR_PROTO},
        {"51-[\"a\",{\"_placeholder\":true,\"num\":0.5}]", ERR_PROTO},
        {"51-[\"a\",{\"_placeholder\":true}]", ERR_PROTO},
        {"51-[\"a\",{\"_placeholder\":1,\"num\":9}]", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct packet_head h;
        assert_int_equal(decode(rows[i].text, &h), 0);
        assert_int_equal(parser_check_bins(&tape, h.n_bins), rows[i].rc);
    }
}

static void check_encoded(enum packet_type type, const char *nsp, int64_t ack,
                          const char *data, size_t bins, const char *want)
{
    struct parser_out out = {.type = type,
                             .ack = ack,
                             .nsp = str_of(nsp),
                             .data = str_of(data),
                             .n_bins = bins};
    struct bytes *b = parser_encode(&out);
    assert_true(str_eq(bytes_body(b), str_of(want)));
    assert_int_equal(b->binary, 0);
    bytes_unref(b);
}

static void encodes_as_the_official_server(void **state)
{
    (void)state;
    check_encoded(PACKET_EVENT, "/", PACKET_NO_ACK, "[\"a\"]", 0, "42[\"a\"]");
    check_encoded(PACKET_EVENT, "/admin", 13, "[\"a\"]", 0,
                  "42/admin,13[\"a\"]");
    check_encoded(PACKET_EVENT, "/admin", 7, "[\"a\"]", 2,
                  "452-/admin,7[\"a\"]");
    check_encoded(PACKET_ACK, "/", 0, "[]", 0, "430[]");
    check_encoded(PACKET_ACK, "/", 9007199254740991, "[]", 1,
                  "461-9007199254740991[]");
    check_encoded(PACKET_DISCONNECT, "/custom", PACKET_NO_ACK, "", 0,
                  "41/custom,");
    check_encoded(PACKET_DISCONNECT, "/", PACKET_NO_ACK, "", 0, "41");
}

static void the_offset_is_the_last_argument(void **state)
{
    (void)state;
    struct parser_out out = {.type = PACKET_EVENT,
                             .ack = PACKET_NO_ACK,
                             .nsp = STR("/custom"),
                             .data = STR("[\"a\",1]"),
                             .offset = STR("Q87Okal"),
                             .n_bins = 1};
    struct bytes *b = parser_encode(&out);
    assert_true(
        str_eq(bytes_body(b), STR("451-/custom,[\"a\",1,\"Q87Okal\"]")));
    bytes_unref(b);
}

/* The frame header in front of the packet is the one RFC 6455 asks for. */
static void frames_carry_their_length(void **state)
{
    (void)state;
    static const struct {
        size_t data, head;
        unsigned char bytes[10];
    } rows[] = {
        {123, 2, {0x81, 125}},
        {124, 4, {0x81, 126, 0, 126}},
        {65533, 4, {0x81, 126, 0xff, 0xff}},
        {65534, 10, {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
    };
    static char text[65534];
    memset(text, ' ', sizeof(text));
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct parser_out out = {.type = PACKET_EVENT,
                                 .ack = PACKET_NO_ACK,
                                 .nsp = STR("/"),
                                 .data = {text, rows[i].data}};
        struct bytes *b = parser_encode(&out);
        assert_int_equal(b->head, rows[i].head);
        assert_memory_equal(b->p, rows[i].bytes, rows[i].head);
        assert_int_equal(bytes_body(b).len, rows[i].data + 2);
        bytes_unref(b);
    }
}

static int setup(void **state)
{
    (void)state;
    json_init(&tape);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    json_fini(&tape);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_every_form_of_packet),
        cmocka_unit_test(refuses_what_the_official_server_refuses),
        cmocka_unit_test(bounds_depth_values_and_names),
        cmocka_unit_test(placeholders_must_name_an_attachment),
        cmocka_unit_test(encodes_as_the_official_server),
        cmocka_unit_test(the_offset_is_the_last_argument),
        cmocka_unit_test(frames_carry_their_length),
    };
    return cmocka_run_group_tests_name("parser", tests, setup, teardown);
}
