/* What balancers ask a node: /healthz (the loop is alive), /readyz (it accepts
 * work and is not stopping; says whether the cluster is whole, and refuses with
 * 503 when it is not and cluster.ready_without_redis is false).
 *
 * For `confabctl doctor` /readyz also names the node, the nodes it hears, the
 * engine's path and its time, and has digests of where Redis is (no password is
 * in it) and of the prefix: equal ones mean equal settings. Clients may read
 * that. */
#ifndef CONFAB_SERVER_OPS_H
#define CONFAB_SERVER_OPS_H

#include "server/io/server.h"

/* Answers both on that server. */
void ops_install(struct sio_server *srv, struct http_server *http);

#endif
