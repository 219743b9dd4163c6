#include "adapter/wire_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/mem.h"

#define UID "FPbIfr"

static const struct wire_limits limits = {.depth = 8, .json_bytes = 100000};
static struct wire_space space;
static struct json tape;
static struct buf out;

static int setup(void **state)
{
    (void)state;
    wire_space_init(&space);
    json_init(&tape);
    buf_init(&out, 100000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    wire_space_fini(&space);
    json_fini(&tape);
    buf_fini(&out);
    return 0;
}

/* Hexadecimal digits to bytes, blanks skipped, in memory of that size. */
static struct str bytes_of(const char *hex)
{
    static char *last;
    size_t n = 0;
    mem_free(last);
    last = mem_alloc(strlen(hex) / 2 + 1);
    for (const char *p = hex; *p; p++) {
        unsigned byte;
        if (*p == ' ')
            continue;
        assert_int_equal(sscanf(p, "%2x", &byte), 1);
        last[n++] = (char)byte;
        p++;
    }
    last = mem_realloc(last, n + 1);
    return (struct str){last, n};
}

static struct packet *packet_of(const char *data)
{
    struct bytes *b = bytes_new(str_of(data));
    struct packet *p =
        packet_new(PACKET_EVENT, STR("/"), PACKET_NO_ACK, b, NULL, 0);
    bytes_unref(b);
    return p;
}

#define assert_str(s, want) assert_true(str_eq(s, str_of(want)))

/* ---- what the official adapter sends ------------------------------------- */

static void assert_wire(const struct wire_request *r, struct str want)
{
    buf_clear(&out);
    assert_int_equal(wire_request_encode(&tape, r, &out), 0);
    assert_int_equal(out.len, want.len);
    assert_memory_equal(buf_ptr(&out), want.p, want.len);
    assert_true(str_eq(wire_request_uid(want), r->uid));
}

static struct wire_request request(enum wire_type type, const char *id)
{
    return (struct wire_request){
        .type = type, .uid = STR(UID), .id = str_of(id)};
}

static void requests_are_as_captured(void **state)
{
    (void)state;
    struct wire_request r = request(WIRE_ALL_ROOMS, "7MqPaK");
    assert_wire(
        &r, STR("{\"uid\":\"FPbIfr\",\"requestId\":\"7MqPaK\",\"type\":1}"));
    struct str room1[] = {STR("room1")}, names[] = {STR("r2"), STR("r3")};
    r = request(WIRE_JOIN, "");
    r.opts = (struct broadcast){.rooms = room1, .n_rooms = 1};
    r.names = (struct room_names){names, 2, 0};
    assert_wire(&r,
                STR("{\"uid\":\"FPbIfr\",\"type\":2,\"opts\":{\"rooms\":"
                    "[\"room1\"],\"except\":[]},\"rooms\":[\"r2\",\"r3\"]}"));
    r = request(WIRE_LEAVE, "");
    r.opts = (struct broadcast){.except = room1, .n_except = 1};
    r.names = (struct room_names){names, 1, 0};
    assert_wire(&r, STR("{\"uid\":\"FPbIfr\",\"type\":3,\"opts\":{\"rooms\":"
                        "[],\"except\":[\"room1\"]},\"rooms\":[\"r2\"]}"));
    r = request(WIRE_DISCONNECT, "");
    r.close = true;
    assert_wire(&r, STR("{\"uid\":\"FPbIfr\",\"type\":4,\"opts\":{\"rooms\":"
                        "[],\"except\":[]},\"close\":true}"));
    r = request(WIRE_FETCH, "s4wybT");
    assert_wire(&r, STR("{\"uid\":\"FPbIfr\",\"requestId\":\"s4wybT\",\"type\""
                        ":5,\"opts\":{\"rooms\":[],\"except\":[]}}"));
    r = request(WIRE_EVENT, "");
    r.data = STR("[\"sse\",1,{\"a\":2}]");
    assert_wire(&r, STR("{\"uid\":\"FPbIfr\",\"type\":6,\"data\":"
                        "[\"sse\",1,{\"a\":2}]}"));
    r = request(WIRE_EVENT, "x56Bfh");
    r.data = STR("[\"sse\",\"q\"]");
    assert_wire(&r, STR("{\"uid\":\"FPbIfr\",\"requestId\":\"x56Bfh\",\"type\":"
                        "6,\"data\":[\"sse\",\"q\"]}"));
}

static void a_broadcast_with_ack_is_as_captured(void **state)
{
    (void)state;
    struct wire_request r = request(WIRE_BROADCAST, "ULOesh");
    r.timeout_ms = 1000;
    r.packet = packet_of("[\"ask\",\"q\"]");
    struct str want = bytes_of(
        "85 a3756964 a6465062496672 a9726571756573744964 a6554c4f657368"
        "a474797065 07 a67061636b6574 83 a474797065 02 a464617461 92 a361736b"
        "a171 a36e7370 a12f a46f707473 83 a5726f6f6d73 90 a6657863657074 90"
        "a5666c616773 81 a774696d656f7574 cd03e8");
    assert_int_equal(want.len, 106);
    assert_wire(&r, want);
    packet_unref(r.packet);
}

static void an_emitter_has_no_uid(void **state)
{
    (void)state;
    struct str names[] = {STR("r9")};
    struct wire_request r = {.type = WIRE_JOIN, .names = {names, 1, 0}};
    assert_wire(&r, STR("{\"type\":2,\"opts\":{\"rooms\":[],\"except\":[]},"
                        "\"rooms\":[\"r9\"]}"));
}

static void numbers_stay_numbers(void **state)
{
    (void)state;
    struct str rooms[] = {STR("7"), STR("7"), STR("1.5"), STR("seven")};
    struct wire_request r = request(WIRE_FETCH, "s4wybT");
    r.opts = (struct broadcast){
        .rooms = rooms, .n_rooms = 4, .number_rooms = 1 | 4 | 8};
    assert_wire(&r, STR("{\"uid\":\"FPbIfr\",\"requestId\":\"s4wybT\",\"type\""
                        ":5,\"opts\":{\"rooms\":[7,\"7\",1.5,\"seven\"],"
                        "\"except\":[]}}"));
    r = request(WIRE_BROADCAST, "ULOesh");
    r.packet = packet_of("[\"x\"]");
    r.opts =
        (struct broadcast){.rooms = rooms, .n_rooms = 2, .number_rooms = 1};
    assert_wire(&r, bytes_of("85 a3756964 a6465062496672 a9726571756573744964"
                             "a6554c4f657368 a474797065 07 a67061636b6574 83"
                             "a474797065 02 a464617461 91 a178 a36e7370 a12f"
                             "a46f707473 83 a5726f6f6d73 92 07 a137"
                             "a6657863657074 90 a5666c616773 80"));
    packet_unref(r.packet);
}

static void responses_are_as_captured(void **state)
{
    (void)state;
    wire_response_begin(STR("7MqPaK"), "rooms", &out);
    buf_add(&out, STR("\"room1\"]}"));
    assert_str(buf_str(&out),
               "{\"requestId\":\"7MqPaK\",\"rooms\":[\"room1\"]}");
    buf_clear(&out);
    assert_int_equal(wire_response_event(&tape, STR("x56Bfh"),
                                         STR("\"resp-B\""), NULL, 0, &out),
                     0);
    assert_str(buf_str(&out),
               "{\"type\":6,\"requestId\":\"x56Bfh\",\"data\":\"resp-B\"}");
    buf_clear(&out);
    assert_int_equal(
        wire_response_event(&tape, STR("x56Bfh"), STR(""), NULL, 0, &out), 0);
    assert_str(buf_str(&out), "{\"type\":6,\"requestId\":\"x56Bfh\"}");
    buf_clear(&out);
    wire_response_count(STR("ULOesh"), 2, &out);
    assert_str(buf_str(&out),
               "{\"type\":8,\"requestId\":\"ULOesh\",\"clientCount\":2}");
    buf_clear(&out);
    wire_response_done(STR("abc"), &out);
    assert_str(buf_str(&out), "{\"requestId\":\"abc\"}");
}

static void acknowledgements_are_as_captured(void **state)
{
    (void)state;
    const struct str id = STR("ULOesh");
    assert_int_equal(wire_response_ack(&tape, id, STR("\"B1\""), NULL, 0, &out),
                     0);
    assert_true(str_eq(buf_str(&out),
                       bytes_of("83a47479706509a9726571756573744964a6554c4f65"
                                "7368a67061636b6574a24231")));
    struct bytes *bin[] = {bytes_new(STR("\xde\xad"))};
    buf_clear(&out);
    assert_int_equal(wire_response_ack(&tape, id,
                                       STR("{\"_placeholder\":true,\"num\":0}"),
                                       bin, 1, &out),
                     0);
    assert_true(str_eq(buf_str(&out),
                       bytes_of("83a47479706509a9726571756573744964a6554c4f65"
                                "7368a67061636b6574c402dead")));
    buf_clear(&out);
    assert_int_equal(
        wire_response_ack(&tape, STR("d1SrPy"), STR(""), NULL, 0, &out), 0);
    assert_true(
        str_eq(buf_str(&out),
               bytes_of("82a47479706509a9726571756573744964a6643153725079")));
    bytes_unref(bin[0]);
}

static void attachments_of_an_event_become_what_json_can_hold(void **state)
{
    (void)state;
    struct bytes *bin[] = {bytes_new(STR("\1\xff")), bytes_new(STR(""))};
    assert_int_equal(
        wire_response_event(
            &tape, STR("i"),
            STR("{\"a\":[{\"_placeholder\":true,\"num\":0},1],"
                "\"b\":{\"num\":1,\"_placeholder\":true},\"c\":{}}"),
            bin, 2, &out),
        0);
    assert_str(buf_str(&out),
               "{\"type\":6,\"requestId\":\"i\",\"data\":{\"a\":[{\"type\":"
               "\"Buffer\",\"data\":[1,255]},1],\"b\":{\"type\":\"Buffer\","
               "\"data\":[]},\"c\":{}}}");
    bytes_unref(bin[0]);
    bytes_unref(bin[1]);
}

static void channels_are_those_of_the_adapter(void **state)
{
    (void)state;
    wire_request_channel(STR("socket.io"), STR("/chat"), &out);
    assert_str(buf_str(&out), "socket.io-request#/chat#");
    buf_clear(&out);
    wire_response_channel(STR("socket.io"), STR("/"), STR(""), &out);
    assert_str(buf_str(&out), "socket.io-response#/#");
    buf_clear(&out);
    wire_response_channel(STR("socket.io"), STR("/"), STR(UID), &out);
    assert_str(buf_str(&out), "socket.io-response#/#FPbIfr#");
}

static void what_is_no_event_is_never_published(void **state)
{
    (void)state;
    struct wire_request r = request(WIRE_BROADCAST, "ULOesh");
    r.packet = packet_of("{\"a\":1}");
    assert_int_equal(wire_request_encode(&tape, &r, &out), ERR_PROTO);
    packet_unref(r.packet);
    assert_int_equal(
        wire_response_ack(&tape, STR("i"), STR("[1"), NULL, 0, &out),
        ERR_PROTO);
    assert_int_equal(
        wire_response_event(&tape, STR("i"), STR("}"), NULL, 0, &out),
        ERR_PROTO);
    buf_fini(&out);
    buf_init(&out, 10);
    r = request(WIRE_ALL_ROOMS, "7MqPaK");
    assert_int_equal(wire_request_encode(&tape, &r, &out), ERR_LIMIT);
}

/* ---- reading requests ---------------------------------------------------- */

static struct wire_request got;

static int decode(struct str payload)
{
    return wire_request_decode(payload, STR("/"), &limits, &space, &got);
}

static void assert_reads(struct str payload, enum wire_type type)
{
    assert_int_equal(decode(payload), 0);
    assert_int_equal(got.type, type);
}

static void assert_refuses(struct str payload, int rc)
{
    assert_int_equal(decode(payload), rc);
    wire_request_fini(&got);
}

static void types_are_read(void **state)
{
    (void)state;
    assert_reads(STR("{\"x\":[{}],\"opts\":{\"more\":1,\"except\":[\"e\\n\",7],"
                     "\"rooms\":[\"a\",\"\\u0062\"]},\"type\":5,"
                     "\"requestId\":\"r\\u0031\",\"uid\":\"u\"}"),
                 WIRE_FETCH);
    assert_str(got.id, "r1");
    assert_str(got.uid, "u");
    assert_int_equal(got.opts.n_rooms, 2);
    assert_str(got.opts.rooms[0], "a");
    assert_str(got.opts.rooms[1], "b");
    assert_int_equal(got.opts.n_except, 2);
    assert_str(got.opts.except[0], "e\n");
    assert_str(got.opts.except[1], "7");
    assert_int_equal(got.opts.number_except, 2);
    assert_reads(STR("{\"type\":0,\"requestId\":\"r\",\"rooms\":[\"a\"]}"),
                 WIRE_SOCKETS);
    assert_int_equal(got.opts.n_rooms, 1);
    assert_reads(STR("{\"type\":1.0,\"requestId\":\"r\"}"), WIRE_ALL_ROOMS);
    assert_reads(
        STR("{\"type\":4,\"opts\":{\"rooms\":[\"a\"]},\"close\":true}"),
        WIRE_DISCONNECT);
    assert_true(got.close);
    assert_int_equal(got.id.len, 0);
    assert_reads(STR("{\"type\":6,\"uid\":\"emitter\",\"data\":[\"e\", 1 ]}"),
                 WIRE_EVENT);
    assert_str(got.data, "[\"e\", 1 ]");
}

static void missing_and_nil_options_are_tolerated(void **state)
{
    (void)state;
    assert_reads(STR("{\"type\":5,\"requestId\":\"r\"}"), WIRE_FETCH);
    assert_reads(STR("{\"type\":5,\"requestId\":\"r\",\"opts\":null}"),
                 WIRE_FETCH);
    assert_reads(STR("{\"type\":2,\"opts\":{\"rooms\":null},\"rooms\":[]}"),
                 WIRE_JOIN);
    assert_int_equal(got.opts.n_rooms + got.opts.n_except + got.names.n, 0);
    assert_reads(STR("{\"type\":0,\"requestId\":\"r\"}"), WIRE_SOCKETS);
    assert_reads(STR("{\"type\":4,\"opts\":{},\"close\":1}"), WIRE_DISCONNECT);
    assert_false(got.close);
}

static void numbers_name_rooms_by_their_digits(void **state)
{
    (void)state;
    assert_reads(STR("{\"type\":3,\"opts\":{\"rooms\":[7,-1,2.5,1e3,"
                     "18446744073709551615,1e21]},\"rooms\":[\"a\",8]}"),
                 WIRE_LEAVE);
    const char *want[] = {"7",    "-1", "2.5", "1000", "18446744073709551615",
                          "1e+21"};
    assert_int_equal(got.opts.n_rooms, 6);
    for (unsigned i = 0; i < 6; i++)
        assert_str(got.opts.rooms[i], want[i]);
    assert_int_equal(got.opts.number_rooms, 63);
    assert_str(got.names.v[1], "8");
    assert_int_equal(got.names.numbers, 2);
}

static void older_servers_name_one_socket(void **state)
{
    (void)state;
    assert_reads(STR("{\"requestId\":\"abc\",\"type\":2,\"sid\":\"s1\","
                     "\"room\":\"r\"}"),
                 WIRE_JOIN);
    assert_str(got.sid, "s1");
    assert_str(got.names.v[0], "r");
    assert_reads(STR("{\"requestId\":\"abc\",\"type\":4,\"sid\":\"s1\","
                     "\"close\":true}"),
                 WIRE_DISCONNECT);
    assert_true(got.close);
    /* What nobody is named in is for nobody. */
    assert_refuses(STR("{\"type\":4,\"close\":true}"), ERR_PROTO);
    assert_refuses(STR("{\"type\":4,\"opts\":null,\"close\":true}"), ERR_PROTO);
    assert_refuses(STR("{\"type\":4,\"sid\":\"\"}"), ERR_PROTO);
    assert_refuses(STR("{\"type\":4,\"sid\":7}"), ERR_PROTO);
    assert_refuses(STR("{\"type\":2,\"sid\":\"s1\"}"), ERR_PROTO);
    assert_refuses(STR("{\"type\":2,\"opts\":{}}"), ERR_PROTO);
}

static void messagepack_says_the_same(void **state)
{
    (void)state;
    /* With wide forms, a key that nobody knows and binary in it. */
    assert_reads(bytes_of("de0005 a178 c40101 a474797065 cf0000000000000005"
                          "a9726571756573744964 d90172 a3756964 a175"
                          "a46f707473 81 a5726f6f6d73 92 07 a161"),
                 WIRE_FETCH);
    assert_str(got.uid, "u");
    assert_str(got.id, "r");
    assert_str(got.opts.rooms[0], "7");
    assert_int_equal(got.opts.number_rooms, 1);
    assert_str(got.opts.rooms[1], "a");
    assert_reads(bytes_of("82 a474797065 06 a464617461 92 a165 81 a161 c0"),
                 WIRE_EVENT);
    assert_str(got.data, "[\"e\",{\"a\":null}]");
}

#define ASK "85 a3756964 a175 a9726571756573744964 a172 a474797065 07"
#define PACKET "a67061636b6574 82 a474797065 02 a464617461"

static void broadcasts_are_read_in_both_forms(void **state)
{
    (void)state;
    assert_reads(bytes_of(ASK PACKET "92 a165 c40107 a46f707473 81 a5666c616773"
                                     "82 a774696d656f7574 cd03e8"
                                     "a8766f6c6174696c65 c3"),
                 WIRE_BROADCAST);
    assert_int_equal(got.timeout_ms, 1000);
    assert_true(got.opts.is_volatile);
    assert_int_equal(got.packet->n_bins, 1);
    assert_str(bytes_str(got.packet->data),
               "[\"e\",{\"_placeholder\":true,\"num\":0}]");
    wire_request_fini(&got);
    assert_reads(STR("{\"type\":7,\"requestId\":\"r\",\"opts\":{},\"packet\":"
                     "{\"type\":2,\"data\":[\"e\"],\"nsp\":\"/\"}}"),
                 WIRE_BROADCAST);
    assert_str(bytes_str(got.packet->data), "[\"e\"]");
    wire_request_fini(&got);
    assert_refuses(bytes_of(ASK PACKET "91 a165 a46f707473 c0"), ERR_PROTO);
    assert_refuses(bytes_of(ASK PACKET "91 c0 a46f707473 80"), ERR_PROTO);
    assert_refuses(STR("{\"type\":7,\"requestId\":\"r\",\"opts\":{},\"packet\":"
                       "{\"type\":2,\"data\":[\"e\"],\"nsp\":\"/x\"}}"),
                   ERR_STATE);
    assert_refuses(STR("{\"type\":7,\"requestId\":\"r\",\"opts\":{},\"packet\":"
                       "{\"type\":5,\"data\":[\"e\"]}}"),
                   ERR_PROTO);
    assert_refuses(STR("{\"type\":7,\"requestId\":\"r\",\"opts\":{},\"packet\":"
                       "{\"type\":2,\"data\":[\"connect\"]}}"),
                   ERR_PROTO);
    assert_refuses(STR("{\"type\":7,\"requestId\":\"r\",\"opts\":{},"
                       "\"packet\":[]}"),
                   ERR_PROTO);
}

static void what_makes_no_sense_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "garbage",
        "{}",
        "[]",
        "{\"type\":8}",
        "{\"type\":-1}",
        "{\"type\":\"1\"}",
        "{\"type\":1}",
        "{\"type\":1,\"requestId\":\"\"}",
        "{\"type\":5,\"requestId\":7}",
        "{\"type\":5,\"requestId\":\"r\",\"opts\":[]}",
        "{\"type\":5,\"requestId\":\"r\",\"opts\":{\"rooms\":\"a\"}}",
        "{\"type\":5,\"requestId\":\"r\",\"opts\":{\"rooms\":[null]}}",
        "{\"type\":5,\"requestId\":\"r\",\"opts\":{\"rooms\":[1e999]}}",
        "{\"type\":6}",
        "{\"type\":6,\"data\":[]}",
        "{\"type\":6,\"data\":{}}",
        "{\"type\":6,\"data\":[null]}",
        "{\"type\":6,\"data\":[\"e\"]} ,",
        "\x81\xa4type\x05\xc0",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_refuses(str_of(bad[i]), ERR_PROTO);
    assert_refuses(STR("{\"type\":6,\"data\":[\"e\",[[[[[[[[[[[]]]]]]]]]]]]}"),
                   ERR_LIMIT);
}

