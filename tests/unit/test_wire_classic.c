#include "adapter/wire_classic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/mem.h"

#define UID "FPbIfr"

static const struct wire_limits limits = {.depth = 8, .json_bytes = 10000};

/* Hexadecimal digits to bytes, blanks skipped, in memory of that size. */
static char *bytes_of(const char *hex, size_t *len)
{
    size_t n = 0;
    char *out = mem_alloc(strlen(hex) / 2);
    for (const char *p = hex; *p; p++) {
        unsigned byte;
        if (*p == ' ')
            continue;
        assert_int_equal(sscanf(p, "%2x", &byte), 1);
        out[n++] = (char)byte;
        p++;
    }
    *len = n;
    return mem_realloc(out, n);
}

static struct packet *packet_of(const char *data)
{
    struct bytes *b = bytes_new(str_of(data));
    struct packet *p =
        packet_new(PACKET_EVENT, STR("/"), PACKET_NO_ACK, b, NULL, 0);
    bytes_unref(b);
    return p;
}

static void encode(struct packet *p, const struct broadcast *b, struct buf *out)
{
    struct json tape;
    json_init(&tape);
    buf_init(out, 100000);
    assert_int_equal(wire_classic_encode(&tape, STR(UID), p, b, out), 0);
    json_fini(&tape);
}

static void assert_wire(const char *data, const struct broadcast *b,
                        const char *channel, const char *hex)
{
    size_t len;
    char *want = bytes_of(hex, &len);
    struct packet *p = packet_of(data);
    struct buf out;
    encode(p, b, &out);
    assert_int_equal(out.len, len);
    assert_memory_equal(buf_ptr(&out), want, len);
    buf_clear(&out);
    wire_classic_channel(STR("socket.io#/#"), b, &out);
    assert_true(str_eq(buf_str(&out), str_of(channel)));
    buf_fini(&out);
    packet_unref(p);
    mem_free(want);
}

/* ---- what the official adapter sends ------------------------------------- */

static void a_broadcast_to_all_is_as_captured(void **state)
{
    (void)state;
    struct broadcast b = {0};
    assert_wire("[\"hello\",1,\"2\",{\"a\":[true,null]}]", &b, "socket.io#/#",
                "93 a6 46506249 6672 83 a474797065 02 a464617461 94"
                "a568656c6c6f 01 a132 81 a161 92 c3 c0 a36e7370 a12f 83"
                "a5726f6f6d73 90 a6657863657074 90 a5666c616773 80");
}

static void one_room_has_a_channel_of_its_own(void **state)
{
    (void)state;
    struct str rooms[] = {STR("room1")};
    struct broadcast b = {.rooms = rooms, .n_rooms = 1};
    assert_wire("[\"x\"]", &b, "socket.io#/#room1#",
                "93a646506249667283a47479706502a46461746191a178a36e7370a12f83"
                "a5726f6f6d7391a5726f6f6d31a665786365707490a5666c61677380");
}

static void several_rooms_go_to_the_namespace(void **state)
{
    (void)state;
    struct str rooms[] = {STR("room1"), STR("room2")};
    struct broadcast b = {.rooms = rooms, .n_rooms = 2};
    assert_wire("[\"x\"]", &b, "socket.io#/#",
                "93a646506249667283a47479706502a46461746191a178a36e7370a12f83"
                "a5726f6f6d7392a5726f6f6d31a5726f6f6d32a665786365707490"
                "a5666c61677380");
}

static void an_exception_alone_goes_to_the_namespace(void **state)
{
    (void)state;
    struct str except[] = {STR("room1")};
    struct broadcast b = {.except = except, .n_except = 1};
    assert_wire("[\"x\"]", &b, "socket.io#/#",
                "93a646506249667283a47479706502a46461746191a178a36e7370a12f83"
                "a5726f6f6d7390a665786365707491a5726f6f6d31a5666c61677380");
}

