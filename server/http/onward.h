/* A request's head as it goes on to another server: what belongs to the
 * client's own connection is left out, and who the client is is added, as any
 * proxy does it. */
#ifndef CONFAB_SERVER_HTTP_ONWARD_H
#define CONFAB_SERVER_HTTP_ONWARD_H

#include "server/http/http.h"

/* Only nodes of the cluster know what is to stand in it. */
#define ONWARD_HEADER "X-Confab-Relay"

enum { ONWARD_HEAD_MAX = 160 * 1024 }; /* more than a head may have */

/* With the empty line. A GET, or a POST with that much of a body. */
void onward_head(const struct http_request *r, struct str token,
                 size_t body_bytes, struct buf *out);

#endif
