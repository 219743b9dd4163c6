/* The official browser client, served below the engine's path as the official
 * server does (protocol B.9): socket.io.js, .min.js, .esm.min.js,
 * .msgpack.min.js and their maps, with an ETag, compressed for clients that
 * accept gzip or deflate (once, at first use). The files are those of the npm
 * package, embedded at build time. */
#ifndef CONFAB_SERVER_HTTP_BUNDLE_H
#define CONFAB_SERVER_HTTP_BUNDLE_H

#include "server/http/cors.h"

struct bundle;

/* Adds the routes; `path` ends in '/'. `cors` must outlive it. */
struct bundle *bundle_new(struct http_server *s, struct str path,
                          const struct cors *cors);
void bundle_free(struct bundle *b);
/* The client's version. */
struct str bundle_version(void);

#endif
