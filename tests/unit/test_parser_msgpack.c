#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "server/io/outbound.h"
#include "server/io/parser_msgpack.h"

static const struct fates no_fates;

static const struct parser_limits limits = {{24, 1000}, 256};
static struct json tape;
static struct parser_in in;

static unsigned digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* The bytes that `hex` names, until the next call. */
static struct str bytes_of(const char *hex)
{
    static char out[4096];
    size_t n = strlen(hex) / 2;
    assert_true(n <= sizeof(out));
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
    return (struct str){out, n};
}

static int decode(const char *hex)
{
    parser_in_fini(&in);
    in = (struct parser_in){0};
    return parser_msgpack.binary(bytes_of(hex), &limits, &tape, &in);
}

static void assert_frame(const struct bytes *frame, const char *hex)
{
    assert_non_null(frame);
    assert_true(frame->binary);
    struct str want = bytes_of(hex), body = bytes_body(frame);
    assert_int_equal(body.len, want.len);
    assert_memory_equal(body.p, want.p, want.len);
}

static void assert_encodes(const struct parser_out *out, const char *hex)
{
    struct bytes *frames[OUTBOUND_FRAMES_MAX];
    size_t n = outbound_encode(&parser_msgpack, out, frames);
    assert_int_equal(n, 1);
    assert_frame(frames[0], hex);
    bytes_unref(frames[0]);
}

/* Names and short texts of the dumps. */
#define TYPE "a474797065"
#define DATA "a464617461"
#define ID "a26964"
#define NSP "a36e7370"
#define ROOT NSP "a12f"
#define OPTIONS "a76f7074696f6e7381a8636f6d7072657373c3"

/* ---- what the official client sends ---------------------------------------
 */

