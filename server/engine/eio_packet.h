/* Engine.IO packets, and what the revisions of the protocol write differently:
 * a table for each, v4 here and v3 in eio3.h. A text packet is a type digit and
 * its content, in both.
 *
 * v4 (protocol: packet types and encodings): a binary packet is always a
 * message and has no digit. In polling payloads packets are joined by 0x1e and
 * binary ones are 'b' and base64. Pure. */
#ifndef CONFAB_SERVER_ENGINE_EIO_PACKET_H
#define CONFAB_SERVER_ENGINE_EIO_PACKET_H

#include "common/buf.h"
#include "common/err.h"

enum eio_type {
    EIO_OPEN,
    EIO_CLOSE,
    EIO_PING,
    EIO_PONG,
    EIO_MESSAGE,
    EIO_UPGRADE,
    EIO_NOOP,
};

enum { EIO_SEPARATOR = 0x1e };

struct eio_packet {
    enum eio_type type;
    bool binary;
    struct str data; /* without the digit */
};

struct eio_coding {
    const char *base64_mark; /* in front of binary data as text */
    bool typed_binary;       /* binary packets begin with their type */

    /* One text packet. Marked base64 is decoded into `scratch` (cleared first),
     * which data then borrows from. ERR_PROTO when it is empty or of no known
     * type. */
    int (*decode)(struct str text, struct buf *scratch, struct eio_packet *out);
    void (*decode_binary)(struct str data, struct eio_packet *out);

    /* Takes a packet off the front of a payload of valid UTF-8: 1, 0 at the
     * end, ERR_PROTO. */
    int (*next)(struct str *payload, struct str *packet);
    /* Appends one outgoing message, or own packet, to a payload. */
    void (*add)(struct buf *payload, struct str body, bool binary);

    /* The same for payloads of octets; NULL in a revision without them. They
     * are checked as a whole first. */
    bool (*octets_valid)(struct str payload);
    int (*next_octets)(struct str *payload, struct str *packet, bool *binary);
    void (*add_octets)(struct buf *payload, struct str body, bool binary);
};

extern const struct eio_coding eio4_coding;

/* One text packet that is not base64. */
MUST_CHECK int eio_decode_text(struct str text, struct eio_packet *out);
/* One of v4. */
MUST_CHECK int eio_decode(struct str text, struct buf *scratch,
                          struct eio_packet *out);

#endif
