#include "adapter/presence.h"

#include <assert.h>

#include "common/mem.h"
#include "common/utf8.h"

enum {
    PART_GAP_MS = 5,      /* between the parts of an answer */
    ANSWER_MIN_MS = 20,   /* others may ask as well */
    ANSWER_GAP_MS = 1000, /* between answers */
    BEAT_GAP_MS = 250,    /* however many say hello */
    WANT_MIN_MS = 1000,   /* between questions to one peer */
    WANT_MAX_MS = 30000,
    STALL_MS = 2000, /* a part of an answer that does not come */
};

/* What we have of a peer is `exact` when it was told from the beginning, or by
 * a whole answer, and nothing was missed since. Only then do equal numbers mean
 * equal entries. */
struct peer {
    struct map_node by_id;
    struct presence_source source;
    uint64_t heard_ms;
    uint64_t seq;
    bool exact;
    bool filling;  /* an answer is being received */
    uint32_t mark; /* of the entries it has mentioned */
    uint64_t part, part_ms;
    uint64_t want_ms; /* not to be asked before */
    uint32_t want_gap_ms;
    char id[PRESENCE_NODE_LEN];
    char name[PRESENCE_NODE_NAME_MAX];
    size_t name_len;
};

/* An answer that is being given. */
struct answer {
    bool due, running, again;
    uint64_t due_ms; /* of its next part */
    uint64_t last_ms;
    uint64_t part;
    struct list *next; /* entry to be told next; the list's head at the end */
};

struct presence {
    const struct presence_ops *ops;
    void *owner;
    uint32_t lease_ms;
    bool up;
    uint64_t echo_ms; /* when we last heard ourselves */
    uint64_t beat_ms, next_beat_ms, next_sweep_ms;
    uint64_t seq;
    struct presence_source own;
    struct answer answer;
    struct map peers;
    struct presence_table table;
    struct json tape;      /* of the message being handled */
    struct json meta_tape; /* of own meta, which may be set meanwhile */
    struct buf out, id;
    char node[PRESENCE_NODE_LEN];
    char name[PRESENCE_NODE_NAME_MAX];
    size_t name_len;
};

static struct str peer_key(const struct map_node *n)
{
    const struct peer *peer = const_container_of(n, struct peer, by_id);
    return (struct str){peer->id, sizeof(peer->id)};
}

static struct presence_entry *entry_at(struct list *n)
{
    return container_of(n, struct presence_entry, in_source);
}

/* ---- sending ------------------------------------------------------------- */

static void begin(struct presence *p, enum presence_type type)
{
    wire_presence_begin(&p->out, type, (struct str){p->node, sizeof(p->node)});
}

static void finish(struct presence *p)
{
    wire_presence_end(&p->out);
    assert(!p->out.full); /* all its parts are bounded */
    p->ops->send(p->owner, buf_str(&p->out));
}

static void send_state(struct presence *p, enum presence_type type,
                       uint64_t now_ms)
{
    begin(p, type);
    wire_presence_number(&p->out, "seq", p->seq);
    wire_presence_number(&p->out, "count", p->own.entries.count);
    wire_presence_text(&p->out, "name", (struct str){p->name, p->name_len});
    p->beat_ms = now_ms;
    p->next_beat_ms = now_ms + p->lease_ms / 4;
    finish(p);
}

/* A change of our own; when it cannot be told now, the others will find out by
 * the number. */
static void send_change(struct presence *p, enum presence_type type,
                        const struct presence_entry *e)
{
    p->seq++;
    if (!p->up)
        return;
    begin(p, type);
    wire_presence_number(&p->out, "seq", p->seq);
    wire_presence_entry(&p->out, e, type == PRESENCE_SET);
    finish(p);
}

static void send_part(struct presence *p, uint64_t now_ms)
{
    struct answer *a = &p->answer;
    if (!a->running) {
        a->running = true;
        a->part = 0;
        a->next = p->own.order.next;
    }
    begin(p, PRESENCE_FULL);
    wire_presence_number(&p->out, "seq", p->seq);
    wire_presence_number(&p->out, "count", p->own.entries.count);
    wire_presence_number(&p->out, "part", a->part++);
    a->due_ms = now_ms + PART_GAP_MS;
    if (wire_presence_entries(&p->out, &p->own, &a->next)) {
        a->running = false;
        a->last_ms = now_ms;
        a->due = a->again;
        a->again = false;
        a->due_ms = now_ms + ANSWER_GAP_MS;
    }
    finish(p);
}