static void decodes_what_the_official_client_sends(void **state)
{
    (void)state;
    static const struct {
        const char *hex;
        enum packet_type type;
        const char *nsp;
        int64_t ack;
        unsigned bins;
        const char *payload;
    } rows[] = {
        {"83a47479706500a464617461d40000a36e7370a12f", PACKET_CONNECT, "/", -1,
         0, ""},
        {"84a47479706502a46461746198a46563686f01a2c3a9c4020102c0c3cb3ff80000000"
         "0000081a161ffa76f7074696f6e7381a8636f6d7072657373c3a36e7370a12f",
         PACKET_EVENT, "/", -1, 1,
         "[\"echo\",1,\"\xc3\xa9\",{\"_placeholder\":true,\"num\":0},null,true,"
         "1.5,{\"a\":-1}]"},
        {"85a47479706502a46461746192a46563686f01a76f7074696f6e7381a8636f6d70726"
         "57373c3a2696400a36e7370a12f",
         PACKET_EVENT, "/", 0, 0, "[\"echo\",1]"},
        {"82a47479706501a36e7370a12f", PACKET_DISCONNECT, "/", -1, 0, ""},
        {"84a2696400a47479706503a4646174619101a36e7370a12f", PACKET_ACK, "/", 0,
         0, "[1]"},
        {"83" TYPE "00" DATA "81a5746f6b656ea3313233" ROOT, PACKET_CONNECT, "/",
         -1, 0, "{\"token\":\"123\"}"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(decode(rows[i].hex), 0);
        assert_int_equal(in.head.type, rows[i].type);
        assert_true(str_eq(in.head.nsp, str_of(rows[i].nsp)));
        assert_int_equal(in.head.ack, rows[i].ack);
        assert_int_equal(in.head.n_bins, rows[i].bins);
        assert_int_equal(in.bins.n, rows[i].bins);
        assert_int_equal(in.head.has_payload, rows[i].payload[0] != '\0');
        assert_true(str_eq(in.head.has_payload ? in.head.payload : STR(""),
                           str_of(rows[i].payload)));
    }
}

static void binary_becomes_attachments(void **state)
{
    (void)state;
    /* ["m",{"a":<01>},<>,ArrayBuffer <0203>] */
    assert_int_equal(
        decode("83" TYPE "02" DATA "94a16d81a161c40101c400c702000203" ROOT), 0);
    assert_int_equal(in.head.n_bins, 3);
    assert_true(str_eq(in.head.payload,
                       STR("[\"m\",{\"a\":{\"_placeholder\":true,\"num\":0}},"
                           "{\"_placeholder\":true,\"num\":1},"
                           "{\"_placeholder\":true,\"num\":2}]")));
    assert_true(str_eq(bytes_body(in.bins.v[0]), STR("\1")));
    assert_int_equal(bytes_body(in.bins.v[1]).len, 0);
    assert_true(str_eq(bytes_body(in.bins.v[2]), STR("\2\3")));
    /* the tape is that of the payload */
    assert_int_equal(json_type(&tape, 0), JSON_ARRAY);
    assert_int_equal(tape.nodes[0].count, 4);
}

static void accepts_what_the_official_parser_accepts(void **state)
{
    (void)state;
    static const char *const rows[] = {
        /* keys in any order, unknown ones, and twice */
        "83" ROOT DATA "91a178" TYPE "02",
        "84" TYPE "02a17881a179c0" DATA "91a178" ROOT,
        "85" TYPE "09" DATA "c0" TYPE "02" DATA "91a178" ROOT,
        "84" TYPE "02"
        "0101" DATA "91a178" ROOT,
        "84" TYPE "02"
        "91c0c0" DATA "91a178" ROOT,
        /* undefined is absent */
        "84" TYPE "02" DATA "91a178" ID "d40000" ROOT,
        "83" TYPE "01" DATA "d40000" ROOT,
        "82" TYPE "00" ROOT,
        /* integers in other widths and as floats */
        "83" TYPE "cc02" DATA "91a178" ROOT,
        "83" TYPE "cb4000000000000000" DATA "91a178" ROOT,
        "84" TYPE "02" DATA "91a178" ID "cb3ff0000000000000" ROOT,
        "84" TYPE "02" DATA "91a178" ID "cf001fffffffffffff" ROOT,
        /* no look at events */
        "83" TYPE "02" DATA "90" ROOT,
        "83" TYPE "02" DATA "91c0" ROOT,
        "83" TYPE "02" DATA "9180" ROOT,
        "83" TYPE "02" DATA "91aa646973636f6e6e656374" ROOT,
        /* the other types of data, and names that are no namespaces */
        "83" TYPE "03" DATA "90" ROOT,
        "83" TYPE "04" DATA "a178" ROOT,
        "83" TYPE "04" DATA "80" ROOT,
        "83" TYPE "00" DATA "80" NSP "a0",
        /* wide heads of map, array and strings */
        "de0003" TYPE "02"
        "d90464617461"
        "dc0001d90178" NSP "d9012f",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (decode(rows[i]) != 0)
            fail_msg("refused: %s", rows[i]);
    }
    assert_int_equal(decode(rows[11]), 0);
    assert_int_equal(in.head.ack, PARSER_ACK_MAX);
}

static void refuses_what_the_official_parser_refuses(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",
        "00",
        "c0",
        "90",
        "80",
        "c1",
        /* nil is not absent */
        "83" TYPE "00" DATA "c0" ROOT,
        "83" TYPE "01" DATA "c0" ROOT,
        "84" TYPE "02" DATA "91a178" ID "c0" ROOT,
        /* types */
        "83" TYPE "05" DATA "91a178" ROOT,
        "83" TYPE "06" DATA "91a178" ROOT,
        "83" TYPE "ff" DATA "91a178" ROOT,
        "83" TYPE "cf8000000000000000" DATA "91a178" ROOT,
        "83" TYPE "cb3ff8000000000000" DATA "91a178" ROOT,
        "83" TYPE "cb7ff0000000000000" DATA "91a178" ROOT,
        "83" TYPE "cb7ff8000000000000" DATA "91a178" ROOT,
        "83" TYPE "a132" DATA "91a178" ROOT,
        "83" TYPE "c3" DATA "91a178" ROOT,
        "83" TYPE "d40000" DATA "91a178" ROOT,
        "82" DATA "91a178" ROOT,
        /* namespaces */
        "82" TYPE "02" DATA "91a178",
        "83" TYPE "02" DATA "91a178" NSP "c0",
        "83" TYPE "02" DATA "91a178" NSP "01",
        "83" TYPE "02" DATA "91a178" NSP "c4012f",
        "83" TYPE "02" DATA "91a178" NSP "d40000",
        /* ids */
        "84" TYPE "02" DATA "91a178" ID "cb3ff8000000000000" ROOT,
        "84" TYPE "02" DATA "91a178" ID "a130" ROOT,
        "84" TYPE "02" DATA "91a178" ID "c2" ROOT,
        "84" TYPE "02" DATA "91a178" ID "90" ROOT,
        /* data */
        "82" TYPE "02" ROOT,
        "83" TYPE "02" DATA "d40000" ROOT,
        "83" TYPE "02" DATA "80" ROOT,
        "83" TYPE "02" DATA "a178" ROOT,
        "83" TYPE "02" DATA "c40178" ROOT,
        "82" TYPE "03" ROOT,
        "83" TYPE "03" DATA "81a16101" ROOT,
        "83" TYPE "00" DATA "90" ROOT,
        "83" TYPE "00" DATA "a178" ROOT,
        "83" TYPE "00" DATA "c40178" ROOT,
        "83" TYPE "01" DATA "80" ROOT,
        "82" TYPE "04" ROOT,
        "83" TYPE "04" DATA "90" ROOT,
        "83" TYPE "04" DATA "01" ROOT,
        /* something behind it, or missing */
        "83" TYPE "02" DATA "91a178" ROOT "00",
        "83" TYPE "02" DATA "91a178" ROOT "83" TYPE "02" DATA "91a178" ROOT,
        "84" TYPE "02" DATA "91a178" ROOT,
        "83" TYPE "02" DATA "92a178" ROOT,
        "83" TYPE "02" DATA "dd7fffffffa178" ROOT,
        "dfffffffff" TYPE "02" DATA "91a178" ROOT,
        "83" TYPE "02" DATA "91c1" ROOT,
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (decode(rows[i]) != ERR_PROTO)
            fail_msg("not refused: %s", rows[i]);
    }
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    char hex[] =
        "85" TYPE "02" DATA "92a46563686fc4020102" OPTIONS ID "00" ROOT;
    assert_int_equal(decode(hex), 0);
    for (size_t n = sizeof(hex) - 3; n > 0; n -= 2) {
        hex[n] = '\0';
        assert_int_equal(decode(hex), ERR_PROTO);
    }
}

