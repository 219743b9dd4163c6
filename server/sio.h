/* confab: a Socket.IO server to embed.
 *
 * The words are those of Socket.IO: a server has namespaces, a namespace has
 * sockets, a socket joins rooms; events carry JSON values and binary data and
 * may ask for an acknowledgement. Several servers with the same Redis settings
 * are one cluster, together with Node.js servers that use
 * @socket.io/redis-adapter.
 *
 *     static void on_chat(struct sio_socket *s, struct sio_event *e, void *arg)
 *     {
 *         struct sio_broadcast all = sio_all(sio_namespace_of(s));
 *         sio_broadcast(&all, "chat message", "v", sio_arg(e, 0));
 *     }
 *
 *     int main(void)
 *     {
 *         struct sio_server *srv = sio_server_new();
 *         sio_on(sio_of(srv, "/"), "chat message", on_chat, NULL);
 *         return sio_server_run(srv) < 0;
 *     }
 *
 * Threads: everything runs on the thread that calls sio_server_run. Handlers
 * must not block; they may close, join, leave, emit and disconnect at will, on
 * any socket, their own included.
 *
 * Lifetimes: a server and its namespaces live until sio_server_free; a dynamic
 * namespace lives until the turn in which its last socket has gone. A socket
 * lives until its disconnect handlers have returned. An event, its values and
 * the text they lend live until the handler returns. Text given to a function
 * is copied or used up before it returns.
 *
 * Errors: a function that can fail returns 0 or one of enum sio_error; what
 * clients send never makes one of these fail by itself.
 *
 * Protocols: Engine.IO v4, Socket.IO v5. */
#ifndef SIO_H
#define SIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SIO_API __attribute__((visibility("default")))

enum sio_error {
    SIO_ERR_LIMIT = -2,  /* a configured bound is reached */
    SIO_ERR_IO = -3,     /* the system refused; see sio_server_error */
    SIO_ERR_STATE = -4,  /* not possible now, e.g. the socket is gone */
    SIO_ERR_CONFIG = -5, /* bad configuration; see sio_server_error */
    /* the call is wrong: format, reserved event name, a placeholder of binary
     * that is not there */
    SIO_ERR_ARG = -6,
};

/* Text or data with its length; may hold NUL; p need not be terminated. */
struct sio_str {
    const char *p;
    size_t len;
};

/* From a string literal, from a C string. */
#define SIO_STR(lit) ((struct sio_str){(lit), sizeof(lit) - 1})
static inline struct sio_str sio_z(const char *z)
{
    struct sio_str s = {z, strlen(z)};
    return s;
}

struct sio_server;
struct sio_namespace;
struct sio_socket;
struct sio_event;
struct sio_ack;
struct sio_next;
struct sio_request;
struct sio_value;
struct sio_timer;

/* ---- server --------------------------------------------------------------
 *
 * Configuration is read in this order, later wins: built-in defaults,
 * sio_server_config_file, sio_server_config_env, sio_server_set. The keys are
 * those of the confab node (`confab --print-config` lists them). All of it
 * comes before sio_server_listen. */

SIO_API struct sio_server *sio_server_new(void);
/* Closes all connections and frees everything. NULL is allowed. */
SIO_API void sio_server_free(struct sio_server *srv);

/* A YAML file. */
SIO_API int sio_server_config_file(struct sio_server *srv, const char *path);
/* The CONFAB_SECTION_KEY variables of the environment. */
SIO_API int sio_server_config_env(struct sio_server *srv);
/* One "section.key=value". */
SIO_API int sio_server_set(struct sio_server *srv, const char *assignment);
/* Whether the settings fit together; sio_server_listen checks it too. */
SIO_API int sio_server_check(struct sio_server *srv);
/* The effective settings as a commented YAML file; secrets are masked. */
SIO_API void sio_server_print_config(const struct sio_server *srv, FILE *out);
/* What the last failed call of this server had to say: one sentence. */
SIO_API const char *sio_server_error(const struct sio_server *srv);

/* Binds listen.host and listen.port (0 = any free one). Called by
 * sio_server_run when it was not called before. */
