/* An http or https URL as a person types it. */
#ifndef CONFAB_SERVER_CTL_URL_H
#define CONFAB_SERVER_CTL_URL_H

#include "common/err.h"
#include "common/str.h"

enum { CTL_HOST_MAX = 256, CTL_PATH_MAX = 512 };

struct ctl_url {
    bool secure;                       /* https */
    uint16_t port;                     /* 80 or 443 when it is not said */
    char host[CTL_HOST_MAX];           /* without brackets */
    char authority[CTL_HOST_MAX + 16]; /* host and port, for the Host header */
    char path[CTL_PATH_MAX];           /* begins with '/'; no query */
};

/* Without a scheme it is http; ws and wss are taken for http and https. A
 * query and a fragment are dropped. ERR_PROTO with a sentence in `*why`. */
MUST_CHECK int ctl_url_parse(struct ctl_url *u, const char *text,
                             const char **why);

#endif
