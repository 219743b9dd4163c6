/* Host names to addresses without blocking the loop (libevent's evdns, which
 * reads resolv.conf and hosts). Numeric addresses are answered at once. */
#ifndef CONFAB_COMMON_RESOLVER_H
#define CONFAB_COMMON_RESOLVER_H

#include <sys/socket.h>

#include "common/loop.h"

struct resolver;
struct resolver_query;

struct resolver *resolver_new(struct loop *l);
/* Running queries must have been cancelled. NULL is allowed. */
void resolver_free(struct resolver *r);

/* `done` gets the first address, or NULL and a sentence that says why. It may
 * be called before resolver_find returns (which is then NULL). A query that has
 * called `done` is gone; a running one can be cancelled, without a call. */
typedef void resolver_fn(void *arg, const struct sockaddr *addr, socklen_t len,
                         const char *why);
struct resolver_query *resolver_find(struct resolver *r, const char *host,
                                     uint16_t port, resolver_fn *done,
                                     void *arg);
/* The same, and `done` gets every address, then NULL; with that a sentence only
 * when there was none. A running query is gone from the first call on. */
struct resolver_query *resolver_find_all(struct resolver *r, const char *host,
                                         uint16_t port, resolver_fn *done,
                                         void *arg);
void resolver_cancel(struct resolver_query *q);

#endif