SIO_API int sio_server_listen(struct sio_server *srv);
/* Where it listens; the host is empty for every address. */
SIO_API uint16_t sio_server_port(const struct sio_server *srv);
SIO_API const char *sio_server_host(const struct sio_server *srv);
/* Where operators ask it for metrics and more, "http://127.0.0.1:43211"; empty
 * when admin.host is, and before it listens. */
SIO_API const char *sio_server_admin(const struct sio_server *srv);
/* Clients connect with https and wss. */
SIO_API bool sio_server_secure(const struct sio_server *srv);
/* Serves until it is stopped by sio_server_stop, by SIGINT, or at the end of a
 * drain, which SIGTERM begins (sio_server_drain) and a second one cuts short;
 * returns 0 after a clean stop. SIGPIPE is ignored from then on; SIGTERM and
 * SIGINT too once one of them has stopped the server, so that cleaning up is
 * not cut short. SIGHUP is sio_server_reload. systemd is told when it is ready,
 * reads its configuration again and stops, and its watchdog is fed (sd_notify).
 */
SIO_API int sio_server_run(struct sio_server *srv);
/* Closes all connections ("server shutting down") and makes sio_server_run
 * return. May be called from handlers. */
SIO_API void sio_server_stop(struct sio_server *srv);
/* Stops the server without cutting everybody off at the same moment. It is not
 * ready any more (/readyz), but goes on serving everybody, new clients too, for
 * drain.notice_ms, until balancers have noticed. Then it refuses new clients
 * (503) and closes those it has ("server shutting down"), one by one, evenly
 * over drain.window_ms; when the last one has gone it stops. With both 0 it
 * stops at once. Harmless when it drains already. May be called from handlers.
 */
SIO_API void sio_server_drain(struct sio_server *srv);
/* Reads the configuration's sources, the files of secrets, and certificate and
 * key again while the server runs. What cannot change then is named in the log
 * and stays; when anything is wrong, all settings stay as they are. A new user
 * or password of Redis serves connections to come. SIO_ERR_CONFIG, with a
 * sentence in sio_server_error and in the log; SIO_ERR_STATE when it does not
 * run. */
SIO_API int sio_server_reload(struct sio_server *srv);
/* Calls `fn` once, `ms` from now, on the loop. The timer is over when `fn` is
 * called, or when it is cancelled before; sio_server_free cancels what is left.
 */
typedef void sio_timer_fn(void *arg);
SIO_API struct sio_timer *sio_after(struct sio_server *srv, uint32_t ms,
                                    sio_timer_fn *fn, void *arg);
SIO_API void sio_cancel(struct sio_timer *timer);
/* node.name, or the name made up at start. */
SIO_API const char *sio_server_node(const struct sio_server *srv);

/* Serves a fixed document at exactly `path` (GET and HEAD). `data` must stay as
 * long as the server. */
SIO_API void sio_server_serve(struct sio_server *srv, const char *path,
                              const char *content_type, const void *data,
                              size_t len);

/* ---- admission of connections --------------------------------------------
 *
 * Asked about each handshake, over polling or WebSocket, before there is a
 * connection; upgrades of a connection are not asked about. The function must
 * settle each request with exactly one of sio_allow and sio_deny, inside the
 * call or later, which frees it. Later, it may find the client gone, or the
 * server stopped: settling is harmless then, and nothing of the request is
 * there any more. Those that wait count in limits.sessions. */

typedef void sio_request_fn(struct sio_request *r, void *arg);
/* One function for the server; NULL admits everybody. */
SIO_API void sio_on_request(struct sio_server *srv, sio_request_fn *fn,
                            void *arg);
SIO_API void sio_allow(struct sio_request *r);
/* The answer is 403 with {"code":4,"message":...}, or 400 with the message for
 * a WebSocket; NULL or "" is "Forbidden". */
SIO_API void sio_deny(struct sio_request *r, const char *message);

/* As sio_header, sio_query (valid until the next call), sio_url and
 * sio_address. */
SIO_API bool sio_request_header(const struct sio_request *r, const char *name,
                                struct sio_str *out);
SIO_API bool sio_request_query(const struct sio_request *r, const char *name,
                               struct sio_str *out);
