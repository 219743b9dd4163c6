/* The server of sio.h: configuration, start, end; run.c has what is between.
 * Namespaces and handlers
 * may come before the configuration, so that everything that depends on it (the
 * cluster, the engine, the routes) is made in sio_server_listen. */
#include "server/io/server.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "adapter/recovery.h"
#include "common/id.h"
#include "common/journal.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/tls.h"
#include "server/admin/admin.h"
#include "server/http/bundle.h"
#include "server/http/busy.h"
#include "server/io/client.h"
#include "server/io/dynamic.h"
#include "server/io/namespace.h"
#include "server/io/pack.h"
#include "server/io/parser_msgpack.h"
#include "server/io/relaying.h"
#include "server/io/request.h"
#include "server/ops.h"

enum {
    /* for Redis, the ring, logs, listeners, libraries; and for TURNED_AWAY */
    FD_RESERVE = 64,
    TURNED_AWAY = 16,  /* connections that hear that there is no room */
    BYE_WAIT_MS = 500, /* for the word to other nodes that we leave */
    QUERY_BYTES = 64 * 1024,
};

enum source_kind { FROM_FILE, FROM_ENVIRONMENT, FROM_ASSIGNMENT };

/* Where settings come from, to be read again. */
struct source {
    struct list link;
    enum source_kind kind;
    char *text; /* path or assignment */
};

struct document {
    struct list link;
    char *path, *type;
    struct str data;
};

static struct str namespace_key(const struct map_node *n)
{
    return const_container_of(n, struct sio_namespace, by_name)->name;
}

/* ---- configuration ------------------------------------------------------- */

static int fail(struct sio_server *srv, int rc, const char *sentence)
{
    if (sentence != srv->error)
        snprintf(srv->error, sizeof(srv->error), "%s", sentence);
    return rc;
}

static int read_source(enum source_kind kind, const char *text,
                       struct settings *s, char *err)
{
    switch (kind) {
    case FROM_FILE:
        return config_load_file(&settings_table, s, text, err);
    case FROM_ENVIRONMENT:
        return config_load_env(&settings_table, s, environ, err);
    default:
        return config_set(&settings_table, s, str_of(text), "--set", err);
    }
}

static int add_source(struct sio_server *srv, enum source_kind kind,
                      const char *text)
{
    struct source *from = mem_zalloc(sizeof(*from));
    from->kind = kind;
    from->text = mem_strndup(text, strlen(text));
    list_insert(&srv->sources, &from->link);
    return read_source(kind, text, &srv->settings, srv->error) ? SIO_ERR_CONFIG
                                                               : 0;
}

int sio_server_config_file(struct sio_server *srv, const char *path)
{
    return add_source(srv, FROM_FILE, path);
}

int sio_server_config_env(struct sio_server *srv)
{
    return add_source(srv, FROM_ENVIRONMENT, "");
}

int sio_server_set(struct sio_server *srv, const char *assignment)
{
    return add_source(srv, FROM_ASSIGNMENT, assignment);
}

int server_read_sources(struct sio_server *srv, struct settings *s)
{
    int rc = 0;
    for (struct list *n = srv->sources.next; n != &srv->sources && rc == 0;
         n = n->next) {
        const struct source *from = container_of(n, struct source, link);
        rc = read_source(from->kind, from->text, s, srv->error);
    }
    if (rc == 0)
        rc = settings_complete(s, srv->error);
    return rc;
}

int sio_server_check(struct sio_server *srv)
{
    return settings_complete(&srv->settings, srv->error) < 0 ||
                   settings_check(&srv->settings, srv->error) < 0
               ? SIO_ERR_CONFIG
               : 0;
}

void sio_server_print_config(const struct sio_server *srv, FILE *out)
{
    config_print(&settings_table, &srv->settings, out);
}

const char *sio_server_error(const struct sio_server *srv)
{
    return srv->error;
}

/* The host's name and some chance: two nodes of one machine must differ. */
static void choose_name(struct sio_server *srv)
{
    if (srv->settings.node_name[0]) {
        snprintf(srv->name, sizeof(srv->name), "%s", srv->settings.node_name);
        return;
    }
    char host[48] = "node", suffix[5] = {0};
    if (gethostname(host, sizeof(host) - 1) < 0)
        snprintf(host, sizeof(host), "node");
    id_hex(suffix, 4);
    snprintf(srv->name, sizeof(srv->name), "%s-%s", host, suffix);
}

const char *sio_server_node(const struct sio_server *srv)
{
    return srv->name;
}

/* ---- making -------------------------------------------------------------- */

