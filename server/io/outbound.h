/* The frames of a packet: made when first asked for, at most once per parser,
 * and kept in the packet for all its receivers. */
#ifndef CONFAB_SERVER_IO_OUTBOUND_H
#define CONFAB_SERVER_IO_OUTBOUND_H

#include "common/packet.h"

enum outbound_parser { OUTBOUND_TEXT };

const struct packet_frames *outbound_frames(struct packet *p,
                                            enum outbound_parser parser);
/* An attachment as a frame of its own. */
struct bytes *outbound_binary(struct str data);

#endif
