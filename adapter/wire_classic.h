/* The wire of @socket.io/redis-adapter (the "classic" one), version 8: what its
 * servers and emitters publish for a broadcast, and what they accept.
 *
 *     channel  P#N#         to everybody of namespace N, or to several rooms
 *              P#N#ROOM#    to one room
 *     payload  MessagePack [uid, {type, data, nsp}, {rooms, except, flags}]
 *
 * P is the prefix, N the namespace with its slash. The uid is the sender's:
 * everyone hears its own messages and knows them by it. Type is always EVENT;
 * binary arguments stand as such inside data.
 *
 * Official receivers decode without protection, so what is written here is
 * exact to the byte; what is read is untrusted, bounded, and tolerated in every
 * form those receivers tolerate. Nothing here keeps state. */
#ifndef CONFAB_ADAPTER_WIRE_CLASSIC_H
#define CONFAB_ADAPTER_WIRE_CLASSIC_H

#include "adapter/adapter.h"
#include "common/json.h"

enum {
    WIRE_NAMES_MAX = 256,  /* rooms, and as many exceptions */
    WIRE_EVENT_MAX = 256,  /* bytes of an event name */
    WIRE_ARGS_MAX = 65536, /* beyond some 120,000 official clients fail */
    WIRE_NUMBER_MAX = 32,  /* text of one number */
};

/* ---- channels ------------------------------------------------------------ */

/* P#N#, with which all channels of the namespace begin. */
void wire_classic_base(struct str prefix, struct str nsp, struct buf *out);
/* The pattern that matches all channels of the namespace and, but for
 * namespaces whose names continue with '#', no others. */
void wire_classic_pattern(struct str base, struct buf *out);
void wire_classic_channel(struct str base, const struct broadcast *b,
                          struct buf *out);
/* False when the channel is not of this namespace. An empty room: all of it. */
bool wire_classic_room(struct str base, struct str channel, struct str *room);

/* ---- messages ------------------------------------------------------------ */

/* Appends the message. `tape` is work space. 0, ERR_LIMIT (`out` is full), or
 * ERR_PROTO (the packet's data is no JSON array: nothing may be published). */
MUST_CHECK int wire_classic_encode(struct json *tape, struct str uid,
                                   const struct packet *p,
                                   const struct broadcast *b, struct buf *out);

/* The sender's uid alone, to tell early whether it is our own; empty when there
 * is none. */
struct str wire_classic_uid(struct str payload);

struct wire_limits {
    uint32_t depth;      /* of data; MP_DEPTH_MAX at most */
    uint32_t json_bytes; /* of data as JSON text */
};

struct wire_message {
    struct str uid;
    struct packet *packet; /* its reference goes with wire_message_fini */
    struct str rooms[WIRE_NAMES_MAX];
    struct str except[WIRE_NAMES_MAX];
    size_t n_rooms, n_except;
    bool is_volatile;
    struct buf numbers; /* names that came as numbers, as text */
};

/* The slices in `m` point into `payload`. 0, ERR_STATE (a good message of
 * another namespace), ERR_PROTO or ERR_LIMIT; wire_message_fini is called in
 * any case. */
MUST_CHECK int wire_classic_decode(struct str payload, struct str nsp,
                                   const struct wire_limits *limits,
                                   struct wire_message *m);
void wire_message_fini(struct wire_message *m);

/* ---- what requests share (wire_request.c) -------------------------------- */

/* Bit `i` of number_rooms and the like. */
static inline bool wire_is_number(uint64_t numbers, size_t i)
{
    return i < 64 && (numbers >> i & 1);
}

/* True with the number as the root of the tape. */
bool wire_parse_number(struct json *tape, struct str text);
void wire_put_names(struct json *tape, const struct str *names, size_t n,
                    uint64_t numbers, struct buf *out);
/* ERR_PROTO: the packet's data is no JSON array. */
MUST_CHECK int wire_put_packet(struct json *tape, const struct packet *p,
                               struct buf *out);
/* {rooms, except, flags: but for its value, which follows. */
void wire_put_opts(struct json *tape, const struct broadcast *b,
                   struct buf *out);

/* Where the values of the known keys of a map begin; p is NULL for those that
 * are not there. Of two equal keys the last one counts, as in JavaScript. */
struct wire_field {
    struct str key;
    struct str at;
};

MUST_CHECK int wire_scan_map(struct str *in, struct wire_field *fields,
                             size_t n);
/* Takes {type, data, nsp} off `*in`; errors as wire_classic_decode. */
MUST_CHECK int wire_read_packet(struct str *in, struct str nsp,
                                const struct wire_limits *limits,
                                struct packet **packet);
/* Names of events that no client may be sent. */
bool wire_reserved_event(struct str name);

#endif