static void names_and_ids_are_bounded(void **state)
{
    (void)state;
    buf_add(&out, STR("{\"type\":5,\"requestId\":\"r\",\"opts\":{\"rooms\":["));
    for (unsigned i = 0; i < WIRE_NAMES_MAX; i++)
        buf_add(&out, STR("9,"));
    size_t full = out.len;
    buf_add(&out, STR("9]}}"));
    assert_refuses(buf_str(&out), ERR_LIMIT);
    buf_truncate(&out, full - 1);
    buf_add(&out, STR("]}}"));
    assert_int_equal(decode(buf_str(&out)), 0);
    assert_int_equal(got.opts.n_rooms, WIRE_NAMES_MAX);
    assert_true(got.opts.number_rooms == UINT64_MAX);
    buf_clear(&out);
    buf_add(&out, STR("{\"type\":1,\"requestId\":\""));
    for (unsigned i = 0; i <= WIRE_ID_MAX; i++)
        buf_addc(&out, 'x');
    buf_add(&out, STR("\"}"));
    assert_refuses(buf_str(&out), ERR_LIMIT);
}

static void the_uid_can_be_read_alone(void **state)
{
    (void)state;
    assert_str(wire_request_uid(STR("{\"uid\":\"ab\",")), "ab");
    assert_str(wire_request_uid(STR("{\"uid\":\"a\\n\",")), "");
    assert_str(wire_request_uid(STR("{\"uid\":\"ab")), "");
    assert_str(wire_request_uid(STR("{\"uid\":7")), "");
    assert_str(wire_request_uid(STR("")), "");
    assert_str(wire_request_uid(bytes_of("81 a3756964 a175")), "u");
    assert_str(wire_request_uid(bytes_of("81 a3756964")), "");
}

