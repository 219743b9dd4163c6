/* Connections to other servers: made when they are needed, kept for the next
 * request when their server keeps them, and bounded, in all and for each server
 * (a server that has stopped answering must not use up what others need).
 *
 *     upstream_open -> resolving -> connecting -> open: the caller's
 *           |                                      |
 *           '------<------- idle, for a while <----' upstream_keep
 *
 * An idle one whose server closes it, or says anything, is gone at once. */
#ifndef CONFAB_SERVER_HTTP_UPSTREAM_H
#define CONFAB_SERVER_HTTP_UPSTREAM_H

#include "common/stream.h"

struct upstreams; /* all of them */
struct upstream;  /* one in use */

struct upstream_limits {
    uint32_t all, each; /* in use at once: of all servers, of one */
    uint32_t connect_ms;
    uint32_t idle_ms;
};

struct upstream_ops {
    /* There is a stream now. */
    void (*on_open)(void *owner);
    /* There will be none; the upstream is gone. */
    void (*on_fail)(void *owner);
};

struct upstreams *upstreams_new(struct loop *l,
                                const struct upstream_limits *limits);
/* None may be in use. NULL is allowed. */
void upstreams_free(struct upstreams *all);

/* `address` is host:port or [IPv6]:port; copied. NULL when too many are in use.
 * Nothing is called before it returns. */
struct upstream *upstream_open(struct upstreams *all, struct str address,
                               const struct upstream_ops *ops, void *owner);
/* NULL until it is open, which an idle one is from the beginning. The caller
 * becomes the stream's owner. */
struct stream *upstream_stream(const struct upstream *up);

/* The ends of use. The next request may use it. */
void upstream_keep(struct upstream *up);
/* Closes it now; or stops opening it. */
void upstream_abort(struct upstream *up);
/* The stream has been closed by the caller. */
void upstream_closed(struct upstream *up);

#endif