struct sio_server *sio_server_new(void)
{
    struct sio_server *srv = mem_zalloc(sizeof(*srv));
    srv->loop = loop_new();
    config_defaults(&settings_table, &srv->settings);
    list_init(&srv->namespaces);
    list_init(&srv->parents);
    list_init(&srv->documents);
    map_init(&srv->by_name, namespace_key);
    json_init(&srv->scratch);
    json_init(&srv->auth.tape);
    json_init(&srv->data.tape);
    list_init(&srv->timers);
    list_init(&srv->sources);
    drain_init(&srv->drain, srv);
    buf_init(&srv->query, QUERY_BYTES);
    buf_init(&srv->handshake, UINT32_MAX);
    sio_of(srv, "/");
    return srv;
}

struct sio_namespace *server_namespace(struct sio_server *srv, struct str name)
{
    struct map_node *n = map_get(&srv->by_name, name);
    return n ? container_of(n, struct sio_namespace, by_name) : NULL;
}

struct sio_namespace *sio_of(struct sio_server *srv, const char *name)
{
    char with_slash[256];
    if (name[0] != '/') {
        snprintf(with_slash, sizeof(with_slash), "/%s", name);
        name = with_slash;
    }
    struct sio_namespace *ns = server_namespace(srv, str_of(name));
    if (!ns) {
        ns = namespace_new(srv, str_of(name));
        namespace_publish(ns);
        if (srv->cluster)
            namespace_start(ns);
    }
    return ns;
}

struct json *server_tape_get(struct sio_server *srv)
{
    if (srv->used_tapes == srv->n_tapes) {
        srv->tapes =
            mem_realloc(srv->tapes, (srv->n_tapes + 1) * sizeof(srv->tapes[0]));
        srv->tapes[srv->n_tapes] = mem_alloc(sizeof(struct json));
        json_init(srv->tapes[srv->n_tapes++]);
    }
    return srv->tapes[srv->used_tapes++];
}

void server_tape_put(struct sio_server *srv)
{
    enum { KEEP_NODES = 8192 };
    struct json *j = srv->tapes[--srv->used_tapes];
    /* One huge packet must not hold its memory for ever. */
    if (j->cap > KEEP_NODES) {
        json_fini(j);
        json_init(j);
    }
}

struct sio_value server_lend(struct lent_value *to, struct str text)
{
    event_fini(&to->event);
    int rc = json_parse(&to->tape, text, pack_limits);
    assert(rc == 0);
    event_init_value(&to->event, &to->tape);
    return sio_arg(&to->event, 0);
}

/* ---- starting ------------------------------------------------------------ */

/* As many descriptors as the system lets us have; returns how many streams may
 * be open. */
static uint32_t stream_limit(const struct settings *s)
{
    struct rlimit rl;
    rlim_t allowed = 1024;
    if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
        rl.rlim_cur = rl.rlim_max;
        setrlimit(RLIMIT_NOFILE, &rl);
        getrlimit(RLIMIT_NOFILE, &rl);
        allowed = rl.rlim_cur;
    }
    if (allowed > UINT32_MAX)
        allowed = UINT32_MAX;
    uint32_t most = allowed > 2 * FD_RESERVE ? (uint32_t)allowed - FD_RESERVE
                                             : (uint32_t)allowed / 2;
    return s->connections && s->connections < most ? s->connections : most;
}

static int start_cluster(struct sio_server *srv)
{
    const struct settings *s = &srv->settings;
    struct recovery_settings rs = {
        .max_disconnection_ms = s->max_disconnection_ms,
        .packets = s->recovery_packets,
        .bytes = s->recovery_bytes,
        .saved_bytes = s->recovery_session_bytes,
        .missed_bytes = s->recovery_missed_bytes,
    };
    bool redis = settings_uses_redis(s);
    struct cluster_relay relay;
    struct adapter_settings as = {
        .type = redis ? ADAPTER_REDIS : ADAPTER_MEMORY,
        .redis_url = s->redis_url,
        .prefix = s->redis_prefix,
        .node_name = srv->name,
        .interest = s->interest,
        .publish_queue_bytes = s->publish_queue_bytes,
        .lease_ms = s->lease_ms,
        .json_depth = s->json_depth,
        .max_message_bytes = 2 * s->max_payload_bytes + 65536,
        .requests_timeout_ms = s->requests_timeout_ms,
        .specific_responses = s->specific_responses,
        .recovery = s->recovery_enabled ? &rs : NULL,
        .relay = relaying_reach(srv, &relay) ? &relay : NULL,
    };
    srv->cluster = cluster_new(srv->loop, &as, srv->error);
    if (!srv->cluster)
        return fail(srv, SIO_ERR_CONFIG, srv->error);
    if (redis && s->recovery_enabled)
        log_warn("recovery_unavailable", "adapter=redis");
    for (struct list *n = srv->namespaces.next; n != &srv->namespaces;
         n = n->next)
        namespace_start(container_of(n, struct sio_namespace, of_server));
    return 0;
}

