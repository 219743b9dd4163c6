/* What has happened to the connections of this process, remembered for a while:
 * a ring of fixed size for all of them, so that /debug/why can tell of one that
 * has ended. Off, and free, until journal_open.
 *
 * Written when something changes for a connection, never for each message of a
 * broadcast. One row of the list below is the whole declaration of an entry:
 * symbol, kind of its detail, name, sentence; the detail stands for the '%'. */
#ifndef CONFAB_COMMON_JOURNAL_H
#define CONFAB_COMMON_JOURNAL_H

#include "common/buf.h"

/* Details: NOTHING; a NUMBER; an ERROR, which is an errno; a NAME, from
 * journal_name. */
#define JOURNAL(X)                                                             \
    X(J_OPENED_POLLING, NOTHING, "opened", "opened over polling")              \
    X(J_OPENED_WEBSOCKET, NOTHING, "opened", "opened over WebSocket")          \
    X(J_UPGRADE_BEGUN, NOTHING, "upgrade_begun",                               \
      "a WebSocket came to take over from polling")                            \
    X(J_UPGRADED, NOTHING, "upgraded", "moved to the WebSocket")               \
    X(J_UPGRADE_LATE, NOTHING, "upgrade_failed",                               \
      "upgrade failed: not done within engine.upgrade_timeout_ms")             \
    X(J_UPGRADE_LEFT, NOTHING, "upgrade_failed",                               \
      "upgrade failed: the client closed the WebSocket")                       \
    X(J_UPGRADE_WRONG, NOTHING, "upgrade_failed",                              \
      "upgrade failed: the client sent something else")                        \
    X(J_UPGRADE_REFUSED, NOTHING, "upgrade_failed",                            \
      "upgrade refused: the connection has a WebSocket or is closing")         \
    X(J_CONNECTED, NAME, "connected", "connected to namespace %")              \
    X(J_RECOVERED, NAME, "recovered", "took up an earlier session in %")       \
    X(J_REFUSED, NAME, "refused", "refused by namespace %")                    \
    X(J_NO_NAMESPACE, NOTHING, "refused", "asked for a namespace that is not") \
    X(J_MANY_NAMESPACES, NOTHING, "refused",                                   \
      "asked for more than limits.namespaces_per_connection")                  \
    X(J_LEFT, NAME, "left", "left namespace %")                                \
    X(J_NEVER_CONNECTED, NOTHING, "connect_timeout",                           \
      "joined no namespace within engine.connect_timeout_ms")                  \
    X(J_SLOW, NUMBER, "slow", "does not keep up: % bytes wait")                \
    X(J_CAUGHT_UP, NUMBER, "caught_up", "keeps up again; % bytes wait")        \
    X(J_SLOW_CLOSED, NUMBER, "slow_closed",                                    \
      "given up for not keeping up: % bytes waited")                           \
    X(J_RATE_LIMITED, NUMBER, "rate_limited",                                  \
      "sent too fast: told to wait % ms")                                      \
    X(J_RATE_CLOSED, NUMBER, "rate_closed",                                    \
      "closed for sending too fast: % messages refused")                       \
    X(J_DROPPED, NUMBER, "dropped", "% messages to it were dropped")           \
    X(J_BAD_ENGINE, NOTHING, "bad_packet", "sent no Engine.IO packet")         \
    X(J_BAD_SOCKET, NOTHING, "bad_packet", "sent no Socket.IO packet")         \
    X(J_BAD_STATE, NOTHING, "bad_packet",                                      \
      "sent a packet for a namespace in the wrong state")                      \
    X(J_BAD_LIMIT, NOTHING, "bad_packet",                                      \
      "sent a packet beyond limits.json_depth or limits.json_values")          \
    X(J_BAD_FRAME, NUMBER, "bad_frame",                                        \
      "broke the WebSocket protocol: closed with code %")                      \
    X(J_TOO_LARGE, NUMBER, "too_large",                                        \
      "sent more than engine.max_payload_bytes, which is %")                   \
    X(J_BAD_POLL, NOTHING, "bad_poll",                                         \
      "polled or posted twice at once, or posted what it may not")             \
    X(J_PEER_CLOSED, NUMBER, "peer_closed",                                    \
      "the client closed its WebSocket with code %")                           \
    X(J_STREAM_ENDED, NOTHING, "stream_ended", "its TCP connection ended")     \
    X(J_STREAM_FAILED, ERROR, "stream_failed", "its TCP connection broke: %")  \
    X(J_RELAYED, NAME, "relayed", "its request went to node %")                \
    X(J_DRAINED, NOTHING, "drained", "closed to drain the node")               \
    /* The ends of a session, in the order of enum session_reason. */          \
    X(J_END_TRANSPORT, NOTHING, "ended", "ended: transport close")             \
    X(J_END_ERROR, NOTHING, "ended", "ended: transport error")                 \
    X(J_END_PING, NOTHING, "ended", "ended: ping timeout")                     \
    X(J_END_PARSE, NOTHING, "ended", "ended: parse error")                     \
    X(J_END_FORCED, NOTHING, "ended", "ended: forced close")                   \
    X(J_END_SHUTDOWN, NOTHING, "ended", "ended: server shutting down")

#define JOURNAL_ENUM(sym, kind, name, sentence) sym,
enum journal_code { JOURNAL(JOURNAL_ENUM) JOURNAL_CODES };
#undef JOURNAL_ENUM

struct journal_record {
    int64_t at_ms; /* since the epoch */
    uint64_t sid, socket_id;
    uint32_t detail;
    uint16_t code; /* enum journal_code */
};

/* Connections are known by the head of their sid, as in the log: enough to find
 * one, and not enough to take it over. */
enum { JOURNAL_HEAD = 8 };

/* Room for the latest `records`, taken at once; 0 keeps the journal off. What
 * it held before is forgotten. */
void journal_open(uint32_t records);
void journal_close(void);

/* `sid`: the Engine.IO session's, whole. */
void journal_add(struct str sid, enum journal_code code, uint32_t detail);
/* The same, and lets the connection be found by a Socket.IO id from then on. */
void journal_add_socket(struct str sid, struct str socket_id,
                        enum journal_code code, uint32_t detail);
/* A number for a name, for details. The latest 256 names are remembered, each
 * cut to 63 bytes. */
uint32_t journal_name(struct str name);

/* Calls `each` for the latest `most` records, oldest first, of the connection
 * that `id` is the sid, its head, or a socket's id of; returns how many it has
 * in all. */
uint32_t journal_of(struct str id, uint32_t most,
                    void (*each)(void *arg, const struct journal_record *r),
                    void *arg);
/* How many there are, and when the oldest was written. */
uint32_t journal_count(void);
int64_t journal_since(void);
const char *journal_event(const struct journal_record *r);
/* As one sentence. */
void journal_sentence(const struct journal_record *r, struct buf *out);
static inline bool journal_is_end(const struct journal_record *r)
{
    return r->code >= J_END_TRANSPORT;
}

#endif
