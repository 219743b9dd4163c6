/* Counters and gauges of the process, in one static table, printed in the
 * Prometheus text format (version 0.0.4).
 *
 * Counters only grow; gauges are set by those who own the table that is
 * counted, just before printing (metrics_set). One row of the list below is
 * the whole declaration of a metric: symbol, kind, name, help. Names with a
 * label share the text before '{' and must stand together.
 *
 * A histogram counts values by powers of two, in HISTOGRAM_BUCKETS buckets from
 * 2^first on: observing one costs a few instructions and no memory. */
#ifndef CONFAB_COMMON_METRICS_H
#define CONFAB_COMMON_METRICS_H

#include "common/buf.h"

#define METRICS(X)                                                             \
    X(M_CONNECTIONS, GAUGE, "confab_connections", "open TCP connections")      \
    X(M_ADMIN_CONNECTIONS, GAUGE, "confab_admin_connections",                  \
      "open connections of the admin listener, which are no others'")          \
    X(M_IO_URING, GAUGE, "confab_io_uring",                                    \
      "1 when streams write together through io_uring")                        \
    X(M_SESSIONS_POLLING, GAUGE, "confab_sessions{transport=\"polling\"}",     \
      "open Engine.IO sessions")                                               \
    X(M_SESSIONS_WEBSOCKET, GAUGE, "confab_sessions{transport=\"websocket\"}", \
      "open Engine.IO sessions")                                               \
    X(M_HALF_OPEN_SESSIONS, GAUGE, "confab_half_open{what=\"sessions\"}",      \
      "what limits.half_open counts")                                          \
    X(M_HALF_OPEN_CONNECTIONS, GAUGE,                                          \
      "confab_half_open{what=\"connections\"}",                                \
      "what limits.half_open counts")                                          \
    X(M_SOCKETS, GAUGE, "confab_sockets", "connected Socket.IO sockets")       \
    X(M_ROOMS, GAUGE, "confab_rooms", "rooms with at least one local member")  \
    X(M_ACCEPTED, COUNTER, "confab_accepted_total", "accepted connections")    \
    X(M_ACCEPT_REFUSED, COUNTER,                                               \
      "confab_accept_refused_total{why=\"connections\"}",                      \
      "connections answered 503 before they had asked anything")               \
    X(M_CROWDED_OUT, COUNTER,                                                  \
      "confab_accept_refused_total{why=\"half_open\"}",                        \
      "connections answered 503 before they had asked anything")               \
    X(M_ACCEPT_PAUSED_FULL, COUNTER,                                           \
      "confab_accept_pauses_total{why=\"connections\"}",                       \
      "times that accepting stopped for a moment")                             \
    X(M_ACCEPT_PAUSED_SYSTEM, COUNTER,                                         \
      "confab_accept_pauses_total{why=\"descriptors\"}",                       \
      "times that accepting stopped for a moment")                             \
    X(M_HANDSHAKES, COUNTER, "confab_handshakes_total", "sessions opened")     \
    X(M_UPGRADES, COUNTER, "confab_upgrades_total",                            \
      "sessions moved from polling to WebSocket")                              \
    X(M_EVENTS_IN, COUNTER, "confab_events_in_total", "events from clients")   \
    X(M_EVENTS_REFUSED, COUNTER, "confab_events_refused_total",                \
      "events from clients that a middleware refused")                         \
    X(M_SERVER_EVENTS_IN, COUNTER, "confab_server_events_in_total",            \
      "server-side events from other servers")                                 \
    X(M_DELIVERIES, COUNTER, "confab_deliveries_total",                        \
      "packets handed to a client's connection")                               \
    X(M_BROADCASTS, COUNTER, "confab_broadcasts_total",                        \
      "broadcasts made on this node")                                          \
    X(M_BYTES_IN, COUNTER, "confab_bytes_in_total", "bytes read from clients") \
    X(M_BYTES_OUT, COUNTER, "confab_bytes_out_total",                          \
      "bytes written to clients")                                              \
    X(M_HTTP_BAD_REQUEST, COUNTER, "confab_http_errors_total{why=\"bad\"}",    \
      "HTTP requests refused before they reached a handler")                   \
    X(M_HTTP_TOO_LARGE, COUNTER, "confab_http_errors_total{why=\"header\"}",   \
      "HTTP requests refused before they reached a handler")                   \
    X(M_HTTP_TIMEOUT, COUNTER, "confab_http_errors_total{why=\"timeout\"}",    \
      "HTTP requests refused before they reached a handler")                   \
    X(M_BAD_HANDSHAKE, COUNTER, "confab_bad_handshakes_total",                 \
      "Engine.IO requests answered with an error code")                        \
    X(M_UNKNOWN_SID, COUNTER, "confab_unknown_sid_total",                      \
      "requests for a session that is not here")                               \
    X(M_PAYLOAD_TOO_LARGE, COUNTER, "confab_payload_too_large_total",          \
      "messages larger than engine.max_payload_bytes")                         \
    X(M_BAD_FRAME, COUNTER, "confab_bad_frames_total",                         \
      "WebSocket protocol violations")                                         \
    X(M_BAD_PACKET, COUNTER, "confab_bad_packets_total",                       \
      "Engine.IO or Socket.IO packets that ended their connection")            \
    X(M_BAD_CONNECT, COUNTER, "confab_connect_refused_total",                  \
      "Socket.IO CONNECT packets answered with CONNECT_ERROR")                 \
    X(M_LIMIT_ROOMS, COUNTER, "confab_limit_total{limit=\"rooms\"}",           \
      "actions refused by a limit")                                            \
    X(M_LIMIT_NAMESPACES, COUNTER, "confab_limit_total{limit=\"namespaces\"}", \
      "actions refused by a limit")                                            \
    X(M_LIMIT_ACKS, COUNTER, "confab_limit_total{limit=\"acks\"}",             \
      "actions refused by a limit")                                            \
    X(M_LIMIT_JSON, COUNTER, "confab_limit_total{limit=\"json\"}",             \
      "actions refused by a limit")                                            \
    X(M_LIMIT_QUESTIONS, COUNTER, "confab_limit_total{limit=\"questions\"}",   \
      "actions refused by a limit")                                            \
    X(M_LIMIT_ANSWERS, COUNTER, "confab_limit_total{limit=\"answers\"}",       \
      "actions refused by a limit")                                            \
    X(M_LIMIT_ASKED, COUNTER, "confab_limit_total{limit=\"asked\"}",           \
      "actions refused by a limit")                                            \
    X(M_LIMIT_NAME, COUNTER, "confab_limit_total{limit=\"name\"}",             \
      "actions refused by a limit")                                            \
    X(M_DROP_VOLATILE, COUNTER, "confab_dropped_total{why=\"volatile\"}",      \
      "packets not handed to a connection")                                    \
    X(M_DROP_CLOSED, COUNTER, "confab_dropped_total{why=\"closed\"}",          \
      "packets not handed to a connection")                                    \
    X(M_DROP_SLOW_OLDEST, COUNTER,                                             \
      "confab_dropped_total{why=\"slow_oldest\"}",                             \
      "packets not handed to a connection")                                    \
    X(M_DROP_SLOW_NEW, COUNTER, "confab_dropped_total{why=\"slow_new\"}",      \
      "packets not handed to a connection")                                    \
    X(M_DROP_SLOW_LATEST, COUNTER,                                             \
      "confab_dropped_total{why=\"slow_latest\"}",                             \
      "packets not handed to a connection")                                    \
    X(M_SLOW_TIME, COUNTER, "confab_slow_consumers_total{why=\"time\"}",       \
      "connections closed because their output queue stayed full")             \
    X(M_SLOW_FULL, COUNTER, "confab_slow_consumers_total{why=\"full\"}",       \
      "connections closed because their output queue stayed full")             \
    X(M_SLOW_SHED, COUNTER, "confab_slow_consumers_total{why=\"shed\"}",       \
      "connections closed because their output queue stayed full")             \
    X(M_SLOW_CLIENTS, GAUGE, "confab_slow_clients",                            \
      "connections that do not keep up at present")                            \
    X(M_OUTPUT_QUEUED, GAUGE, "confab_output_queue_bytes",                     \
      "bytes that wait for clients, of all connections")                       \
    X(M_SLOW_BEHIND, GAUGE, "confab_slow_behind",                              \
      "connections with more than 16 kB in their output queue")                \
    X(M_HELD_BYTES, GAUGE, "confab_slow_held_bytes",                           \
      "memory of what waits for clients that do not keep up")                  \
    X(M_RATE_CONNECTION, COUNTER,                                              \
      "confab_rate_limited_total{by=\"connection\"}",                          \
      "events from clients that came too fast")                                \
    X(M_RATE_ADDRESS, COUNTER, "confab_rate_limited_total{by=\"address\"}",    \
      "events from clients that came too fast")                                \
    X(M_RATE_EVENT, COUNTER, "confab_rate_limited_total{by=\"event\"}",        \
      "events from clients that came too fast")                                \
    X(M_RATE_ROOM, COUNTER, "confab_rate_limited_total{by=\"room\"}",          \
      "events from clients that came too fast")                                \
    X(M_RATE_DISCONNECTS, COUNTER, "confab_rate_disconnects_total",            \
      "connections closed because they went on too fast")                      \
    X(M_RATE_FORGOTTEN, COUNTER, "confab_rate_forgotten_total",                \
      "addresses, events and rooms forgotten before their time, for lack of "  \
      "room")                                                                  \
    X(M_ACK_TIMEOUT, COUNTER, "confab_ack_timeouts_total",                     \
      "acknowledgements that did not come in time")                            \
    X(M_ACK_UNKNOWN, COUNTER, "confab_ack_unknown_total",                      \
      "acknowledgements nobody waited for")                                    \
    X(M_CLOSE_TRANSPORT, COUNTER,                                              \
      "confab_disconnects_total{reason=\"transport close\"}",                  \
      "sessions ended, by reason")                                             \
    X(M_CLOSE_ERROR, COUNTER,                                                  \
      "confab_disconnects_total{reason=\"transport error\"}",                  \
      "sessions ended, by reason")                                             \
    X(M_CLOSE_PING, COUNTER,                                                   \
      "confab_disconnects_total{reason=\"ping timeout\"}",                     \
      "sessions ended, by reason")                                             \
    X(M_CLOSE_PARSE, COUNTER,                                                  \
      "confab_disconnects_total{reason=\"parse error\"}",                      \
      "sessions ended, by reason")                                             \
    X(M_CLOSE_FORCED, COUNTER,                                                 \
      "confab_disconnects_total{reason=\"forced close\"}",                     \
      "sessions ended, by reason")                                             \
    X(M_CLOSE_SHUTDOWN, COUNTER,                                               \
      "confab_disconnects_total{reason=\"server shutting down\"}",             \
      "sessions ended, by reason")                                             \
    X(M_HEAP, GAUGE, "confab_heap_bytes", "memory in use, of the allocator's") \
    X(M_PER_CONNECTION, GAUGE, "confab_connection_memory_bytes",               \
      "memory in use since the node began to listen, for each connection")     \
    X(M_JOURNAL, GAUGE, "confab_journal_records",                              \
      "what /debug/why can look back on")                                      \
    X(M_REFUSED_STOPPING, COUNTER,                                             \
      "confab_handshakes_refused_total{why=\"stopping\"}",                     \
      "handshakes answered 503")                                               \
    X(M_REFUSED_DRAINING, COUNTER,                                             \
      "confab_handshakes_refused_total{why=\"draining\"}",                     \
      "handshakes answered 503")                                               \
    X(M_REFUSED_SESSIONS, COUNTER,                                             \
      "confab_handshakes_refused_total{why=\"sessions\"}",                     \
      "handshakes answered 503")                                               \
    X(M_REFUSED_HALF_OPEN, COUNTER,                                            \
      "confab_handshakes_refused_total{why=\"half_open\"}",                    \
      "handshakes answered 503")                                               \
    X(M_REFUSED_RATE, COUNTER,                                                 \
      "confab_handshakes_refused_total{why=\"rate\"}",                         \
      "handshakes answered 503")                                               \
    X(M_DRAINING, GAUGE, "confab_draining",                                    \
      "1 while the node sees its clients off")                                 \
    X(M_DRAIN_LEFT, GAUGE, "confab_drain_sessions_left",                       \
      "sessions that it has still to close")                                   \
    X(M_DRAIN_CLOSED, COUNTER, "confab_drain_closed_total",                    \
      "sessions that it has closed")                                           \
    X(M_RELAYS, GAUGE, "confab_relays",                                        \
      "requests and WebSockets of other nodes' sessions that are open here")   \
    X(M_RELAY_ANSWERED, COUNTER, "confab_relayed_total{result=\"answered\"}",  \
      "requests of other nodes' sessions, by what became of them")             \
    X(M_RELAY_TUNNEL, COUNTER, "confab_relayed_total{result=\"websocket\"}",   \
      "requests of other nodes' sessions, by what became of them")             \
    X(M_RELAY_REFUSED, COUNTER, "confab_relayed_total{result=\"refused\"}",    \
      "requests of other nodes' sessions, by what became of them")             \
    X(M_RELAY_BUSY, COUNTER, "confab_relayed_total{result=\"busy\"}",          \
      "requests of other nodes' sessions, by what became of them")             \
    X(M_RELAY_TOO_LARGE, COUNTER,                                              \
      "confab_relayed_total{result=\"too large\"}",                            \
      "requests of other nodes' sessions, by what became of them")             \
    X(M_RELAY_FAILED, COUNTER, "confab_relayed_total{result=\"failed\"}",      \
      "requests of other nodes' sessions, by what became of them")             \
    X(M_RELAY_GONE, COUNTER, "confab_relayed_total{result=\"gone\"}",          \
      "requests of other nodes' sessions, by what became of them")             \
    X(M_RELAY_TO_NODE, COUNTER, "confab_relayed_bytes_total{to=\"node\"}",     \
      "bytes of such requests, answers and WebSockets")                        \
    X(M_RELAY_TO_CLIENT, COUNTER, "confab_relayed_bytes_total{to=\"client\"}", \
      "bytes of such requests, answers and WebSockets")                        \
    X(M_RELAY_SERVED, COUNTER, "confab_relayed_served_total",                  \
      "requests that other nodes have relayed to this one")                    \
    X(M_REDIS_UP, GAUGE, "confab_redis_up",                                    \
      "1 while both connections to Redis work")                                \
    X(M_REDIS_PUBLISHER_LOST, COUNTER,                                         \
      "confab_redis_reconnects_total{role=\"publisher\"}",                     \
      "connections to Redis that were lost")                                   \
    X(M_REDIS_SUBSCRIBER_LOST, COUNTER,                                        \
      "confab_redis_reconnects_total{role=\"subscriber\"}",                    \
      "connections to Redis that were lost")                                   \
    X(M_REDIS_DEAF_MS, COUNTER, "confab_redis_deaf_ms_total",                  \
      "milliseconds until the subscriber was back: what others published in "  \
      "them may be lost here")                                                 \
    X(M_REDIS_OUTGOING, COUNTER, "confab_redis_outgoing_total",                \
      "messages for other servers: each is published, lost, queued or "        \
      "unanswered")                                                            \
    X(M_REDIS_PUBLISHED, COUNTER, "confab_redis_published_total",              \
      "messages for other servers that Redis has taken")                       \
    X(M_REDIS_LATE, COUNTER, "confab_redis_published_late_total",              \
      "of these, messages that waited for Redis to come back")                 \
    X(M_LOST_FULL, COUNTER, "confab_redis_publish_lost_total{why=\"full\"}",   \
      "messages for other servers that were given up")                         \
    X(M_LOST_UNANSWERED, COUNTER,                                              \
      "confab_redis_publish_lost_total{why=\"unanswered\"}",                   \
      "messages for other servers that were given up")                         \
    X(M_LOST_VOLATILE, COUNTER,                                                \
      "confab_redis_publish_lost_total{why=\"volatile\"}",                     \
      "messages for other servers that were given up")                         \
    X(M_LOST_REFUSED, COUNTER,                                                 \
      "confab_redis_publish_lost_total{why=\"refused\"}",                      \
      "messages for other servers that were given up")                         \
    X(M_LOST_UNFIT, COUNTER, "confab_redis_publish_lost_total{why=\"unfit\"}", \
      "messages for other servers that were given up")                         \
    X(M_REDIS_QUEUED_MESSAGES, GAUGE, "confab_redis_queued_messages",          \
      "messages waiting to be published")                                      \
    X(M_REDIS_QUEUED, GAUGE, "confab_redis_queued_bytes",                      \
      "their bytes, and those of presence")                                    \
    X(M_REDIS_UNANSWERED, GAUGE, "confab_redis_unanswered_messages",           \
      "messages sent to Redis that it has not confirmed yet")                  \
    X(M_REDIS_RECEIVED, COUNTER, "confab_redis_received_total",                \
      "messages received")                                                     \
    X(M_REDIS_SUBSCRIPTIONS, GAUGE, "confab_redis_subscriptions",              \
      "channels and patterns subscribed")                                      \
    X(M_REDIS_SUBSCRIBE_REFUSED, COUNTER,                                      \
      "confab_redis_subscriptions_refused_total",                              \
      "subscriptions that Redis did not allow")                                \
    X(M_REDIS_DELIVERED, COUNTER, "confab_redis_delivered_total",              \
      "broadcasts of other servers given to their receivers here")             \
    X(M_REDIS_OWN, COUNTER, "confab_redis_ignored_total{why=\"own\"}",         \
      "messages received and not delivered")                                   \
    X(M_REDIS_NO_ROOM, COUNTER, "confab_redis_ignored_total{why=\"room\"}",    \
      "messages received and not delivered")                                   \
    X(M_REDIS_BAD, COUNTER, "confab_redis_ignored_total{why=\"bad\"}",         \
      "messages received and not delivered")                                   \
    X(M_REDIS_NOT_ASKED, COUNTER,                                              \
      "confab_redis_ignored_total{why=\"answer\"}",                            \
      "messages received and not delivered")                                   \
    X(M_CLUSTER_RECEIVED, COUNTER, "confab_cluster_received_total",            \
      "requests and responses of other servers")                               \
    X(M_QUESTIONS, COUNTER, "confab_cluster_questions_total",                  \
      "questions put to the other servers")                                    \
    X(M_QUESTIONS_PARTIAL, COUNTER, "confab_cluster_partial_total",            \
      "questions that ended with answers missing")                             \
    X(M_ANSWERED, COUNTER, "confab_cluster_answered_total",                    \
      "questions of other servers that were answered")                         \
    X(M_PRESENCE_RECEIVED, COUNTER, "confab_presence_received_total",          \
      "messages received about who is where")                                  \
    X(M_PRESENCE_LOST, COUNTER, "confab_presence_lost_total",                  \
      "messages about who is here that were not published; later ones repair " \
      "it")                                                                    \
    X(M_PRESENCE_PEERS, GAUGE, "confab_presence_peers",                        \
      "other nodes heard within their lease")                                  \
    X(M_RECOVERY_SESSIONS, GAUGE, "confab_recovery_sessions",                  \
      "sessions kept for clients that may come back")                          \
    X(M_RECOVERY_PACKETS, GAUGE, "confab_recovery_packets",                    \
      "events kept for clients that come back")                                \
    X(M_RECOVERY_PACKET_BYTES, GAUGE, "confab_recovery_packet_bytes",          \
      "memory of these events")                                                \
    X(M_RECOVERED, COUNTER, "confab_recoveries_total{result=\"recovered\"}",   \
      "attempts to recover a session")                                         \
    X(M_RECOVERY_NO_PID, COUNTER,                                              \
      "confab_recoveries_total{result=\"unknown pid\"}",                       \
      "attempts to recover a session")                                         \
    X(M_RECOVERY_NO_OFFSET, COUNTER,                                           \
      "confab_recoveries_total{result=\"unknown offset\"}",                    \
      "attempts to recover a session")                                         \
    X(M_RECOVERY_EXPIRED, COUNTER,                                             \
      "confab_recoveries_total{result=\"expired\"}",                           \
      "attempts to recover a session")                                         \
    X(M_RECOVERY_TRIMMED, COUNTER,                                             \
      "confab_recoveries_total{result=\"trimmed\"}",                           \
      "attempts to recover a session")                                         \
    X(M_RECOVERY_TOO_MUCH, COUNTER,                                            \
      "confab_recoveries_total{result=\"too much\"}",                          \
      "attempts to recover a session")                                         \
    X(M_RECOVERY_REPLAYED, COUNTER, "confab_recovery_replayed_total",          \
      "missed events that were sent")                                          \
    X(M_RECOVERY_TAKEOVERS, COUNTER, "confab_recovery_takeovers_total",        \
      "connections ended because their client had come back on another")       \
    X(M_RECOVERY_DROPPED_PACKETS, COUNTER,                                     \
      "confab_recovery_dropped_total{what=\"packet\"}",                        \
      "events and sessions forgotten before their time, for lack of room")     \
    X(M_RECOVERY_DROPPED_SESSIONS, COUNTER,                                    \
      "confab_recovery_dropped_total{what=\"session\"}",                       \
      "events and sessions forgotten before their time, for lack of room")

