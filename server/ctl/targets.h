/* Admin listeners of nodes, as a person names them: http://node:3001. */
#ifndef CONFAB_SERVER_CTL_TARGETS_H
#define CONFAB_SERVER_CTL_TARGETS_H

#include <sys/socket.h>

#include "server/ctl/url.h"

enum { TARGETS_MAX = 64 };

struct ctl_targets {
    struct ctl_url v[TARGETS_MAX];
    size_t n;
};

/* One URL, or several with commas between them. -1, or an exit code, all being
 * said. */
int ctl_targets_add(struct ctl_targets *t, const char *text);
/* When none was given: that of the node whose settings CONFAB_ADMIN_PORT and
 * CONFAB_ADMIN_HOST in the environment are, as in a container. */
int ctl_targets_complete(struct ctl_targets *t);

/* Goes to this address of its name from now on, and asks by it: an admin
 * listener refuses most names, for which DNS could stand in. False when it is
 * none of IPv4 or IPv6. */
bool ctl_target_at(struct ctl_url *u, const struct sockaddr *addr);

#endif
