/* What becomes of a broadcast of sio.h before it is sent. */
#ifndef CONFAB_SERVER_IO_BROADCAST_H
#define CONFAB_SERVER_IO_BROADCAST_H

#include "server/io/pack.h"
#include "server/io/selection.h"

/* Checks whom it is for and the event's name, and packs the arguments: 0 or an
 * error of sio.h. Either way end `p` with pack_fini. */
int broadcast_pack(const struct sio_broadcast *b, struct pack *p,
                   const char *event, const char *format,
                   struct pack_args *args);
/* With one reference. */
struct packet *broadcast_packet(const struct sio_namespace *ns, int64_t ack,
                                const struct pack *p);

#endif
