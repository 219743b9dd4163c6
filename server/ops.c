#include "server/ops.h"

#include "common/metrics.h"

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

/* A node without Redis stays ready: taking all nodes out because one Redis is
 * down would end local delivery too. */
static void readyz(void *arg, struct http_request *r)
{
    const struct sio_server *srv = arg;
    struct buf body;
    buf_init(&body, 256);
    buf_fmt(&body, "{\"status\":\"%s\",\"adapter\":\"%s\"}\n",
            srv->stopping                  ? "stopping"
            : cluster_usable(srv->cluster) ? "ready"
                                           : "degraded",
            cluster_kind(srv->cluster));
    respond(r, srv->stopping ? 503 : 200, "application/json", buf_str(&body));
    buf_fini(&body);
}

static void metrics(void *arg, struct http_request *r)
{
    struct buf body;
    buf_init(&body, 256 * 1024);
    server_metrics(arg);
    metrics_print(&body);
    respond(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&body));
    buf_fini(&body);
}

void ops_install(struct sio_server *srv)
{
    http_route(srv->http, STR("/healthz"), false, healthz, srv);
    http_route(srv->http, STR("/readyz"), false, readyz, srv);
    http_route(srv->http, STR("/metrics"), false, metrics, srv);
}
