/* Acknowledgements that are owed: to a client for its event, or to another
 * server for a server-side event (sio.h: sio_reply and what follows it). */
#ifndef CONFAB_SERVER_IO_ACK_H
#define CONFAB_SERVER_IO_ACK_H

#include "common/list.h"

/* Those of the list, which the application has taken, come too late from now
 * on. */
void acks_expire(struct list *owed);

#endif