static void a_room_and_an_excepted_socket(void **state)
{
    (void)state;
    struct str rooms[] = {STR("room1")};
    struct str except[] = {STR("qbGrguK30IXqrVyjAAAB")};
    struct broadcast b = {
        .rooms = rooms, .n_rooms = 1, .except = except, .n_except = 1};
    assert_wire("[\"x\"]", &b, "socket.io#/#room1#",
                "93a646506249667283a47479706502a46461746191a178a36e7370a12f83"
                "a5726f6f6d7391a5726f6f6d31a665786365707491"
                "b4 71624772 67754b33 30495871 7256796a 41414142"
                "a5666c61677380");
}

static void the_volatile_flag_is_only_there_when_set(void **state)
{
    (void)state;
    struct broadcast b = {.is_volatile = true};
    assert_wire("[\"x\"]", &b, "socket.io#/#",
                "93a646506249667283a47479706502a46461746191a178a36e7370a12f83"
                "a5726f6f6d7390a665786365707490"
                "a5666c616773 81 a8766f6c6174696c65 c3");
}

static void numbers_stay_numbers(void **state)
{
    (void)state;
    struct str rooms[] = {STR("7")};
    struct str except[] = {STR("8"), STR("2.5"), STR("-300"), STR("nine")};
    struct broadcast b = {.rooms = rooms,
                          .n_rooms = 1,
                          .number_rooms = 1,
                          .except = except,
                          .n_except = 4,
                          .number_except = 2 | 4 | 8};
    assert_wire("[\"x\"]", &b, "socket.io#/#7#",
                "93a646506249667283a47479706502a46461746191a178a36e7370a12f83"
                "a5726f6f6d7391 07 a6657863657074 94 a138 cb4004000000000000"
                "d1fed4 a46e696e65 a5666c61677380");
}

static void binary_stands_inside_the_data(void **state)
{
    (void)state;
    struct broadcast b = {0};
    struct bytes *bins[] = {bytes_new(STR("\1\2\3")),
                            bytes_new(STR("\xff\xfe")), bytes_new(STR("\7"))};
    struct bytes *data =
        bytes_new(STR("[\"bin\",{\"_placeholder\":true,\"num\":0},"
                      "{\"n\":{\"_placeholder\":true,\"num\":1}},"
                      "{\"_placeholder\":true,\"num\":2}]"));
    struct packet *p =
        packet_new(PACKET_EVENT, STR("/"), PACKET_NO_ACK, data, bins, 3);
    size_t len;
    char *want = bytes_of("93 a6 46506249 6672 83 a474797065 02 a464617461 94"
                          "a362696e c403010203 81 a16e c402fffe c40107"
                          "a36e7370 a12f 83 a5726f6f6d73 90 a6657863657074 90"
                          "a5666c616773 80",
                          &len);
    struct buf out;
    encode(p, &b, &out);
    assert_int_equal(out.len, len);
    assert_int_equal(len, 69);
    assert_memory_equal(buf_ptr(&out), want, len);
    struct wire_message m;
    assert_int_equal(wire_classic_decode(buf_str(&out), STR("/"), &limits, &m),
                     0);
    assert_int_equal(m.packet->n_bins, 3);
    assert_int_equal(m.packet->type, PACKET_EVENT);
    assert_true(str_eq(bytes_str(m.packet->data), bytes_str(data)));
    for (unsigned i = 0; i < 3; i++)
        assert_true(str_eq(bytes_str(m.packet->bins[i]), bytes_str(bins[i])));
    wire_message_fini(&m);
    buf_fini(&out);
    mem_free(want);
    packet_unref(p);
    bytes_unref(data);
    for (unsigned i = 0; i < 3; i++)
        bytes_unref(bins[i]);
}

