#include "server/ops.h"

#include <time.h>

#include "adapter/redis_url.h"
#include "common/json_out.h"
#include "common/sha1.h"

enum { PEERS_NAMED = 256, READY_MAX = 64 * 1024 };

static void respond(struct http_request *r, unsigned status, const char *type,
                    struct str body)
{
    struct http_response resp = {
        .status = status, .type = type, .body = body, .no_store = true};
    if (http_verb(r) != VERB_GET && http_verb(r) != VERB_HEAD)
        resp = (struct http_response){.status = 405,
                                      .headers = STR("Allow: GET, HEAD\r\n")};
    http_respond(r, &resp);
}

static void healthz(void *arg, struct http_request *r)
{
    (void)arg;
    respond(r, 200, "text/plain; charset=utf-8", STR("ok\n"));
}

/* ---- what a doctor compares ---------------------------------------------- */

/* Whether two nodes were given the same can be seen without saying what. */
static void add_digest(struct buf *out, const char *key, struct str secret)
{
    unsigned char digest[20];
    sha1(secret, digest);
    buf_fmt(out, ",\"%s\":\"%02x%02x%02x%02x\"", key, digest[0], digest[1],
            digest[2], digest[3]);
}

static void add_redis(struct buf *out, const struct settings *s)
{
    struct redis_url url;
    char err[CONFIG_ERR_MAX];
    if (redis_url_parse(&url, s->redis_url, err) < 0)
        return;
    struct buf place;
    buf_init(&place, READY_MAX);
    buf_fmt(&place, "%s:%u/%u", url.host, url.port, url.db);
    add_digest(out, "redis", buf_str(&place));
    add_digest(out, "prefix", str_of(s->redis_prefix));
    buf_fini(&place);
    redis_url_fini(&url);
}

struct peer_list {
    struct buf *out;
    unsigned n;
};

static void add_peer(void *arg, struct str name)
{
    struct peer_list *list = arg;
    if (list->n == PEERS_NAMED)
        return;
    if (list->n++ > 0)
        buf_addc(list->out, ',');
    json_out_string(list->out, name);
}

static void add_identity(struct buf *out, const struct sio_server *srv)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    buf_add(out, STR(",\"node\":"));
    json_out_string(out, str_of(srv->name));
    buf_add(out, STR(",\"path\":"));
    json_out_string(out, str_of(srv->settings.engine_path));
    buf_fmt(out, ",\"time_ms\":%lld",
            (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    if (strcmp(cluster_kind(srv->cluster), "redis") != 0)
        return;
    struct peer_list list = {out, 0};
    add_redis(out, &srv->settings);
    buf_add(out, STR(",\"peers\":["));
    cluster_peers(srv->cluster, add_peer, &list);
    buf_addc(out, ']');
}

/* Taking all nodes out because one Redis is down would end local delivery, too:
 * by default a node without Redis stays ready. */
static void readyz(void *arg, struct http_request *r)
{
    const struct sio_server *srv = arg;
    bool usable = cluster_usable(srv->cluster);
    bool draining = drain_is_on(&srv->drain);
    bool ready = !srv->stopping && !draining &&
                 (usable || srv->settings.ready_without_redis);
    struct buf body;
    buf_init(&body, READY_MAX);
    buf_fmt(&body, "{\"status\":\"%s\",\"adapter\":\"%s\"%s",
            srv->stopping ? "stopping"
            : draining    ? "draining"
            : usable      ? "ready"
                          : "degraded",
            cluster_kind(srv->cluster),
            usable ? ""
                   : ",\"why\":\"no connection to Redis: messages do not "
                     "reach other nodes\"");
    add_identity(&body, srv);
    buf_add(&body, STR("}\n"));
    respond(r, ready ? 200 : 503, "application/json", buf_str(&body));
    buf_fini(&body);
}

void ops_install(struct sio_server *srv, struct http_server *http)
{
    http_route(http, STR("/healthz"), false, healthz, srv);
    http_route(http, STR("/readyz"), false, readyz, srv);
}
