/* Socket.IO protocol v5 (protocol part B): what travels in Engine.IO messages.
 * Pure.
 *
 * A server speaks one of two forms, each a table of functions: the text form,
 * which is here, and MessagePack (parser_msgpack.h). Either way a packet is its
 * head and payload as JSON text, in which attachments are placeholders.
 *
 * The text form:
 *
 *     type [attachments "-"] [nsp ","] [ack id] [json]
 *
 * Types 5 and 6 (binary event, binary ack) are 2 and 3 with attachments, which
 * follow as binary messages. */
#ifndef CONFAB_SERVER_IO_PARSER_H
#define CONFAB_SERVER_IO_PARSER_H

#include "common/json.h"
#include "common/mp.h"

struct packet_head {
    enum packet_type type;
    uint8_t n_bins;
    bool has_payload;
    int64_t ack; /* or PACKET_NO_ACK */
    struct str nsp;
    struct str payload; /* JSON text */
};

struct parser_limits {
    struct json_limits json;
    uint32_t event_name_bytes;
};

/* ---- either form --------------------------------------------------------- */

enum parser_kind { PARSER_TEXT, PARSER_MSGPACK }; /* index in packet.encoded */

/* A packet as it was decoded. Start with zeros; end with parser_in_fini. */
struct parser_in {
    struct packet_head head;
    struct buf text;     /* the payload, where the message has no JSON text */
    struct mp_bins bins; /* attachments that came inside the message */
};
void parser_in_fini(struct parser_in *in);

/* A packet to be encoded. */
struct parser_out {
    enum packet_type type;
    int64_t ack;
    struct str nsp, data; /* `data` is JSON text, empty for none */
    struct bytes *const *bins;
    size_t n_bins;
    struct str offset; /* one more string in an event's array; or empty */
};

/* Takes one message. The payload is on `tape`; with more attachments in the
 * head than in `bins`, they are the messages that follow. ERR_PROTO or
 * ERR_LIMIT: the connection must be closed. */
typedef int parser_decode_fn(struct str message,
                             const struct parser_limits *lim, struct json *tape,
                             struct parser_in *out);

struct parser_ops {
    enum parser_kind kind;
    bool bins_apart; /* attachments are messages of their own */
    parser_decode_fn *text, *binary;
    /* A frame, ready to send. NULL when the packet is beyond all bounds. */
    struct bytes *(*encode)(const struct parser_out *p);
};

/* The length of an event's name, which may be any value of `tape`, is within
 * its bound: 0 or ERR_LIMIT. `*reserved`: see parser_reserved. */
MUST_CHECK int parser_check_name(const struct json *tape, uint32_t name,
                                 uint32_t max, bool *reserved);

/* The node is {"_placeholder":true,"num":N}; N in `*num`, which may be out of
 * range. */
bool parser_placeholder(const struct json *tape, uint32_t node, int64_t *num);

/* Names that only the server and client themselves may use. */
bool parser_reserved(struct str event);

/* Acknowledgements' ids: 0 to the largest number below which JavaScript counts
 * exactly; ids beyond it would come back changed. */
#define PARSER_ACK_MAX ((INT64_C(1) << 53) - 1)

/* ---- the text form ------------------------------------------------------- */

extern const struct parser_ops parser_text;

/* Decodes and validates everything but the attachments, which follow. `tape`
 * holds the payload when there is one. ERR_PROTO or ERR_LIMIT: the connection
 * must be closed. */
MUST_CHECK int parser_decode(struct str text, const struct parser_limits *lim,
                             struct json *tape, struct packet_head *out);

/* Once the attachments are here: every placeholder names one of them. */
MUST_CHECK int parser_check_bins(const struct json *tape, uint32_t n_bins);

/* A text frame, ready to send: the packet, with '4' in front. Its offset is of
 * characters that need no escape. */
struct bytes *parser_encode(const struct parser_out *p);

#endif