SIO_API struct sio_str sio_request_url(const struct sio_request *r);
SIO_API const char *sio_request_address(struct sio_request *r);
/* Before it is allowed: adds a header to the first response of the connection,
 * the one with the session's id or the 101. The same name may be given several
 * times. SIO_ERR_ARG when name or value could not stand in a header or the name
 * is one of those that HTTP and WebSocket need, SIO_ERR_LIMIT past 8 kB in all,
 * SIO_ERR_STATE when the client has gone. */
SIO_API int sio_request_set_header(struct sio_request *r, const char *name,
                                   const char *value);

/* ---- namespaces and handlers ---------------------------------------------
 *
 * Handlers belong to the namespace and serve all its sockets, so that a socket
 * costs nothing for them. They are called in the order they were added. */

/* The namespace of that name, made when it does not exist; a missing leading
 * '/' is added. "/" always exists for clients. */
SIO_API struct sio_namespace *sio_of(struct sio_server *srv, const char *name);
/* Dynamic namespaces: the namespace that is returned is the parent of every
 * namespace that is made when a client connects to a name which does not exist
 * and `fn` accepts; `auth` is the CONNECT's. The parent's handlers and
 * middlewares serve its children, those added later, too; adding one to a child
 * is adding it to the parent. Parents are asked in the order they were made. A
 * child goes with its last socket. There are at most limits.dynamic_namespaces
 * children; names of more than 255 bytes are unknown. The parent itself has no
 * sockets: a broadcast to it is SIO_ERR_STATE. */
typedef bool sio_match_fn(struct sio_str name, struct sio_value auth,
                          void *arg);
SIO_API struct sio_namespace *sio_of_match(struct sio_server *srv,
                                           sio_match_fn *fn, void *arg);
/* Every namespace but the parents, in the order they were made; `each` returns
 * false to stop.
 */
SIO_API void sio_namespaces(struct sio_server *srv,
                            bool (*each)(struct sio_namespace *ns, void *arg),
                            void *arg);
SIO_API const char *sio_namespace_name(const struct sio_namespace *ns);
SIO_API struct sio_server *sio_server_of(const struct sio_namespace *ns);

/* Admission: called for each CONNECT before the client is told. It must settle
 * `next` with exactly one of sio_admit and sio_refuse, now or later; later, it
 * may find the client gone, which is harmless. */
typedef void sio_middleware_fn(struct sio_socket *s, struct sio_next *next,
                               void *arg);
SIO_API void sio_use(struct sio_namespace *ns, sio_middleware_fn *fn,
                     void *arg);
SIO_API void sio_admit(struct sio_next *next);
/* The client gets connect_error with this message and, when `data_json` is not
 * NULL, this data (JSON text). */
SIO_API void sio_refuse(struct sio_next *next, const char *message,
                        const char *data_json);

typedef void sio_connection_fn(struct sio_socket *s, void *arg);
SIO_API void sio_on_connection(struct sio_namespace *ns, sio_connection_fn *fn,
                               void *arg);
/* Reasons are the official ones: "transport close", "ping timeout", "client
 * namespace disconnect"... Sending to the socket does nothing any more.
 * Disconnecting: it is still in its rooms. Disconnect, right after: it has left
 * them. */
typedef void sio_disconnect_fn(struct sio_socket *s, const char *reason,
                               void *arg);
SIO_API void sio_on_disconnecting(struct sio_namespace *ns,
                                  sio_disconnect_fn *fn, void *arg);
SIO_API void sio_on_disconnect(struct sio_namespace *ns, sio_disconnect_fn *fn,
                               void *arg);
typedef void sio_event_fn(struct sio_socket *s, struct sio_event *e, void *arg);
SIO_API void sio_on(struct sio_namespace *ns, const char *event,
                    sio_event_fn *fn, void *arg);
/* For one event, of whichever socket. */
SIO_API void sio_once(struct sio_namespace *ns, const char *event,
                      sio_event_fn *fn, void *arg);
/* Before those that are there. */
SIO_API void sio_prepend(struct sio_namespace *ns, const char *event,
                         sio_event_fn *fn, void *arg);