void server_trust_proxies(struct sio_server *srv)
{
    struct str bad;
    forwarded_fini(&srv->proxies);
    int rc = forwarded_init(&srv->proxies,
                            str_of(srv->settings.trusted_proxies), &bad);
    assert(rc == 0); /* settings_check */
}

void server_limit_parser(struct sio_server *srv)
{
    const struct settings *s = &srv->settings;
    srv->parser_limits = (struct parser_limits){
        .json = {s->json_depth, s->json_values},
        .event_name_bytes = s->event_name_bytes,
    };
}

void server_limit_rates(struct sio_server *srv)
{
    struct str bad;
    rates_fini(&srv->rates);
    int rc = rates_init(&srv->rates, &srv->settings, &bad);
    assert(rc == 0); /* settings_check */
}

struct engine_settings server_engine_settings(const struct sio_server *srv)
{
    const struct settings *s = &srv->settings;
    return (struct engine_settings){
        .ping_interval_ms = s->ping_interval_ms,
        .ping_timeout_ms = s->ping_timeout_ms,
        .upgrade_timeout_ms = s->upgrade_timeout_ms,
        .max_payload_bytes = s->max_payload_bytes,
        .fragments_per_message = s->fragments_per_message,
        .output_queue_bytes = s->output_queue_bytes,
        .slow_consumer_ms = s->slow_consumer_ms,
        .lag_bytes = s->slow_queue_bytes < s->output_queue_bytes
                         ? s->slow_queue_bytes
                         : s->output_queue_bytes,
        .fate_classes = srv->fates.n,
        .total_bytes = s->slow_total_bytes,
        .max_sessions = s->sessions,
        .max_half_open = s->half_open,
        .handshakes_per_second = s->handshakes_per_second,
        .slot_header = s->slot_header,
        .cookie = s->cookie,
        .cookie_attributes = s->cookie_attributes,
        .http_compression = s->http_compression,
        .http_compression_bytes = s->http_compression_threshold_bytes,
        .message_deflate = s->per_message_deflate,
        .message_deflate_bytes = s->deflate_threshold_bytes,
        .allow_eio3 = s->allow_eio3,
        .cors = {s->cors_origins, s->cors_credentials, s->cors_enforce},
    };
}

static void start_engine(struct sio_server *srv)
{
    struct str bad;
    int rc = fates_init(&srv->fates, str_of(srv->settings.slow_policies), &bad);
    assert(rc == 0); /* settings_check */
    struct engine_settings es = server_engine_settings(srv);
    srv->parser = srv->settings.parser == SETTINGS_MSGPACK ? &parser_msgpack
                                                           : &parser_text;
    server_trust_proxies(srv);
    server_limit_parser(srv);
    server_limit_rates(srv);
    srv->engine = engine_new(srv->loop, &es, &client_ops, client_new, srv);
    request_install(srv);
    relaying_begin(srv);
}

static void serve_document(void *arg, struct http_request *r)
{
    const struct document *d = arg;
    bool get = http_verb(r) == VERB_GET || http_verb(r) == VERB_HEAD;
    struct http_response resp = {.status = get ? 200 : 405};
    if (get) {
        resp.type = d->type;
        resp.body = d->data;
        resp.headers = STR("Cache-Control: no-cache\r\n"
                           "X-Content-Type-Options: nosniff\r\n");
    } else {
        resp.headers = STR("Allow: GET, HEAD\r\n");
    }
    http_respond(r, &resp);
}

struct http_limits server_http_limits(const struct settings *s)
{
    return (struct http_limits){
        .header_bytes = s->header_bytes,
        .request_line_bytes = s->request_line_bytes,
        .header_count = s->header_count,
        .header_timeout_ms = s->header_timeout_ms,
        .body_timeout_ms = s->body_timeout_ms,
        .idle_timeout_ms = s->idle_timeout_ms,
        .half_open = s->half_open,
    };
}

static void start_http(struct sio_server *srv)
{
    const struct settings *s = &srv->settings;
    struct http_limits limits = server_http_limits(s);
    srv->http = http_server_new(srv->loop, &limits);
    ops_install(srv, srv->http);
    if (s->serve_client)
        srv->bundle = bundle_new(srv->http, str_of(s->engine_path),
                                 &srv->engine->settings.cors);
    for (struct list *n = srv->documents.next; n != &srv->documents;
         n = n->next) {
        struct document *d = container_of(n, struct document, link);
        http_route(srv->http, str_of(d->path), false, serve_document, d);
    }
    http_route(srv->http, str_of(s->engine_path), true, engine_request,
               srv->engine);
}

