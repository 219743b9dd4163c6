/* Socket.IO protocol v5, text form (protocol part B): what travels in an
 * Engine.IO message. Pure.
 *
 *     type [attachments "-"] [nsp ","] [ack id] [json]
 *
 * Types 5 and 6 (binary event, binary ack) are 2 and 3 with attachments. */
#ifndef CONFAB_SERVER_IO_PARSER_H
#define CONFAB_SERVER_IO_PARSER_H

#include "common/json.h"
#include "common/packet.h"

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

/* Decodes and validates everything but the attachments, which follow. `tape`
 * holds the payload when there is one. ERR_PROTO or ERR_LIMIT: the connection
 * must be closed. */
MUST_CHECK int parser_decode(struct str text, const struct parser_limits *lim,
                             struct json *tape, struct packet_head *out);

/* Once the attachments are here: every placeholder names one of them. */
MUST_CHECK int parser_check_bins(const struct json *tape, uint32_t n_bins);

/* The node is {"_placeholder":true,"num":N}; N in `*num`, which may be out of
 * range. */
bool parser_placeholder(const struct json *tape, uint32_t node, int64_t *num);

/* Names that only the server and client themselves may use. */
bool parser_reserved(struct str event);

/* A text frame, ready to send: the packet, with '4' in front. */
struct bytes *parser_encode(enum packet_type type, struct str nsp, int64_t ack,
                            struct str data, size_t n_bins);

#endif
