#include "server/settings.h"

#include <stdio.h>

#include "adapter/adapter.h"
#include "common/mem.h"
#include "common/secret.h"
#include "server/http/forwarded.h"
#include "server/http/http_header.h"
#include "server/io/fates.h"
#include "server/io/rate.h"

static const char *const adapters[] = {"auto", "memory", "redis", NULL};
static const char *const parsers[] = {"text", "msgpack", NULL};
static const char *const rings[] = {"auto", "on", "off", NULL};
static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const formats[] = {"text", "json", NULL};

#define AT(field) offsetof(struct settings, field)
#define ROW(type, key, field, def, lo, hi, choices, help, flags)  \
    {                                                             \
        key, type, AT(field), def, lo, hi, choices, help, (flags) \
    }
#define U32(key, field, def, lo, hi, help) \
    ROW(CFG_U32, key, field, def, lo, hi, NULL, help, 0)
#define TEXT(key, field, def, lo, hi, help) \
    ROW(CFG_STRING, key, field, def, lo, hi, NULL, help, 0)
#define BOOL(key, field, def, help) \
    ROW(CFG_BOOL, key, field, def, 0, 1, NULL, help, 0)
#define ENUM(key, field, def, choices, help) \
    ROW(CFG_ENUM, key, field, def, 0, 0, choices, help, 0)
/* The same, of what can change while the server runs: whoever uses it reads it
 * each time, or is told in server/io/reload.c. */
#define LIVE_U32(key, field, def, lo, hi, help) \
    ROW(CFG_U32, key, field, def, lo, hi, NULL, help, CFG_LIVE)
#define LIVE_BOOL(key, field, def, help) \
    ROW(CFG_BOOL, key, field, def, 0, 1, NULL, help, CFG_LIVE)
#define LIVE_ENUM(key, field, def, choices, help) \
    ROW(CFG_ENUM, key, field, def, 0, 0, choices, help, CFG_LIVE)
#define LIVE_LIST(key, field, help) \
    ROW(CFG_LIST, key, field, "", 0, 8192, NULL, help, CFG_LIVE)

