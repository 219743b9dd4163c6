/* Engine.IO v4: sessions over HTTP long-polling and WebSocket (protocol part
 * A). The engine owns the sessions of this node and answers everything below
 * its path; the layer above gets messages and says what to send.
 *
 *     http_conn -> engine (handshake, checks) -> polling --+
 *                                             -> websocket +-> session -> owner
 */
#ifndef CONFAB_SERVER_ENGINE_ENGINE_H
#define CONFAB_SERVER_ENGINE_ENGINE_H

#include "common/bucket.h"
#include "server/engine/admission.h"
#include "server/engine/elsewhere.h"
#include "server/engine/gate.h"
#include "server/engine/heartbeat.h"
#include "server/engine/retire.h"
#include "server/engine/session.h"
#include "server/http/cors.h"

struct engine_settings {
    uint32_t ping_interval_ms;
    uint32_t ping_timeout_ms;
    uint32_t upgrade_timeout_ms;
    uint32_t max_payload_bytes;
    uint32_t fragments_per_message;
    uint32_t output_queue_bytes;
    uint32_t slow_consumer_ms;
    uint32_t lag_bytes;    /* of one client, before packets are dropped */
    uint32_t fate_classes; /* of fates that drop packets */
    uint32_t total_bytes;  /* of all clients together; 0 = no bound */
    uint32_t max_sessions;
    uint32_t max_half_open;         /* 0: no bound of its own */
    uint32_t handshakes_per_second; /* 0: as many as come */
    bool http_compression;
    uint32_t http_compression_bytes; /* shorter payloads go as they are */
    bool message_deflate;
    uint32_t message_deflate_bytes;
    bool allow_eio3;         /* serve clients of protocol 3, too */
    const char *slot_header; /* names our balancer slot; "" = none */
    const char *cookie;      /* holds the sid; "" = none */
    const char *cookie_attributes;
    struct cors cors;
};

struct engine {
    struct loop *loop;
    struct engine_settings settings;
    struct websocket_limits ws_limits;
    /* Of a session's WebSocket, of one on its way there, and of one that is
     * closed at once. */
    struct websocket_ops ws_ops, upgrade_ops, no_ops;
    struct map sessions; /* by sid */
    const struct session_ops *ops;
    void (*on_session)(void *arg, struct session *s);
    void *arg;
    admission_fn *on_request; /* NULL: every handshake may become a session */
    void *request_arg;
    struct list waiting; /* admissions with a request */
    uint32_t n_waiting;
    struct heartbeats beats;
    struct slow_list slow;
    struct map heads; /* what first requests have in common */
    uint32_t n_websocket;
    uint32_t n_unestablished;    /* sessions whose owner has not let them in */
    uint32_t handshakes;         /* bucket of their rate */
    struct http_request *upload; /* engine_upload */
    struct elsewhere *elsewhere; /* NULL: all sessions there are are here */
    bool closing;
    bool retired;     /* retire.h */
    size_t next_slot; /* of `sessions`, to close when it has retired */
};

/* `on_session` is called for each new session, and `ops` from then on. */
struct engine *engine_new(struct loop *l, const struct engine_settings *s,
                          const struct session_ops *ops,
                          void (*on_session)(void *arg, struct session *s),
                          void *arg);
/* For what is yet to come; intervals of pings, limits of messages and what
 * clients have been told at their handshake stay as they were. */
void engine_configure(struct engine *e, const struct engine_settings *s);
/* Asks `fn` about each handshake from now on; NULL for nobody. */
void engine_on_request(struct engine *e, admission_fn *fn, void *arg);
/* Requests of other nodes' sessions go to those from now on, and new sessions'
 * ids begin with this node's tag. */
void engine_relay(struct engine *e, const struct elsewhere_settings *s);
/* Ends all sessions ("server shutting down") and refuses new ones. */
void engine_close(struct engine *e);
/* After engine_close and one more turn of the loop. */
void engine_free(struct engine *e);
/* Route handler: `arg` is the engine. */
void engine_request(void *arg, struct http_request *r);
/* The same for a port where only other nodes are served: `arg` is the engine.
 */
void engine_relayed_request(void *arg, struct http_request *r);
/* While on_message is called with what a POST brought: that request; NULL for
 * messages of a WebSocket. */
const struct http_request *engine_upload(const struct engine *e);
void engine_metrics(const struct engine *e);
size_t engine_sessions(const struct engine *e);
/* Sessions that session_establish was not called for, and handshakes that wait
 * for their admission. */
uint32_t engine_half_open(const struct engine *e);

/* ---- inside the engine folder -------------------------------------------- */

/* What follows the admission; `headers` go with the answer that opens the
 * session. */
void engine_handshake(struct engine *e, struct http_request *r,
                      struct str headers);
void engine_deny(struct engine *e, struct http_request *r, struct str message);
/* The body is over the limit: 413, and no more. */
void engine_too_large(struct engine *e, struct http_request *r);
/* The session is nowhere. */
void engine_unknown_sid(struct engine *e, struct http_request *r);
/* The transport that this request begins takes no binary messages. */
bool engine_asks_base64(struct http_request *r);

#endif
