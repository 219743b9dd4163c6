#include "adapter/wire_emitter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "adapter/wire_classic.h"
#include "adapter/wire_request.h"
#include "common/mem.h"

/* As tests/cluster/emitter.test.js compares with the official emitter itself,
 * here are the captures only that show each part once. */

static struct packet *packet_of(const char *data, const char *nsp)
{
    struct bytes *b = bytes_new(str_of(data));
    struct packet *p =
        packet_new(PACKET_EVENT, str_of(nsp), PACKET_NO_ACK, b, NULL, 0);
    bytes_unref(b);
    return p;
}

static int encode(const char *data, const char *nsp, const struct broadcast *to,
                  enum wire_compress compress, struct buf *out)
{
    struct json tape;
    json_init(&tape);
    struct packet *p = packet_of(data, nsp);
    int rc = wire_emitter_encode(&tape, p, to, compress, out);
    packet_unref(p);
    json_fini(&tape);
    return rc;
}

static void assert_hex(const struct buf *out, const char *hex)
{
    assert_int_equal(2 * out->len, strlen(hex));
    for (size_t i = 0; i < out->len; i++) {
        char two[3];
        (void)snprintf(two, sizeof(two), "%02x",
                       (unsigned char)buf_str(out).p[i]);
        assert_memory_equal(two, hex + 2 * i, 2);
    }
}

static void an_event_is_as_captured(void **state)
{
    (void)state;
    struct buf out;
    struct broadcast all = {0};
    buf_init(&out, 1000);
    assert_int_equal(
        encode("[\"hello\",1]", "/", &all, WIRE_COMPRESS_UNSAID, &out), 0);
    assert_hex(&out, "93a7656d697474657283a47479706502a46461746192a568656c6c6f"
                     "01a36e7370a12f83a5726f6f6d7390a5666c61677380a665786365"
                     "707490");
    buf_fini(&out);
}

static void rooms_flags_and_exceptions_come_in_the_emitters_order(void **state)
{
    (void)state;
    struct buf out;
    struct str rooms[] = {STR("7"), STR("7")};
    struct str except[] = {STR("-129")};
    struct broadcast to = {.rooms = rooms,
                           .n_rooms = 2,
                           .number_rooms = 1,
                           .except = except,
                           .n_except = 1,
                           .number_except = 1,
                           .is_volatile = true};
    buf_init(&out, 1000);
    assert_int_equal(encode("[\"x\"]", "/", &to, WIRE_COMPRESS_OFF, &out), 0);
    assert_hex(&out, "93a7656d697474657283a47479706502a46461746191a178a36e7370"
                     "a12f83a5726f6f6d739207a137a5666c61677382a8766f6c617469"
                     "6c65c3a8636f6d7072657373c2a665786365707491d1ff7f");
    buf_fini(&out);
}

static void servers_read_what_is_written(void **state)
{
    (void)state;
    struct buf out;
    struct str rooms[] = {STR("a"), STR("7")};
    struct str except[] = {STR("b")};
    struct broadcast to = {.rooms = rooms,
                           .n_rooms = 2,
                           .number_rooms = 2,
                           .except = except,
                           .n_except = 1,
                           .is_volatile = true};
    struct wire_limits limits = {.depth = 8, .json_bytes = 1000};
    buf_init(&out, 1000);
    assert_int_equal(
        encode("[\"x\",{\"a\":[1]}]", "/chat", &to, WIRE_COMPRESS_ON, &out), 0);
    struct wire_message *m = mem_alloc(sizeof(*m));
    assert_int_equal(
        wire_classic_decode(buf_str(&out), STR("/chat"), &limits, m), 0);
    assert_true(str_eq(m->uid, STR("emitter")));
    assert_true(str_eq(bytes_str(m->packet->data), STR("[\"x\",{\"a\":[1]}]")));
    assert_int_equal(m->n_rooms, 2);
    assert_true(str_eq(m->rooms[0], STR("a")));
    assert_true(str_eq(m->rooms[1], STR("7")));
    assert_int_equal(m->n_except, 1);
    assert_true(str_eq(m->except[0], STR("b")));
    assert_true(m->is_volatile);
    wire_message_fini(m);
    mem_free(m);
    buf_fini(&out);
}

static void requests_have_no_uid_but_those_to_servers(void **state)
{
    (void)state;
    struct json tape;
    struct buf out;
    struct str rooms[] = {STR("r9")};
    struct wire_request join = {.type = WIRE_JOIN, .names = {rooms, 1, 0}};
    struct wire_request event = {.type = WIRE_EVENT,
                                 .uid = STR(WIRE_EMITTER_UID),
                                 .data = STR("[\"sse\",1]")};
    json_init(&tape);
    buf_init(&out, 1000);
    assert_int_equal(wire_request_encode(&tape, &join, &out), 0);
    assert_true(str_eq(buf_str(&out),
                       STR("{\"type\":2,\"opts\":{\"rooms\":[],\"except\":[]},"
                           "\"rooms\":[\"r9\"]}")));
    buf_clear(&out);
    assert_int_equal(wire_request_encode(&tape, &event, &out), 0);
    assert_true(
        str_eq(buf_str(&out),
               STR("{\"uid\":\"emitter\",\"type\":6,\"data\":[\"sse\",1]}")));
    buf_fini(&out);
    json_fini(&tape);
}

static void what_does_not_fit_is_told(void **state)
{
    (void)state;
    struct buf out;
    struct broadcast all = {0};
    buf_init(&out, 40);
    assert_int_equal(
        encode("[\"hello\"]", "/", &all, WIRE_COMPRESS_UNSAID, &out),
        ERR_LIMIT);
    assert_int_equal(encode("{}", "/", &all, WIRE_COMPRESS_UNSAID, &out),
                     ERR_PROTO);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_as_captured),
        cmocka_unit_test(rooms_flags_and_exceptions_come_in_the_emitters_order),
        cmocka_unit_test(servers_read_what_is_written),
        cmocka_unit_test(requests_have_no_uid_but_those_to_servers),
        cmocka_unit_test(what_does_not_fit_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