static const struct config_field fields[] = {
    TEXT("listen.host", listen_host, "", 0, 255,
         "address to bind; empty = every one"),
    U32("listen.port", listen_port, "3000", 0, 65535,
        "port to bind; 0 = any free one"),
    TEXT("admin.host", admin_host, "127.0.0.1", 0, 255,
         "address for operators: metrics and more; empty = none"),
    U32("admin.port", admin_port, "0", 0, 65535, "0 = any free one"),
    U32("admin.journal_records", journal_records, "25000", 0, 1 << 24,
        "events of connections that /debug/why remembers, 32 bytes each"),
    TEXT("tls.certificate_file", certificate_file, "", 0, 1024,
         "PEM chain for https and wss on listen.port; empty = no TLS"),
    TEXT("tls.key_file", key_file, "", 0, 1024,
         "PEM key of the certificate; both are read again on SIGHUP"),
    TEXT("node.name", node_name, "", 0, 64,
         "shown in logs and to users; empty = made from the host name"),
    ROW(CFG_STRING, "redis.url", redis_url, "", 0, 1024, NULL,
        "redis://[user:password@]host[:port][/db]; empty = no Redis; user and "
        "password may change: SIGHUP",
        CFG_SECRET),
    TEXT("redis.url_file", redis_url_file, "", 0, 1024,
         "file with redis.url in it, which it wins over; others must not read "
         "it; SIGHUP reads it again"),
    TEXT("redis.prefix", redis_prefix, "socket.io", 1, 64,
         "prefix of channels; the same for all nodes of a cluster"),
    ENUM("adapter.type", adapter_type, "auto", adapters,
         "auto (redis when redis.url is set), memory or redis"),
    BOOL("adapter.interest", interest, "true",
         "hear of rooms with members on this node; false = of all rooms"),
    BOOL("adapter.specific_responses", specific_responses, "false",
         "answer the server that asked on a channel of its own"),
    TEXT("engine.path", engine_path, "/socket.io/", 1, 255,
         "path under which clients connect"),
    U32("engine.ping_interval_ms", ping_interval_ms, "25000", 50, 600000,
        "from a pong to the next ping"),
    U32("engine.ping_timeout_ms", ping_timeout_ms, "20000", 50, 600000,
        "how long a pong may take"),
    LIVE_U32("engine.upgrade_timeout_ms", upgrade_timeout_ms, "10000", 50,
             600000, "how long a transport upgrade may take"),
    LIVE_U32("engine.connect_timeout_ms", connect_timeout_ms, "45000", 50,
             600000, "a connection that joins no namespace is closed after it"),
    U32("engine.max_payload_bytes", max_payload_bytes, "1000000", 64,
        64 * 1024 * 1024, "largest message and request body from a client"),
    LIVE_BOOL(
        "engine.http_compression", http_compression, "true",
        "compress polling responses for clients that accept gzip or deflate"),
    LIVE_U32("engine.http_compression_threshold_bytes",
             http_compression_threshold_bytes, "1024", 0, 1 << 30,
             "shorter ones are not"),
    BOOL("engine.per_message_deflate", per_message_deflate, "false",
         "compress WebSocket messages for clients that offer it (RFC 7692)"),
    U32("engine.deflate_threshold_bytes", deflate_threshold_bytes, "1024", 0,
        1 << 30, "shorter ones are not"),
    LIVE_LIST(
        "engine.cors_origins", cors_origins,
        "origins that browsers may connect from; * = all; empty = no CORS"),
    LIVE_BOOL("engine.cors_credentials", cors_credentials, "false",
              "allow cookies in cross-origin requests"),
    LIVE_BOOL("engine.cors_enforce", cors_enforce, "false",
              "refuse requests from other origins than engine.cors_origins"),
    TEXT("engine.cookie", cookie, "", 0, 64,
         "cookie that tells balancers the session's id; empty = none"),
    TEXT("engine.cookie_attributes", cookie_attributes,
         "Path=/; HttpOnly; SameSite=Lax", 0, 512, "what follows its value"),
    LIVE_LIST("engine.trusted_proxies", trusted_proxies,
              "addresses or networks (10.0.0.0/8) whose X-Forwarded-For and "
              "X-Forwarded-Proto are believed"),
    TEXT("engine.slot_header", slot_header, "X-Confab-Slot", 0, 64,
         "header by which the balancer names this node's slot"),
    BOOL("engine.serve_client", serve_client, "true",
         "serve socket.io.js and its variants below engine.path"),
    BOOL("engine.allow_eio3", allow_eio3, "false",
         "serve clients of protocol 3 (socket.io-client 1 and 2) and JSONP"),
    ENUM("engine.parser", parser, "text", parsers,
         "text, or msgpack for clients with socket.io-msgpack-parser"),
    ENUM("engine.io_uring", io_uring, "auto", rings,
         "auto (where the kernel allows it), on or off: many clients are "
         "written to by one system call"),
    LIVE_U32("limits.header_bytes", header_bytes, "8192", 512, 65536,
             "request line and headers together"),
    LIVE_U32("limits.header_count", header_count, "64", 8, 128, "headers"),
    LIVE_U32("limits.request_line_bytes", request_line_bytes, "4096", 128,
             32768, "request target"),
    LIVE_U32("limits.header_timeout_ms", header_timeout_ms, "5000", 50, 600000,
             "from a request's first byte to the end of its headers"),
    LIVE_U32("limits.body_timeout_ms", body_timeout_ms, "10000", 50, 600000,
             "for a request's body"),
    LIVE_U32("limits.idle_timeout_ms", idle_timeout_ms, "75000", 50, 3600000,
             "between requests of one connection"),
    U32("limits.connections", connections, "0", 0, 10000000,
        "open TCP connections; 0 = what RLIMIT_NOFILE allows"),
    LIVE_U32("limits.sessions", sessions, "200000", 1, 10000000,
             "open sessions; more handshakes get 503"),
    LIVE_U32("limits.handshakes_per_second", handshakes_per_second, "2000", 0,
             BUCKET_RATE_MAX,
             "more get 503, after a burst of a second's; 0 = no bound"),
    LIVE_U32("limits.half_open", half_open, "10000", 0, 10000000,
             "sessions that have not joined a namespace yet, and as many "
             "connections whose request is not complete; 0 = no bound"),
    LIVE_U32("limits.output_queue_bytes", output_queue_bytes, "1000000", 1024,
             1 << 30, "waiting for one client before it is called slow"),
    LIVE_U32("limits.slow_consumer_ms", slow_consumer_ms, "10000", 50, 600000,
             "a client that stays slow so long is closed"),
    U32("limits.fragments_per_message", fragments_per_message, "1024", 1,
        1 << 20, "WebSocket fragments of one message"),
    U32("limits.json_depth", json_depth, "24", 4, 28,
        "nesting of arrays and objects in a packet"),
    U32("limits.json_values", json_values, "100000", 16, 1 << 22,
        "values and keys in a packet"),
    LIVE_U32("limits.event_name_bytes", event_name_bytes, "256", 1, 4096,
             "length of an event's name"),
    LIVE_U32("limits.room_name_bytes", room_name_bytes, "128", 20, 4096,
             "length of a room's name"),
    LIVE_U32("limits.rooms_per_socket", rooms_per_socket, "256", 1, 16384,
             "rooms that a socket may be in"),
    LIVE_U32("limits.namespaces_per_connection", namespaces_per_connection,
             "16", 1, 1024, "namespaces joined over one connection"),
    LIVE_U32("limits.dynamic_namespaces", dynamic_namespaces, "1000", 0,
             1 << 20, "namespaces made for the names that clients give"),
    LIVE_U32("limits.pending_acks", pending_acks, "1000", 1, 1 << 20,
             "acknowledgements awaited from one socket"),
    U32("limits.publish_queue_bytes", publish_queue_bytes, "16000000", 1024,
        1 << 30, "waiting for Redis before publishes are given up"),
    U32("limits.relays", relays, "10000", 1, 10000000,
        "requests and WebSockets of other nodes' sessions; more get 503"),
    LIVE_U32(
        "drain.notice_ms", drain_notice_ms, "3000", 0, 600000,
        "after SIGTERM: not ready, but taking clients until balancers notice"),
    LIVE_U32("drain.window_ms", drain_window_ms, "20000", 0, 3600000,
             "then: clients are closed one by one in this time; 0 = at once"),
    ROW(CFG_LIST, "slow.policies", slow_policies, "", 0, 8192, NULL,
        "event=policy: what becomes of it when its receiver does not keep up: "
        "drop_oldest, drop_new, latest, disconnect; others: disconnect",
        0),
    U32("slow.queue_bytes", slow_queue_bytes, "250000", 1024, 1 << 30,
        "waiting for one client before events are dropped"),
    LIVE_U32(
        "slow.total_bytes", slow_total_bytes, "256000000", 0, UINT32_MAX,
        "waiting for all slow clients before the slowest are closed; 0 = no "
        "bound"),
    LIVE_U32("rate.connection_events", rate_connection_events, "200", 0,
             BUCKET_RATE_MAX,
             "events a second from one connection; 0 = any number"),
    LIVE_U32("rate.connection_burst", rate_connection_burst, "1000", 1, 1000000,
             "of these, at once after a pause"),
    LIVE_U32("rate.address_events", rate_address_events, "10000", 0,
             BUCKET_RATE_MAX,
             "events a second from one address; 0 = any number"),
    LIVE_U32("rate.address_burst", rate_address_burst, "50000", 1, 1000000,
             "of these, at once after a pause"),
    LIVE_U32(
        "rate.room_events", rate_room_events, "1000", 0, BUCKET_RATE_MAX,
        "events a second into one room, where the application asks; 0 = any "
        "number"),
    LIVE_U32("rate.room_burst", rate_room_burst, "5000", 1, 1000000,
             "of these, at once after a pause"),
    LIVE_LIST(
        "rate.events", rate_events,
        "event=per_second or event=per_second/burst, for each connection"),
    LIVE_U32(
        "rate.strikes", rate_strikes, "1000", 0, 1000000,
        "refused events in ten seconds before a client is disconnected; 0 = "
        "any number"),
    BOOL("recovery.enabled", recovery_enabled, "false",
         "clients that lost their connection may take up where they were"),
    U32("recovery.max_disconnection_ms", max_disconnection_ms, "120000", 50,
        86400000, "how long a client may be away"),
    BOOL("recovery.skip_middlewares", recovery_skip_middlewares, "true",
         "who comes back was admitted before"),
    U32("recovery.packets", recovery_packets, "50000", 1, 1 << 24,
        "events kept, of all namespaces together"),
    U32("recovery.bytes", recovery_bytes, "32000000", 1024, 1 << 30,
        "memory of these events; beyond, the oldest go"),
    U32("recovery.session_bytes", recovery_session_bytes, "16000000", 1024,
        1 << 30, "memory of those who may come back; beyond, the oldest go"),
    U32("recovery.missed_bytes", recovery_missed_bytes, "500000", 64, 1 << 30,
        "events that one client may have missed; beyond, it starts anew"),
    U32("cluster.lease_ms", lease_ms, "4000", 400, 600000,
        "a node not heard for so long is gone from presence"),
    U32("cluster.requests_timeout_ms", requests_timeout_ms, "5000", 50, 600000,
        "how long other servers may take to answer a question"),
    LIVE_BOOL("cluster.ready_without_redis", ready_without_redis, "true",
              "/readyz says yes, and degraded, while Redis is away"),
    BOOL("cluster.relay", relay, "true",
         "requests that are for another node's session go on to that node"),
    TEXT("cluster.relay_address", relay_address, "", 0, 262,
         "host:port where other nodes reach this one; empty = found out"),
    U32("cluster.relay_port", relay_port, "0", 0, 65535,
        "port for other nodes alone, in plain HTTP; 0 = listen.port"),
    LIVE_ENUM("log.level", log_level, "info", levels,
              "error, warn, info or debug"),
    LIVE_ENUM("log.format", log_format, "text", formats, "text or json"),
};

