/* The head of a connection's first request, kept for as long as the connection
 * lives because the application may ask about it: target and header lines.
 *
 * Clients of one kind send the same lines but for a few values. So a head is
 * kept in two pieces: the lines, one copy for all connections whose lines are
 * the same; and the connection's own values (keys, cookies, addresses of
 * proxies, targets with parameters of the application). Heads that have nothing
 * in common cost a link more than one copy of each. */
#ifndef CONFAB_SERVER_ENGINE_HEAD_H
#define CONFAB_SERVER_ENGINE_HEAD_H

#include "common/map.h"
#include "server/http/http.h"

/* Shared lines, counted. */
struct head_lines;

/* What is left of a head to be read; a copy starts over. */
struct head {
    struct str lines, own;
};

void heads_init(struct map *heads);

/* Takes a request's head apart: finds or makes its lines in `heads`, with one
 * reference, and puts its own values into `own` (empty, set up by the caller
 * for HEAD_OWN_MAX bytes). */
struct head_lines *head_take(struct map *heads, const struct http_request *r,
                             struct buf *own);
void head_drop(struct map *heads, struct head_lines *lines);

enum { HEAD_OWN_MAX = 128 * 1024 }; /* more than a request's head may have */

/* `own` is what head_take said. */
struct head head_of(const struct head_lines *lines, struct str own);
/* The target, which is read first. */
struct str head_target(struct head *h);
/* The next header, in the order of the request; false when there is none. */
bool head_next(struct head *h, struct str *name, struct str *value);

#endif
