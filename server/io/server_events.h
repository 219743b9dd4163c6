/* Events between servers (sio.h: sio_server_emit, sio_on_server_event). */
#ifndef CONFAB_SERVER_IO_SERVER_EVENTS_H
#define CONFAB_SERVER_IO_SERVER_EVENTS_H

#include "server/io/namespace.h"

/* Hands another server's event to the handlers: a JSON array with the name
 * first. `from`, when it is not NULL, waits for one answer. */
void server_events_run(struct sio_namespace *ns, struct str data,
                       struct adapter_asked *from);

#endif
