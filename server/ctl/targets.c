#include "server/ctl/targets.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/ctl/options.h"

static int add(struct ctl_targets *t, const char *text)
{
    const char *why;
    if (t->n == TARGETS_MAX) {
        fprintf(stderr, "confabctl: more than %u nodes are named\n",
                (unsigned)TARGETS_MAX);
        return CTL_USAGE;
    }
    struct ctl_url *u = &t->v[t->n];
    if (ctl_url_parse(u, text, &why) < 0) {
        fprintf(stderr, "confabctl: %s is no URL: %s\n", text, why);
        return CTL_USAGE;
    }
    if (u->secure) {
        fprintf(stderr,
                "confabctl: %s: an admin listener speaks http, not https\n",
                text);
        return CTL_USAGE;
    }
    t->n++;
    return -1;
}

int ctl_targets_add(struct ctl_targets *t, const char *text)
{
    struct str rest = str_of(text), part;
    int rc = -1;
    while (rc < 0 && str_next(&rest, ',', &part)) {
        char one[CTL_HOST_MAX + CTL_PATH_MAX + 32];
        (void)snprintf(one, sizeof(one), "%.*s", STR_ARG(str_trim(part)));
        rc = add(t, one);
    }
    return rc;
}

int ctl_targets_complete(struct ctl_targets *t)
{
    if (t->n > 0)
        return -1;
    const char *port = getenv("CONFAB_ADMIN_PORT");
    const char *host = getenv("CONFAB_ADMIN_HOST");
    uint64_t n;
    if (!port || !str_to_u64(str_of(port), UINT16_MAX, &n) || n == 0) {
        fputs("confabctl: which nodes? Give --admin http://HOST:PORT, which a "
              "node's line \"ready\" ends with, or set CONFAB_ADMIN_PORT\n",
              stderr);
        return CTL_USAGE;
    }
    char url[CTL_HOST_MAX + 32];
    if (!host || !*host || strcmp(host, "0.0.0.0") == 0)
        host = "127.0.0.1";
    else if (strcmp(host, "::") == 0)
        host = "::1";
    bool colons = strchr(host, ':') != NULL;
    (void)snprintf(url, sizeof(url), "http://%s%s%s:%s", colons ? "[" : "",
                   host, colons ? "]" : "", port);
    return add(t, url);
}

bool ctl_target_at(struct ctl_url *u, const struct sockaddr *addr)
{
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    bool ok = false, six = addr->sa_family == AF_INET6;
    if (addr->sa_family == AF_INET) {
        memcpy(&v4, addr, sizeof(v4));
        ok = inet_ntop(AF_INET, &v4.sin_addr, u->host, CTL_HOST_MAX) != NULL;
    } else if (six) {
        memcpy(&v6, addr, sizeof(v6));
        ok = inet_ntop(AF_INET6, &v6.sin6_addr, u->host, CTL_HOST_MAX) != NULL;
    }
    if (ok)
        (void)snprintf(u->authority, sizeof(u->authority), "%s%s%s:%u",
                       six ? "[" : "", u->host, six ? "]" : "", u->port);
    return ok;
}
