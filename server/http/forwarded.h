/* Who is behind the proxies: the networks of the proxies we trust, and the
 * client's address from the X-Forwarded-For that they have written. Anybody can
 * send that header, so that only what trusted proxies added to it counts. */
#ifndef CONFAB_SERVER_HTTP_FORWARDED_H
#define CONFAB_SERVER_HTTP_FORWARDED_H

#include "common/err.h"
#include "common/str.h"

struct forwarded_net {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    uint8_t bits;
};

struct forwarded {
    struct forwarded_net *nets;
    size_t n;
};

/* `list` has one address or address/bits a line. 0, or ERR_CONFIG with the
 * wrong item in `*bad`; free it in both cases. */
MUST_CHECK int forwarded_init(struct forwarded *f, struct str list,
                              struct str *bad);
void forwarded_fini(struct forwarded *f);

bool forwarded_trusts(const struct forwarded *f, struct str address);
/* The last address of the list "client, proxy, proxy" that is not trusted, or
 * the first when all are: what stands before it may be made up. Without a port.
 * Empty when the last item is no address. */
struct str forwarded_client(const struct forwarded *f, struct str list);

#endif