static void on_accept(void *arg, struct stream *st)
{
    struct sio_server *srv = arg;
    http_server_accept(srv->http, st);
}

static void on_too_many(void *arg, struct stream *st)
{
    (void)arg;
    busy_close(st, "Too many connections");
}

static int start_tls(struct sio_server *srv)
{
    const struct settings *s = &srv->settings;
    if (!s->certificate_file[0] || srv->tls)
        return 0;
    char why[TLS_ERR_MAX];
    srv->tls = tls_new(s->certificate_file, s->key_file, why);
    return srv->tls ? 0 : fail(srv, SIO_ERR_CONFIG, why);
}

static int start_ring(struct sio_server *srv)
{
    uint32_t want = srv->settings.io_uring;
    if (want == SETTINGS_RING_OFF || srv->loop->ring)
        return 0;
    bool used = loop_open_ring(srv->loop);
    const char *why = used ? "" : strerror(errno);
    if (!used && want == SETTINGS_RING_ON) {
        snprintf(srv->error, sizeof(srv->error),
                 "engine.io_uring is on, but the kernel does not allow it: %s",
                 why);
        return SIO_ERR_IO;
    }
    if (used)
        log_info("io_uring", "used=yes");
    else
        log_info("io_uring", "used=no error=%s", log_safe(str_of(why)));
    return 0;
}

static int start_admin(struct sio_server *srv)
{
    const struct settings *s = &srv->settings;
    struct http_limits limits = server_http_limits(s);
    if (!s->admin_host[0])
        return 0;
    srv->admin = admin_new(srv, &limits);
    if (srv->admin)
        return 0;
    snprintf(srv->error, sizeof(srv->error),
             "cannot listen on %s port %u for operators: %s; set admin.host or "
             "admin.port",
             s->admin_host, s->admin_port, strerror(errno));
    return SIO_ERR_IO;
}

static int start_listening(struct sio_server *srv)
{
    const struct settings *s = &srv->settings;
    uint32_t streams = stream_limit(s);
    srv->listener =
        listener_new(srv->loop, s->listen_host, (uint16_t)s->listen_port,
                     streams, on_accept, srv);
    if (!srv->listener) {
        snprintf(srv->error, sizeof(srv->error),
                 "cannot listen on %s port %u: %s; set listen.host or "
                 "listen.port",
                 s->listen_host[0] ? s->listen_host : "any address",
                 s->listen_port, strerror(errno));
        return SIO_ERR_IO;
    }
    /* To say it with TLS would cost more than they were refused for. */
    uint32_t some = streams / 4 < TURNED_AWAY ? streams / 4 : TURNED_AWAY;
    if (srv->tls)
        listener_wrap(srv->listener, tls_accept, srv->tls);
    else
        listener_turn_away(srv->listener, some, on_too_many);
    int rc = start_admin(srv);
    if (rc == 0)
        rc = relaying_open(srv, streams);
    if (rc == 0)
        rc = start_cluster(srv);
    if (rc == 0)
        return 0;
    relaying_free(srv);
    listener_free(srv->listener);
    srv->listener = NULL;
    admin_free(srv->admin);
    srv->admin = NULL;
    return rc;
}

int sio_server_listen(struct sio_server *srv)
{
    struct settings *s = &srv->settings;
    if (srv->listener)
        return fail(srv, SIO_ERR_STATE, "the server listens already");
    if (sio_server_check(srv) < 0)
        return SIO_ERR_CONFIG;
    log_set_level((enum log_level)s->log_level);
    log_set_json(s->log_format == SETTINGS_LOG_JSON);
    choose_name(srv);
    log_set_node(str_of(srv->name));
    int rc = start_tls(srv);
    if (rc == 0)
        rc = start_ring(srv);
    if (rc < 0)
        return rc;
    rc = start_listening(srv);
    if (rc < 0)
        return rc;
    start_engine(srv);
    start_http(srv);
    journal_open(s->journal_records);
    srv->began_ms = loop_now(srv->loop);
    srv->began_bytes = mem_in_use();
    return 0;
}

uint16_t sio_server_port(const struct sio_server *srv)
{
    return srv->listener ? listener_port(srv->listener) : 0;
}

const char *sio_server_host(const struct sio_server *srv)
{
    return srv->settings.listen_host;
}