/* ---- reading responses --------------------------------------------------- */

static struct wire_response answer;

static int decode_response(struct str payload)
{
    return wire_response_decode(payload, &limits, &space, &answer);
}

static void responses_are_read_in_both_forms(void **state)
{
    (void)state;
    assert_int_equal(
        decode_response(STR("{\"requestId\":\"r\",\"sockets\":[{\"id\":1}]}")),
        0);
    assert_str(json_text(&space.tape, answer.sockets), "[{\"id\":1}]");
    assert_int_equal(answer.rooms, JSON_NONE);
    assert_int_equal(answer.type, WIRE_NO_TYPE);
    assert_int_equal(
        decode_response(STR("{\"requestId\":\"r\",\"rooms\":[1,\"a\"]}")), 0);
    assert_str(json_text(&space.tape, answer.rooms), "[1,\"a\"]");
    assert_int_equal(
        decode_response(
            bytes_of("82 a9726571756573744964 a172 a5726f6f6d73 92 01 a161")),
        0);
    assert_str(json_text(&space.tape, answer.rooms), "[1,\"a\"]");
    assert_int_equal(
        decode_response(STR("{\"type\":6,\"requestId\":\"r\",\"data\":null}")),
        0);
    assert_str(answer.value, "null");
    assert_int_equal(decode_response(STR("{\"type\":6,\"requestId\":\"r\"}")),
                     0);
    assert_int_equal(answer.value.len, 0);
    assert_int_equal(decode_response(STR("{\"type\":8,\"requestId\":\"r\","
                                         "\"clientCount\":3}")),
                     0);
    assert_int_equal(answer.clients, 3);
    assert_int_equal(
        decode_response(STR("{\"type\":9,\"requestId\":\"r\",\"packet\":[1]}")),
        0);
    assert_str(answer.value, "[1]");
    assert_int_equal(
        decode_response(bytes_of("83a47479706509a9726571756573744964a6554c4f65"
                                 "7368a67061636b6574c402dead")),
        0);
    assert_str(answer.id, "ULOesh");
    assert_str(answer.value, "{\"_placeholder\":true,\"num\":0}");
    assert_int_equal(answer.bins.n, 1);
    assert_str(bytes_str(answer.bins.v[0]), "\xde\xad");
    wire_response_fini(&answer);
    assert_int_equal(decode_response(bytes_of(
                         "82a47479706509a9726571756573744964a6643153725079")),
                     0);
    assert_int_equal(answer.type, WIRE_ACK);
    assert_int_equal(answer.value.len, 0);
}

