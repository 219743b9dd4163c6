/* Where Redis is and as whom to speak to it, from one line of configuration:
 *
 *     redis://[user:password@]host[:port][/db]
 *     unix://[user:password@]/path/of/socket[?db=N]
 *
 * User, password and path are percent-decoded; the user may be empty (a
 * password alone is what `requirepass` wants); an IPv6 address stands in
 * brackets. */
#ifndef CONFAB_ADAPTER_REDIS_URL_H
#define CONFAB_ADAPTER_REDIS_URL_H

#include "common/config.h"

struct redis_url {
    char *host;     /* or the path of a socket: what begins with a slash */
    char *user;     /* NULL: the default one */
    char *password; /* NULL: none asked */
    uint32_t db;
    uint16_t port; /* 0: a socket */
};

/* 0, or ERR_CONFIG with a sentence that never repeats the password. `u` holds
 * nothing then. */
MUST_CHECK int redis_url_parse(struct redis_url *u, const char *text,
                               char err[CONFIG_ERR_MAX]);
void redis_url_fini(struct redis_url *u);
/* The host is the path of a unix socket. */
bool redis_url_is_socket(const struct redis_url *u);

#endif