static void text_messages_are_refused(void **state)
{
    (void)state;
    struct parser_in none = {0};
    assert_int_equal(
        parser_msgpack.text(STR("2[\"x\"]"), &limits, &tape, &none), ERR_PROTO);
    assert_int_equal(parser_msgpack.text(STR(""), &limits, &tape, &none),
                     ERR_PROTO);
    parser_in_fini(&none);
}

/* ---- our own bounds --------------------------------------------------------
 */

/* ["x", and `n` times `value`] */
static int decode_many(const char *value, unsigned n)
{
    static char hex[8192];
    int at =
        snprintf(hex, sizeof(hex), "83" TYPE "02" DATA "dc%04xa178", n + 1);
    for (unsigned i = 0; i < n; i++)
        at += snprintf(hex + at, sizeof(hex) - (size_t)at, "%s", value);
    snprintf(hex + at, sizeof(hex) - (size_t)at, ROOT);
    return decode(hex);
}

static int decode_deep(unsigned depth)
{
    char hex[512];
    int at = snprintf(hex, sizeof(hex), "83" TYPE "02" DATA);
    for (unsigned i = 0; i < depth; i++)
        at += snprintf(hex + at, sizeof(hex) - (size_t)at, "91");
    snprintf(hex + at, sizeof(hex) - (size_t)at, "c0" ROOT);
    return decode(hex);
}

static int decode_named(unsigned len)
{
    char hex[2048];
    int at = snprintf(hex, sizeof(hex), "83" TYPE "02" DATA "91da%04x", len);
    for (unsigned i = 0; i < len; i++)
        at += snprintf(hex + at, sizeof(hex) - (size_t)at, "01");
    snprintf(hex + at, sizeof(hex) - (size_t)at, ROOT);
    return decode(hex);
}