static void bad_responses_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{}",
        "[1]",
        "7",
        "{\"requestId\":7}",
        "{\"requestId\":\"\"}",
        "{\"requestId\":\"r\",\"sockets\":{}}",
        "{\"requestId\":\"r\",\"rooms\":\"a\"}",
        "{\"type\":8,\"requestId\":\"r\"}",
        "{\"type\":8,\"requestId\":\"r\",\"clientCount\":-1}",
        "{\"type\":8,\"requestId\":\"r\",\"clientCount\":1.5}",
        "{\"type\":8,\"requestId\":\"r\",\"clientCount\":99999999999}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(decode_response(str_of(bad[i])), ERR_PROTO);
        wire_response_fini(&answer);
    }
}

static void the_id_of_a_response_can_be_read_alone(void **state)
{
    (void)state;
    assert_str(wire_response_id(STR("{\"requestId\":\"ab\"")), "ab");
    assert_str(wire_response_id(STR("{\"type\":6,\"requestId\":\"ab\"")), "ab");
    assert_str(wire_response_id(STR("{\"type\":66,\"requestId\":\"ab\"")), "");
    assert_str(wire_response_id(STR("{\"a\":1,\"requestId\":\"ab\"")), "");
    assert_str(wire_response_id(STR("{")), "");
    assert_str(wire_response_id(STR("")), "");
    assert_str(wire_response_id(bytes_of("83a47479706509a9726571756573744964"
                                         "a6554c4f657368")),
               "ULOesh");
    assert_str(wire_response_id(bytes_of("82a9726571756573744964a172")), "r");
    assert_str(wire_response_id(bytes_of("82a474797065")), "");
}

