/* Server side of the WebSocket protocol (RFC 6455) over a stream.
 *
 * Receiving: wslay reads frames, but for whole short messages, which are
 * unmasked here; reassembly, limits and control frames are ours. A connection
 * holds a frame context and a buffer only while a message is under way;
 * otherwise they wait in a pool for whoever needs them. Text is checked to be
 * UTF-8. Sending: whole frames as shared bytes (ws_frame_new), made once
 * however many connections send them, and compressed at most once.
 *
 * The owner gets on_close exactly once unless it closed the connection itself;
 * after either, the websocket must not be used. */
#ifndef CONFAB_SERVER_HTTP_WEBSOCKET_H
#define CONFAB_SERVER_HTTP_WEBSOCKET_H

#include "server/http/http.h"

struct websocket;

struct websocket_limits {
    uint32_t message_bytes;
    uint32_t fragments;
    bool deflate;           /* accept permessage-deflate */
    uint32_t deflate_bytes; /* shorter messages are sent uncompressed */
};

/* How a connection ended. */
struct websocket_end {
    bool clean;    /* the peer closed or left; otherwise it broke the protocol
                      or a limit */
    unsigned code; /* of the close frame: the peer's when `clean` (1005 for
                      none), else ours; 0: the stream ended without one */
    int error;     /* of the stream: errno */
};

struct websocket_ops {
    const struct websocket_limits *limits; /* must outlive the connection */
    /* A whole message; borrowed. */
    void (*on_message)(void *owner, struct str data, bool binary);
    void (*on_close)(void *owner, struct websocket_end end);
    /* What was queued has all been written, after the kernel had refused or
     * websocket_tell was called. */
    void (*on_drain)(void *owner);
};

/* Checks the opening handshake. 0, or an error whose plain text (an HTTP
 * response body) is put into `*why`; `*versions` says that the supported
 * versions must be named. */
int websocket_check(const struct http_request *r,
                    const struct websocket_limits *limits, struct str *why,
                    bool *versions);
/* Accepts a checked handshake: sends 101 with `headers` (whole lines) at its
 * end, and ends the request. Messages come from the next event on, not from
 * inside this call. */
struct websocket *websocket_accept(struct http_request *r, struct str headers,
                                   const struct websocket_ops *ops,
                                   void *owner);
/* Gives the connection to another owner. */
void websocket_set_owner(struct websocket *ws, const struct websocket_ops *ops,
                         void *owner);

/* A frame with room for `len` bytes of body, to be filled by the caller. */
struct bytes *ws_frame_new(size_t len, bool binary, char **body);

/* Queues a frame; takes its own reference. */
void websocket_send(struct websocket *ws, struct bytes *frame);
/* Writes now what the kernel takes, calling nobody. */
void websocket_push(struct websocket *ws);
/* Bytes queued and not yet taken by the kernel. */
size_t websocket_queued(const struct websocket *ws);
/* The kernel refused bytes and they still wait. */
bool websocket_blocked(const struct websocket *ws);
/* Stops or goes on reading. */
void websocket_pause(struct websocket *ws, bool paused);
/* on_drain is called the next time the queue runs empty, refused or not. */
void websocket_tell(struct websocket *ws);
/* Drops the queued frames that have not begun to be written. */
void websocket_cut(struct websocket *ws);
/* Sends a close frame (no body when `code` is 0) behind what is queued, and
 * closes. */
void websocket_close(struct websocket *ws, unsigned code);
/* The same with a reason of at most 123 bytes. */
void websocket_close_because(struct websocket *ws, unsigned code,
                             const char *reason);
/* Ends the connection at once, without a close frame. */
void websocket_abort(struct websocket *ws);

#endif