static void what_is_no_event_is_never_published(void **state)
{
    (void)state;
    struct json tape;
    struct buf out;
    struct broadcast b = {0};
    json_init(&tape);
    buf_init(&out, 1000);
    struct packet *p = packet_of("{\"a\":1}");
    assert_int_equal(wire_classic_encode(&tape, STR(UID), p, &b, &out),
                     ERR_PROTO);
    packet_unref(p);
    p = packet_of("[\"x\"");
    assert_int_equal(wire_classic_encode(&tape, STR(UID), p, &b, &out),
                     ERR_PROTO);
    packet_unref(p);
    buf_fini(&out);
    buf_init(&out, 20);
    p = packet_of("[\"x\"]");
    assert_int_equal(wire_classic_encode(&tape, STR(UID), p, &b, &out),
                     ERR_LIMIT);
    packet_unref(p);
    buf_fini(&out);
    json_fini(&tape);
}

/* ---- channels ------------------------------------------------------------ */

static void assert_pattern(const char *nsp, bool private_rooms,
                           const char *want)
{
    struct buf base, pattern;
    buf_init(&base, 100);
    buf_init(&pattern, 100);
    wire_classic_base(STR("socket.io"), str_of(nsp), &base);
    wire_classic_pattern(buf_str(&base), private_rooms, &pattern);
    assert_true(str_eq(buf_str(&pattern), str_of(want)));
    buf_fini(&base);
    buf_fini(&pattern);
}

static void patterns_match_one_namespace(void **state)
{
    (void)state;
    assert_pattern("/", false, "socket.io#/#*");
    assert_pattern("/chat", false, "socket.io#/chat#*");
    assert_pattern("/?", true, "socket.io#/\\?#????????????????????#");
    assert_pattern("/a*b?[c]\\", false, "socket.io#/a\\*b\\?\\[c\\]\\\\#*");
}

static void rooms_are_read_off_channels(void **state)
{
    (void)state;
    struct str room, base = STR("socket.io#/#");
    assert_true(wire_classic_room(base, STR("socket.io#/#"), &room));
    assert_int_equal(room.len, 0);
    assert_true(wire_classic_room(base, STR("socket.io#/#a#b#"), &room));
    assert_true(str_eq(room, STR("a#b")));
    assert_true(wire_classic_room(base, STR("socket.io#/##"), &room));
    assert_int_equal(room.len, 0);
    assert_false(wire_classic_room(base, STR("socket.io#/x#"), &room));
    assert_false(wire_classic_room(base, STR("socket.io#/"), &room));
}

/* ---- tolerance ----------------------------------------------------------- */

static struct wire_message got;

static int decode(const char *hex)
{
    static char *last;
    size_t len;
    mem_free(last);
    last = bytes_of(hex, &len);
    return wire_classic_decode((struct str){last, len}, STR("/"), &limits,
                               &got);
}

static void assert_accepts(const char *hex, const char *data)
{
    assert_int_equal(decode(hex), 0);
    assert_true(str_eq(bytes_str(got.packet->data), str_of(data)));
    assert_true(str_eq(got.packet->nsp, STR("/")));
    assert_int_equal(got.packet->ack, PACKET_NO_ACK);
}

static void assert_refuses(const char *hex, int rc)
{
    assert_int_equal(decode(hex), rc);
    assert_null(got.packet);
    wire_message_fini(&got);
}

#define HEAD "93 a178"
#define DATA_X "a464617461 91a178"
#define PACKET "83 a474797065 02" DATA_X "a36e7370 a12f"
#define OPTS_NONE "80"

static void the_emitter_is_understood(void **state)
{
    (void)state;
    assert_accepts("93a7656d697474657283a47479706502a46461746192a568656c6c6f01"
                   "a36e7370a12f83a5726f6f6d7391a5726f6f6d31a5666c61677380"
                   "a665786365707490",
                   "[\"hello\",1]");
    assert_true(str_eq(got.uid, STR("emitter")));
    assert_int_equal(got.n_rooms, 1);
    assert_true(str_eq(got.rooms[0], STR("room1")));
    assert_int_equal(got.n_except, 0);
    assert_false(got.is_volatile);
    wire_message_fini(&got);
}

static void a_missing_namespace_is_the_main_one(void **state)
{
    (void)state;
    assert_accepts(HEAD "82 a474797065 02" DATA_X OPTS_NONE, "[\"x\"]");
    wire_message_fini(&got);
}