const struct config_table settings_table = {fields,
                                            sizeof(fields) / sizeof(fields[0])};

static int wrong(char err[CONFIG_ERR_MAX], const char *sentence)
{
    snprintf(err, CONFIG_ERR_MAX, "%s", sentence);
    return ERR_CONFIG;
}

/* None at all, or all of them. */
static bool names_no_origin(const char *origins)
{
    struct str list = str_of(origins), item;
    while (str_next(&list, '\n', &item)) {
        if (item.len == 0 || str_eq(item, STR("*")))
            return true;
    }
    return false;
}

static int check_proxies(const struct settings *s, char err[CONFIG_ERR_MAX])
{
    struct forwarded proxies;
    struct str bad;
    int rc = forwarded_init(&proxies, str_of(s->trusted_proxies), &bad);
    forwarded_fini(&proxies);
    if (rc < 0)
        snprintf(err, CONFIG_ERR_MAX,
                 "engine.trusted_proxies: \"%.*s\" is no address or network, "
                 "as 10.0.0.0/8 is",
                 STR_ARG(bad));
    return rc < 0 ? ERR_CONFIG : 0;
}

static int check_relay(const struct settings *s, char err[CONFIG_ERR_MAX])
{
    struct str address = str_of(s->relay_address);
    if (address.len > 0 && !cluster_is_address(address))
        return wrong(err, "cluster.relay_address is not host:port");
    return 0;
}