static void keeps_the_bounds_of_the_text_form(void **state)
{
    (void)state;
    assert_int_equal(decode_many("c40101", 10), 0);
    assert_int_equal(decode_many("c40101", 11), ERR_LIMIT);
    assert_int_equal(decode_many("c2", 998), 0);
    assert_int_equal(decode_many("c2", 999), ERR_LIMIT);
    assert_int_equal(decode_deep(24), 0);
    assert_int_equal(decode_deep(25), ERR_LIMIT);
    assert_int_equal(decode_named(256), 0);
    assert_int_equal(decode_named(257), ERR_LIMIT);
    /* ids that would come back changed, or stand for none */
    assert_int_equal(
        decode("84" TYPE "02" DATA "91a178" ID "cf0020000000000000" ROOT),
        ERR_LIMIT);
    assert_int_equal(decode("84" TYPE "02" DATA "91a178" ID "ff" ROOT),
                     ERR_LIMIT);
    assert_int_equal(
        decode("84" TYPE "02" DATA "91a178" ID "cbbff0000000000000" ROOT),
        ERR_LIMIT);
    /* text only where text is due */
    assert_int_equal(decode("83" TYPE "02" DATA "91a178" NSP "a22fff"),
                     ERR_PROTO);
    assert_int_equal(decode("83" TYPE "00" DATA "81a161c40101" ROOT),
                     ERR_PROTO);
}

static void values_that_grow_most_have_room(void **state)
{
    (void)state;
    assert_int_equal(decode_many("81c2c2", 300), 0);
    assert_int_equal(decode_many("a101", 900), 0);
    assert_int_equal(decode_many("ca00000001", 700), 0);
    assert_int_equal(decode_many("c400", 10), 0);
    assert_int_equal(decode_many("d40500", 10), 0);
}

/* ---- what the official server sends ----------------------------------------
 */