static void messages_of_other_namespaces_are_told_apart(void **state)
{
    (void)state;
    assert_refuses(HEAD "83 a474797065 02" DATA_X "a36e7370 a22f61" OPTS_NONE,
                   ERR_STATE);
}

static void missing_and_nil_options_are_tolerated(void **state)
{
    (void)state;
    assert_accepts(HEAD PACKET OPTS_NONE, "[\"x\"]");
    assert_int_equal(got.n_rooms + got.n_except, 0);
    wire_message_fini(&got);
    assert_accepts(HEAD PACKET "83 a5726f6f6d73 c0 a6657863657074 c0"
                               "a5666c616773 c0",
                   "[\"x\"]");
    assert_int_equal(got.n_rooms + got.n_except, 0);
    wire_message_fini(&got);
}

static void keys_may_come_in_any_order_and_number(void **state)
{
    (void)state;
    assert_accepts(HEAD "85 a36e7370 a12f a17a 93010203" DATA_X
                        "a474797065 02 0707"
                        "83 a5666c616773 82 a8636f6d7072657373 c2"
                        "a8766f6c6174696c65 c3 a165 81a16190"
                        "a5726f6f6d73 91a161",
                   "[\"x\"]");
    assert_true(got.is_volatile);
    assert_int_equal(got.n_rooms, 1);
    wire_message_fini(&got);
}

/* They begin as most do, and go on in another way. */
static void what_was_read_in_vain_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_accepts(HEAD PACKET "83 a5726f6f6d73 92a161 07 a5666c616773 80"
                               "a5726f6f6d73 91a163",
                   "[\"x\"]");
    assert_int_equal(got.n_rooms, 1);
    assert_true(str_eq(got.rooms[0], STR("c")));
    wire_message_fini(&got);
    assert_accepts(HEAD PACKET "83 a5726f6f6d73 92a161 07 a6657863657074 91 08"
                               "a5666c616773 81 a8766f6c6174696c65 c3",
                   "[\"x\"]");
    assert_true(got.is_volatile);
    assert_int_equal(got.n_rooms, 2);
    assert_true(str_eq(got.rooms[0], STR("a")));
    assert_true(str_eq(got.rooms[1], STR("7")));
    assert_int_equal(got.n_except, 1);
    assert_true(str_eq(got.except[0], STR("8")));
    wire_message_fini(&got);
    assert_accepts(HEAD "83 a474797065 02" DATA_X DATA_X OPTS_NONE, "[\"x\"]");
    wire_message_fini(&got);
    assert_accepts(HEAD "84 a474797065 02" DATA_X "a36e7370 a22f61"
                        "a36e7370 a12f" OPTS_NONE,
                   "[\"x\"]");
    wire_message_fini(&got);
}

static void extra_elements_are_skipped(void **state)
{
    (void)state;
    assert_accepts("95 a178" PACKET OPTS_NONE "c0 8101 90", "[\"x\"]");
    wire_message_fini(&got);
}

static void wide_forms_are_tolerated(void **state)
{
    (void)state;
    assert_accepts("dc0003 d90178 de0003 da000474797065 cf0000000000000002"
                   "d90464617461 dd00000001 db0000000178 a36e7370 d9012f"
                   "df00000001 a5726f6f6d73 dc0001 d90161",
                   "[\"x\"]");
    assert_true(str_eq(got.rooms[0], STR("a")));
    wire_message_fini(&got);
    assert_accepts(HEAD "83 a474797065 ca40000000" DATA_X
                        "a36e7370 a12f" OPTS_NONE,
                   "[\"x\"]");
    wire_message_fini(&got);
}

static void numbers_name_rooms_by_their_digits(void **state)
{
    (void)state;
    assert_accepts(HEAD PACKET "82 a5726f6f6d73 94 07 ff cb4004000000000000"
                               "cfffffffffffffffff a6657863657074 91 cd0100",
                   "[\"x\"]");
    assert_int_equal(got.n_rooms, 4);
    assert_true(str_eq(got.rooms[0], STR("7")));
    assert_true(str_eq(got.rooms[1], STR("-1")));
    assert_true(str_eq(got.rooms[2], STR("2.5")));
    assert_true(str_eq(got.rooms[3], STR("18446744073709551615")));
    assert_true(str_eq(got.except[0], STR("256")));
    wire_message_fini(&got);
}