static void schedule_answer(struct presence *p, uint64_t now_ms)
{
    struct answer *a = &p->answer;
    if (a->due) {
        /* Whoever asks now may have missed the first parts. */
        a->again = a->running;
        return;
    }
    a->due = true;
    a->due_ms = now_ms + ANSWER_MIN_MS;
    if (a->last_ms > 0 && a->due_ms < a->last_ms + ANSWER_GAP_MS)
        a->due_ms = a->last_ms + ANSWER_GAP_MS;
}

/* A peer that stays inexact however often it answers (it may hold more than we
 * keep) is asked less and less often. */
static void want(struct presence *p, struct peer *peer, uint64_t now_ms)
{
    if (!p->up || now_ms < peer->want_ms)
        return;
    peer->want_ms = now_ms + peer->want_gap_ms;
    peer->want_gap_ms *= 2;
    if (peer->want_gap_ms > WANT_MAX_MS)
        peer->want_gap_ms = WANT_MAX_MS;
    begin(p, PRESENCE_WANT);
    wire_presence_text(&p->out, "of", peer_key(&peer->by_id));
    finish(p);
}

/* ---- own entries --------------------------------------------------------- */

static void tell(const struct presence *p, const struct presence_entry *e,
                 enum presence_event what)
{
    assert(e);
    p->ops->event(p->owner, e->nsp, e->group_name, e->key, e->meta, what);
}

int presence_set(struct presence *p, struct str nsp, struct str group,
                 struct str key, struct str meta)
{
    struct presence_entry *e = NULL;
    if (meta.len == 0)
        meta = STR("null");
    if (!utf8_valid(nsp) || !utf8_valid(group) || !utf8_valid(key))
        return ERR_PROTO;
    int rc = presence_id(&p->id, nsp, group, key);
    if (rc == 0)
        rc = wire_presence_check_meta(&p->meta_tape, meta);
    if (rc == 0)
        rc = presence_table_put(&p->table, &p->own, buf_str(&p->id), meta, &e);
    if (rc < 0 || rc == PRESENCE_SAME)
        return rc;
    send_change(p, PRESENCE_SET, e);
    tell(p, e, rc == PRESENCE_NEW ? PRESENCE_ENTER : PRESENCE_UPDATE);
    return 0;
}

static void clear_own(struct presence *p, struct presence_entry *e)
{
    if (p->answer.running && p->answer.next == &e->in_source)
        p->answer.next = e->in_source.next;
    presence_table_remove(&p->table, e);
    send_change(p, PRESENCE_DEL, e);
    tell(p, e, PRESENCE_LEAVE);
    presence_entry_free(e);
}

void presence_clear(struct presence *p, struct str nsp, struct str group,
                    struct str key)
{
    if (presence_id(&p->id, nsp, group, key) < 0)
        return;
    struct presence_entry *e = presence_table_find(&p->own, buf_str(&p->id));
    if (e)
        clear_own(p, e);
}

void presence_clear_member(struct presence *p, struct str nsp, struct str key)
{
    struct presence_bag *bag = presence_table_member(&p->table, nsp, key);
    /* The bag goes with its last entry. */
    for (size_t left = bag ? bag->n : 0; left > 0; left--)
        clear_own(p, container_of(bag->entries.next, struct presence_entry,
                                  in_member));
}

void presence_clear_namespace(struct presence *p, struct str nsp)
{
    struct list *n = p->own.order.next;
    while (n != &p->own.order) {
        struct presence_entry *e = entry_at(n);
        n = n->next;
        if (str_eq(e->nsp, nsp))
            clear_own(p, e);
    }
}

/* ---- reading ------------------------------------------------------------- */

size_t presence_count(const struct presence *p, struct str nsp,
                      struct str group)
{
    const struct presence_bag *bag =
        presence_table_group(&p->table, nsp, group);
    return bag ? bag->n : 0;
}

