#include "tests/cluster/sim/ask.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"
#include "tests/cluster/sim/check.h"

enum {
    NAMES = 512,      /* in one answer */
    LATE_MS = 2000,   /* of an answer of a host, at most */
    SILENT_MS = 8000, /* a host gives up without an answer */
    ACK_BASE = 100,   /* an acknowledgement says life * ACK_BASE + member */
};

struct query {
    struct list link;
    enum ask_kind kind;
    unsigned life;
    uint64_t due_ms;
    bool open, exact;
    size_t want; /* if exact */
    size_t got;
    bool acked[LIVES][MEMBERS];
};

/* A question of another node that this one's host has not answered yet. */
struct held {
    struct list link;
    struct timer timer;
    struct place *place;
    struct adapter_asked *from;
    uint32_t members; /* who are to acknowledge; 0: it was an event */
    bool silent;
};

static struct list queries = {&queries, &queries};
static const struct query *asking; /* from inside whose call there is no end */
static bool calm, exact;

void ask_begin(void)
{
    struct list *n;
    while ((n = list_pop(&queries)))
        mem_free(container_of(n, struct query, link));
    asking = NULL;
    calm = exact = false;
}

void ask_calm(bool exactly)
{
    calm = true;
    exact = exactly;
}

/* ---- answers ------------------------------------------------------------- */

static const char *const kind_names[] = {
    [ASK_FETCH] = "fetch sockets",     [ASK_LIST] = "all rooms",
    [ASK_SERVERS] = "server count",    [ASK_VALUES] = "event to servers",
    [ASK_ACKS] = "broadcast with ack",
};

static uint64_t limit_of(const struct query *q)
{
    uint64_t paused = lives[q->life].link.paused_until;
    return (paused > q->due_ms ? paused : q->due_ms) + 1;
}

static void finish(struct query *q, size_t missing)
{
    const char *name = kind_names[q->kind];
    if (q == asking)
        sim_fail("a question (%s) ended inside the call", name);
    if (!q->open)
        sim_fail("a question (%s) ended twice", name);
    if (sim.now_ms > limit_of(q))
        sim_fail("a question (%s) ended too late", name);
    if (calm && missing)
        sim_fail("an answer (%s) lacks %zu nodes, and nothing is wrong", name,
                 missing);
    if (q->exact && q->got != q->want)
        sim_fail("an answer (%s) has %zu values instead of %zu", name, q->got,
                 q->want);
    q->open = false;
    sim.tally.queries++;
    sim.tally.partial += missing > 0;
    sim_note("answer", q->life, q->kind, q->got);
}

/* The strings that stand behind `lead` in the text, each of them once. */
static size_t distinct(struct str text, const char *lead)
{
    static struct str seen[NAMES];
    size_t n = 0;
    size_t len = strlen(lead);
    const char *p = text.p;
    const char *end = text.p + text.len;
    while ((p = memmem(p, (size_t)(end - p), lead, len))) {
        p += len;
        const char *q = p;
        while (q < end && *q != '"')
            q += *q == '\\' ? 2 : 1;
        struct str s = {p, (size_t)(q - p)};
        for (size_t i = 0; i < n; i++) {
            if (str_eq(seen[i], s))
                sim_fail("an answer has %.*s twice", STR_ARG(s));
        }
        if (n == NAMES)
            sim_fail("an answer is too long");
        seen[n++] = s;
        p = q + 1;
    }
    return n;
}

static void on_sockets(void *arg, struct str json, size_t missing)
{
    struct query *q = arg;
    q->got = distinct(json, "\"id\":\"");
    finish(q, missing);
}

static void on_rooms(void *arg, struct str json, size_t missing)
{
    struct query *q = arg;
    q->got = distinct(json, "\"");
    finish(q, missing);
}

static void on_servers(void *arg, size_t servers)
{
    struct query *q = arg;
    if (servers == 0)
        sim_fail("there are no servers at all");
    q->got = servers;
    finish(q, 0);
}

static void on_values(void *arg, struct str json, size_t missing)
{
    struct query *q = arg;
    q->got = distinct(json, "\"node-");
    finish(q, missing);
}

static void on_ack(void *arg, struct str json, struct bytes *const *bins,
                   size_t n_bins)
{
    struct query *q = arg;
    char text[16];
    (void)bins;
    (void)snprintf(text, sizeof(text), "%.*s", STR_ARG(json));
    unsigned long v = strtoul(text, NULL, 10);
    if (!q->open || n_bins || v / ACK_BASE >= LIVES ||
        v % ACK_BASE >= MEMBERS || q->acked[v / ACK_BASE][v % ACK_BASE])
        sim_fail("the acknowledgement %s comes out of turn, or twice", text);
    q->acked[v / ACK_BASE][v % ACK_BASE] = true;
    q->got++;
}

static void on_acks_done(void *arg, size_t missing)
{
    finish(arg, missing);
}

static const struct adapter_ask_ops ack_ops = {
    .answered = on_ack,
    .done = on_acks_done,
};

/* ---- asking -------------------------------------------------------------- */