/* ---- there and back ------------------------------------------------------ */

static void what_was_written_is_read_back(void **state)
{
    (void)state;
    struct str rooms[] = {STR("a"), STR("7"), STR("\"\n\xc3\xa9")};
    struct str names[] = {STR("1.5"), STR("n")};
    for (unsigned type = WIRE_SOCKETS; type <= WIRE_BROADCAST; type++) {
        struct wire_request r = request(type, "id\"");
        if (type != WIRE_ALL_ROOMS && type != WIRE_EVENT)
            r.opts = (struct broadcast){
                .rooms = rooms, .n_rooms = 3, .number_rooms = 2};
        r.names = (struct room_names){names, 2, 1};
        r.data = STR("[\"e\",{\"a\":1}]");
        r.packet = packet_of("[\"e\",{\"a\":1}]");
        buf_clear(&out);
        assert_int_equal(wire_request_encode(&tape, &r, &out), 0);
        assert_reads(buf_str(&out), type);
        assert_true(str_eq(got.id, r.id));
        assert_int_equal(got.opts.n_rooms, r.opts.n_rooms);
        assert_true(got.opts.number_rooms == r.opts.number_rooms);
        for (size_t i = 0; i < r.opts.n_rooms; i++)
            assert_true(str_eq(got.opts.rooms[i], rooms[i]));
        if (type == WIRE_JOIN || type == WIRE_LEAVE) {
            assert_int_equal(got.names.n, 2);
            assert_true(str_eq(got.names.v[0], names[0]));
            assert_true(got.names.numbers == 1);
        }
        if (type == WIRE_EVENT)
            assert_true(str_eq(got.data, r.data));
        if (type == WIRE_BROADCAST)
            assert_true(str_eq(bytes_str(got.packet->data), r.data));
        wire_request_fini(&got);
        packet_unref(r.packet);
    }
}

