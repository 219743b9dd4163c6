#include "adapter/presence_peers.h"

#include <assert.h>

#include "common/mem.h"

enum {
    ASK_MIN_MS = 1000, /* between questions to one peer */
    ASK_MAX_MS = 30000,
    STALL_MS = 2000, /* a part of an answer that does not come */
};

/* What we have of a peer is `exact` when it was told from the beginning, or by
 * a whole answer, and nothing was missed since. Only then do equal numbers mean
 * equal entries. */
struct peer {
    struct map_node by_id, by_tag; /* by_tag: while relay has an address */
    struct presence_source source;
    uint64_t heard_ms;
    uint64_t seq;
    bool exact;
    bool filling;  /* an answer is being received */
    uint32_t mark; /* of the entries it has mentioned */
    uint64_t part, part_ms;
    uint64_t ask_ms; /* not to be asked before */
    uint32_t ask_gap_ms;
    char id[PRESENCE_NODE_LEN];
    char name[PRESENCE_NODE_NAME_MAX];
    size_t name_len;
    struct presence_relay relay;
};

static struct str peer_key(const struct map_node *n)
{
    const struct peer *peer = const_container_of(n, struct peer, by_id);
    return (struct str){peer->id, sizeof(peer->id)};
}

static struct str tag_key(const struct map_node *n)
{
    const struct peer *peer = const_container_of(n, struct peer, by_tag);
    return (struct str){peer->relay.tag, sizeof(peer->relay.tag)};
}

static struct presence_entry *entry_at(struct list *n)
{
    return container_of(n, struct presence_entry, in_source);
}

void presence_peers_tell(const struct presence_peers *pp,
                         const struct presence_entry *e,
                         enum presence_event what)
{
    pp->ops->event(pp->owner, e->nsp, e->group_name, e->key, e->meta, what);
}

static void tell_peer(const struct presence_peers *pp, const struct peer *peer,
                      enum presence_peer what)
{
    pp->ops->peer(pp->owner, peer_key(&peer->by_id),
                  (struct str){peer->name, peer->name_len}, what);
}

struct names {
    cluster_peer_fn *each;
    void *arg;
};

static void each_name(struct map_node *n, void *arg)
{
    const struct peer *peer = container_of(n, struct peer, by_id);
    const struct names *names = arg;
    names->each(names->arg, (struct str){peer->name, peer->name_len});
}

void presence_peers_each(struct presence_peers *pp, cluster_peer_fn *each,
                         void *arg)
{
    struct names names = {each, arg};
    map_each(&pp->by_id, each_name, &names);
}

/* ---- coming and going ---------------------------------------------------- */

static void set_name(struct peer *peer, const struct presence_message *m)
{
    memcpy(peer->name, m->name, sizeof(peer->name));
    peer->name_len = m->name_len;
}

static void drop_relay(struct presence_peers *pp, struct peer *peer)
{
    if (peer->relay.address_len > 0)
        map_remove(&pp->by_tag, &peer->by_tag);
    peer->relay.address_len = 0;
}

static bool same_relay(const struct presence_relay *a,
                       const struct presence_relay *b)
{
    return a->address_len == b->address_len &&
           memcmp(a->address, b->address, a->address_len) == 0 &&
           memcmp(a->tag, b->tag, sizeof(a->tag)) == 0 &&
           memcmp(a->token, b->token, sizeof(a->token)) == 0;
}

/* Of two that say they have the same tag, the first keeps it. */
static void set_relay(struct presence_peers *pp, struct peer *peer,
                      const struct presence_relay *r)
{
    if (same_relay(&peer->relay, r))
        return;
    drop_relay(pp, peer);
    if (r->address_len == 0 ||
        map_get(&pp->by_tag, (struct str){r->tag, sizeof(r->tag)}))
        return;
    peer->relay = *r;
    map_put(&pp->by_tag, &peer->by_tag);
}

const struct presence_relay *
presence_peers_relay(const struct presence_peers *pp, struct str tag)
{
    const struct map_node *n = map_get(&pp->by_tag, tag);
    return n ? &const_container_of(n, struct peer, by_tag)->relay : NULL;
}

static struct peer *peer_new(struct presence_peers *pp,
                             const struct presence_message *m)
{
    struct peer *peer = mem_zalloc(sizeof(*peer));
    memcpy(peer->id, m->node.p, sizeof(peer->id));
    set_name(peer, m);
    peer->ask_gap_ms = ASK_MIN_MS;
    presence_source_init(&peer->source, false);
    map_put(&pp->by_id, &peer->by_id);
    tell_peer(pp, peer, PEER_FOUND);
    return peer;
}

