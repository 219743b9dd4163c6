/* Every setting of a node: the struct that is read everywhere and the table
 * that fills it (common/config.h). */
#ifndef CONFAB_SERVER_SETTINGS_H
#define CONFAB_SERVER_SETTINGS_H

#include "common/config.h"

struct settings {
    char *listen_host;
    uint32_t listen_port;

    char *admin_host;
    uint32_t admin_port;
    uint32_t journal_records;

    char *certificate_file;
    char *key_file;

    char *node_name;

    char *redis_url;
    char *redis_url_file;
    char *redis_prefix;
    uint32_t adapter_type; /* enum settings_adapter */
    bool interest;
    bool specific_responses;

    char *engine_path;
    uint32_t ping_interval_ms;
    uint32_t ping_timeout_ms;
    uint32_t upgrade_timeout_ms;
    uint32_t connect_timeout_ms;
    uint32_t max_payload_bytes;
    bool http_compression;
    uint32_t http_compression_threshold_bytes;
    bool per_message_deflate;
    uint32_t deflate_threshold_bytes;
    char *cors_origins;
    bool cors_credentials;
    bool cors_enforce;
    char *cookie;
    char *cookie_attributes;
    char *trusted_proxies;
    char *slot_header;
    bool serve_client;
    bool allow_eio3;
    uint32_t parser;   /* enum settings_parser */
    uint32_t io_uring; /* enum settings_ring */

    uint32_t header_bytes;
    uint32_t header_count;
    uint32_t request_line_bytes;
    uint32_t header_timeout_ms;
    uint32_t body_timeout_ms;
    uint32_t idle_timeout_ms;
    uint32_t connections;
    uint32_t sessions;
    uint32_t handshakes_per_second;
    uint32_t half_open;
    uint32_t output_queue_bytes;
    uint32_t slow_consumer_ms;
    uint32_t fragments_per_message;
    uint32_t json_depth;
    uint32_t json_values;
    uint32_t event_name_bytes;
    uint32_t room_name_bytes;
    uint32_t rooms_per_socket;
    uint32_t namespaces_per_connection;
    uint32_t dynamic_namespaces;
    uint32_t pending_acks;
    uint32_t publish_queue_bytes;
    uint32_t relays;

    uint32_t drain_notice_ms;
    uint32_t drain_window_ms;

    char *slow_policies;
    uint32_t slow_queue_bytes;
    uint32_t slow_total_bytes;

    uint32_t rate_connection_events;
    uint32_t rate_connection_burst;
    uint32_t rate_address_events;
    uint32_t rate_address_burst;
    uint32_t rate_room_events;
    uint32_t rate_room_burst;
    char *rate_events;
    uint32_t rate_strikes;

    bool recovery_enabled;
    uint32_t max_disconnection_ms;
    bool recovery_skip_middlewares;
    uint32_t recovery_packets;
    uint32_t recovery_bytes;
    uint32_t recovery_session_bytes;
    uint32_t recovery_missed_bytes;

    uint32_t lease_ms;
    uint32_t requests_timeout_ms;
    bool ready_without_redis;
    bool relay;
    char *relay_address;
    uint32_t relay_port;
    uint32_t log_level; /* enum log_level */
    uint32_t log_format;
};

/* auto: redis when redis.url is set, else memory. */
enum settings_adapter { SETTINGS_AUTO, SETTINGS_MEMORY, SETTINGS_REDIS };

/* auto: where the kernel allows it. */
enum settings_ring { SETTINGS_RING_AUTO, SETTINGS_RING_ON, SETTINGS_RING_OFF };

enum settings_parser { SETTINGS_TEXT, SETTINGS_MSGPACK };

enum settings_log { SETTINGS_LOG_TEXT, SETTINGS_LOG_JSON };

extern const struct config_table settings_table;

/* Once all sources are read: each key whose file is named (KEY_file) gets what
 * stands in it, and the path a '/' at its end. 0 or ERR_CONFIG with a sentence.
 * Comes before settings_check. */
MUST_CHECK int settings_complete(struct settings *s, char err[CONFIG_ERR_MAX]);

bool settings_uses_redis(const struct settings *s);
/* What no single row can check. 0 or ERR_CONFIG with a sentence. */
MUST_CHECK int settings_check(const struct settings *s,
                              char err[CONFIG_ERR_MAX]);

#endif