static size_t wanted(const struct place *p, enum ask_kind kind,
                     const struct broadcast_plan *plan)
{
    size_t nodes = 0;
    size_t selected = 0;
    size_t members = 0;
    uint32_t rooms = 0;
    for (unsigned i = 0; i < LIVES; i++) {
        const struct place *at = &lives[i].at[p->nsp];
        if (lives[i].state != ALIVE)
            continue;
        nodes++;
        if (kind == ASK_FETCH || i != p->life)
            selected += (size_t)__builtin_popcount(check_selected(at, plan));
        for (unsigned m = 0; m < MEMBERS; m++) {
            members += at->here[m];
            rooms |= at->here[m] ? at->rooms[m] : 0;
        }
    }
    switch (kind) {
    case ASK_LIST:
        return members + (size_t)__builtin_popcount(rooms);
    case ASK_SERVERS:
        return nodes;
    case ASK_VALUES:
        return nodes - 1;
    default:
        return selected;
    }
}

static struct query *query_new(const struct place *p, enum ask_kind kind,
                               const struct broadcast_plan *plan)
{
    struct query *q = mem_zalloc(sizeof(*q));
    q->kind = kind;
    q->life = p->life;
    q->open = true;
    q->exact = exact;
    q->want = exact ? wanted(p, kind, plan) : 0;
    q->due_ms = sim.now_ms + ASK_TIMEOUT_MS;
    list_insert(&queries, &q->link);
    sim_note("question", p->life, kind, 0);
    asking = q;
    return q;
}

static void asked(int rc)
{
    asking = NULL;
    if (rc < 0)
        sim_fail("a question was refused");
}

void ask(struct place *p, enum ask_kind kind, const struct broadcast_plan *plan)
{
    struct selection s;
    selection_of(plan, &s);
    node_enter(&lives[p->life]);
    struct query *q = query_new(p, kind, plan);
    switch (kind) {
    case ASK_FETCH:
        asked(adapter_fetch_sockets(p->adapter, &s.b, on_sockets, q));
        break;
    case ASK_LIST:
        asked(adapter_all_rooms(p->adapter, on_rooms, q));
        break;
    case ASK_SERVERS:
        asked(adapter_server_count(p->adapter, on_servers, q));
        break;
    default:
        asked(adapter_server_emit_ack(p->adapter, STR("[\"who\"]"),
                                      ASK_TIMEOUT_MS, on_values, q));
        break;
    }
    node_exit(&lives[p->life]);
}

size_t ask_receivers(struct place *p, const struct broadcast_plan *plan,
                     struct packet *packet, const struct broadcast *b)
{
    struct query *q = query_new(p, ASK_ACKS, plan);
    asked(adapter_broadcast_ack(p->adapter, packet, b, ASK_TIMEOUT_MS, &ack_ops,
                                q));
    return 0;
}

void ask_check(bool all)
{
    for (struct list *n = queries.next; n != &queries; n = n->next) {
        const struct query *q = container_of(n, struct query, link);
        if (q->open && (all || sim.now_ms > limit_of(q)))
            sim_fail("a question (%s) of node %u never ended",
                     kind_names[q->kind], q->life);
    }
}

bool ask_open(void)
{
    for (struct list *n = queries.next; n != &queries; n = n->next) {
        if (container_of(n, struct query, link)->open)
            return true;
    }
    return false;
}

/* ---- commands ------------------------------------------------------------ */

struct picked {
    const struct place *place;
    uint32_t members;
};

static void pick(void *arg, struct member *m)
{
    struct picked *picked = arg;
    picked->members |= 1U << (unsigned)(m - picked->place->members);
}

static uint32_t pick_all(const struct place *p, const struct broadcast *b)
{
    struct picked picked = {p, 0};
    (void)rooms_select(adapter_rooms(p->adapter), b->rooms, b->n_rooms,
                       b->except, b->n_except, pick, &picked);
    return picked.members;
}

typedef void change_fn(struct place *p, unsigned member, unsigned room);

static void change_all(struct place *p, uint32_t members, unsigned room,
                       change_fn *change)
{
    for (unsigned m = 0; m < MEMBERS; m++) {
        if (members & 1U << m)
            change(p, m, room);
    }
}

static void change_rooms(struct place *p, const struct broadcast *b,
                         const struct room_names *names, change_fn *change)
{
    uint32_t members = pick_all(p, b);
    for (size_t i = 0; i < names->n; i++) {
        unsigned room = 0;
        while (room < ROOMS && !str_eq(names->v[i], str_of(room_names[room])))
            room++;
        if (room == ROOMS)
            sim_fail("a room that does not exist: %.*s", STR_ARG(names->v[i]));
        change_all(p, members, room, change);
    }
}

void ask_on_join(void *host, const struct broadcast *b,
                 const struct room_names *rooms)
{
    change_rooms(host, b, rooms, member_join);
}

void ask_on_leave(void *host, const struct broadcast *b,
                  const struct room_names *rooms)
{
    change_rooms(host, b, rooms, member_leave);
}