static void large_messages_give_their_storage_back(void **state)
{
    (void)state;
    buf_add(&out, STR("{\"type\":6,\"data\":[\"\\u0065\""));
    for (unsigned i = 0; i < 45000; i++)
        buf_add(&out, STR(",1"));
    buf_add(&out, STR("]}"));
    assert_int_equal(decode(buf_str(&out)), 0);
    wire_space_trim(&space);
    assert_int_equal(space.tape.cap, 0);
    assert_int_equal(space.scratch.cap, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(requests_are_as_captured),
        TEST(a_broadcast_with_ack_is_as_captured),
        TEST(an_emitter_has_no_uid),
        TEST(numbers_stay_numbers),
        TEST(responses_are_as_captured),
        TEST(acknowledgements_are_as_captured),
        TEST(attachments_of_an_event_become_what_json_can_hold),
        TEST(channels_are_those_of_the_adapter),
        TEST(what_is_no_event_is_never_published),
        TEST(types_are_read),
        TEST(missing_and_nil_options_are_tolerated),
        TEST(numbers_name_rooms_by_their_digits),
        TEST(older_servers_name_one_socket),
        TEST(messagepack_says_the_same),
        TEST(broadcasts_are_read_in_both_forms),
        TEST(what_makes_no_sense_is_refused),
        TEST(names_and_ids_are_bounded),
        TEST(the_uid_can_be_read_alone),
        TEST(responses_are_read_in_both_forms),
        TEST(bad_responses_are_refused),
        TEST(the_id_of_a_response_can_be_read_alone),
        TEST(what_was_written_is_read_back),
        TEST(large_messages_give_their_storage_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
