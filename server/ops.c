#include "server/ops.h"

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
    buf_init(&body, 256);
    buf_fmt(&body, "{\"status\":\"%s\",\"adapter\":\"%s\"%s}\n",
            srv->stopping ? "stopping"
            : draining    ? "draining"
            : usable      ? "ready"
                          : "degraded",
            cluster_kind(srv->cluster),
            usable ? ""
                   : ",\"why\":\"no connection to Redis: messages do not "
                     "reach other nodes\"");
    respond(r, ready ? 200 : 503, "application/json", buf_str(&body));
    buf_fini(&body);
}

void ops_install(struct sio_server *srv, struct http_server *http)
{
    http_route(http, STR("/healthz"), false, healthz, srv);
    http_route(http, STR("/readyz"), false, readyz, srv);
}