static void rooms_of_other_types_are_refused(void **state)
{
    (void)state;
    /* Left out they would widen the selection to everyone. */
    assert_int_equal(decode(HEAD PACKET "81 a5726f6f6d73 91 c0"), ERR_PROTO);
    wire_message_fini(&got);
    assert_int_equal(decode(HEAD PACKET "81 a5726f6f6d73 a161"), ERR_PROTO);
    wire_message_fini(&got);
    assert_int_equal(
        decode(HEAD PACKET "81 a5726f6f6d73 91 cb7ff8000000000000"), ERR_PROTO);
    wire_message_fini(&got);
    assert_int_equal(decode(HEAD PACKET "81 a6657863657074 91 caff800000"),
                     ERR_PROTO);
    wire_message_fini(&got);
}

static void a_uid_of_any_type_is_tolerated(void **state)
{
    (void)state;
    assert_accepts("93 920102" PACKET OPTS_NONE, "[\"x\"]");
    assert_int_equal(got.uid.len, 0);
    wire_message_fini(&got);
    assert_int_equal(wire_classic_uid(STR("\x93\x92\x01")).len, 0);
    assert_int_equal(wire_classic_uid(STR("")).len, 0);
}

static void the_uid_can_be_read_alone(void **state)
{
    (void)state;
    struct str own = wire_classic_uid(STR("\x93\xa2"
                                          "ab\xc0\xc0"));
    assert_true(str_eq(own, STR("ab")));
}

static void event_values_become_json(void **state)
{
    (void)state;
    assert_accepts(HEAD "82 a474797065 02 a464617461 94 a165"
                        "d7ff1d5353006553f100 d40000 c4012a" OPTS_NONE,
                   "[\"e\",\"2023-11-14T22:13:20.123Z\",null,"
                   "{\"_placeholder\":true,\"num\":0}]");
    assert_int_equal(got.packet->n_bins, 1);
    assert_true(str_eq(bytes_str(got.packet->bins[0]), STR("*")));
    wire_message_fini(&got);
    assert_accepts(HEAD "82 a474797065 02 a464617461 91 07" OPTS_NONE, "[7]");
    wire_message_fini(&got);
}

#define WITH_DATA(hex) HEAD "82 a474797065 02 a464617461" hex OPTS_NONE

static void what_clients_would_not_accept_is_refused(void **state)
{
    (void)state;
    assert_refuses(WITH_DATA("90"), ERR_PROTO);
    assert_refuses(WITH_DATA("80"), ERR_PROTO);
    assert_refuses(WITH_DATA("a178"), ERR_PROTO);
    assert_refuses(WITH_DATA("91 c0"), ERR_PROTO);
    assert_refuses(WITH_DATA("91 c40178"), ERR_PROTO);
    assert_refuses(WITH_DATA("91 90"), ERR_PROTO);
    assert_refuses(WITH_DATA("91 cb7ff8000000000000"), ERR_PROTO);
    assert_refuses(WITH_DATA("91 a7636f6e6e656374"), ERR_PROTO);
    assert_refuses(WITH_DATA("91 ad636f6e6e6563745f6572726f72"), ERR_PROTO);
    assert_refuses(WITH_DATA("91 aa646973636f6e6e656374"), ERR_PROTO);
    assert_refuses(WITH_DATA("91 ad646973636f6e6e656374696e67"), ERR_PROTO);
    assert_refuses(WITH_DATA("91 ab6e65774c697374656e6572"), ERR_PROTO);
    assert_refuses(WITH_DATA("91 ae72656d6f76654c697374656e6572"), ERR_PROTO);
    assert_refuses(WITH_DATA("92 a165 9191919191919190"), ERR_LIMIT);
}

