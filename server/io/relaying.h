/* How this node and the others relay requests to each other (elsewhere.h):
 * where the others reach this one, and who they are.
 *
 * They reach it at listen.port. A node that serves TLS there cannot be reached
 * so: the nodes speak plain HTTP with each other, as they do with Redis. Such a
 * node needs cluster.relay_port, where nobody else is served; without it, its
 * sessions are refused everywhere else, which it says at its start. */
#ifndef CONFAB_SERVER_IO_RELAYING_H
#define CONFAB_SERVER_IO_RELAYING_H

#include "server/io/server.h"

/* In this order. Opens cluster.relay_port, if it is set; 0, or SIO_ERR_IO with
 * srv->error set. After srv->listener. */
int relaying_open(struct sio_server *srv, uint32_t max_streams);
/* What the others are told; false when they are told nothing. Borrowed. */
bool relaying_reach(struct sio_server *srv, struct cluster_relay *r);
/* After srv->engine. */
void relaying_begin(struct sio_server *srv);
/* Takes no more from other nodes. */
void relaying_close(struct sio_server *srv);
/* Before the engine is freed. */
void relaying_free(struct sio_server *srv);

#endif