static void drop_entry(struct presence_peers *pp, struct presence_entry *e,
                       enum presence_event what)
{
    presence_table_remove(pp->table, e);
    presence_peers_tell(pp, e, what);
    presence_entry_free(e);
}

static void drop_entries(struct presence_peers *pp, struct peer *peer,
                         enum presence_event what)
{
    while (!list_empty(&peer->source.order))
        drop_entry(pp, entry_at(peer->source.order.next), what);
}

static void drop_peer(struct presence_peers *pp, struct peer *peer,
                      enum presence_peer what)
{
    map_remove(&pp->by_id, &peer->by_id);
    drop_relay(pp, peer);
    tell_peer(pp, peer, what);
    drop_entries(pp, peer, what == PEER_LEFT ? PRESENCE_LEAVE : PRESENCE_LOST);
    presence_source_fini(&peer->source);
    mem_free(peer);
}

static void renew(struct map_node *n, void *arg)
{
    struct peer *peer = container_of(n, struct peer, by_id);
    uint64_t heard_ms = *(const uint64_t *)arg;
    if (peer->heard_ms < heard_ms)
        peer->heard_ms = heard_ms;
    peer->filling = false;
}

void presence_peers_renew(struct presence_peers *pp, uint64_t heard_ms)
{
    map_each(&pp->by_id, renew, &heard_ms);
}

struct expiry {
    struct presence_peers *pp;
    uint64_t until_ms;
};

static void expire(struct map_node *n, void *arg)
{
    const struct expiry *x = arg;
    struct peer *peer = container_of(n, struct peer, by_id);
    if (peer->heard_ms <= x->until_ms)
        drop_peer(x->pp, peer, PEER_LOST);
}

void presence_peers_expire(struct presence_peers *pp, uint64_t until_ms)
{
    struct expiry x = {pp, until_ms};
    map_each(&pp->by_id, expire, &x);
}

/* ---- messages ------------------------------------------------------------ */

/* One message and what it is about. */
struct taking {
    struct presence_peers *pp;
    struct peer *peer;
    const struct json *tape;
    const struct presence_message *m;
    uint64_t now_ms;
    bool ask;
};

/* A peer that stays inexact however often it answers (it may hold more than we
 * keep) is asked less and less often. */
static void ask(struct taking *t)
{
    struct peer *peer = t->peer;
    if (t->now_ms < peer->ask_ms)
        return;
    peer->ask_ms = t->now_ms + peer->ask_gap_ms;
    peer->ask_gap_ms *= 2;
    if (peer->ask_gap_ms > ASK_MAX_MS)
        peer->ask_gap_ms = ASK_MAX_MS;
    t->ask = true;
}

static int apply_set(struct taking *t, uint32_t node)
{
    struct str meta;
    struct presence_entry *e = NULL;
    struct buf *id = &t->pp->id;
    int rc = wire_presence_read(t->tape, node, id, &meta);
    if (rc < 0)
        return rc;
    rc = presence_table_put(t->pp->table, &t->peer->source, buf_str(id), meta,
                            &e);
    if (e)
        e->mark = t->peer->mark;
    if (rc < 0 || rc == PRESENCE_SAME)
        return rc;
    assert(e);
    presence_peers_tell(t->pp, e,
                        rc == PRESENCE_NEW ? PRESENCE_ENTER : PRESENCE_UPDATE);
    return 0;
}

static int apply_del(struct taking *t, uint32_t node)
{
    struct buf *id = &t->pp->id;
    int rc = wire_presence_read(t->tape, node, id, NULL);
    if (rc < 0)
        return rc;
    struct presence_entry *e =
        presence_table_find(&t->peer->source, buf_str(id));
    if (e)
        drop_entry(t->pp, e, PRESENCE_LEAVE);
    return 0;
}

static int on_state(struct taking *t)
{
    struct peer *peer = t->peer;
    const struct presence_message *m = t->m;
    /* We may know it from a message that does not tell. */
    set_name(peer, m);
    set_relay(t->pp, peer, &m->relay);
    if (peer->filling && t->now_ms - peer->part_ms < STALL_MS)
        return 0;
    peer->filling = false;
    /* Nothing needs no telling. */
    if (m->count == 0) {
        drop_entries(t->pp, peer, PRESENCE_LEAVE);
        peer->seq = m->seq;
        peer->exact = true;
    }
    if (peer->exact && m->seq == peer->seq &&
        m->count == peer->source.entries.count)
        peer->ask_gap_ms = ASK_MIN_MS;
    else
        ask(t);
    return 0;
}