static int check_policies(const struct settings *s, char err[CONFIG_ERR_MAX])
{
    struct fates fates;
    struct str bad;
    int rc = fates_init(&fates, str_of(s->slow_policies), &bad);
    fates_fini(&fates);
    if (rc < 0)
        snprintf(err, CONFIG_ERR_MAX,
                 "slow.policies: \"%.*s\" is none, or one too many; an item is "
                 "event=policy, as typing=latest is",
                 STR_ARG(bad));
    return rc;
}

static int check_rates(const struct settings *s, char err[CONFIG_ERR_MAX])
{
    struct rates rates;
    struct str bad;
    int rc = rates_init(&rates, s, &bad);
    rates_fini(&rates);
    if (rc < 0 && str_starts(bad, STR("rate.")))
        snprintf(err, CONFIG_ERR_MAX,
                 "%.*s is more than two hours bring at that rate",
                 STR_ARG(bad));
    else if (rc < 0)
        snprintf(err, CONFIG_ERR_MAX,
                 "rate.events: \"%.*s\" is no rate; an item is "
                 "event=per_second/burst, as login=0.5/5 is",
                 STR_ARG(bad));
    return rc;
}

static int check_sizes(const struct settings *s, char err[CONFIG_ERR_MAX])
{
    if (s->recovery_enabled && s->recovery_missed_bytes > s->output_queue_bytes)
        return wrong(err, "recovery.missed_bytes is larger than "
                          "limits.output_queue_bytes");
    if (s->request_line_bytes > s->header_bytes)
        return wrong(err, "limits.request_line_bytes is larger than "
                          "limits.header_bytes");
    return 0;
}

