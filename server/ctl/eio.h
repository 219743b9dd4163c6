/* A client of Engine.IO v4: one session, over HTTP long-polling, over a
 * WebSocket, or over polling first and then upgraded. Answers pings, and gives
 * a server up that does not ping.
 *
 * The server is not trusted: what it sends is bounded, and all waiting ends.
 * Nothing is called back from inside a call; after on_close nothing is, and the
 * session must be freed. */
#ifndef CONFAB_SERVER_CTL_EIO_H
#define CONFAB_SERVER_CTL_EIO_H

#include "server/ctl/http.h"

enum { CTL_SID_MAX = 128 };

struct ctl_eio;

struct ctl_eio_settings {
    const struct ctl_url *url;
    bool polling, websocket; /* both: it upgrades */
    struct str headers;      /* whole lines, for every request */
    uint32_t timeout_ms;     /* of the handshake, of a POST, of an upgrade */
    size_t max_bytes;        /* of a message, or payload */
};

struct ctl_eio_ops {
    void (*on_open)(void *arg);
    void (*on_message)(void *arg, struct str data, bool binary);
    /* May be NULL. */
    void (*on_ping)(void *arg);
    /* The end of an upgrade: NULL when it goes on over the WebSocket, else why
     * it goes on polling. May be NULL. */
    void (*on_upgrade)(void *arg, const struct ctl_fault *why);
    void (*on_close)(void *arg, const struct ctl_fault *why);
};

/* `net`, and what `s` points to, must outlive it. */
struct ctl_eio *ctl_eio_new(const struct ctl_net *net,
                            const struct ctl_eio_settings *s,
                            const struct ctl_eio_ops *ops, void *arg);
/* Tells the server, as far as that can be done at once. NULL is allowed. */
void ctl_eio_free(struct ctl_eio *e);

/* A text message. False when it is not open, or when more waits already than
 * the server takes at once. */
bool ctl_eio_send(struct ctl_eio *e, struct str text);

/* Once it is open. */
struct str ctl_eio_sid(const struct ctl_eio *e);
uint32_t ctl_eio_ping_interval(const struct ctl_eio *e);
uint32_t ctl_eio_ping_timeout(const struct ctl_eio *e);
/* It goes over a WebSocket now. */
bool ctl_eio_upgraded(const struct ctl_eio *e);

/* ---- for those who look closer ------------------------------------------- */

/* What a server says when it opens a session. */
struct ctl_eio_hello {
    char sid[CTL_SID_MAX + 1];
    uint32_t ping_interval_ms, ping_timeout_ms, max_payload;
    bool websocket; /* is among the upgrades */
};

/* The packet without its type, JSON. 0 or ERR_PROTO. */
MUST_CHECK int ctl_eio_read_hello(struct str json, struct ctl_eio_hello *out);
/* Path and query; `sid` may be empty. */
void ctl_eio_target(struct buf *out, const struct ctl_url *url,
                    const char *transport, struct str sid);
/* What is wrong with an answer that is not 200, in few words. */
struct ctl_fault ctl_eio_refusal(const struct ctl_answer *a);

#endif