static void end_member(struct place *p, unsigned member, unsigned room)
{
    (void)room;
    member_remove(p, member);
}

void ask_on_disconnect(void *host, const struct broadcast *b, bool close)
{
    (void)close;
    change_all(host, pick_all(host, b), 0, end_member);
}

void ask_join(struct place *p, const struct broadcast_plan *plan, unsigned room,
              bool join)
{
    struct selection s;
    struct str name = str_of(room_names[room]);
    struct room_names names = {.v = &name, .n = 1};
    selection_of(plan, &s);
    node_enter(&lives[p->life]);
    sim_note(join ? "all join" : "all leave", p->life, room, plan->rooms);
    if (join)
        adapter_sockets_join(p->adapter, &s.b, &names);
    else
        adapter_sockets_leave(p->adapter, &s.b, &names);
    change_all(p, check_selected(p, plan), room,
               join ? member_join : member_leave);
    node_exit(&lives[p->life]);
}

void ask_disconnect(struct place *p, const struct broadcast_plan *plan)
{
    struct selection s;
    selection_of(plan, &s);
    node_enter(&lives[p->life]);
    sim_note("all end", p->life, plan->rooms, 0);
    adapter_sockets_disconnect(p->adapter, &s.b, true);
    change_all(p, check_selected(p, plan), 0, end_member);
    node_exit(&lives[p->life]);
}

/* ---- the host ------------------------------------------------------------ */

struct describing {
    struct buf *out;
    bool comma;
};

static void describe(void *arg, struct member *m)
{
    struct describing *d = arg;
    buf_fmt(d->out,
            "%s{\"id\":\"%.*s\",\"handshake\":{},\"rooms\":[],\"data\":null}",
            d->comma ? "," : "", STR_ARG(member_id(m)));
    d->comma = true;
}

void ask_on_describe(void *host, const struct broadcast *b, struct buf *out)
{
    const struct place *p = host;
    struct describing d = {out, false};
    (void)rooms_select(adapter_rooms(p->adapter), b->rooms, b->n_rooms,
                       b->except, b->n_except, describe, &d);
}

static void answer_event(const struct place *p, struct adapter_asked *from)
{
    char value[16];
    (void)snprintf(value, sizeof(value), "\"node-%u\"", p->life);
    adapter_answer(from, str_of(value), NULL, 0);
}

static void answer(const struct held *h)
{
    char value[16];
    if (!h->members && !h->silent)
        answer_event(h->place, h->from);
    for (unsigned m = 0; m < MEMBERS; m++) {
        if (!(h->members & 1U << m) || (h->silent && sim_chance(50)))
            continue;
        (void)snprintf(value, sizeof(value), "%u",
                       h->place->life * ACK_BASE + m);
        adapter_answer(h->from, str_of(value), NULL, 0);
    }
}

static void held_free(struct held *h)
{
    timer_stop(&h->timer);
    list_remove(&h->link);
    adapter_answered(h->from);
    mem_free(h);
}

static void on_time(struct timer *t)
{
    struct held *h = container_of(t, struct held, timer);
    answer(h);
    held_free(h);
}

static void hold(struct place *p, struct adapter_asked *from, uint32_t members)
{
    struct held *h = mem_zalloc(sizeof(*h));
    h->place = p;
    h->from = from;
    h->members = members;
    h->silent = !calm && sim_chance(10);
    timer_init(&h->timer, on_time);
    uint32_t ms = calm ? sim_below(50) : sim_below(LATE_MS);
    loop_timer(lives[p->life].loop, &h->timer, h->silent ? SILENT_MS : ms);
    list_insert(&p->asked, &h->link);
}

struct receiving {
    const struct place *place;
    struct str text;
    uint32_t members;
};

static void receive(void *arg, struct member *m)
{
    struct receiving *r = arg;
    unsigned member = (unsigned)(m - r->place->members);
    check_member(r->place, member, r->text);
    r->members |= 1U << member;
}

size_t ask_on_broadcast(void *host, struct packet *p, const struct broadcast *b,
                        uint32_t timeout_ms, struct adapter_asked *from)
{
    struct place *at = host;
    struct receiving r = {at, bytes_str(p->data), 0};
    if (timeout_ms != ASK_TIMEOUT_MS)
        sim_fail("another timeout than the one that was asked for");
    size_t n = rooms_select(adapter_rooms(at->adapter), b->rooms, b->n_rooms,
                            b->except, b->n_except, receive, &r);
    if (n > 0)
        hold(at, from, r.members);
    else
        adapter_answered(from);
    return n;
}

void ask_on_event(void *host, struct str data, struct adapter_asked *from)
{
    struct place *p = host;
    if (!str_eq(data, STR("[\"who\"]")))
        sim_fail("another event than the one that was sent");
    if (from && sim_chance(20)) {
        answer_event(p, from);
        adapter_answered(from);
    } else if (from) {
        hold(p, from, 0);
    }
}

void ask_forget(struct place *p)
{
    while (!list_empty(&p->asked))
        held_free(container_of(p->asked.next, struct held, link));
}