/* Takes away the handler of that function and argument, the latest when there
 * are several; with fn NULL all of the event. Allowed at any time, for a
 * handler that is running, too. One added while an event is handled is called
 * for the next. */
SIO_API void sio_off(struct sio_namespace *ns, const char *event,
                     sio_event_fn *fn, void *arg);
/* Called for every event (sio_event_name), before the middlewares and the
 * event's own handlers; one that nobody handles and one that is refused come
 * here, too. */
SIO_API void sio_on_any(struct sio_namespace *ns, sio_event_fn *fn, void *arg);
SIO_API void sio_off_any(struct sio_namespace *ns, sio_event_fn *fn, void *arg);

/* Asked for each event before its handlers: NULL lets it pass; a message, which
 * must stay until the error handlers have returned, refuses it. Then the next
 * ones are not asked and the error handlers are told; the client hears nothing
 * and gets no acknowledgement, unless one of these gives it. */
typedef const char *sio_packet_fn(struct sio_socket *s, struct sio_event *e,
                                  void *arg);
SIO_API void sio_use_packet(struct sio_namespace *ns, sio_packet_fn *fn,
                            void *arg);
typedef void sio_error_fn(struct sio_socket *s, struct sio_event *e,
                          const char *message, void *arg);
SIO_API void sio_on_error(struct sio_namespace *ns, sio_error_fn *fn,
                          void *arg);

/* ---- events --------------------------------------------------------------
 *
 * A value is a place in an event's arguments. Asking for what is not there
 * gives a value of type SIO_NONE, and asking that for more gives the same, so
 * that sio_str(sio_get(sio_arg(e, 0), "room"), &room) needs one check. */

enum sio_type {
    SIO_NONE, /* not there */
    SIO_NULL,
    SIO_BOOL,
    SIO_NUMBER,
    SIO_STRING,
    SIO_ARRAY,
    SIO_OBJECT,
    SIO_BINARY,
};

struct sio_value {
    const struct sio_event *event;
    uint32_t node;
};

SIO_API struct sio_str sio_event_name(const struct sio_event *e);
/* Arguments after the event's name; all of them for an acknowledgement. */
SIO_API size_t sio_arg_count(const struct sio_event *e);
SIO_API struct sio_value sio_arg(const struct sio_event *e, size_t i);
SIO_API enum sio_type sio_type(struct sio_value v);
SIO_API struct sio_value sio_get(struct sio_value object, const char *key);
SIO_API struct sio_value sio_at(struct sio_value array, size_t i);
/* Members of an array or object; 0 for anything else. */
SIO_API size_t sio_count(struct sio_value v);
/* Each returns false and leaves `out` alone when the value is not of the type.
 * A string is lent with its escapes resolved. An integer is a number without
 * fraction that fits. */
SIO_API bool sio_str(struct sio_value v, struct sio_str *out);
SIO_API bool sio_int(struct sio_value v, int64_t *out);
SIO_API bool sio_num(struct sio_value v, double *out);
SIO_API bool sio_bool(struct sio_value v, bool *out);
SIO_API bool sio_binary(struct sio_value v, struct sio_str *out);
/* The JSON text of the value as the client wrote it; empty for SIO_NONE. */
SIO_API struct sio_str sio_json(struct sio_value v);

/* An acknowledgement is wanted that was not given yet. */
SIO_API bool sio_wants_ack(const struct sio_event *e);
/* Acknowledges with the values of `format` (see below); once; does nothing when
 * none is wanted. */
SIO_API int sio_reply(struct sio_event *e, const char *format, ...);
/* Takes the acknowledgement out of the event, to answer after the handler has
 * returned; NULL when none is wanted. End it with sio_ack_send or
 * sio_ack_drop. */
SIO_API struct sio_ack *sio_ack_take(struct sio_event *e);
SIO_API int sio_ack_send(struct sio_ack *ack, const char *format, ...);
SIO_API void sio_ack_drop(struct sio_ack *ack);

/* For a handler whose event goes into a room: whether rate.room_events of all
 * clients of this server leave room for it. When not, the event has been
 * acknowledged with {error: "rate_limited", retry_after_ms}, as one that came
 * too fast for its client is before any handler is called. Always true for the
 * events of other servers. */
