#include "server/ctl/url.h"

#include <stdio.h>

static int bad(const char **why, const char *text)
{
    *why = text;
    return ERR_PROTO;
}

/* Takes "scheme://" off the front. */
static int take_scheme(struct ctl_url *u, struct str *s, const char **why)
{
    static const struct scheme {
        struct str text;
        bool secure;
    } schemes[] = {{STR_INIT("http://"), false},
                   {STR_INIT("https://"), true},
                   {STR_INIT("ws://"), false},
                   {STR_INIT("wss://"), true}};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        struct str front = {s->p, schemes[i].text.len};
        if (s->len < front.len || !str_ieq(front, schemes[i].text))
            continue;
        u->secure = schemes[i].secure;
        *s = str_from(*s, front.len);
        return 0;
    }
    for (size_t i = 0; i + 2 < s->len; i++) {
        if (memcmp(s->p + i, "://", 3) == 0)
            return bad(why, "it begins with neither http:// nor https://");
    }
    return 0;
}

static bool plain(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    }
    return true;
}

static int take_port(struct ctl_url *u, struct str s, const char **why)
{
    uint64_t port = u->secure ? 443 : 80;
    if (s.len > 0 && (!str_to_u64(s, UINT16_MAX, &port) || port == 0))
        return bad(why, "its port is not a number from 1 to 65535");
    u->port = (uint16_t)port;
    return 0;
}

/* "host", "host:port", "[address]:port" */
static int take_authority(struct ctl_url *u, struct str s, const char **why)
{
    if (memchr(s.p, '@', s.len))
        return bad(why, "a user and password have no place in it");
    bool v6 = s.len > 0 && s.p[0] == '[';
    const char *end = memchr(s.p, v6 ? ']' : ':', s.len);
    if (v6 && !end)
        return bad(why, "its bracket is not closed");
    size_t n = end ? (size_t)(end - s.p) : s.len;
    struct str host = {s.p + v6, n - v6};
    struct str rest = str_from(s, n + v6);
    if (rest.len > 0 && rest.p[0] != ':')
        return bad(why, "its port is not a number from 1 to 65535");
    if (host.len == 0)
        return bad(why, "it names no host");
    if (host.len >= CTL_HOST_MAX - 2)
        return bad(why, "its host is too long");
    memcpy(u->host, host.p, host.len);
    u->host[host.len] = '\0';
    int rc = take_port(u, str_from(rest, 1), why);
    bool usual = u->port == (u->secure ? 443 : 80);
    char port[8] = "";
    if (!usual)
        (void)snprintf(port, sizeof(port), ":%u", u->port);
    (void)snprintf(u->authority, sizeof(u->authority), "%s%s%s%s",
                   v6 ? "[" : "", u->host, v6 ? "]" : "", port);
    return rc;
}

int ctl_url_parse(struct ctl_url *u, const char *text, const char **why)
{
    *u = (struct ctl_url){0};
    struct str s = str_of(text);
    int rc = plain(s) ? take_scheme(u, &s, why)
                      : bad(why, "it holds a character that must be escaped");
    if (rc < 0)
        return rc;
    size_t n = strcspn(s.p, "/?#");
    rc = take_authority(u, (struct str){s.p, n}, why);
    if (rc < 0)
        return rc;
    s = str_from(s, n);
    s.len = strcspn(s.p, "?#");
    if (s.len >= CTL_PATH_MAX)
        return bad(why, "its path is too long");
    memcpy(u->path, s.len ? s.p : "/", s.len ? s.len : 1);
    return 0;
}
