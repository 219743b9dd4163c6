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
#include "common/loop.h"
#include "common/packet.h"

enum adapter_type { ADAPTER_MEMORY, ADAPTER_REDIS };

struct adapter_settings {
    enum adapter_type type;
    const char *redis_url; /* redis://[user:password@]host[:port][/db] */
    const char *prefix;    /* of channels; "socket.io" */
    const char *node_name; /* for people; identity is random */
    uint32_t publish_queue_bytes;
    uint32_t lease_ms;          /* a node not heard for so long is gone */
    uint32_t json_depth;        /* deepest nesting that is forwarded */
    uint32_t max_message_bytes; /* largest message accepted from Redis */
    const struct recovery_settings *recovery; /* NULL: there is none */
};

/* What selects the receivers of a broadcast, and how it is sent. */
struct broadcast {
    const struct str *rooms; /* union; none = everyone */
    size_t n_rooms;
    const struct str *except;
    size_t n_except;
    bool local;       /* this node only */
    bool is_volatile; /* receivers that cannot take it now are skipped */
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
/* True when messages reach the other nodes: both connections are up and
 * subscribed. Always true for the memory adapter. */
bool cluster_usable(const struct cluster *c);
/* "memory" or "redis". */
const char *cluster_kind(const struct cluster *c);
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
void adapter_leave(struct adapter *a, struct member *m, struct str room);

/* Publishes (unless local) and delivers to local members. An event that can be
 * recovered gets its offset: such a packet must be new. Returns the number of
 * local receivers. */
size_t adapter_broadcast(struct adapter *a, struct packet *p,
                         const struct broadcast *b);

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