SIO_API bool sio_allow_room(struct sio_event *e, struct sio_str room);

/* ---- sending -------------------------------------------------------------
 *
 * `format` describes the arguments as JSON with letters for what is passed:
 *
 *     s  const char *            string, UTF-8
 *     S  struct sio_str          string, UTF-8
 *     i  int                     number
 *     I  int64_t                 number
 *     f  double                  number
 *     b  int                     true or false
 *     n  (nothing)               null
 *     j  struct sio_str          JSON text, checked
 *     v  struct sio_value        a value of an event, binary data included
 *     B  struct sio_str          binary data
 *     [ ] , { key:  }            structure; keys stand in the format itself
 *
 *     sio_emit(s, "news", "s,{count:i,tags:[s,s]}", "hi", 2, "a", "b");
 *
 * NULL or "" is no argument. SIO_ERR_ARG when format and values make no
 * sense, SIO_ERR_LIMIT past engine.max_payload_bytes or ten binaries. */

SIO_API int sio_emit(struct sio_socket *s, const char *event,
                     const char *format, ...);
/* Dropped, and counted, when the client cannot take it at once. */
SIO_API int sio_emit_volatile(struct sio_socket *s, const char *event,
                              const char *format, ...);
/* Emits and waits for the client's acknowledgement: `fn` is called exactly
 * once, with the answer's arguments, or with NULL when none came within
 * timeout_ms or the socket has gone. */
typedef void sio_answer_fn(struct sio_socket *s, struct sio_event *answer,
                           void *arg);
SIO_API int sio_emit_ack(struct sio_socket *s, uint32_t timeout_ms,
                         sio_answer_fn *fn, void *arg, const char *event,
                         const char *format, ...);

/* A broadcast is built on the stack: where it starts, then what narrows it.
 * Rooms form a union; a socket gets it once whatever rooms overlap. Names are
 * borrowed until it is sent; it may be sent several times. It reaches all
 * servers of the cluster that have the namespace, unless it is local. */
enum { SIO_BROADCAST_ROOMS = 16 };

union sio_room {
    struct sio_str name;
    int64_t number;
};

struct sio_broadcast {
    struct sio_namespace *ns;
    union sio_room rooms[SIO_BROADCAST_ROOMS];
    union sio_room except[SIO_BROADCAST_ROOMS];
    /* Bit i: that one is a number. */
    uint16_t number_rooms, number_except;
    uint8_t n_rooms, n_except;
    bool local, is_volatile, overflow;
};

/* Everyone in the namespace. */
SIO_API struct sio_broadcast sio_all(struct sio_namespace *ns);
/* Everyone in the socket's namespace but the socket itself. */
SIO_API struct sio_broadcast sio_others(struct sio_socket *s);
/* Only members of this room (and of the others named). A socket's id is the
 * name of a room that it alone is in, whatever server it is on. */
SIO_API void sio_to(struct sio_broadcast *b, struct sio_str room);
SIO_API void sio_except(struct sio_broadcast *b, struct sio_str room);
/* To Node.js servers the rooms 7 and "7" are two, and applications there may
 * have joined sockets to the number: these name it. To this server it is the
 * room "7", whoever asks and however: all its rooms are text. Beyond 2^53
 * JavaScript does not count exactly. */
SIO_API void sio_to_number(struct sio_broadcast *b, int64_t room);
SIO_API void sio_except_number(struct sio_broadcast *b, int64_t room);
/* Only sockets of this node. */
SIO_API void sio_local(struct sio_broadcast *b);
/* Receivers that cannot take it at once are skipped. */
SIO_API void sio_volatile(struct sio_broadcast *b);
/* SIO_ERR_ARG also when more rooms were named than a broadcast holds. */
SIO_API int sio_broadcast(const struct sio_broadcast *b, const char *event,
                          const char *format, ...);

