/* Requests and responses of @socket.io/redis-adapter (the "classic" one),
 * version 8: what its servers ask each other, and what they answer.
 *
 *     P-request#N#        {"uid":U,"requestId":I,"type":T,...}
 *     P-response#N#       {"requestId":I,...}, {"type":T,"requestId":I,...}
 *     P-response#N#U#     the same, to the asker alone
 *
 *     T                  asks with              is answered with
 *     0 SOCKETS          rooms                  sockets: ids
 *     1 ALL_ROOMS                               rooms: names
 *     2 JOIN  3 LEAVE    opts, rooms            nothing
 *     4 DISCONNECT       opts, close            nothing
 *     5 FETCH            opts                   sockets: objects
 *     6 EVENT            data                   type 6, data: a value
 *     7 BROADCAST        packet, opts           type 8, clientCount: a number,
 *                                               then type 9, packet: a value,
 *                                               for each acknowledgement
 *
 * 7 and 9 are written as MessagePack, because data may be binary, everything
 * else as JSON; each is read in both forms. Older servers name one socket in 2,
 * 3 and 4 (sid, room), and hear back with the requestId alone.
 *
 * What is read is untrusted and bounded; missing options and unknown keys are
 * tolerated, but never so that fewer words select more sockets. Nothing here
 * keeps state. */
#ifndef CONFAB_ADAPTER_WIRE_REQUEST_H
#define CONFAB_ADAPTER_WIRE_REQUEST_H

#include "adapter/wire_classic.h"
#include "common/mp.h"

enum wire_type {
    WIRE_SOCKETS,
    WIRE_ALL_ROOMS,
    WIRE_JOIN,
    WIRE_LEAVE,
    WIRE_DISCONNECT,
    WIRE_FETCH,
    WIRE_EVENT,
    WIRE_BROADCAST,
    WIRE_CLIENT_COUNT,
    WIRE_ACK,
    WIRE_NO_TYPE,
};

enum { WIRE_ID_MAX = 256 }; /* bytes of a uid or requestId */

/* Where what was read is kept. */
struct wire_space {
    struct json tape;
    struct buf text;    /* MessagePack as JSON */
    struct buf scratch; /* strings that had escapes, numbers as text */
    struct buf value;   /* an acknowledgement's, from MessagePack */
    struct str rooms[WIRE_NAMES_MAX];
    struct str except[WIRE_NAMES_MAX];
    struct str names[WIRE_NAMES_MAX];
};

void wire_space_init(struct wire_space *s);
void wire_space_fini(struct wire_space *s);
/* Gives back what an unusually large message needed. */
void wire_space_trim(struct wire_space *s);

/* ---- channels ------------------------------------------------------------ */

/* An empty `uid`: the channel of all. */
void wire_request_channel(struct str prefix, struct str nsp, struct buf *out);
void wire_response_channel(struct str prefix, struct str nsp, struct str uid,
                           struct buf *out);

/* ---- requests ------------------------------------------------------------ */

struct wire_request {
    enum wire_type type;
    struct str uid, id;      /* empty: not there */
    struct broadcast opts;   /* SOCKETS has its rooms in them */
    struct room_names names; /* of JOIN and LEAVE */
    struct str sid;          /* the form of older servers: instead of opts */
    bool close;
    uint32_t timeout_ms;   /* of BROADCAST; 0: not said */
    struct str data;       /* of EVENT: a JSON array */
    struct packet *packet; /* of BROADCAST */
};

/* Appends the request; `tape` is work space. 0, ERR_LIMIT (`out` is full), or
 * ERR_PROTO (the packet's data is no JSON array: nothing may be published). */
MUST_CHECK int wire_request_encode(struct json *tape,
                                   const struct wire_request *r,
                                   struct buf *out);

/* The asker's uid when it comes first, as all official servers write it, to
 * tell early whether it is our own; else empty. */
struct str wire_request_uid(struct str payload);

/* The slices in `r` point into `payload` and `s`, until the next use of either.
 * 0, ERR_STATE (a packet of another namespace), ERR_PROTO or ERR_LIMIT;
 * wire_request_fini is called in any case. */
MUST_CHECK int wire_request_decode(struct str payload, struct str nsp,
                                   const struct wire_limits *limits,
                                   struct wire_space *s,
                                   struct wire_request *r);
void wire_request_fini(struct wire_request *r);

/* ---- responses ----------------------------------------------------------- */

/* {"requestId":I,KEY:[ : values follow, separated by commas, and "]}". */
void wire_response_begin(struct str id, const char *key, struct buf *out);
/* {"requestId":I} */
void wire_response_done(struct str id, struct buf *out);
/* An empty `json`: without a value. Attachments, which JSON cannot hold, become
 * what JavaScript makes of a Buffer. ERR_PROTO: `json` is none. */
MUST_CHECK int wire_response_event(struct json *tape, struct str id,
                                   struct str json, struct bytes *const *bins,
                                   size_t n_bins, struct buf *out);
void wire_response_count(struct str id, size_t clients, struct buf *out);
MUST_CHECK int wire_response_ack(struct json *tape, struct str id,
                                 struct str json, struct bytes *const *bins,
                                 size_t n_bins, struct buf *out);

struct wire_response {
    enum wire_type type; /* WIRE_NO_TYPE: not said */
    struct str id;
    uint32_t sockets, rooms; /* arrays on the tape; JSON_NONE: not there */
    uint32_t clients;        /* of CLIENT_COUNT */
    struct str value;        /* of EVENT or ACK: JSON text; empty: none */
    struct mp_bins bins;
};

/* The requestId when it comes first or behind the type, as all official
 * servers write it: most responses answer others. Else empty. */
struct str wire_response_id(struct str payload);

/* As wire_request_decode; wire_response_fini is called in any case. */
MUST_CHECK int wire_response_decode(struct str payload,
                                    const struct wire_limits *limits,
                                    struct wire_space *s,
                                    struct wire_response *r);
void wire_response_fini(struct wire_response *r);

/* Text of a string, or of a number as JavaScript writes it (`number` is set
 * then); it stays where it is until `s` is used for another message. ERR_PROTO:
 * it is neither. */
MUST_CHECK int wire_name(struct wire_space *s, uint32_t node, struct str *name,
                         bool *number);

#endif
