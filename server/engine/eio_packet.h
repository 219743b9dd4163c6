/* Engine.IO v4 packets (protocol: packet types and encodings). A text packet is
 * a type digit and its content; a binary one is always a message and has no
 * digit. In polling payloads packets are joined by 0x1e and binary ones are 'b'
 * and base64. Pure. */
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

/* One text packet. 'b' and base64 becomes a binary message, decoded into
 * `scratch` (cleared first), which data then borrows from. ERR_PROTO when it is
 * empty or of no known type. */
MUST_CHECK int eio_decode(struct str text, struct buf *scratch,
                          struct eio_packet *out);

/* Appends one outgoing frame's body to a polling payload. */
void eio_payload_add(struct buf *payload, const struct bytes *frame);

#endif