/* Broadcasts and waits for the acknowledgement of each receiver. `fn` is called
 * exactly once, never inside this call, when all have answered or gone, after
 * timeout_ms at the latest: with the one argument of `answers`, an array of
 * each client's first value in the order they came, binary data included, and
 * with the number of those that did not answer, among them a one for each
 * server that did not say how many receivers it has. Past four times
 * engine.max_payload_bytes further answers are missing, too. Waits for at most
 * limits.pending_acks broadcasts of a namespace.
 *
 * A single socket of any server is asked by a broadcast to its id. */
typedef void sio_answers_fn(struct sio_event *answers, size_t missing,
                            void *arg);
SIO_API int sio_broadcast_ack(const struct sio_broadcast *b,
                              uint32_t timeout_ms, sio_answers_fn *fn,
                              void *arg, const char *event, const char *format,
                              ...);

/* The sockets of this server that a broadcast would reach; for those of others
 * see sio_fetch_sockets. `each` returns false to stop; it may do anything,
 * disconnect included; sockets that end meanwhile are left out. SIO_ERR_ARG
 * when too many rooms were named. */
SIO_API int sio_sockets(const struct sio_broadcast *b,
                        bool (*each)(struct sio_socket *s, void *arg),
                        void *arg);
/* The sockets that a broadcast would reach join, leave, or end: on this server
 * inside the call, on the others when they hear of it, in the order of this
 * server's calls, unless the broadcast is local. All that can join do; returns
 * the first failure of one here that cannot, or why nobody can: the name is no
 * room's (sio_join). */
SIO_API int sio_sockets_join(const struct sio_broadcast *b,
                             struct sio_str room);
SIO_API int sio_sockets_leave(const struct sio_broadcast *b,
                              struct sio_str room);
/* As sio_to_number. */
SIO_API int sio_sockets_join_number(const struct sio_broadcast *b,
                                    int64_t room);
SIO_API int sio_sockets_leave_number(const struct sio_broadcast *b,
                                     int64_t room);
SIO_API int sio_sockets_disconnect(const struct sio_broadcast *b, bool close);

/* ---- the other servers ---------------------------------------------------
 *
 * Several servers with the same Redis are one cluster; its servers are those
 * that have the namespace, Node.js servers included. Without Redis this one is
 * the only one.
 *
 * A question to them is answered exactly once, never inside the call that
 * asked: when every server has answered, when those that have not are gone, or
 * after cluster.requests_timeout_ms. What came until then is the answer, and
 * `missing` is the number of servers that are not in it; while Redis is away
 * nobody knows how many they are, and it is at least 1. A server answers after
 * it has done what it was told before by the same server. SIO_ERR_LIMIT when
 * too many questions are open, SIO_ERR_STATE before this server listens and
 * after it was stopped. */

/* The sockets that a broadcast would reach, those of this server included:
 * `fn` gets one argument, an array of {id, handshake, rooms, data} (sio_id,
 * sio_handshake_json, sio_rooms, sio_data). */
SIO_API int sio_fetch_sockets(const struct sio_broadcast *b, sio_answers_fn *fn,
                              void *arg);
/* An array of the names of all rooms, each once, among them those of single
 * sockets. */
SIO_API int sio_all_rooms(struct sio_namespace *ns, sio_answers_fn *fn,
                          void *arg);
/* How many servers there are: this one alone while Redis is away. */
typedef void sio_count_fn(size_t servers, void *arg);
SIO_API int sio_server_count(struct sio_namespace *ns, sio_count_fn *fn,
                             void *arg);

/* A server-side event: to the other servers, not to clients, and not to this
 * server's own handlers. Binary data arrives as {"type":"Buffer","data":[...]},
 * the JSON of a Buffer. SIO_ERR_ARG for "connect", "connection" and
 * "new_namespace", which are taken, and "error", which ends Node.js servers
 * that do not listen to it. */
SIO_API int sio_server_emit(struct sio_namespace *ns, const char *event,
                            const char *format, ...);
/* The same as a question: `fn` gets an array of what the servers answered, one
 * value of each, and waits for at most timeout_ms. */
SIO_API int sio_server_emit_ack(struct sio_namespace *ns, uint32_t timeout_ms,
                                sio_answers_fn *fn, void *arg,
                                const char *event, const char *format, ...);
