/* A Socket.IO packet that goes to more than one place: counted, immutable once
 * made. Its payload is validated JSON text carried as text; attachments are
 * binary and stand in the text as {"_placeholder":true,"num":N} (Socket.IO
 * protocol v5).
 *
 * `encoded` holds the frames that server/io/outbound.c makes from it, at most
 * once per parser; the adapters never look at them. */
#ifndef CONFAB_COMMON_PACKET_H
#define CONFAB_COMMON_PACKET_H

#include "common/bytes.h"

enum packet_type {
    PACKET_CONNECT,
    PACKET_DISCONNECT,
    PACKET_EVENT,
    PACKET_ACK,
    PACKET_CONNECT_ERROR,
};

enum { PACKET_BINS_MAX = 10, PACKET_PARSERS = 2 };

#define PACKET_NO_ACK (-1)

struct packet_frames {
    uint32_t n;
    struct bytes *v[];
};

struct packet {
    uint32_t refs;
    uint8_t type;
    uint8_t n_bins;
    int64_t ack;        /* id, or PACKET_NO_ACK */
    struct str nsp;     /* with its leading slash */
    struct bytes *data; /* JSON text; NULL when the packet has no payload */
    struct packet_frames *encoded[PACKET_PARSERS];
    struct bytes *bins[];
};

/* Takes its own references to `data` and the `n_bins` attachments; copies
 * `nsp`. */
struct packet *packet_new(enum packet_type type, struct str nsp, int64_t ack,
                          struct bytes *data, struct bytes *const *bins,
                          size_t n_bins);
struct packet *packet_ref(struct packet *p);
/* NULL is allowed. */
void packet_unref(struct packet *p);

#endif
