/* A Socket.IO packet that goes to more than one place: counted, immutable once
 * made. Its payload is validated JSON text carried as text; attachments are
 * binary and stand in the text as {"_placeholder":true,"num":N} (Socket.IO
 * protocol v5).
 *
 * An event that can be recovered has an offset (adapter/packet_log.h), which
 * clients get as one more argument; it is not part of the payload.
 *
 * `encoded` holds the frames that server/io/outbound.c makes from it, at most
 * once per parser; the adapters never look at them. */
#ifndef CONFAB_COMMON_PACKET_H
#define CONFAB_COMMON_PACKET_H

#include "common/bytes.h"
#include "common/fate.h"

enum packet_type {
    PACKET_CONNECT,
    PACKET_DISCONNECT,
    PACKET_EVENT,
    PACKET_ACK,
    PACKET_CONNECT_ERROR,
};

enum { PACKET_BINS_MAX = 10, PACKET_PARSERS = 2, PACKET_OFFSET_MAX = 24 };

#define PACKET_NO_ACK (-1)

struct packet_frames {
    uint32_t n;
    struct fate fate;
    struct bytes *v[];
};

struct broadcast;

struct packet {
    uint32_t refs;
    uint8_t type;
    uint8_t n_bins;
    uint8_t offset_len;
    int64_t ack;        /* id, or PACKET_NO_ACK */
    struct str nsp;     /* with its leading slash */
    struct bytes *data; /* JSON text; NULL when the packet has no payload */
    struct packet_frames *encoded[PACKET_PARSERS];
    char offset[PACKET_OFFSET_MAX];
    const struct broadcast *to; /* while it is being delivered */
    struct bytes *bins[];
};

/* Takes its own references to `data` and the `n_bins` attachments; copies
 * `nsp`. */
struct packet *packet_new(enum packet_type type, struct str nsp, int64_t ack,
                          struct bytes *data, struct bytes *const *bins,
                          size_t n_bins);
struct packet *packet_ref(struct packet *p);
/* Before it is encoded. */
void packet_set_offset(struct packet *p, struct str offset);
/* NULL is allowed. */
void packet_unref(struct packet *p);

/* Empty when it has none. */
static inline struct str packet_offset(const struct packet *p)
{
    return (struct str){p->offset, p->offset_len};
}

#endif
