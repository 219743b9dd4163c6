/* What connects the namespaces of this node to those of the others.
 *
 * A `cluster` exists once per process: with type "memory" it is this process
 * alone; with type "redis" it holds two connections to Redis and speaks the
 * wire of @socket.io/redis-adapter (protocol: classic adapter), so that C
 * nodes, Node.js servers and emitters share one cluster. An `adapter` belongs
 * to one namespace.
 *
 *     server/io/namespace -> adapter_broadcast -> rooms_select -> host.deliver
 *                                   |                 ^
 *                                   v publish         | a remote message is a
 *                               [ Redis ] ------------+ local one whose origin
 *                                                       is skipped
 *
 * Local delivery never waits for Redis and never depends on it. A message of
 * another node is delivered exactly as one of our own.
 *
 * Everything runs on the loop's thread. Slices are borrowed for the call. */
#ifndef CONFAB_ADAPTER_ADAPTER_H
#define CONFAB_ADAPTER_ADAPTER_H

#include "adapter/rooms.h"
#include "common/buf.h"
#include "common/loop.h"
#include "common/packet.h"

struct adapter_asked;

enum adapter_type { ADAPTER_MEMORY, ADAPTER_REDIS };

struct adapter_settings {
    enum adapter_type type;
    const char *redis_url; /* as redis_url.h says */
    const char *prefix;    /* of channels; "socket.io" */
    const char *node_name; /* for people; identity is random */
    bool interest; /* hear of rooms with members here, not of all rooms */
    uint32_t publish_queue_bytes;
    uint32_t lease_ms;            /* a node not heard for so long is gone */
    uint32_t json_depth;          /* deepest nesting that is forwarded */
    uint32_t max_message_bytes;   /* largest message accepted from Redis */
    uint32_t requests_timeout_ms; /* for answers of other servers; 0: 5000 */
    bool specific_responses; /* answers go to the asker alone, not to all */
    const struct recovery_settings *recovery; /* NULL: there is none */
    const struct cluster_relay *relay; /* NULL: takes no requests from others */
};

/* How the other nodes reach this one with requests of its sessions, or this
 * one another: presence_relay in wire_presence.h says what these are. */
enum { CLUSTER_TAG_LEN = 6, CLUSTER_TOKEN_LEN = 22 };
struct cluster_relay {
    struct str tag, token;
    /* host:port; of this node it may be empty: the host is then the address
     * from which it reaches Redis. */
    struct str address;
    uint16_t port; /* of this node, when the address is empty */
};

/* What selects the receivers of a broadcast, and how it is sent. */
struct broadcast {
    const struct str *rooms; /* union; none = everyone */
    size_t n_rooms;
    const struct str *except;
    size_t n_except;
    /* Bit i: that name is a number to JavaScript, and is written as one to the
     * others; Node.js servers keep the rooms 7 and "7" apart, this node does
     * not. Of the first 64 names. */
    uint64_t number_rooms, number_except;
    bool local;       /* this node only */
    bool is_volatile; /* receivers that cannot take it now are skipped */
};

/* Names of rooms to join or leave. */
struct room_names {
    const struct str *v;
    size_t n;
    uint64_t numbers; /* as above */
};

/* What an adapter asks of the namespace that hosts it. */
struct adapter_host {
    /* Queues the packet for one socket; false when it cannot. Must not change
     * rooms or members. */
    bool (*deliver)(void *host, struct member *to, struct packet *p,
                    bool is_volatile);
    /* A presence entry (below) of this or another node came or went. Must not
     * change presence. */
    void (*presence)(void *host, struct str group, struct str key,
                     struct str meta, int event);
    /* Another server, or an emitter, joins, leaves or ends those of this
     * node's sockets that are selected. */
    void (*sockets_join)(void *host, const struct broadcast *b,
                         const struct room_names *rooms);
    void (*sockets_leave)(void *host, const struct broadcast *b,
                          const struct room_names *rooms);
    void (*sockets_disconnect)(void *host, const struct broadcast *b,
                               bool close);
    /* Appends the sockets that are selected as JSON, with commas between them:
     * {"id":..,"handshake":..,"rooms":[..],"data":..} each. */
    void (*sockets_describe)(void *host, const struct broadcast *b,
                             struct buf *out);
    /* Another server broadcasts and wants every receiver's acknowledgement.
     * Sends the event, with an acknowledgement's id of the host's own, and
     * returns how many were asked; answers follow by adapter_answer, for at
     * most timeout_ms, never inside the call, and adapter_answered in the end,
     * which may be inside the call when nobody was asked. `p` has no id and may
     * be kept. */
    size_t (*broadcast_ack)(void *host, struct packet *p,
                            const struct broadcast *b, uint32_t timeout_ms,
                            struct adapter_asked *from);
    /* An event from another server to this one: `data` is a JSON array with the
     * event's name first. `from` is NULL when no answer is wanted; else
     * adapter_answer may be called once, now or later, and adapter_answered
     * must be in the end. Who asked waits for requests_timeout_ms or so. */
    void (*server_event)(void *host, struct str data,
                         struct adapter_asked *from);
};