/* It is compared as a prefix. */
static void end_path(struct settings *s)
{
    size_t len = strlen(s->engine_path);
    if (s->engine_path[len - 1] == '/')
        return;
    char *with = mem_alloc(len + 2);
    (void)snprintf(with, len + 2, "%s/", s->engine_path);
    mem_free(s->engine_path);
    s->engine_path = with;
}

int settings_complete(struct settings *s, char err[CONFIG_ERR_MAX])
{
    end_path(s);
    if (!s->redis_url_file[0])
        return 0;
    char *url = secret_read("redis.url_file", s->redis_url_file, err);
    if (!url)
        return ERR_CONFIG;
    mem_free(s->redis_url);
    s->redis_url = url;
    return 0;
}

bool settings_uses_redis(const struct settings *s)
{
    return s->adapter_type == SETTINGS_REDIS ||
           (s->adapter_type == SETTINGS_AUTO && s->redis_url[0] != '\0');
}

static int check_cors(const struct settings *s, char err[CONFIG_ERR_MAX])
{
    if (s->cors_credentials && str_eq(str_of(s->cors_origins), STR("*")))
        return wrong(err, "engine.cors_credentials needs named origins in "
                          "engine.cors_origins, not *");
    if (s->cors_enforce && names_no_origin(s->cors_origins))
        return wrong(err, "engine.cors_enforce needs named origins in "
                          "engine.cors_origins");
    return 0;
}

int settings_check(const struct settings *s, char err[CONFIG_ERR_MAX])
{
    struct str path = str_of(s->engine_path);
    if (path.p[0] != '/')
        return wrong(err, "engine.path must begin with '/'");
    if (s->adapter_type == SETTINGS_REDIS && !s->redis_url[0])
        return wrong(err, "adapter.type is redis but redis.url is empty; set "
                          "it, e.g. redis://127.0.0.1:6379");
    if (!s->certificate_file[0] != !s->key_file[0])
        return wrong(err, "tls.certificate_file and tls.key_file: set both or "
                          "none");
    if (s->cookie[0] && !http_token_valid(str_of(s->cookie)))
        return wrong(err, "engine.cookie is no name for a cookie");
    if (!http_value_valid(str_of(s->cookie_attributes)))
        return wrong(err, "engine.cookie_attributes has a control character");
    int rc = check_cors(s, err);
    if (rc == 0)
        rc = check_proxies(s, err);
    if (rc == 0)
        rc = check_relay(s, err);
    if (rc == 0)
        rc = check_policies(s, err);
    if (rc == 0)
        rc = check_rates(s, err);
    return rc < 0 ? rc : check_sizes(s, err);
}