#define METRIC_ENUM(sym, kind, name, help) sym,
enum metric { METRICS(METRIC_ENUM) METRIC_COUNT };
#undef METRIC_ENUM

/* Symbol, name, unit (of a value, in the name's unit), first, help. */
#define HISTOGRAMS(X)                                                          \
    X(H_LOOP_TURN, "confab_loop_turn_seconds", 1e-6, 4,                        \
      "how long turns of the loop worked: what everything else waited")        \
    X(H_FAN_OUT, "confab_fan_out_receivers", 1, 0,                             \
      "receivers of broadcasts on this node, of which there was one at least") \
    X(H_FAN_OUT_TIME, "confab_fan_out_seconds", 1e-6, 4,                       \
      "how long it took to queue these broadcasts for their receivers")

enum { HISTOGRAM_BUCKETS = 20 };

struct histogram {
    uint64_t count[HISTOGRAM_BUCKETS + 1]; /* not cumulative; the last: more */
    uint64_t sum;
};

#define HISTOGRAM_ENUM(sym, name, unit, first, help) sym,
enum histogram_id { HISTOGRAMS(HISTOGRAM_ENUM) HISTOGRAM_COUNT };
#undef HISTOGRAM_ENUM

#define HISTOGRAM_FIRST(sym, name, unit, first, help) sym##_FIRST = (first),
enum { HISTOGRAMS(HISTOGRAM_FIRST) };
#undef HISTOGRAM_FIRST

