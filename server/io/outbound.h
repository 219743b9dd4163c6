/* The frames of a packet: made when first asked for, at most once per parser,
 * and kept in the packet for all its receivers. */
#ifndef CONFAB_SERVER_IO_OUTBOUND_H
#define CONFAB_SERVER_IO_OUTBOUND_H

#include "server/io/fates.h"
#include "server/io/parser.h"

enum { OUTBOUND_FRAMES_MAX = 1 + PACKET_BINS_MAX };

/* Makes the frames of a packet that goes to one place, with one reference each;
 * returns how many. None when it cannot be encoded. */
size_t outbound_encode(const struct parser_ops *parser,
                       const struct parser_out *p,
                       struct bytes *frames[OUTBOUND_FRAMES_MAX]);
/* Those of a shared one, when it has none yet, with their fate. */
const struct packet_frames *outbound_make(struct packet *p,
                                          const struct parser_ops *parser,
                                          const struct fates *fates);
/* Those of a shared one. */
static inline const struct packet_frames *
outbound_frames(struct packet *p, const struct parser_ops *parser,
                const struct fates *fates)
{
    const struct packet_frames *f = p->encoded[parser->kind];
    return f ? f : outbound_make(p, parser, fates);
}

#endif