static int on_change(struct taking *t)
{
    struct peer *peer = t->peer;
    const struct presence_message *m = t->m;
    if (m->seq <= peer->seq)
        return 0;
    if (m->seq != peer->seq + 1) {
        peer->filling = false;
        peer->exact = false;
        ask(t);
    }
    peer->seq = m->seq;
    int rc = m->type == PRESENCE_SET ? apply_set(t, m->entry)
                                     : apply_del(t, m->entry);
    if (rc < 0)
        peer->exact = false;
    return rc;
}

/* Whether the part is the one to be taken now. */
static bool expects(struct taking *t)
{
    struct peer *peer = t->peer;
    const struct presence_message *m = t->m;
    if (m->part == 0) {
        /* Somebody else may have asked: we might have it all. */
        peer->filling = !peer->exact || m->seq != peer->seq ||
                        m->count != peer->source.entries.count;
        if (peer->filling) {
            peer->exact = false;
            peer->seq = m->seq;
            peer->part = 0;
            peer->mark++;
        }
    } else if (peer->filling &&
               (m->part != peer->part || m->seq != peer->seq)) {
        peer->filling = false;
        ask(t);
    }
    return peer->filling;
}

static void drop_unmentioned(struct presence_peers *pp, struct peer *peer)
{
    struct list *n = peer->source.order.next;
    while (n != &peer->source.order) {
        struct presence_entry *e = entry_at(n);
        n = n->next;
        if (e->mark != peer->mark)
            drop_entry(pp, e, PRESENCE_LEAVE);
    }
}

static int on_full(struct taking *t)
{
    struct peer *peer = t->peer;
    const struct presence_message *m = t->m;
    if (!expects(t))
        return 0;
    peer->part++;
    peer->part_ms = t->now_ms;
    int rc = 0;
    for (uint32_t at = json_first(t->tape, m->entry); at != JSON_NONE;
         at = json_next(t->tape, m->entry, at)) {
        int one = apply_set(t, at);
        if (one < 0)
            rc = one;
    }
    if (!m->last)
        return rc;
    peer->filling = false;
    drop_unmentioned(t->pp, peer);
    /* What was refused in an earlier part shows in the count. */
    peer->exact = rc == 0 && m->count == peer->source.entries.count;
    if (peer->exact)
        peer->ask_gap_ms = ASK_MIN_MS;
    return rc;
}

static int on_want(struct taking *t)
{
    (void)t; /* that it was heard is all there is to it */
    return 0;
}

static int on_bye(struct taking *t)
{
    drop_peer(t->pp, t->peer, PEER_LEFT);
    return 0;
}

static int (*const handlers[PRESENCE_TYPES])(struct taking *t) = {
    [PRESENCE_HELLO] = on_state, [PRESENCE_BEAT] = on_state,
    [PRESENCE_SET] = on_change,  [PRESENCE_DEL] = on_change,
    [PRESENCE_FULL] = on_full,   [PRESENCE_WANT] = on_want,
    [PRESENCE_BYE] = on_bye,
};

int presence_peers_take(struct presence_peers *pp, const struct json *tape,
                        const struct presence_message *m, uint64_t now_ms,
                        bool *ask_out)
{
    assert(m->type < PRESENCE_TYPES);
    struct map_node *n = map_get(&pp->by_id, m->node);
    if (!n && m->type == PRESENCE_BYE)
        return 0;
    if (!n && pp->by_id.count >= PRESENCE_PEERS_MAX)
        return ERR_LIMIT;
    struct taking t = {.pp = pp, .tape = tape, .m = m, .now_ms = now_ms};
    t.peer = n ? container_of(n, struct peer, by_id) : peer_new(pp, m);
    t.peer->heard_ms = now_ms; /* no more grace */
    int rc = handlers[m->type](&t);
    *ask_out = t.ask;
    return rc;
}

/* ---- life ---------------------------------------------------------------- */

void presence_peers_init(struct presence_peers *pp,
                         struct presence_table *table,
                         const struct presence_ops *ops, void *owner)
{
    pp->ops = ops;
    pp->owner = owner;
    pp->table = table;
    map_init(&pp->by_id, peer_key);
    map_init(&pp->by_tag, tag_key);
    buf_init(&pp->id, PRESENCE_MESSAGE_MAX);
}

static void free_peer(struct map_node *n, void *arg)
{
    struct presence_peers *pp = arg;
    struct peer *peer = container_of(n, struct peer, by_id);
    map_remove(&pp->by_id, n);
    drop_relay(pp, peer);
    presence_table_clear(pp->table, &peer->source);
    presence_source_fini(&peer->source);
    mem_free(peer);
}

void presence_peers_fini(struct presence_peers *pp)
{
    map_each(&pp->by_id, free_peer, pp);
    map_fini(&pp->by_id);
    map_fini(&pp->by_tag);
    buf_fini(&pp->id);
}