/* Handlers of such events of other servers; of a namespace, as sio_on and
 * sio_on_any. The event is acknowledged as a client's is (sio_reply,
 * sio_ack_take), with one value: any more are not sent. */
typedef void sio_server_event_fn(struct sio_namespace *ns, struct sio_event *e,
                                 void *arg);
SIO_API void sio_on_server_event(struct sio_namespace *ns, const char *event,
                                 sio_server_event_fn *fn, void *arg);
SIO_API void sio_on_any_server_event(struct sio_namespace *ns,
                                     sio_server_event_fn *fn, void *arg);

/* What this server has asked in the namespace and not been answered yet. */
struct sio_open_questions {
    size_t requests;   /* to servers: those of this section */
    size_t broadcasts; /* to sockets: sio_broadcast_ack */
};
SIO_API struct sio_open_questions
sio_open_questions(const struct sio_namespace *ns);

/* ---- sockets ------------------------------------------------------------- */

/* 20 characters; public, unlike the session's id. Of a client of protocol 3
 * (engine.allow_eio3) it is that id, behind "<namespace>#" outside "/". */
SIO_API const char *sio_id(const struct sio_socket *s);
SIO_API struct sio_namespace *sio_namespace_of(const struct sio_socket *s);
/* The connected socket of that id on this node, or NULL. */
SIO_API struct sio_socket *sio_find(struct sio_namespace *ns,
                                    struct sio_str id);
/* Sockets connected to this node's namespace. */
SIO_API size_t sio_socket_count(const struct sio_namespace *ns);

/* SIO_ERR_LIMIT when the socket is in limits.rooms_per_socket rooms or the name
 * is longer than limits.room_name_bytes; SIO_ERR_ARG when it is not UTF-8. */
SIO_API int sio_join(struct sio_socket *s, struct sio_str room);
/* Joins, and calls `fn` exactly once, in a later turn, never inside: with 0 as
 * soon as what other nodes send to the room from then on arrives; with
 * SIO_ERR_STATE when Redis is away or does not answer within 2 s, which leaves
 * the socket in the room and heals when Redis is back, or when the socket has
 * gone. To answer a client
 * only then means that it misses nothing that is sent after the answer. When
 * the call returns an error nothing has been done and `fn` is not called: those
 * of sio_join, and SIO_ERR_LIMIT, too, when limits.rooms_per_socket joins of
 * the socket wait. */
typedef void sio_joined_fn(void *arg, int rc);
SIO_API int sio_join_then(struct sio_socket *s, struct sio_str room,
                          sio_joined_fn *fn, void *arg);
SIO_API void sio_leave(struct sio_socket *s, struct sio_str room);
SIO_API bool sio_in_room(const struct sio_socket *s, struct sio_str room);
/* Sockets of this node in the room. */
SIO_API size_t sio_room_size(struct sio_namespace *ns, struct sio_str room);
/* Rooms that the socket is in: the one of its own id, then those it has joined,
 * in that order; `each` returns false to stop. */
SIO_API void sio_rooms(const struct sio_socket *s,
                       bool (*each)(struct sio_str room, void *arg), void *arg);

/* Ends the socket's part in this namespace; with `close` the whole connection,
 * all namespaces included. */
SIO_API void sio_disconnect(struct sio_socket *s, bool close);

/* Data about the socket, a JSON value: Socket.IO's socket.data. It replaces
 * what was set before; SIO_ERR_ARG when there is binary data in it. */
SIO_API int sio_set_data(struct sio_socket *s, const char *format, ...);
/* An empty object when nothing was set. Valid inside the handler, until the
 * next call. */
SIO_API struct sio_value sio_data(struct sio_socket *s);
/* One pointer for the application, on this node only. `release`, when not NULL,
 * is called with it after the disconnect handlers, or when it is replaced. */
SIO_API void sio_set_context(struct sio_socket *s, void *context,
                             void (*release)(void *context));
SIO_API void *sio_context(const struct sio_socket *s);

/* The connection's first request, whatever transport came later; nothing of it
 * is there for a disconnect handler. Query parameter (decoded; the last of that
 * name) and header (name in any case; the first); false when absent. */
SIO_API bool sio_query(const struct sio_socket *s, const char *name,
                       struct sio_str *out);