struct cluster;
struct adapter;
struct recovery_settings;
struct recovery_nsp;

/* NULL with a sentence in err (CONFIG_ERR_MAX bytes) when the settings cannot
 * work. Redis need not be reachable: connecting goes on in the background. */
struct cluster *cluster_new(struct loop *l, const struct adapter_settings *s,
                            char *err);
/* Says goodbye to the others, in the next turns of the loop: a few have to be
 * run after it. All adapters must be freed before. */
void cluster_free(struct cluster *c);
/* Whoever waits for a join is told, now, that it cannot be. cluster_free does
 * the same. */
void cluster_end_joins(struct cluster *c);
/* True when messages reach the other nodes: both connections are up and
 * subscribed. Always true for the memory adapter. */
bool cluster_usable(const struct cluster *c);
/* From now on connections to Redis are made with the user and password of this
 * URL. ERR_STATE, and nothing changes, when it is another server or database,
 * or there is no Redis. */
MUST_CHECK int cluster_set_login(struct cluster *c, const char *redis_url);
/* The names of the other confab nodes that this one hears, in no order. */
typedef void cluster_peer_fn(void *arg, struct str name);
void cluster_peers(struct cluster *c, cluster_peer_fn *each, void *arg);
/* "memory" or "redis". */
const char *cluster_kind(const struct cluster *c);
/* The other node whose sessions' ids begin with `tag`, while it is heard; false
 * when there is none. Borrowed. */
bool cluster_find_relay(const struct cluster *c, struct str tag,
                        struct cluster_relay *out);
/* host:port, [IPv6]:port. */
bool cluster_is_address(struct str s);
/* Sets the gauges that belong to the cluster. */
void cluster_metrics(struct cluster *c);

struct adapter *adapter_new(struct cluster *c, struct str nsp,
                            const struct adapter_host *ops, void *host);
/* Members must be gone. */
void adapter_free(struct adapter *a);
struct rooms *adapter_rooms(struct adapter *a);
/* The namespace's part of recovery.h; NULL when sessions cannot be recovered,
 * which only the memory adapter can. */
struct recovery_nsp *adapter_recovery(const struct adapter *a);

void adapter_add(struct adapter *a, struct member *m, struct str id);
/* Leaves all rooms and drops the member's presence entries. */
void adapter_remove(struct adapter *a, struct member *m);
void adapter_join(struct adapter *a, struct member *m, struct str room);
/* The same, and calls `fn` once, in a later turn: with 0 as soon as what other
 * nodes send to the room arrives, with ERR_STATE when Redis is away now or does
 * not answer for 2 s (it arrives when Redis is back) or the member has gone. */
typedef void adapter_joined_fn(void *arg, int rc);
void adapter_join_then(struct adapter *a, struct member *m, struct str room,
                       adapter_joined_fn *fn, void *arg);
/* Whether what other nodes send to everyone and to the member's own room, that
 * of its id, arrives already, or cannot for now. If neither, `fn` is called as
 * by adapter_join_then. */
bool adapter_hears(struct adapter *a, struct member *m, adapter_joined_fn *fn,
                   void *arg);
/* Of the member, that wait. */
size_t adapter_joins(const struct member *m);
void adapter_leave(struct adapter *a, struct member *m, struct str room);

/* Publishes (unless local) and delivers to local members. An event that can be
 * recovered gets its offset: such a packet must be new. Returns the number of
 * local receivers. */
size_t adapter_broadcast(struct adapter *a, struct packet *p,
                         const struct broadcast *b);

/* ---- operations on the whole cluster --------------------------------------
 *
 * Of the classic adapter's requests and responses. Who calls does this node's
 * part itself where it says so, because a local effect never waits for Redis;
 * the rest is told to the other servers, and what comes back of it is skipped.
 * With the memory adapter, and for what is `local`, there are no others.
 *
 * Questions end when every server has answered, when those that have not are
 * gone, or at a deadline (timeout_ms where it is given and not 0, else
 * requests_timeout_ms); what came until then is the answer, with the number of
 * servers that are `missing` from it, also for having left or having answered
 * too much. While Redis is away, a question waits a second for it and then has
 * this node's answer alone; at least one server is missing then, as nobody
 * knows. The callbacks are called exactly once
 * and never inside the call that asked; they may ask again. Freeing the adapter
 * ends its questions the same way, from inside adapter_free. Errors: ERR_LIMIT,
 * too many questions are open, or what is asked is larger than messages may be;
 * ERR_PROTO, the data is no JSON array; ERR_STATE, the adapter is being freed.
 */

