#include "server/admin/admin.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "common/log.h"
#include "common/mem.h"
#include "server/admin/pages.h"
#include "server/ops.h"

enum {
    /* Of the descriptors that stream_limit leaves for other than clients. */
    CONNECTIONS_MAX = 16,
    BODY_MAX = 8 * 1024 * 1024,
    REFUSALS_LOGGED_PER_MINUTE = 6,
};

static const char json[] = "application/json";

static const struct page {
    struct str path;
    const char *type;
    enum http_verb verb; /* VERB_GET: and HEAD */
    unsigned (*fn)(struct sio_server *srv, struct http_request *r,
                   struct buf *out);
} pages[] = {
    {STR_INIT("/metrics"), "text/plain; version=0.0.4; charset=utf-8", VERB_GET,
     page_metrics},
    {STR_INIT("/debug/why"), json, VERB_GET, page_why},
    {STR_INIT("/debug/slow"), json, VERB_GET, page_slow},
    {STR_INIT("/debug/state"), json, VERB_GET, page_state},
    {STR_INIT("/drain"), json, VERB_POST, page_drain},
};

enum { PAGES = sizeof(pages) / sizeof(pages[0]) };

/* A page and the node that it is about. */
struct place {
    struct sio_server *server;
    const struct page *page;
};

struct admin {
    struct http_server *http;
    struct listener *listener;
    struct place places[PAGES];
    char url[288];
};

/* ---- who may ask --------------------------------------------------------- */

/* Without the port. */
static struct str host_name(struct str host)
{
    const char *end = host.len && host.p[0] == '['
                          ? memchr(host.p, ']', host.len)
                          : memchr(host.p, ':', host.len);
    if (!end)
        return host;
    if (host.p[0] != '[')
        return (struct str){host.p, (size_t)(end - host.p)};
    return (struct str){host.p + 1, (size_t)(end - host.p) - 1};
}

static bool is_address(struct str name)
{
    char z[INET6_ADDRSTRLEN];
    struct in6_addr any;
    if (name.len >= sizeof(z))
        return false;
    memcpy(z, name.p, name.len);
    z[name.len] = '\0';
    return inet_pton(AF_INET, z, &any) == 1 ||
           inet_pton(AF_INET6, z, &any) == 1;
}

/* A page can have its own name resolve to this address. Such a name has a dot;
 * those of a machine, a container or a service within its network need none. */
static bool host_ok(const struct sio_server *srv, const struct http_request *r)
{
    struct str host;
    if (!http_header(r, STR("host"), &host))
        return true; /* no browser */
    host = host_name(host);
    return !memchr(host.p, '.', host.len) || is_address(host) ||
           str_ieq(host, str_of(srv->settings.admin_host));
}

static const char *why_not(const struct sio_server *srv,
                           const struct http_request *r)
{
    struct str v;
    if (http_header(r, STR("origin"), &v))
        return "requests with an Origin are refused: this is not for browsers";
    if (!host_ok(srv, r))
        return "ask by address, by a name without dots, or by admin.host";
    if (http_verb(r) == VERB_POST &&
        (!http_header(r, STR("x-confab-admin"), &v) || !str_eq(v, STR("1"))))
        return "a POST needs the header X-Confab-Admin: 1";
    return NULL;
}

static void refuse(const struct sio_server *srv, struct http_request *r,
                   const char *why)
{
    static struct log_gate gate;
    char peer[STREAM_ADDR_MAX];
    struct buf body;
    http_peer(r, peer);
    if (log_allow(&gate, loop_now(srv->loop), REFUSALS_LOGGED_PER_MINUTE))
        log_warn("admin_refused", "address=%s path=%s why=%s held=%u", peer,
                 log_safe(http_path(r)), log_safe(str_of(why)), gate.held);
    buf_init(&body, 256);
    buf_fmt(&body, "%s\n", why);
    struct http_response resp = {.status = 403,
                                 .type = "text/plain; charset=utf-8",
                                 .body = buf_str(&body),
                                 .no_store = true,
                                 .close = true};
    http_respond(r, &resp);
    buf_fini(&body);
}

/* ---- answering ----------------------------------------------------------- */

static bool verb_fits(const struct page *page, enum http_verb verb)
{
    return verb == page->verb || (page->verb == VERB_GET && verb == VERB_HEAD);
}

static void answer(void *arg, struct http_request *r)
{
    const struct place *place = arg;
    const struct page *page = place->page;
    const char *why = why_not(place->server, r);
    if (why) {
        refuse(place->server, r, why);
        return;
    }
    struct http_response resp = {.no_store = true, .close = http_has_body(r)};
    struct buf body;
    buf_init(&body, BODY_MAX);
    if (verb_fits(page, http_verb(r))) {
        resp.status = page->fn(place->server, r, &body);
        resp.type = resp.status == 200 ? page->type : "text/plain";
        resp.body = buf_str(&body);
    } else {
        resp.status = 405;
        resp.headers = page->verb == VERB_GET ? STR("Allow: GET, HEAD\r\n")
                                              : STR("Allow: POST\r\n");
    }
    http_respond(r, &resp);
    buf_fini(&body);
}

/* ---- life ---------------------------------------------------------------- */

static void on_accept(void *arg, struct stream *st)
{
    struct admin *a = arg;
    http_server_accept(a->http, st);
}

static void make_url(struct admin *a, const char *host)
{
    bool colons = strchr(host, ':') != NULL;
    snprintf(a->url, sizeof(a->url), "http://%s%s%s:%u", colons ? "[" : "",
             host, colons ? "]" : "", listener_port(a->listener));
}

struct admin *admin_new(struct sio_server *srv,
                        const struct http_limits *limits)
{
    const struct settings *s = &srv->settings;
    struct admin *a = mem_zalloc(sizeof(*a));
    a->listener =
        listener_new(srv->loop, s->admin_host, (uint16_t)s->admin_port,
                     CONNECTIONS_MAX, on_accept, a);
    if (!a->listener) {
        mem_free(a);
        return NULL;
    }
    listener_set_apart(a->listener);
    a->http = http_server_new(srv->loop, limits);
    for (size_t i = 0; i < PAGES; i++) {
        a->places[i] = (struct place){srv, &pages[i]};
        http_route(a->http, pages[i].path, false, answer, &a->places[i]);
    }
    ops_install(srv, a->http);
    make_url(a, s->admin_host);
    log_info("admin", "url=%s", a->url);
    return a;
}

void admin_free(struct admin *a)
{
    if (!a)
        return;
    listener_free(a->listener);
    http_server_free(a->http);
    mem_free(a);
}

const char *admin_url(const struct admin *a)
{
    return a->url;
}