SIO_API bool sio_header(const struct sio_socket *s, const char *name,
                        struct sio_str *out);
/* All of them as they were sent; `each` returns false to stop. */
typedef bool sio_pair_fn(struct sio_str name, struct sio_str value, void *arg);
SIO_API void sio_query_each(const struct sio_socket *s, sio_pair_fn *each,
                            void *arg);
SIO_API void sio_header_each(const struct sio_socket *s, sio_pair_fn *each,
                             void *arg);
/* The request's target: path and query. */
SIO_API struct sio_str sio_url(const struct sio_socket *s);
/* When it came: milliseconds since 1970. */
SIO_API int64_t sio_issued(const struct sio_socket *s);
/* It came over TLS, which is for a proxy of engine.trusted_proxies to say
 * (X-Forwarded-Proto). */
SIO_API bool sio_secure(const struct sio_socket *s);
/* The official handshake object as JSON: headers, time, address, xdomain,
 * secure, issued, url, query, auth. Valid inside the handler, until the next
 * call. */
SIO_API struct sio_str sio_handshake_json(struct sio_socket *s);
/* The client's address as text: the peer's; when that is one of
 * engine.trusted_proxies, what it says in X-Forwarded-For. */
SIO_API const char *sio_address(const struct sio_socket *s);
/* The auth object that came with CONNECT; an empty object when none did. Valid
 * inside the handler, until the next call. */
SIO_API struct sio_value sio_auth(struct sio_socket *s);
/* Recovery (recovery.enabled; with the memory adapter, on one node): a client
 * that lost its connection and comes back within recovery.max_disconnection_ms
 * is the socket that it was: same id, rooms and data (not the context), and it
 * first gets the events that it has missed. Events that are volatile or ask for
 * an acknowledgement are not kept; all others reach clients with one more
 * argument at their end, a string, by which the client remembers where it was.
 * When anything of what was missed cannot be sent any more, it is an ordinary
 * new socket.
 *
 * To handlers a recovered socket is a new struct sio_socket: the disconnect
 * handlers were called when the connection was lost, the connection handlers
 * are called again; presence entries are gone and the application sets them
 * anew. Middlewares are skipped (recovery.skip_middlewares). A client that
 * comes back while its old connection is still open, because nobody has noticed
 * that it is dead, ends that one ("transport close"). */
SIO_API bool sio_recovered(const struct sio_socket *s);

/* "polling" or "websocket". */
SIO_API const char *sio_transport(const struct sio_socket *s);

/* ---- presence ------------------------------------------------------------
 *
 * Who is in a group, on all confab nodes of the cluster, without asking them: a
 * socket enters a group with some data about itself; counts and lists are read
 * locally, are right within moments of a change and within cluster.lease_ms of
 * a node's sudden death, and are never negative. Leaving is automatic when the
 * socket goes. Node.js servers take no part. */

/* Enters the group, or changes the data. */
SIO_API int sio_presence_set(struct sio_socket *s, struct sio_str group,
                             const char *format, ...);
SIO_API void sio_presence_clear(struct sio_socket *s, struct sio_str group);
SIO_API size_t sio_presence_count(struct sio_namespace *ns,
                                  struct sio_str group);
/* `data` is the JSON text of what was set; `each` returns false to stop and
 * must not change presence. */
SIO_API void sio_presence_each(struct sio_namespace *ns, struct sio_str group,
                               bool (*each)(struct sio_str id,
                                            struct sio_str data, void *arg),
                               void *arg);

enum sio_presence {
    SIO_PRESENCE_ENTER,
    SIO_PRESENCE_UPDATE,
    SIO_PRESENCE_LEAVE,
    SIO_PRESENCE_LOST, /* the node that had it died */
};
/* Called on every node for every change; `data` can be read with sio_get. */
typedef void sio_presence_fn(struct sio_namespace *ns, enum sio_presence what,
                             struct sio_str group, struct sio_str id,
                             struct sio_value data, void *arg);
SIO_API void sio_on_presence(struct sio_namespace *ns, sio_presence_fn *fn,
                             void *arg);

#ifdef __cplusplus
}
#endif

#endif
