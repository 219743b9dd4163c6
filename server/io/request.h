/* Handshakes that wait for the application's word (sio.h: admission of
 * connections). */
#ifndef CONFAB_SERVER_IO_REQUEST_H
#define CONFAB_SERVER_IO_REQUEST_H

#include "server/io/server.h"

/* Has the engine ask the application, if that wants to be asked. */
void request_install(struct sio_server *srv);

#endif
