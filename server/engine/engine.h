/* Engine.IO v4: sessions over HTTP long-polling and WebSocket (protocol part
 * A). The engine owns the sessions of this node and answers everything below
 * its path; the layer above gets messages and says what to send.
 *
 *     http_conn -> engine (handshake, checks) -> polling --+
 *                                             -> websocket +-> session -> owner
 */
#ifndef CONFAB_SERVER_ENGINE_ENGINE_H
#define CONFAB_SERVER_ENGINE_ENGINE_H

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
    uint32_t max_sessions;
    bool http_compression;
    uint32_t http_compression_bytes; /* shorter payloads go as they are */
    bool message_deflate;
    uint32_t message_deflate_bytes;
    bool allow_eio3;         /* serve clients of protocol 3, too */
    const char *slot_header; /* names our balancer slot; "" = none */
    struct cors cors;
};

struct engine {
    struct loop *loop;
    struct engine_settings settings;
    struct websocket_limits ws_limits;
    struct map sessions; /* by sid */
    const struct session_ops *ops;
    void *(*on_session)(void *arg, struct session *s);
    void *arg;
    struct bytes *pong; /* of protocol 3: one for all, however many ping */
    uint32_t n_websocket;
    bool closing;
};

/* `on_session` is called for each new session and returns its owner, which
 * `ops` are called with from then on. */
struct engine *engine_new(struct loop *l, const struct engine_settings *s,
                          const struct session_ops *ops,
                          void *(*on_session)(void *arg, struct session *s),
                          void *arg);
/* Ends all sessions ("server shutting down") and refuses new ones. */
void engine_close(struct engine *e);
/* After engine_close and one more turn of the loop. */
void engine_free(struct engine *e);
/* Route handler: `arg` is the engine. */
void engine_request(void *arg, struct http_request *r);
void engine_metrics(const struct engine *e);

/* ---- inside the engine folder -------------------------------------------- */

/* The transport that this request begins takes no binary messages. */
bool engine_asks_base64(struct http_request *r);

#endif
