/* Requests that are for another server go on to it, and its answers come back
 * as they come: a proxy of the few things that polling and WebSocket need.
 *
 *   request --POST: whole body, bounded--> connection (upstream.h) --> answer
 *      GET   ---------------------------->      |                        |
 *                                               |      head (answer.h), then
 *               refuse: no byte was sent <------'      body piece by piece; or
 *                                                      101 and a tunnel.h
 *
 * Only a connection that was never made is a reason to refuse; once the request
 * may have been read, nothing is sent again: when the other server fails then,
 * the client's connection is closed. When the client leaves, so does the
 * connection that carries its request: the other server sees it.
 *
 * Nothing here knows what a session is. */
#ifndef CONFAB_SERVER_HTTP_RELAY_H
#define CONFAB_SERVER_HTTP_RELAY_H

#include "server/http/http.h"

struct relay;

struct relay_settings {
    uint32_t requests;   /* and tunnels, at once; half of them for one server */
    uint32_t body_bytes; /* of a request; answers are not kept */
    uint32_t connect_ms;
    uint32_t answer_ms; /* without a byte from the server, or to the client */
    uint32_t idle_ms;   /* of connections that wait for another request */
};

enum relay_refusal {
    RELAY_UNREACHABLE, /* the other server cannot be reached */
    RELAY_BUSY,        /* too many requests are under way */
    RELAY_TOO_LARGE,   /* the body is over the limit */
};

/* Must end the request. */
typedef void relay_refuse_fn(void *arg, struct http_request *r,
                             enum relay_refusal why);

struct relay *relay_new(struct loop *l, const struct relay_settings *s,
                        relay_refuse_fn *refuse, void *arg);
/* Ends all that is under way and refuses what comes. */
void relay_close(struct relay *rl);
/* After relay_close. NULL is allowed. */
void relay_free(struct relay *rl);

/* A GET or a POST; takes it over. `address` is host:port, `token` goes with it
 * (onward.h); both are copied. */
void relay_request(struct relay *rl, struct http_request *r, struct str address,
                   struct str token);
/* Requests and tunnels that are open. */
uint32_t relay_count(const struct relay *rl);

#endif
