/* Cross-origin headers, as the official server's cors option writes them: off
 * without origins; "*" answers "*"; a list echoes the Origin that is on it and
 * always varies by it. An origin that is not on the list is not refused, only
 * not permitted, and browsers do the rest; but they do nothing of the kind for
 * WebSockets, which `enforce` is for. */
#ifndef CONFAB_SERVER_HTTP_CORS_H
#define CONFAB_SERVER_HTTP_CORS_H

#include "server/http/http.h"

struct cors {
    const char *origins; /* joined by '\n'; "" = off */
    bool credentials;
    bool enforce; /* refuse origins that are not listed */
};

static inline bool cors_on(const struct cors *c)
{
    return c->origins[0] != '\0';
}

/* The request may be served: no Origin, or one that is not to be refused. */
bool cors_permits(const struct cors *c, const struct http_request *r);
/* Header lines for any response to `r`. */
void cors_headers(const struct cors *c, const struct http_request *r,
                  struct buf *out);
/* Answers a preflight (OPTIONS) with 204; ends the request. */
void cors_preflight(const struct cors *c, struct http_request *r);

#endif
