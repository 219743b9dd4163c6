#include "server/io/relaying.h"

#include <errno.h>
#include <stdio.h>

#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"

enum { ADDRESS_BYTES = STREAM_ADDR_MAX + 16 };

struct relaying {
    struct listener *listener; /* NULL: the server's own */
    struct http_server *http;
    char tag[CLUSTER_TAG_LEN];
    char token[CLUSTER_TOKEN_LEN];
    char address[ADDRESS_BYTES];
};

_Static_assert((int)CLUSTER_TAG_LEN == (int)NODE_TAG_LEN, "they are the same");

static void on_accept(void *arg, struct stream *st)
{
    struct sio_server *srv = arg;
    http_server_accept(srv->relaying->http, st);
}

static int open_port(struct sio_server *srv, uint32_t max_streams)
{
    const struct settings *s = &srv->settings;
    struct relaying *rl = srv->relaying;
    rl->listener =
        listener_new(srv->loop, s->listen_host, (uint16_t)s->relay_port,
                     max_streams, on_accept, srv);
    if (rl->listener) {
        struct http_limits limits = server_http_limits(&srv->settings);
        rl->http = http_server_new(srv->loop, &limits);
        return 0;
    }
    snprintf(srv->error, sizeof(srv->error),
             "cannot listen on %s port %u for other nodes: %s; set "
             "cluster.relay_port",
             s->listen_host[0] ? s->listen_host : "any address", s->relay_port,
             strerror(errno));
    return SIO_ERR_IO;
}

int relaying_open(struct sio_server *srv, uint32_t max_streams)
{
    const struct settings *s = &srv->settings;
    if (!s->relay || !settings_uses_redis(s))
        return 0;
    struct relaying *rl = srv->relaying = mem_zalloc(sizeof(*rl));
    id_random(rl->tag, sizeof(rl->tag));
    id_random(rl->token, sizeof(rl->token));
    return s->relay_port ? open_port(srv, max_streams) : 0;
}

/* A node that listens on one address is reached there; one that listens on all
 * leaves the choice to the cluster. */
static struct str bound_address(struct relaying *rl, const struct listener *li)
{
    char host[STREAM_ADDR_MAX];
    listener_address(li, host);
    if (!host[0])
        return STR("");
    (void)snprintf(rl->address, sizeof(rl->address),
                   strchr(host, ':') ? "[%s]:%u" : "%s:%u", host,
                   listener_port(li));
    return str_of(rl->address);
}

bool relaying_reach(struct sio_server *srv, struct cluster_relay *r)
{
    struct relaying *rl = srv->relaying;
    if (!rl)
        return false;
    if (srv->tls && !rl->listener) {
        log_warn("relay_off", "why=\"TLS on listen.port; cluster.relay_port is "
                              "not set\"");
        return false;
    }
    const struct listener *li = rl->listener ? rl->listener : srv->listener;
    struct str fixed = str_of(srv->settings.relay_address);
    *r = (struct cluster_relay){
        .tag = {rl->tag, sizeof(rl->tag)},
        .token = {rl->token, sizeof(rl->token)},
        .address = fixed.len ? fixed : bound_address(rl, li),
        .port = listener_port(li),
    };
    return true;
}

static bool find(void *arg, struct str tag, struct elsewhere_node *node)
{
    struct sio_server *srv = arg;
    struct cluster_relay r;
    if (!cluster_find_relay(srv->cluster, tag, &r))
        return false;
    *node = (struct elsewhere_node){r.address, r.token};
    return true;
}

void relaying_begin(struct sio_server *srv)
{
    struct relaying *rl = srv->relaying;
    if (!rl)
        return;
    struct elsewhere_settings s = {
        .tag = {rl->tag, sizeof(rl->tag)},
        .token = {rl->token, sizeof(rl->token)},
        .find = find,
        .arg = srv,
        .requests = srv->settings.relays,
    };
    engine_relay(srv->engine, &s);
    if (rl->http)
        http_route(rl->http, str_of(srv->settings.engine_path), true,
                   engine_relayed_request, srv->engine);
}

void relaying_close(struct sio_server *srv)
{
    struct relaying *rl = srv->relaying;
    if (!rl || !rl->http)
        return;
    listener_free(rl->listener);
    rl->listener = NULL;
    http_server_drain(rl->http);
}

void relaying_free(struct sio_server *srv)
{
    struct relaying *rl = srv->relaying;
    if (!rl)
        return;
    listener_free(rl->listener);
    if (rl->http)
        http_server_free(rl->http);
    mem_free(rl);
    srv->relaying = NULL;
}
