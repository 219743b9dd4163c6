/* HTTP/1.1 server connections: requests up, responses down (RFC 9112).
 *
 * A request is handed to the route that matches its target as soon as its
 * headers are complete. The route's handler must see to it that the request is
 * ended exactly once: by http_respond, by http_take_stream (upgrade), or by
 * http_drop. It may do so later ("parking" a long poll); until then, or until
 * `on_abort`, the request stays valid. Requests on one connection are served
 * one at a time, in order; what the peer pipelines waits, bounded.
 *
 * Strict: Content-Length together with Transfer-Encoding, repeated
 * Content-Length, malformed heads and HTTP/1.1 without Host are refused with
 * 400 and the connection is closed. http-parser stands behind http_conn.c only.
 */
#ifndef CONFAB_SERVER_HTTP_HTTP_H
#define CONFAB_SERVER_HTTP_HTTP_H

#include "common/buf.h"
#include "common/stream.h"

struct http_server;
struct http_request;

enum http_verb { VERB_GET, VERB_HEAD, VERB_POST, VERB_OPTIONS, VERB_OTHER };

struct http_limits {
    uint32_t header_bytes; /* request line and headers together */
    uint32_t request_line_bytes;
    uint32_t header_count;
    uint32_t header_timeout_ms; /* for the whole head, not per byte */
    uint32_t body_timeout_ms;
    uint32_t idle_timeout_ms; /* between requests of one connection */
    /* Connections whose client owes the rest of a head: beyond that many the
     * one that has owed it longest is answered 503. 0: no bound. */
    uint32_t half_open;
};

/* ---- server and routes --------------------------------------------------- */

typedef void http_handler_fn(void *arg, struct http_request *r);

struct http_server *http_server_new(struct loop *l,
                                    const struct http_limits *limits);
/* For requests to come. */
void http_server_limit(struct http_server *s, const struct http_limits *limits);
/* Aborts all connections. */
void http_server_free(struct http_server *s);
/* Takes over an accepted connection. */
void http_server_accept(struct http_server *s, struct stream *st);
/* From now on a response is the last one of its connection, and connections
 * that have not been used for a second are closed. The others may be about to
 * be used. */
void http_server_retire(struct http_server *s);
/* Closes connections that are between requests and makes the others close after
 * their response. */
void http_server_drain(struct http_server *s);
/* Connections whose client owes the rest of a head. */
uint32_t http_half_open(const struct http_server *s);

/* `path` must stay alive. The first route that matches, in the order they were
 * added, gets the request: a prefix is compared with the raw target, an exact
 * path with the target up to '?'. */
void http_route(struct http_server *s, struct str path, bool prefix,
                http_handler_fn *fn, void *arg);

/* ---- requests ------------------------------------------------------------ */

enum http_verb http_verb(const struct http_request *r);
/* As sent: path and query. */
struct str http_target(const struct http_request *r);
struct str http_path(const struct http_request *r);
/* First header of that name (any case); false when absent. */
bool http_header(const struct http_request *r, struct str name,
                 struct str *out);
/* All headers, in order; `i` counts from 0. */
bool http_header_at(const struct http_request *r, size_t i, struct str *name,
                    struct str *value);
/* Query parameter, percent-decoded ('+' is a space); the last one wins.
 * Borrowed until the request ends. */
bool http_query(struct http_request *r, struct str name, struct str *out);
void http_peer(const struct http_request *r, char out[STREAM_ADDR_MAX]);
/* The client asks for a WebSocket: Connection: upgrade with an Upgrade header.
 */
bool http_is_upgrade(const struct http_request *r);
/* A body is announced. */
bool http_has_body(const struct http_request *r);
/* It came over TLS. */
bool http_secure(const struct http_request *r);
struct loop *http_loop(const struct http_request *r);

enum http_abort {
    HTTP_GONE,      /* the client left; the request is over */
    HTTP_TOO_LARGE, /* the body is over the limit: respond */
};

struct http_request_ops {
    /* The whole body is here. NULL when no body was asked for. */
    void (*on_body)(struct http_request *r, void *owner, struct str body);
    void (*on_abort)(struct http_request *r, void *owner, enum http_abort why);
    /* What http_pass could not write is written. May be NULL. */
    void (*on_drain)(struct http_request *r, void *owner);
};

/* Reads the body, at most `max` bytes, before on_body. Without a body on_body
 * follows at once, inside this call. */
void http_read_body(struct http_request *r, const struct http_request_ops *ops,
                    void *owner, size_t max);
/* Keeps the request open until http_respond; on_abort when the client leaves.
 */
void http_park(struct http_request *r, const struct http_request_ops *ops,
               void *owner);

struct http_response {
    unsigned status;
    const char *type;   /* Content-Type; NULL for none */
    struct str headers; /* whole lines with CR LF, put first */
    struct str extra;   /* the same, put last */
    struct str body;
    bool no_store; /* cache-control: no-store */
    bool close;    /* closes the connection after it */
};

/* Ends the request. HEAD gets the headers only. */
void http_respond(struct http_request *r, const struct http_response *resp);
/* Sends these bytes as they are and closes: for the official server's raw
 * answers. Ends the request. */
void http_respond_raw(struct http_request *r, struct str bytes);
/* An answer in pieces, for a parked request: its bytes as they are, the status
 * line first; http_passed ends the request. Whoever passes much looks at
 * http_blocked after each piece, and waits for on_drain while it is true. */
void http_pass(struct http_request *r, struct bytes *b);
bool http_blocked(const struct http_request *r);
/* Bytes that wait for the client to take them. */
size_t http_unsent(const struct http_request *r);
/* The connection will take another request after the answer, which must say
 * so. */
bool http_keeps_alive(const struct http_request *r);
void http_passed(struct http_request *r);
/* Ends the request and resets its connection. */
void http_drop(struct http_request *r);
/* Gives the stream away, after an upgrade was accepted; ends the request. Bytes
 * that the client has sent already are in `*rest` (borrowed until the caller
 * returns to the loop). The caller becomes the stream's owner. */
struct stream *http_take_stream(struct http_request *r, struct str *rest);

const char *http_status_text(unsigned status);

#endif
