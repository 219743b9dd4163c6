/* What an operator asks a node, on a listener of its own (admin.host,
 * admin.port), apart from the clients:
 *
 *   GET  /metrics       Prometheus text
 *   GET  /debug/why     ?sid=S: what has happened to a connection
 *   GET  /debug/slow    the connections that keep up worst
 *   GET  /debug/state   the node at a glance
 *   POST /drain         sees the clients off, and ends
 *   GET  /healthz, /readyz, as for everybody
 *
 * It can be reached when the node is full. Whoever can reach it may do all
 * that; so that no page in an operator's browser can, requests with an Origin
 * are refused, as are those for a host that only DNS can have led here, and
 * POSTs need X-Confab-Admin: 1. */
#ifndef CONFAB_SERVER_ADMIN_ADMIN_H
#define CONFAB_SERVER_ADMIN_ADMIN_H

#include "server/io/server.h"

struct admin;

/* Listens. NULL with errno when the address cannot be had. */
struct admin *admin_new(struct sio_server *srv,
                        const struct http_limits *limits);
/* Aborts what is open. NULL is allowed. */
void admin_free(struct admin *a);
/* "http://127.0.0.1:43211" */
const char *admin_url(const struct admin *a);

#endif