static void encodes_as_the_official_server(void **state)
{
    (void)state;
    struct bytes *bin = bytes_new(STR("\1\2"));
    const struct {
        struct parser_out out;
        const char *hex;
    } rows[] = {
        {{PACKET_CONNECT,
          -1,
          STR("/"),
          STR("{\"sid\":\"AAAAAAAAAAAAAAAAAAAA\"}"),
          NULL,
          0,
          {NULL, 0}},
         "83a47479706500a46461746182a3736964b4"
         "4141414141414141414141414141414141414141a3706964d40000a36e7370a12f"},
        {{PACKET_EVENT,
          -1,
          STR("/"),
          STR("[\"echo-back\",1,\"\xc3\xa9\",{\"_placeholder\":true,\"num\":0},"
              "null,true,1.5,{\"a\":-1}]"),
          &bin,
          1,
          {NULL, 0}},
         "83a47479706502a46461746198a96563686f2d6261636b01a2c3a9c4020102c0c3cb3"
         "f"
         "f800000000000081a161ffa36e7370a12f"},
        {{PACKET_EVENT, 0, STR("/"), STR("[\"q\",1]"), NULL, 0, {NULL, 0}},
         "84a47479706502a46461746192a17101a2696400a36e7370a12f"},
        {{PACKET_ACK, 0, STR("/"), STR("[1]"), NULL, 0, {NULL, 0}},
         "84a2696400a47479706503a4646174619101a36e7370a12f"},
        {{PACKET_CONNECT_ERROR,
          -1,
          STR("/nope"),
          STR("{\"message\":\"Invalid namespace\"}"),
          NULL,
          0,
          {NULL, 0}},
         "83a47479706504a36e7370a52f6e6f7065a46461746181a76d657373616765b1496e7"
         "6"
         "616c6964206e616d657370616365"},
        {{PACKET_DISCONNECT, -1, STR("/"), STR(""), NULL, 0, {NULL, 0}},
         "82a47479706501a36e7370a12f"},
        /* without attachments a placeholder is an object like any other */
        {{PACKET_EVENT,
          -1,
          STR("/"),
          STR("[\"x\",{\"_placeholder\":true,\"num\":0}]"),
          NULL,
          0,
          {NULL, 0}},
         "83" TYPE "02" DATA
         "92a17882ac5f706c616365686f6c646572c3a36e756d00" ROOT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_encodes(&rows[i].out, rows[i].hex);
    bytes_unref(bin);
}

/* No server sends one; a head that promises more than follows would be worse.
 */
static void an_id_is_written_with_every_type(void **state)
{
    (void)state;
    struct parser_out connect = {
        .type = PACKET_CONNECT, .ack = 0, .nsp = STR("/")};
    struct parser_out end = {
        .type = PACKET_DISCONNECT, .ack = 1, .nsp = STR("/")};
    struct parser_out error = {
        .type = PACKET_CONNECT_ERROR, .ack = 2, .nsp = STR("/")};
    assert_encodes(&connect, "83a47479706500a2696400a36e7370a12f");
    assert_encodes(&end, "83a47479706501a2696401a36e7370a12f");
    assert_encodes(&error, "83a47479706504a2696402a36e7370a12f");
}

static void a_shared_packet_is_encoded_once_per_parser(void **state)
{
    (void)state;
    struct bytes *bin = bytes_new(STR("\7"));
    struct bytes *data =
        bytes_new(STR("[\"x\",{\"_placeholder\":true,\"num\":0}]"));
    struct packet *p =
        packet_new(PACKET_EVENT, STR("/"), PACKET_NO_ACK, data, &bin, 1);
    const struct packet_frames *f =
        outbound_frames(p, &parser_msgpack, &no_fates);
    assert_int_equal(f->n, 1);
    assert_frame(f->v[0], "83" TYPE "02" DATA "92a178c40107" ROOT);
    assert_ptr_equal(outbound_frames(p, &parser_msgpack, &no_fates), f);
    const struct packet_frames *t = outbound_frames(p, &parser_text, &no_fates);
    assert_int_equal(t->n, 2);
    assert_false(t->v[0]->binary);
    assert_true(t->v[1]->binary);
    assert_ptr_equal(outbound_frames(p, &parser_text, &no_fates), t);
    assert_ptr_equal(outbound_frames(p, &parser_msgpack, &no_fates), f);
    packet_unref(p);
    bytes_unref(data);
    bytes_unref(bin);
}

static void the_offset_is_the_last_argument(void **state)
{
    (void)state;
    struct bytes *bin = bytes_new(STR("\1"));
    struct parser_out out = {
        .type = PACKET_EVENT,
        .ack = PACKET_NO_ACK,
        .nsp = STR("/"),
        .data = STR("[\"a\",{\"_placeholder\":true,\"num\":0},[]]"),
        .offset = STR("Q8"),
        .bins = &bin,
        .n_bins = 1};
    assert_encodes(&out, "83" TYPE "02" DATA "94a161c4010190a25138" ROOT);
    bytes_unref(bin);
}

static void the_reply_to_connect_has_its_pid(void **state)
{
    (void)state;
    struct parser_out out = {.type = PACKET_CONNECT,
                             .ack = PACKET_NO_ACK,
                             .nsp = STR("/"),
                             .data = STR("{\"sid\":\"a\",\"pid\":\"b\"}")};
    assert_encodes(&out, "83" TYPE "00" DATA "82a3736964a161a3706964a162" ROOT);
}

static void what_is_beyond_bounds_is_not_encoded(void **state)
{
    (void)state;
    char deep[200];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    struct parser_out out = {.type = PACKET_EVENT,
                             .ack = PACKET_NO_ACK,
                             .nsp = STR("/"),
                             .data = {deep, sizeof(deep)}};
    struct bytes *frames[OUTBOUND_FRAMES_MAX];
    assert_int_equal(outbound_encode(&parser_msgpack, &out, frames), 0);
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
    parser_in_fini(&in);
    json_fini(&tape);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes_what_the_official_client_sends),
        cmocka_unit_test(binary_becomes_attachments),
        cmocka_unit_test(accepts_what_the_official_parser_accepts),
        cmocka_unit_test(refuses_what_the_official_parser_refuses),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(text_messages_are_refused),
        cmocka_unit_test(keeps_the_bounds_of_the_text_form),
        cmocka_unit_test(values_that_grow_most_have_room),
        cmocka_unit_test(encodes_as_the_official_server),
        cmocka_unit_test(the_offset_is_the_last_argument),
        cmocka_unit_test(the_reply_to_connect_has_its_pid),
        cmocka_unit_test(an_id_is_written_with_every_type),
        cmocka_unit_test(a_shared_packet_is_encoded_once_per_parser),
        cmocka_unit_test(what_is_beyond_bounds_is_not_encoded),
    };
    return cmocka_run_group_tests_name("parser_msgpack", tests, setup,
                                       teardown);
}
