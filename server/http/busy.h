/* 503: how a client hears that there is no room for it now. It is told why, and
 * when to come again: at a random time, so that those who were refused together
 * do not come back together. */
#ifndef CONFAB_SERVER_HTTP_BUSY_H
#define CONFAB_SERVER_HTTP_BUSY_H

#include "server/http/http.h"

/* Ends the request and closes its connection; `headers` are whole lines. The
 * message is plain text that JSON need not escape. */
void busy_respond(struct http_request *r, const char *message,
                  struct str headers);
/* The same for a connection that has not asked yet: closes it. */
void busy_close(struct stream *st, const char *message);

#endif