void presence_each(const struct presence *p, struct str nsp, struct str group,
                   bool (*each)(void *arg, struct str key, struct str meta),
                   void *arg)
{
    struct presence_bag *bag = presence_table_group(&p->table, nsp, group);
    if (!bag)
        return;
    for (struct list *n = bag->entries.next; n != &bag->entries; n = n->next) {
        struct presence_entry *e =
            container_of(n, struct presence_entry, in_group);
        if (!each(arg, e->key, e->meta))
            return;
    }
}

size_t presence_peers(const struct presence *p)
{
    return p->peers.count;
}

/* ---- peers --------------------------------------------------------------- */

static void tell_peer(struct presence *p, const struct peer *peer,
                      enum presence_peer what)
{
    p->ops->peer(p->owner, peer_key(&peer->by_id),
                 (struct str){peer->name, peer->name_len}, what);
}

static void set_name(struct peer *peer, const struct presence_message *m)
{
    memcpy(peer->name, m->name, sizeof(peer->name));
    peer->name_len = m->name_len;
}

static struct peer *peer_new(struct presence *p,
                             const struct presence_message *m)
{
    struct peer *peer = mem_zalloc(sizeof(*peer));
    memcpy(peer->id, m->node.p, sizeof(peer->id));
    set_name(peer, m);
    peer->want_gap_ms = WANT_MIN_MS;
    presence_source_init(&peer->source, false);
    map_put(&p->peers, &peer->by_id);
    tell_peer(p, peer, PEER_FOUND);
    return peer;
}

static void drop_entry(struct presence *p, struct presence_entry *e,
                       enum presence_event what)
{
    presence_table_remove(&p->table, e);
    tell(p, e, what);
    presence_entry_free(e);
}

static void drop_entries(struct presence *p, struct peer *peer,
                         enum presence_event what)
{
    while (!list_empty(&peer->source.order))
        drop_entry(p, entry_at(peer->source.order.next), what);
}

static void drop_peer(struct presence *p, struct peer *peer,
                      enum presence_peer what)
{
    map_remove(&p->peers, &peer->by_id);
    tell_peer(p, peer, what);
    drop_entries(p, peer, what == PEER_LEFT ? PRESENCE_LEAVE : PRESENCE_LOST);
    presence_source_fini(&peer->source);
    mem_free(peer);
}

static void fresh_lease(struct map_node *n, void *arg)
{
    struct peer *peer = container_of(n, struct peer, by_id);
    peer->heard_ms = *(const uint64_t *)arg;
    peer->filling = false;
}

static void sweep(struct map_node *n, void *arg)
{
    struct presence *p = arg;
    struct peer *peer = container_of(n, struct peer, by_id);
    if (p->echo_ms >= peer->heard_ms + p->lease_ms)
        drop_peer(p, peer, PEER_LOST);
}

/* Our own message came back: what the others sent would have come, too. */
static void on_echo(struct presence *p, uint64_t now_ms)
{
    if (now_ms - p->echo_ms > p->lease_ms / 2)
        map_each(&p->peers, fresh_lease, &now_ms);
    p->echo_ms = now_ms;
    if (now_ms < p->next_sweep_ms)
        return;
    p->next_sweep_ms = now_ms + p->lease_ms / 8;
    map_each(&p->peers, sweep, p);
}

/* ---- messages of peers --------------------------------------------------- */

static int apply_set(struct presence *p, struct peer *peer, uint32_t node)
{
    struct str meta;
    struct presence_entry *e = NULL;
    int rc = wire_presence_read(&p->tape, node, &p->id, &meta);
    if (rc < 0)
        return rc;
    rc =
        presence_table_put(&p->table, &peer->source, buf_str(&p->id), meta, &e);
    if (e)
        e->mark = peer->mark;
    if (rc < 0 || rc == PRESENCE_SAME)
        return rc;
    assert(e);
    tell(p, e, rc == PRESENCE_NEW ? PRESENCE_ENTER : PRESENCE_UPDATE);
    return 0;
}

