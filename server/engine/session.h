/* One Engine.IO session: a client's connection, whatever carries it.
 *
 *   OPEN --session_close--> CLOSING (polling only: what is queued and the close
 *     |                        |      packet wait for the next poll)
 *     +----------------------> CLOSED (owner told; freed after the turn)
 *
 * A polling session has at most one parked GET and one POST; the heartbeat and
 * the upgrade to a WebSocket follow protocol A.8 and A.10. What cannot be sent
 * at once is queued, bounded: slow.h. */
#ifndef CONFAB_SERVER_ENGINE_SESSION_H
#define CONFAB_SERVER_ENGINE_SESSION_H

#include "common/id.h"
#include "common/journal.h"
#include "common/map.h"
#include "server/engine/head.h"
#include "server/engine/slow.h"
#include "server/http/websocket.h"

struct engine;
struct eio_coding;
struct session;

/* The official reasons; the order is that of session_reason_text. */
enum session_reason {
    REASON_TRANSPORT_CLOSE,
    REASON_TRANSPORT_ERROR,
    REASON_PING_TIMEOUT,
    REASON_PARSE_ERROR,
    REASON_FORCED_CLOSE,
    REASON_SHUTDOWN,
};
const char *session_reason_text(enum session_reason why);

/* The owner that they are called with is the session's room, or the session
 * itself when it has none. */
struct session_ops {
    /* Bytes that each session has room for on behalf of its owner. */
    size_t room;
    /* It can send and receive now; not when it has ended before. */
    void (*on_open)(void *owner);
    void (*on_message)(void *owner, struct str data, bool binary);
    /* Once; the session must not be used afterwards. */
    void (*on_close)(void *owner, enum session_reason why);
};

enum session_state { SESSION_OPEN, SESSION_CLOSING, SESSION_CLOSED };

enum { SLOT_MAX = 32, SID_MAX = ID_LEN + 1 + SLOT_MAX };

/* What a session needs only at times: it is there while anything of it is. */
struct session_extra {
    struct session *session;
    struct http_request *get, *post;
    struct bytesq out;       /* polling: what waits for a GET */
    struct upgrade *upgrade; /* a WebSocket on its way to take over */
    struct slow *slow;       /* while the client does not keep up */
};

/* Visible to the engine folder; others use the functions. */
struct session {
    struct map_node by_sid;
    struct engine *engine;
    struct websocket *ws;        /* NULL while polling */
    struct session_extra *extra; /* NULL: nothing of it */
    struct head_lines *lines;    /* of the first request */
    struct list beat;            /* what it waits for: heartbeat.h */
    uint32_t due_ms;             /* until when */
    uint32_t own_len;
    uint8_t state;
    uint8_t sid_len, address_len;
    bool pong_due : 1, extended : 1; /* this wait was extended already */
    bool overrun : 1;
    bool lagging : 1; /* what is sent waits in extra->slow */
    bool b64 : 1;
    bool old : 1;         /* of protocol 3 */
    bool jsonp : 1;       /* polls with scripts */
    bool octets : 1;      /* polling: something in `out` is binary */
    bool dirty : 1;       /* session_task will run */
    bool owned : 1;       /* the owner knows it */
    bool established : 1; /* the owner has let it in */
    /* Behind it: the owner's room; then the sid, the peer's address and a NUL,
     * and the first request's own values. */
};

/* `old`: of protocol 3. */
struct session *session_new(struct engine *e, struct str sid,
                            struct http_request *r, bool old);

/* Queues one frame. */
void session_send(struct session *s, struct bytes *frame);
/* Queues a packet's frames, all or, if its fate wants that, none. */
void session_send_packet(struct session *s, struct bytes *const *frames,
                         uint32_t n, const struct fate *fate);
/* Whether it could go out without waiting for the client: what volatile asks.
 */
bool session_writable(const struct session *s);
/* Orderly: what is queued goes out first. on_close (forced close) is called
 * inside. */
void session_close(struct session *s);
/* The same for another reason. */
void session_leave(struct session *s, enum session_reason why);
/* The same with a code and a reason for the close frame of a WebSocket. */
void session_close_because(struct session *s, unsigned code,
                           const char *reason);
/* The client has got where it wanted: the session is half open no more. */
void session_establish(struct session *s);
/* Ends it now, for `why`. */
void session_end(struct session *s, enum session_reason why);

/* What engine_new was given. */
void *session_arg(const struct session *s);
/* The session in whose room the owner is. */
static inline struct session *session_around(void *room)
{
    return (struct session *)room - 1;
}
/* Zeros at first; there until the end of the turn in which it is closed. */
void *session_owner(struct session *s);
struct str session_sid(const struct session *s);
const char *session_transport(const struct session *s);
/* Of the Engine.IO protocol: 3 or 4. */
unsigned session_revision(const struct session *s);
/* The first request's target and headers, valid while the session is. */
struct head session_head(const struct session *s);
/* The peer's address as text, as it was at the first request. */
const char *session_address(const struct session *s);

/* Remembers what has happened to it (common/journal.h). */
static inline void session_note(const struct session *s, enum journal_code code,
                                uint32_t detail)
{
    journal_add(session_sid(s), code, detail);
}

/* ---- inside the engine folder -------------------------------------------- */

/* There from now on; given back by session_settle. */
struct session_extra *session_extra(struct session *s);
/* Frees what is not needed any more. */
void session_settle(struct session *s);
/* The GET that is parked; NULL when there is none. */
static inline struct http_request *session_get(const struct session *s)
{
    return s->extra ? s->extra->get : NULL;
}
/* Bytes that wait for a GET. */
static inline size_t session_kept(const struct session *s)
{
    return s->extra ? s->extra->out.bytes : 0;
}
/* All that is queued, wherever. */
size_t session_queued(const struct session *s);
/* To the transport, whatever is queued there. */
void session_put(struct session *s, struct bytes *frame);
/* Looks after it at the end of the turn. */
void session_run_later(struct session *s);
/* As session_close_because: ends it now. */
void session_end_because(struct session *s, enum session_reason why,
                         unsigned code, const char *reason);
/* What was queued on the transport is gone. */
void session_caught_up(struct session *s);

const struct eio_coding *session_coding(const struct session *s);
/* An own packet. */
void session_send_text(struct session *s, const char *packet);

/* A packet arrived, on whichever transport is in charge. */
void session_on_packet(struct session *s, struct str text);
void session_on_binary(struct session *s, struct str data);
/* What arrived is no packet at all. */
void session_on_garbage(struct session *s);
/* The session's own WebSocket: from the handshake, or after an upgrade. */
void session_attach(struct session *s, struct websocket *ws);
extern const struct websocket_ops session_ws_ops; /* without limits */

/* polling.c */
void polling_request(struct session *s, struct http_request *r);
void polling_flush(struct session *s);
/* Keeps a frame until there is a GET; true when there is one. */
bool polling_keep(struct session *s, struct bytes *frame);
/* Drops what waits for one. */
void polling_forget(struct session *s);
/* Answers the parked GET, if any, with one packet, which is a digit. */
void polling_release(struct session *s, char packet);
void polling_drop_post(struct session *s);
/* Answers with a payload, compressed if it is large and the client accepts;
 * `headers` are whole lines. */
void polling_send(struct session *s, struct http_request *r, struct str body,
                  struct str headers);

/* upgrade.c */
void upgrade_request(struct session *s, struct http_request *r,
                     struct str headers);
extern const struct websocket_ops upgrade_ws_ops; /* without limits */
/* The session is ending: so does its upgrade. */
void upgrade_cancel(struct session *s);

#endif
