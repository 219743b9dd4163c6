/* What a connection's first request said about it (sio.h: the connection's
 * first request). */
#ifndef CONFAB_SERVER_IO_HANDSHAKE_H
#define CONFAB_SERVER_IO_HANDSHAKE_H

#include "server/io/client.h"

/* The connection begins: when, from where. */
void handshake_begin(struct client *c);

#endif
