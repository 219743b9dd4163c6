/* The other nodes of presence, as their messages show them: who there is, when
 * it was last heard, and a copy of its entries, with the knowledge whether that
 * copy is exact. Says nothing itself; the caller is told when to ask. */
#ifndef CONFAB_ADAPTER_PRESENCE_PEERS_H
#define CONFAB_ADAPTER_PRESENCE_PEERS_H

#include "adapter/adapter.h"
#include "adapter/wire_presence.h"

enum { PRESENCE_PEERS_MAX = 1000 };

enum presence_peer { PEER_FOUND, PEER_LEFT, PEER_LOST };

struct presence_ops {
    /* One message for the channel; borrowed. */
    void (*send)(void *owner, struct str message);
    /* An entry of this or another node came, changed or went. Must not change
     * presence. */
    void (*event)(void *owner, struct str nsp, struct str group, struct str key,
                  struct str meta, enum presence_event what);
    /* Another node; `name` is what it calls itself, as far as it has said. */
    void (*peer)(void *owner, struct str node, struct str name,
                 enum presence_peer what);
};

struct presence_peers {
    const struct presence_ops *ops;
    void *owner;
    struct presence_table *table;
    struct map by_id;
    struct map by_tag; /* those that take requests from others */
    struct buf id;     /* work space */
};

void presence_peers_init(struct presence_peers *pp,
                         struct presence_table *table,
                         const struct presence_ops *ops, void *owner);
/* Reports nothing. */
void presence_peers_fini(struct presence_peers *pp);

/* A message of another node, decoded from `tape`. Sets `*ask` when that node
 * should be asked for all it has, which happens ever less often as long as the
 * answers do not help. 0, ERR_PROTO or ERR_LIMIT. */
MUST_CHECK int presence_peers_take(struct presence_peers *pp,
                                   const struct json *tape,
                                   const struct presence_message *m,
                                   uint64_t now_ms, bool *ask);
/* Calls `each` with the name of every one. */
void presence_peers_each(struct presence_peers *pp, cluster_peer_fn *each,
                         void *arg);
/* All were heard at that time or later, as it were; it may be one to come. What
 * was being received is given up. */
void presence_peers_renew(struct presence_peers *pp, uint64_t heard_ms);
/* Forgets those that were last heard at `until_ms` or before. */
void presence_peers_expire(struct presence_peers *pp, uint64_t until_ms);

/* The peer whose sessions' ids begin with `tag`; NULL when there is none. */
const struct presence_relay *
presence_peers_relay(const struct presence_peers *pp, struct str tag);

void presence_peers_tell(const struct presence_peers *pp,
                         const struct presence_entry *e,
                         enum presence_event what);

#endif