static void other_packet_types_are_refused(void **state)
{
    (void)state;
    assert_refuses(HEAD "82 a474797065 05" DATA_X OPTS_NONE, ERR_PROTO);
    assert_refuses(HEAD "82 a474797065 a132" DATA_X OPTS_NONE, ERR_PROTO);
    assert_refuses(HEAD "81" DATA_X OPTS_NONE, ERR_PROTO);
    assert_refuses(HEAD "81 a474797065 02" OPTS_NONE, ERR_PROTO);
}

static void broken_envelopes_are_refused(void **state)
{
    (void)state;
    assert_refuses("92 a178" PACKET, ERR_PROTO);
    assert_refuses("a178", ERR_PROTO);
    assert_refuses("c1", ERR_PROTO);
    assert_refuses(HEAD "c0" OPTS_NONE, ERR_PROTO);
    assert_int_equal(decode(HEAD PACKET "c0"), ERR_PROTO);
    wire_message_fini(&got);
    assert_int_equal(decode(HEAD PACKET OPTS_NONE "00"), ERR_PROTO);
    wire_message_fini(&got);
}

static void long_event_names_and_room_lists_are_refused(void **state)
{
    (void)state;
    struct broadcast b = {0};
    char data[WIRE_EVENT_MAX + 8];
    for (size_t len = WIRE_EVENT_MAX; len <= WIRE_EVENT_MAX + 1; len++) {
        memset(data, 'e', sizeof(data));
        (void)snprintf(data + len + 2, 3, "\"]");
        data[0] = '[';
        data[1] = '"';
        struct packet *p = packet_of(data);
        struct buf out;
        encode(p, &b, &out);
        assert_int_equal(
            wire_classic_decode(buf_str(&out), STR("/"), &limits, &got),
            len == WIRE_EVENT_MAX ? 0 : ERR_LIMIT);
        wire_message_fini(&got);
        packet_unref(p);
        buf_fini(&out);
    }
    struct str rooms[WIRE_NAMES_MAX + 1];
    for (size_t i = 0; i <= WIRE_NAMES_MAX; i++)
        rooms[i] = STR("r");
    b.rooms = b.except = rooms;
    for (b.n_rooms = WIRE_NAMES_MAX; b.n_rooms <= WIRE_NAMES_MAX + 1;
         b.n_rooms++) {
        struct packet *p = packet_of("[\"x\"]");
        struct buf out;
        b.n_except = WIRE_NAMES_MAX;
        encode(p, &b, &out);
        assert_int_equal(
            wire_classic_decode(buf_str(&out), STR("/"), &limits, &got),
            b.n_rooms == WIRE_NAMES_MAX ? 0 : ERR_LIMIT);
        wire_message_fini(&got);
        packet_unref(p);
        buf_fini(&out);
    }
}

/* ---- both ways ----------------------------------------------------------- */

static const char *const rich =
    "95 a6465062496672" PACKET
    "83 a5726f6f6d73 94 a161 07 d90162 cd0100 a6657863657074 91 a163"
    "a5666c616773 81 a8766f6c6174696c65 c3 c0 81 a161 c70501 0102030405";

static void every_truncation_is_refused(void **state)
{
    (void)state;
    size_t len;
    char *whole = bytes_of(rich, &len);
    for (size_t n = 0; n <= len; n++) {
        char *cut = mem_alloc(n);
        memcpy(cut, whole, n);
        struct str payload = {cut, n};
        assert_int_equal(wire_classic_decode(payload, STR("/"), &limits, &got),
                         n == len ? 0 : ERR_PROTO);
        wire_message_fini(&got);
        (void)wire_classic_uid(payload);
        mem_free(cut);
    }
    mem_free(whole);
}

static void every_flipped_byte_is_survived(void **state)
{
    (void)state;
    size_t len;
    char *whole = bytes_of(rich, &len);
    for (size_t n = 0; n < len; n++) {
        for (unsigned v = 0; v < 256; v++) {
            char *changed = mem_alloc(len);
            memcpy(changed, whole, len);
            changed[n] = (char)v;
            (void)!wire_classic_decode((struct str){changed, len}, STR("/"),
                                       &limits, &got);
            wire_message_fini(&got);
            mem_free(changed);
        }
    }
    mem_free(whole);
}

