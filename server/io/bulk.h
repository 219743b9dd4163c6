/* What is done to all sockets of a selection at once (sio.h: sio_sockets_join
 * and those beside it), for this server's application and for other servers. */
#ifndef CONFAB_SERVER_IO_BULK_H
#define CONFAB_SERVER_IO_BULK_H

#include "server/io/selection.h"

/* All that can do; the first failure of one that cannot. */
int bulk_join(struct sio_namespace *ns, const struct broadcast *to,
              const struct room_names *rooms);
void bulk_leave(struct sio_namespace *ns, const struct broadcast *to,
                const struct room_names *rooms);
void bulk_disconnect(struct sio_namespace *ns, const struct broadcast *to,
                     bool close);

#endif
