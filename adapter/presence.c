#include "adapter/presence.h"

#include <assert.h>

#include "common/mem.h"
#include "common/utf8.h"

enum {
    PART_GAP_MS = 5,      /* between the parts of an answer */
    ANSWER_MIN_MS = 20,   /* others may ask as well */
    ANSWER_GAP_MS = 1000, /* between answers */
    BEAT_GAP_MS = 250,    /* however many say hello */
    RETURN_MS = 4000,     /* until a node is back after Redis is, at most */
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
    struct presence_peers peers;
    struct presence_table table;
    struct json tape;      /* of the message being handled */
    struct json meta_tape; /* of own meta, which may be set meanwhile */
    struct buf out, id;
    char node[PRESENCE_NODE_LEN];
    char name[PRESENCE_NODE_NAME_MAX];
    size_t name_len;
    struct presence_relay relay;
};

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
    wire_presence_relay(&p->out, &p->relay);
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

static void send_want(struct presence *p, struct str node)
{
    if (!p->up)
        return;
    begin(p, PRESENCE_WANT);
    wire_presence_text(&p->out, "of", node);
    finish(p);
}

/* ---- own entries --------------------------------------------------------- */

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
    presence_peers_tell(&p->peers, e,
                        rc == PRESENCE_NEW ? PRESENCE_ENTER : PRESENCE_UPDATE);
    return 0;
}

static void clear_own(struct presence *p, struct presence_entry *e)
{
    if (p->answer.running && p->answer.next == &e->in_source)
        p->answer.next = e->in_source.next;
    presence_table_remove(&p->table, e);
    send_change(p, PRESENCE_DEL, e);
    presence_peers_tell(&p->peers, e, PRESENCE_LEAVE);
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

void presence_each_peer(struct presence *p, cluster_peer_fn *each, void *arg)
{
    presence_peers_each(&p->peers, each, arg);
}

size_t presence_peers(const struct presence *p)
{
    return p->peers.by_id.count;
}

void presence_announce(struct presence *p, const struct presence_relay *r)
{
    p->relay = *r;
}

const struct presence_relay *presence_relay_of(const struct presence *p,
                                               struct str tag)
{
    return presence_peers_relay(&p->peers, tag);
}

/* ---- receiving ----------------------------------------------------------- */

/* Our own message came back: what the others sent would have come, too. */
static void on_echo(struct presence *p, uint64_t now_ms)
{
    if (now_ms - p->echo_ms > p->lease_ms / 2)
        presence_peers_renew(&p->peers, now_ms);
    p->echo_ms = now_ms;
    if (now_ms < p->next_sweep_ms)
        return;
    p->next_sweep_ms = now_ms + p->lease_ms / 8;
    if (now_ms >= p->lease_ms)
        presence_peers_expire(&p->peers, now_ms - p->lease_ms);
}

static void beat_soon(struct presence *p, uint64_t now_ms)
{
    uint64_t soon = p->beat_ms + BEAT_GAP_MS;
    if (soon < now_ms)
        soon = now_ms;
    if (soon < p->next_beat_ms)
        p->next_beat_ms = soon;
}

int presence_receive(struct presence *p, struct str message, uint64_t now_ms)
{
    struct presence_message m;
    int rc = wire_presence_decode(&p->tape, message, &m);
    if (rc < 0)
        return rc;
    struct str own = {p->node, sizeof(p->node)};
    if (str_eq(m.node, own)) {
        on_echo(p, now_ms);
        return 0;
    }
    /* A later version will know what it does. */
    if (m.type == PRESENCE_TYPES)
        return 0;
    bool ask = false;
    rc = presence_peers_take(&p->peers, &p->tape, &m, now_ms, &ask);
    if (ask)
        send_want(p, m.node);
    if (rc < 0)
        return rc;
    if (m.type == PRESENCE_HELLO)
        beat_soon(p, now_ms);
    else if (m.type == PRESENCE_WANT && str_eq(m.of, own))
        schedule_answer(p, now_ms);
    return 0;
}

/* ---- time ---------------------------------------------------------------- */

void presence_up(struct presence *p, uint64_t now_ms)
{
    p->up = true;
    p->echo_ms = now_ms;
    /* The others come back in their own time, however short the lease. */
    uint32_t more = p->lease_ms < RETURN_MS ? RETURN_MS - p->lease_ms : 0;
    presence_peers_renew(&p->peers, now_ms + more);
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
    presence_table_init(&p->table);
    presence_peers_init(&p->peers, &p->table, ops, owner);
    json_init(&p->tape);
    json_init(&p->meta_tape);
    buf_init(&p->out, PRESENCE_MESSAGE_MAX);
    buf_init(&p->id, PRESENCE_MESSAGE_MAX);
    return p;
}

void presence_free(struct presence *p)
{
    if (!p)
        return;
    presence_peers_fini(&p->peers);
    presence_table_clear(&p->table, &p->own);
    presence_source_fini(&p->own);
    presence_table_fini(&p->table);
    json_fini(&p->tape);
    json_fini(&p->meta_tape);
    buf_fini(&p->out);
    buf_fini(&p->id);
    mem_free(p);
}