static void what_was_encoded_decodes_to_the_same(void **state)
{
    (void)state;
    static const char *const data[] = {
        "[\"x\"]",
        "[7,null]",
        "[\"chat message\",{\"text\":\"gr\xC3\xBC\xC3\x9F\",\"n\":[1,-2,0.5]}]",
        "[\"e\",\"\\\"\\\\\\n\",\"\\u0001\",12345678901234567890,-1e+300]",
    };
    struct str rooms[] = {STR("a"), STR("b#c"), STR("")};
    struct str except[] = {STR("gr\xC3\xBC\xC3\x9F")};
    for (unsigned i = 0; i < 4 * 4 * 2 * 2; i++) {
        struct broadcast b = {.rooms = rooms,
                              .n_rooms = i / 4 % 4,
                              .except = except,
                              .n_except = i / 16 % 2,
                              .is_volatile = i / 32 % 2};
        struct packet *p = packet_of(data[i % 4]);
        struct buf out;
        encode(p, &b, &out);
        assert_true(str_eq(wire_classic_uid(buf_str(&out)), STR(UID)));
        assert_int_equal(
            wire_classic_decode(buf_str(&out), STR("/"), &limits, &got), 0);
        assert_true(str_eq(got.uid, STR(UID)));
        assert_true(str_eq(bytes_str(got.packet->data), str_of(data[i % 4])));
        assert_int_equal(got.n_rooms, b.n_rooms);
        for (size_t r = 0; r < b.n_rooms; r++)
            assert_true(str_eq(got.rooms[r], rooms[r]));
        assert_int_equal(got.n_except, b.n_except);
        assert_int_equal(got.is_volatile, b.is_volatile);
        wire_message_fini(&got);
        packet_unref(p);
        buf_fini(&out);
    }
}

static int forget(void **state)
{
    (void)state;
    (void)decode("c0");
    wire_message_fini(&got);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_broadcast_to_all_is_as_captured),
        cmocka_unit_test(one_room_has_a_channel_of_its_own),
        cmocka_unit_test(several_rooms_go_to_the_namespace),
        cmocka_unit_test(an_exception_alone_goes_to_the_namespace),
        cmocka_unit_test(a_room_and_an_excepted_socket),
        cmocka_unit_test(the_volatile_flag_is_only_there_when_set),
        cmocka_unit_test(numbers_stay_numbers),
        cmocka_unit_test(binary_stands_inside_the_data),
        cmocka_unit_test(what_is_no_event_is_never_published),
        cmocka_unit_test(patterns_match_one_namespace),
        cmocka_unit_test(rooms_are_read_off_channels),
        cmocka_unit_test(the_emitter_is_understood),
        cmocka_unit_test(a_missing_namespace_is_the_main_one),
        cmocka_unit_test(messages_of_other_namespaces_are_told_apart),
        cmocka_unit_test(missing_and_nil_options_are_tolerated),
        cmocka_unit_test(keys_may_come_in_any_order_and_number),
        cmocka_unit_test(what_was_read_in_vain_leaves_nothing_behind),
        cmocka_unit_test(extra_elements_are_skipped),
        cmocka_unit_test(wide_forms_are_tolerated),
        cmocka_unit_test(numbers_name_rooms_by_their_digits),
        cmocka_unit_test(rooms_of_other_types_are_refused),
        cmocka_unit_test(a_uid_of_any_type_is_tolerated),
        cmocka_unit_test(the_uid_can_be_read_alone),
        cmocka_unit_test(event_values_become_json),
        cmocka_unit_test(what_clients_would_not_accept_is_refused),
        cmocka_unit_test(other_packet_types_are_refused),
        cmocka_unit_test(broken_envelopes_are_refused),
        cmocka_unit_test(long_event_names_and_room_lists_are_refused),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_flipped_byte_is_survived),
        cmocka_unit_test(what_was_encoded_decodes_to_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