const char *sio_server_admin(const struct sio_server *srv)
{
    return srv->admin ? admin_url(srv->admin) : "";
}

bool sio_server_secure(const struct sio_server *srv)
{
    return srv->tls != NULL;
}

void sio_server_serve(struct sio_server *srv, const char *path,
                      const char *content_type, const void *data, size_t len)
{
    struct document *d = mem_zalloc(sizeof(*d));
    d->path = mem_strndup(path, strlen(path));
    d->type = mem_strndup(content_type, strlen(content_type));
    d->data = (struct str){data, len};
    list_insert(&srv->documents, &d->link);
    if (srv->http)
        http_route(srv->http, str_of(d->path), false, serve_document, d);
}

/* ---- gauges ------------------------------------------------------------- */

static void memory_metrics(const struct sio_server *srv)
{
    size_t used = mem_in_use(), streams = stream_count();
    size_t grown = used > srv->began_bytes ? used - srv->began_bytes : 0;
    metrics_set(M_HEAP, used);
    metrics_set(M_PER_CONNECTION, streams ? grown / streams : 0);
}

void server_metrics(struct sio_server *srv)
{
    size_t sockets = 0, rooms = 0;
    for (struct list *n = srv->namespaces.next; n != &srv->namespaces;
         n = n->next) {
        struct sio_namespace *ns =
            container_of(n, struct sio_namespace, of_server);
        sockets += ns->n_sockets;
        rooms += rooms_count(adapter_rooms(ns->adapter));
    }
    metrics_set(M_SOCKETS, sockets);
    metrics_set(M_ROOMS, rooms);
    metrics_set(M_CONNECTIONS, stream_count());
    metrics_set(M_ADMIN_CONNECTIONS, stream_count_apart());
    metrics_set(M_IO_URING, srv->loop->ring != NULL);
    metrics_set(M_JOURNAL, journal_count());
    memory_metrics(srv);
    metrics_set(M_HALF_OPEN_CONNECTIONS, http_half_open(srv->http));
    drain_metrics(&srv->drain);
    engine_metrics(srv->engine);
    cluster_metrics(srv->cluster);
}

/* ---- freeing ------------------------------------------------------------- */

static void free_namespaces(struct sio_server *srv)
{
    /* Those that are told of an end may look at any namespace. */
    for (struct list *n = srv->namespaces.next; n != &srv->namespaces;
         n = n->next)
        namespace_stop(container_of(n, struct sio_namespace, of_server));
    while (!list_empty(&srv->namespaces))
        namespace_free(container_of(srv->namespaces.next, struct sio_namespace,
                                    of_server));
    dynamic_fini(srv);
    map_fini(&srv->by_name);
}

static void free_sources(struct sio_server *srv)
{
    struct list *n;
    while ((n = list_pop(&srv->sources))) {
        struct source *from = container_of(n, struct source, link);
        mem_free(from->text);
        mem_free(from);
    }
}

static void free_documents(struct sio_server *srv)
{
    struct list *n;
    while ((n = list_pop(&srv->documents))) {
        struct document *d = container_of(n, struct document, link);
        mem_free(d->path);
        mem_free(d->type);
        mem_free(d);
    }
}

void sio_server_free(struct sio_server *srv)
{
    if (!srv)
        return;
    sio_server_stop(srv);
    admin_free(srv->admin);
    if (srv->engine) {
        http_server_free(srv->http);
        relaying_free(srv);
        stream_abort_lingering();
        loop_end_of_turn(srv->loop);
        engine_free(srv->engine);
        bundle_free(srv->bundle);
    }
    if (srv->cluster)
        cluster_end_joins(srv->cluster);
    free_namespaces(srv);
    server_cancel_timers(srv);
    cluster_free(srv->cluster);
    server_let_go(srv, BYE_WAIT_MS);
    stream_abort_lingering();
    loop_end_of_turn(srv->loop);
    free_documents(srv);
    free_sources(srv);
    for (uint32_t i = 0; i < srv->n_tapes; i++) {
        json_fini(srv->tapes[i]);
        mem_free(srv->tapes[i]);
    }
    mem_free(srv->tapes);
    event_fini(&srv->auth.event);
    event_fini(&srv->data.event);
    json_fini(&srv->auth.tape);
    json_fini(&srv->data.tape);
    json_fini(&srv->scratch);
    buf_fini(&srv->query);
    buf_fini(&srv->handshake);
    forwarded_fini(&srv->proxies);
    fates_fini(&srv->fates);
    rates_fini(&srv->rates);
    tls_free(srv->tls);
    config_fini(&settings_table, &srv->settings);
    journal_close();
    loop_free(srv->loop);
    mem_free(srv);
}