static int apply_del(struct presence *p, struct peer *peer, uint32_t node)
{
    int rc = wire_presence_read(&p->tape, node, &p->id, NULL);
    if (rc < 0)
        return rc;
    struct presence_entry *e =
        presence_table_find(&peer->source, buf_str(&p->id));
    if (e)
        drop_entry(p, e, PRESENCE_LEAVE);
    return 0;
}

static int on_state(struct presence *p, struct peer *peer,
                    const struct presence_message *m, uint64_t now_ms)
{
    /* We may know it from a message that does not tell. */
    set_name(peer, m);
    if (peer->filling && now_ms - peer->part_ms < STALL_MS)
        return 0;
    peer->filling = false;
    /* Nothing needs no telling. */
    if (m->count == 0) {
        drop_entries(p, peer, PRESENCE_LEAVE);
        peer->seq = m->seq;
        peer->exact = true;
    }
    if (peer->exact && m->seq == peer->seq &&
        m->count == peer->source.entries.count)
        peer->want_gap_ms = WANT_MIN_MS;
    else
        want(p, peer, now_ms);
    return 0;
}

static int on_hello(struct presence *p, struct peer *peer,
                    const struct presence_message *m, uint64_t now_ms)
{
    uint64_t soon = p->beat_ms + BEAT_GAP_MS;
    if (soon < now_ms)
        soon = now_ms;
    if (soon < p->next_beat_ms)
        p->next_beat_ms = soon;
    return on_state(p, peer, m, now_ms);
}

static int on_change(struct presence *p, struct peer *peer,
                     const struct presence_message *m, uint64_t now_ms)
{
    if (m->seq <= peer->seq)
        return 0;
    if (m->seq != peer->seq + 1) {
        peer->filling = false;
        peer->exact = false;
        want(p, peer, now_ms);
    }
    peer->seq = m->seq;
    int rc = m->type == PRESENCE_SET ? apply_set(p, peer, m->entry)
                                     : apply_del(p, peer, m->entry);
    if (rc < 0)
        peer->exact = false;
    return rc;
}

/* Whether the part is the one to be taken now. */
static bool expects(struct presence *p, struct peer *peer,
                    const struct presence_message *m, uint64_t now_ms)
{
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
        want(p, peer, now_ms);
    }
    return peer->filling;
}

static void drop_unmentioned(struct presence *p, struct peer *peer)
{
    struct list *n = peer->source.order.next;
    while (n != &peer->source.order) {
        struct presence_entry *e = entry_at(n);
        n = n->next;
        if (e->mark != peer->mark)
            drop_entry(p, e, PRESENCE_LEAVE);
    }
}

static int on_full(struct presence *p, struct peer *peer,
                   const struct presence_message *m, uint64_t now_ms)
{
    if (!expects(p, peer, m, now_ms))
        return 0;
    peer->part++;
    peer->part_ms = now_ms;
    int rc = 0;
    for (uint32_t at = json_first(&p->tape, m->entry); at != JSON_NONE;
         at = json_next(&p->tape, m->entry, at)) {
        int one = apply_set(p, peer, at);
        if (one < 0)
            rc = one;
    }
    if (!m->last)
        return rc;
    peer->filling = false;
    drop_unmentioned(p, peer);
    /* What was refused in an earlier part shows in the count. */
    peer->exact = rc == 0 && m->count == peer->source.entries.count;
    if (peer->exact)
        peer->want_gap_ms = WANT_MIN_MS;
    return rc;
}

static int on_want(struct presence *p, struct peer *peer,
                   const struct presence_message *m, uint64_t now_ms)
{
    (void)peer;
    if (str_eq(m->of, (struct str){p->node, sizeof(p->node)}))
        schedule_answer(p, now_ms);
    return 0;
}

static int on_bye(struct presence *p, struct peer *peer,
                  const struct presence_message *m, uint64_t now_ms)
{
    (void)m;
    (void)now_ms;
    drop_peer(p, peer, PEER_LEFT);
    return 0;
}

static int (*const handlers[PRESENCE_TYPES])(struct presence *p,
                                             struct peer *peer,
                                             const struct presence_message *m,
                                             uint64_t now_ms) = {
    [PRESENCE_HELLO] = on_hello, [PRESENCE_BEAT] = on_state,
    [PRESENCE_SET] = on_change,  [PRESENCE_DEL] = on_change,
    [PRESENCE_FULL] = on_full,   [PRESENCE_WANT] = on_want,
    [PRESENCE_BYE] = on_bye,
};

