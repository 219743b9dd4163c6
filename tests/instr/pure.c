#include <assert.h>

#include "adapter/rooms.h"
#include "adapter/wire_classic.h"
#include "common/id.h"
#include "common/packet.h"
#include "server/io/outbound.h"
#include "server/io/parser_msgpack.h"
#include "tests/instr/instr.h"

static const char data[] = "[\"say\",{\"room\":\"lobby\",\"seq\":12345,"
                           "\"text\":\"good morning, all of "
                           "you\",\"tags\":[1,2.5,true,null]}]";

static const struct parser_limits limits = {{24, 100000}, 256};
static const struct wire_limits wire_limits = {.depth = 24,
                                               .json_bytes = 1000000};
static struct json tape;
static struct packet *packet;
static struct buf message;

static void json(unsigned n)
{
    while (n-- > 0) {
        int rc = json_parse(&tape, STR(data), limits.json);
        assert(rc == 0);
    }
}

static void decode(unsigned n)
{
    struct packet_head h;
    while (n-- > 0) {
        int rc = parser_decode(STR("217[\"say\",\"good morning, all of you\"]"),
                               &limits, &tape, &h);
        assert(rc == 0 && h.ack == 17);
    }
}

static const struct parser_out out = {.type = PACKET_ACK,
                                      .ack = 17,
                                      .nsp = STR_INIT("/"),
                                      .data = STR_INIT(data)};

static void encode(unsigned n)
{
    while (n-- > 0)
        bytes_unref(parser_encode(&out));
}

static void msgpack_encode(unsigned n)
{
    while (n-- > 0)
        bytes_unref(parser_msgpack.encode(&out));
}

static void msgpack_decode(unsigned n)
{
    struct bytes *frame = parser_msgpack.encode(&out);
    while (n-- > 0) {
        struct parser_in in = {0};
        int rc = parser_msgpack.binary(bytes_body(frame), &limits, &tape, &in);
        assert(rc == 0);
        parser_in_fini(&in);
    }
    bytes_unref(frame);
}

static void classic_encode(unsigned n)
{
    static const struct str room = STR_INIT("lobby");
    static const struct broadcast to = {.rooms = &room, .n_rooms = 1};
    while (n-- > 0) {
        buf_clear(&message);
        int rc =
            wire_classic_encode(&tape, STR("FPbIfr"), packet, &to, &message);
        assert(rc == 0);
    }
}

/* What classic_encode has left. */
static void classic_decode(unsigned n)
{
    while (n-- > 0) {
        struct wire_message m;
        int rc =
            wire_classic_decode(buf_str(&message), STR("/"), &wire_limits, &m);
        assert(rc == 0);
        wire_message_fini(&m);
    }
}

enum { MEMBERS = 100, ID_SIZE = 20 };

static struct rooms rooms;
static struct member members[MEMBERS];
static char ids[MEMBERS][ID_SIZE];

/* Each member joins a room of its own and one of all, and leaves them. */
static void join_and_leave(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct str own = {ids[i % MEMBERS], 10};
        (void)rooms_join(&rooms, &members[i % MEMBERS], own);
        (void)rooms_join(&rooms, &members[i % MEMBERS], STR("lobby"));
    }
    for (unsigned i = 0; i < n; i++) {
        struct str own = {ids[i % MEMBERS], 10};
        (void)rooms_leave(&rooms, &members[i % MEMBERS], own);
        (void)rooms_leave(&rooms, &members[i % MEMBERS], STR("lobby"));
    }
}

void instr_pure(void)
{
    struct bytes *b = bytes_new(STR(data));
    packet = packet_new(PACKET_EVENT, STR("/"), PACKET_NO_ACK, b, NULL, 0);
    bytes_unref(b);
    json_init(&tape);
    buf_init(&message, 10000);
    rooms_init(&rooms);
    for (size_t i = 0; i < MEMBERS; i++) {
        id_random(ids[i], ID_SIZE);
        rooms_add(&rooms, &members[i], (struct str){ids[i], ID_SIZE});
    }
    instr_count("json_parse", 200, json);
    instr_count("event_decode", 200, decode);
    instr_count("ack_encode", 200, encode);
    instr_count("msgpack_encode", 200, msgpack_encode);
    instr_count("msgpack_decode", 200, msgpack_decode);
    instr_count("classic_encode", 200, classic_encode);
    instr_count("classic_decode", 200, classic_decode);
    instr_count("room_join_and_leave", MEMBERS, join_and_leave);
    for (size_t i = 0; i < MEMBERS; i++)
        rooms_remove(&rooms, &members[i]);
    rooms_fini(&rooms);
    buf_fini(&message);
    json_fini(&tape);
    packet_unref(packet);
}
