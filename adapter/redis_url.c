#include "adapter/redis_url.h"

#include <stdio.h>
#include <sys/un.h>

#include "common/mem.h"

enum { PORT_DEFAULT = 6379, DB_MAX = 65535 };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* NULL when an escape is cut short, no hexadecimal, or a NUL. */
static char *percent_decode(struct str s)
{
    char *out = mem_strndup(s.p, s.len);
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.p[i] != '%') {
            out[n++] = s.p[i];
            continue;
        }
        int hi = i + 2 < s.len ? hex_digit(s.p[i + 1]) : -1;
        int lo = i + 2 < s.len ? hex_digit(s.p[i + 2]) : -1;
        if (hi < 0 || lo < 0 || hi + lo == 0) {
            mem_free(out);
            return NULL;
        }
        out[n++] = (char)(hi * 16 + lo);
        i += 2;
    }
    out[n] = '\0';
    return out;
}

static const char *parse_user(struct redis_url *u, struct str info)
{
    struct str user;
    struct str password = info;
    if (!str_next(&password, ':', &user) || !password.p)
        return "a user name needs a password after it";
    if (info.len == 1)
        return NULL;
    u->password = percent_decode(password);
    if (user.len > 0)
        u->user = percent_decode(user);
    if (!u->password || (user.len > 0 && !u->user))
        return "user or password hold a broken %-escape";
    return NULL;
}

static const char *parse_host(struct redis_url *u, struct str host)
{
    struct str port = {0};
    if (host.len > 0 && host.p[0] == '[') {
        const char *close = memchr(host.p, ']', host.len);
        if (!close)
            return "the address has no closing bracket";
        size_t len = (size_t)(close - host.p);
        port = str_from(host, len + 1);
        host = (struct str){host.p + 1, len - 1};
    } else {
        const char *colon = memchr(host.p, ':', host.len);
        size_t len = colon ? (size_t)(colon - host.p) : host.len;
        port = str_from(host, len);
        host.len = len;
    }
    uint64_t n = PORT_DEFAULT;
    if (port.len > 0 &&
        (port.p[0] != ':' || !str_to_u64(str_from(port, 1), UINT16_MAX, &n) ||
         n == 0))
        return "the port is not a number from 1 to 65535";
    if (host.len == 0)
        return "the host is missing";
    for (size_t i = 0; i < host.len; i++) {
        if (host.p[i] <= ' ' || host.p[i] == 0x7F || host.p[i] == '%')
            return "the host holds a character that no name has";
    }
    u->host = mem_strndup(host.p, host.len);
    u->port = (uint16_t)n;
    return NULL;
}

static const char *parse_db(struct redis_url *u, struct str db)
{
    uint64_t n = 0;
    if (!str_to_u64(db, DB_MAX, &n))
        return "the database is not a number";
    u->db = (uint32_t)n;
    return NULL;
}

static const char *parse_path(struct redis_url *u, struct str path)
{
    if (path.len < 2)
        return "the path of the socket is missing";
    u->host = percent_decode(path);
    if (!u->host)
        return "the path holds a broken %-escape";
    if (strlen(u->host) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return "the path is longer than a socket's may be";
    /* Redis tells clients by it, in lines of words. */
    for (const char *c = u->host; *c; c++) {
        if ((unsigned char)*c <= ' ' || *c == 0x7F)
            return "the path holds a space or a control character";
    }
    return NULL;
}

static const char *parse_socket(struct redis_url *u, struct str rest)
{
    const char *slash = memchr(rest.p, '/', rest.len);
    if (!slash)
        return "the path of the socket is missing";
    struct str login = {rest.p, (size_t)(slash - rest.p)};
    struct str path = str_from(rest, login.len);
    if (login.len > 0) {
        if (login.p[login.len - 1] != '@')
            return "the path of a socket begins with a slash: unix:///path";
        login.len--;
        const char *why = parse_user(u, login);
        if (why)
            return why;
    }
    if (memchr(path.p, '#', path.len))
        return "there must be no #; write it as %23";
    const char *query = memchr(path.p, '?', path.len);
    if (query) {
        struct str db = str_from(path, (size_t)(query - path.p));
        path.len -= db.len;
        if (!str_starts(db, STR("?db=")))
            return "after the path there is only ?db=N";
        const char *why = parse_db(u, str_from(db, strlen("?db=")));
        if (why)
            return why;
    }
    return parse_path(u, path);
}

static const char *parse(struct redis_url *u, struct str text)
{
    if (str_starts(text, STR("rediss://")))
        return "rediss:// (TLS) is not supported; use redis://";
    if (str_starts(text, STR("unix://")))
        return parse_socket(u, str_from(text, strlen("unix://")));
    if (!str_starts(text, STR("redis://")))
        return "it must start with redis:// or unix://";
    struct str rest = str_from(text, strlen("redis://"));
    if (memchr(rest.p, '?', rest.len) || memchr(rest.p, '#', rest.len))
        return "there must be no ? and no #; write them as %3F and %23";
    /* A '/' or '@' that is part of a password has to be escaped, as in any
     * URL. */
    struct str place = rest;
    struct str db = {0};
    const char *slash = memchr(rest.p, '/', rest.len);
    if (slash) {
        place.len = (size_t)(slash - rest.p);
        db = str_from(rest, place.len + 1);
    }
    const char *at = memrchr(place.p, '@', place.len);
    if (at) {
        size_t len = (size_t)(at - place.p);
        const char *why = parse_user(u, (struct str){place.p, len});
        if (why)
            return why;
        place = str_from(place, len + 1);
    }
    const char *why = db.len > 0 ? parse_db(u, db) : NULL;
    if (why)
        return why;
    return parse_host(u, place);
}

int redis_url_parse(struct redis_url *u, const char *text,
                    char err[CONFIG_ERR_MAX])
{
    *u = (struct redis_url){0};
    const char *why = parse(u, str_of(text));
    if (!why)
        return 0;
    (void)snprintf(err, CONFIG_ERR_MAX, "redis url: %s", why);
    redis_url_fini(u);
    return ERR_CONFIG;
}

bool redis_url_is_socket(const struct redis_url *u)
{
    return u->host[0] == '/';
}

void redis_url_fini(struct redis_url *u)
{
    mem_free(u->host);
    mem_free(u->user);
    mem_free(u->password);
    *u = (struct redis_url){0};
}