extern struct histogram metrics_histogram[HISTOGRAM_COUNT];

static inline void histogram_add(struct histogram *h, unsigned first,
                                 uint64_t v)
{
    /* The bucket i takes what is at most 2^(first + i). */
    unsigned log2 = v > 1 ? 64 - (unsigned)__builtin_clzll(v - 1) : 0;
    unsigned i = log2 > first ? log2 - first : 0;
    h->count[i < HISTOGRAM_BUCKETS ? i : HISTOGRAM_BUCKETS]++;
    h->sum += v;
}

#define metrics_observe(id, v) \
    histogram_add(&metrics_histogram[id], id##_FIRST, v)

extern uint64_t metrics_value[METRIC_COUNT];

static inline void metrics_add(enum metric m, uint64_t n)
{
    metrics_value[m] += n;
}

static inline void metrics_set(enum metric m, uint64_t v)
{
    metrics_value[m] = v;
}

/* The whole table as Prometheus text, histograms last. */
void metrics_print(struct buf *out);
/* What has its values elsewhere: a heading, then the lines. */
void metrics_heading(struct buf *out, const char *name, const char *type,
                     const char *help);
/* NAME{LABEL="TEXT"} VALUE; any text is escaped. */
void metrics_line(struct buf *out, const char *name, const char *label,
                  struct str text, uint64_t value);
/* Upper bounds as they are observed; how many values are at most that. */
uint64_t histogram_bound(enum histogram_id id, unsigned bucket);
uint64_t histogram_total(enum histogram_id id);

#endif