int presence_receive(struct presence *p, struct str message, uint64_t now_ms)
{
    struct presence_message m;
    int rc = wire_presence_decode(&p->tape, message, &m);
    if (rc < 0)
        return rc;
    if (str_eq(m.node, (struct str){p->node, sizeof(p->node)})) {
        on_echo(p, now_ms);
        return 0;
    }
    /* A later version will know what it does. */
    if (m.type == PRESENCE_TYPES)
        return 0;
    struct map_node *n = map_get(&p->peers, m.node);
    if (!n && m.type == PRESENCE_BYE)
        return 0;
    if (!n && p->peers.count >= PRESENCE_PEERS_MAX)
        return ERR_LIMIT;
    struct peer *peer =
        n ? container_of(n, struct peer, by_id) : peer_new(p, &m);
    peer->heard_ms = now_ms;
    return handlers[m.type](p, peer, &m, now_ms);
}

/* ---- time ---------------------------------------------------------------- */

void presence_up(struct presence *p, uint64_t now_ms)
{
    p->up = true;
    p->echo_ms = now_ms;
    map_each(&p->peers, fresh_lease, &now_ms);
    send_state(p, PRESENCE_HELLO, now_ms);
}

void presence_down(struct presence *p)
{
    p->up = false;
    p->answer = (struct answer){0};
}

void presence_bye(struct presence *p)
{
    if (!p->up)
        return;
    begin(p, PRESENCE_BYE);
    finish(p);
    presence_down(p);
}

void presence_tick(struct presence *p, uint64_t now_ms)
{
    if (!p->up)
        return;
    if (now_ms >= p->next_beat_ms)
        send_state(p, PRESENCE_BEAT, now_ms);
    if (p->answer.due && now_ms >= p->answer.due_ms)
        send_part(p, now_ms);
}

uint64_t presence_due(const struct presence *p)
{
    if (!p->up)
        return UINT64_MAX;
    if (p->answer.due && p->answer.due_ms < p->next_beat_ms)
        return p->answer.due_ms;
    return p->next_beat_ms;
}

/* ---- life ---------------------------------------------------------------- */

struct presence *presence_new(struct str node, struct str name,
                              uint32_t lease_ms, const struct presence_ops *ops,
                              void *owner)
{
    assert(wire_presence_is_node(node));
    struct presence *p = mem_zalloc(sizeof(*p));
    p->ops = ops;
    p->owner = owner;
    p->lease_ms = lease_ms;
    memcpy(p->node, node.p, sizeof(p->node));
    p->name_len = name.len < sizeof(p->name) ? name.len : sizeof(p->name);
    memcpy(p->name, name.p, p->name_len);
    presence_source_init(&p->own, true);
    map_init(&p->peers, peer_key);
    presence_table_init(&p->table);
    json_init(&p->tape);
    json_init(&p->meta_tape);
    buf_init(&p->out, PRESENCE_MESSAGE_MAX);
    buf_init(&p->id, PRESENCE_MESSAGE_MAX);
    return p;
}

static void free_entries(struct presence *p, struct presence_source *s)
{
    while (!list_empty(&s->order)) {
        struct presence_entry *e = entry_at(s->order.next);
        presence_table_remove(&p->table, e);
        presence_entry_free(e);
    }
    presence_source_fini(s);
}

static void free_peer(struct map_node *n, void *arg)
{
    struct presence *p = arg;
    struct peer *peer = container_of(n, struct peer, by_id);
    map_remove(&p->peers, n);
    free_entries(p, &peer->source);
    mem_free(peer);
}

void presence_free(struct presence *p)
{
    if (!p)
        return;
    map_each(&p->peers, free_peer, p);
    map_fini(&p->peers);
    free_entries(p, &p->own);
    presence_table_fini(&p->table);
    json_fini(&p->tape);
    json_fini(&p->meta_tape);
    buf_fini(&p->out);
    buf_fini(&p->id);
    mem_free(p);
}