/* To the others only; nothing comes back. */
void adapter_sockets_join(struct adapter *a, const struct broadcast *b,
                          const struct room_names *rooms);
void adapter_sockets_leave(struct adapter *a, const struct broadcast *b,
                           const struct room_names *rooms);
void adapter_sockets_disconnect(struct adapter *a, const struct broadcast *b,
                                bool close);

/* `json` is an array, of sockets as host.sockets_describe writes them (of which
 * those of other servers are sure to have an id, that is text), of names
 * of rooms (each once), or of one value per server that answered; borrowed. */
typedef void adapter_answers_fn(void *arg, struct str json, size_t missing);

/* This node's sockets included. */
MUST_CHECK int adapter_fetch_sockets(struct adapter *a,
                                     const struct broadcast *b,
                                     adapter_answers_fn *fn, void *arg);
/* The rooms of all servers, those of single sockets included. */
MUST_CHECK int adapter_all_rooms(struct adapter *a, adapter_answers_fn *fn,
                                 void *arg);

/* Servers that have the namespace, this one included: at least 1, which is also
 * the answer while Redis is away. */
typedef void adapter_count_fn(void *arg, size_t servers);
MUST_CHECK int adapter_server_count(struct adapter *a, adapter_count_fn *fn,
                                    void *arg);

/* An event to the other servers: `data` is a JSON array with the event's name
 * first. */
void adapter_server_emit(struct adapter *a, struct str data);
/* The same, and the first value of each one's answer. */
MUST_CHECK int adapter_server_emit_ack(struct adapter *a, struct str data,
                                       uint32_t timeout_ms,
                                       adapter_answers_fn *fn, void *arg);

/* What the receivers of a broadcast on other servers answer. */
struct adapter_ask_ops {
    /* One receiver's first value, as JSON text with placeholders for its
     * attachments; empty when it acknowledged with none. Must not free the
     * adapter. */
    void (*answered)(void *arg, struct str json, struct bytes *const *bins,
                     size_t n_bins);
    /* The last call: receivers that did not answer in time, and a one for each
     * server that did not say how many it has. */
    void (*done)(void *arg, size_t missing);
};
/* Broadcasts to the other servers' sockets and collects their
 * acknowledgements; this node's are the caller's business. It is published at
 * once, in order with other broadcasts. */
MUST_CHECK int adapter_broadcast_ack(struct adapter *a, struct packet *p,
                                     const struct broadcast *b,
                                     uint32_t timeout_ms,
                                     const struct adapter_ask_ops *ops,
                                     void *arg);

/* From the host that was asked (host.broadcast_ack, host.server_event). An
 * empty `json`: an acknowledgement without a value. What comes too late goes
 * nowhere; the adapter may be gone by then. */
void adapter_answer(struct adapter_asked *from, struct str json,
                    struct bytes *const *bins, size_t n_bins);
/* No more answers follow; `from` is gone. */
void adapter_answered(struct adapter_asked *from);

/* Questions of this node that are open: of the first four kinds, and
 * broadcasts. */
struct adapter_open {
    size_t requests, broadcasts;
};
struct adapter_open adapter_open_questions(const struct adapter *a);

/* ---- presence ------------------------------------------------------------
 *
 * Who is in a group, on all confab nodes. An entry is (group, key, meta): key
 * names it within the node (a socket id), meta is JSON text. Each node owns its
 * entries and tells the others; a node that is not heard for lease_ms is
 * forgotten with all its entries, so that counts are right soon after a kill
 * and can never be negative. While Redis is away nobody is forgotten: silence
 * proves nothing then. Reading is local and cheap. */

enum presence_event {
    PRESENCE_ENTER,
    PRESENCE_UPDATE, /* same key, new meta */
    PRESENCE_LEAVE,
    PRESENCE_LOST, /* its node died or stayed away */
};

/* Adds or changes an entry of this node. 0, ERR_PROTO (a name is not UTF-8, the
 * meta is not JSON; an empty one stands for null) or ERR_LIMIT (a name of more
 * than 256 bytes, 4 KiB of meta, 100,000 entries, 64 MiB in all). */
int adapter_presence_set(struct adapter *a, struct str group, struct str key,
                         struct str meta);
/* Harmless when there is no such entry. */
void adapter_presence_clear(struct adapter *a, struct str group,
                            struct str key);
size_t adapter_presence_count(struct adapter *a, struct str group);
/* Entries of the group, this node's and others'; `each` returns false to stop
 * and must not change presence. */
void adapter_presence_each(struct adapter *a, struct str group,
                           bool (*each)(void *arg, struct str key,
                                        struct str meta),
                           void *arg);

#endif
