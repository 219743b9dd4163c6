/* The Socket.IO packets that the generator sends and knows, in the text
 * protocol and in that of socket.io-msgpack-parser; main namespace.
 *
 * A text packet comes without the Engine.IO type. Each function returns the
 * packet's length. A buffer of PACKET_MAX bytes is large enough, for CONNECT
 * and "join" one of PACKET_HEAD_MAX. */
#ifndef CONFAB_TESTS_BENCH_PACKET_H
#define CONFAB_TESTS_BENCH_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PACKET_MAX = 64 * 1024,
    PACKET_HEAD_MAX = 256, /* of all that is not padding */
    PACKET_BODY_MAX = PACKET_MAX - PACKET_HEAD_MAX,
};

/* What all numbered messages of a run look like. */
struct packet_form {
    bool msgpack;
    bool attached; /* the padding is an attachment, a message of its own */
    uint32_t size; /* of the text with the Engine.IO type; in msgpack and of an
                    * attachment, of the padding */
};

size_t packet_connect(bool msgpack, char *out);
/* Event "join" with acknowledgement 0. */
size_t packet_join(bool msgpack, const char *room, char *out);
/* Event "say" of message `seq` to `room`; 0 when the size is too small. */
size_t packet_say(const struct packet_form *f, const char *room, uint32_t seq,
                  char *out);
/* Event "echo" with acknowledgement `id`; text only. */
size_t packet_echo(const struct packet_form *f, uint32_t id, char *out);

/* Whether it accepts CONNECT; whether it is an acknowledgement. */
bool packet_is_connect(bool msgpack, const char *p, size_t len);
bool packet_is_ack(bool msgpack, const char *p, size_t len);
/* The number of a "say" packet to `room` that came back as it was sent. */
bool packet_read_say(const struct packet_form *f, const char *room,
                     const char *p, size_t len, uint32_t *seq);
/* The id of the answer to packet_echo. */
bool packet_read_echo(const struct packet_form *f, const char *p, size_t len,
                      uint32_t *id);

/* PACKET_BODY_MAX bytes of text in which little repeats. */
const char *packet_padding(void);

#endif
