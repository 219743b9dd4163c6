#include "tests/cluster/sim/bus.h"

#include <assert.h>

#include "common/loop.h"
#include "common/mem.h"
#include "tests/cluster/sim/check.h"
#include "tests/cluster/sim/client.h"
#include "tests/cluster/sim/sim.h"

enum {
    RESENT_MS = 250, /* what is sent again is late by so much, at most */
    LATE_MS = 50, /* what arrives of a lost connection; less than any pause */
    TURN_MESSAGES = 64,
};

struct conn {
    struct list all;
    struct link *link;
    struct redis *end; /* NULL: the node has given it up */
    struct server_client client;
    bool served;  /* Redis has it */
    bool deaf;    /* nothing passes */
    bool closing; /* closed by the node; what it has sent still arrives */
    uint32_t latency_ms;
    struct list there, back;    /* messages under way */
    uint64_t there_ms, back_ms; /* when the last of each arrives */
    uint64_t stalled_until;
    uint64_t linger_until;
};

static struct list links = {&links, &links};
static struct list conns = {&conns, &conns};
static bool server_up;
static uint64_t frozen_until;

static struct conn *conn_at(struct list *n)
{
    return container_of(n, struct conn, all);
}

static struct message *message_at(struct list *n)
{
    return container_of(n, struct message, link);
}

static struct message *pop(struct list *messages)
{
    struct list *n = list_pop(messages);
    assert(n);
    return message_at(n);
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- messages ------------------------------------------------------------ */

struct message *message_new(struct bytes *command)
{
    struct message *m = mem_zalloc(sizeof(*m));
    m->command = command ? bytes_ref(command) : NULL;
    m->reply.items = m->items;
    return m;
}

static void message_free(struct message *m)
{
    bytes_unref(m->command);
    bytes_unref(m->pattern);
    mem_free(m);
}

static void drop_all(struct list *messages)
{
    struct list *n;
    while ((n = list_pop(messages)))
        message_free(message_at(n));
}

static void set_arrival(struct message *m, const struct conn *c, uint64_t *last)
{
    uint64_t at =
        sim.now_ms + c->latency_ms + sim_below(c->link->jitter_ms + 1);
    /* A packet is lost and sent again; what follows waits for it. */
    if (sim_chance(1))
        at += sim_below(RESENT_MS);
    *last = m->at_ms = later(at, *last);
}

/* ---- connections --------------------------------------------------------- */

struct conn *bus_connect(struct link *l, struct redis *end)
{
    if (!server_up || l->cut)
        return NULL;
    struct conn *c = mem_zalloc(sizeof(*c));
    c->link = l;
    c->end = end;
    c->served = true;
    c->latency_ms = l->latency_ms;
    list_init(&c->there);
    list_init(&c->back);
    list_insert(&conns, &c->all);
    server_add(&c->client);
    return c;
}

static void unserve(struct conn *c)
{
    if (c->served)
        server_remove(&c->client);
    c->served = false;
}

static void conn_free(struct conn *c)
{
    assert(!c->end);
    unserve(c);
    drop_all(&c->there);
    drop_all(&c->back);
    list_remove(&c->all);
    mem_free(c);
}

/* What was published and does not come any more. */
static void drop_back(struct conn *c)
{
    struct list *n;
    while ((n = list_pop(&c->back))) {
        struct message *m = message_at(n);
        if (m->pushed && !c->link->dead)
            check_cut_off(c->link->life, m->items[1].text);
        message_free(m);
    }
}

void bus_answer(struct server_client *client, struct message *m)
{
    struct conn *c = container_of(client, struct conn, client);
    if (!c->end) {
        message_free(m);
        return;
    }
    if (m->pushed)
        check_pushed(c->link->life, m->items[1].text);
    set_arrival(m, c, &c->back_ms);
    list_insert(&c->back, &m->link);
}

/* Redis has closed the connection; the node sees it when it gets there. */
static void hang_up(struct conn *c, bool drained)
{
    unserve(c);
    drop_all(&c->there);
    if (!drained)
        drop_back(c);
    if (!c->end) {
        conn_free(c);
        return;
    }
    struct message *m = message_new(NULL);
    m->last = true;
    set_arrival(m, c, &c->back_ms);
    list_insert(&c->back, &m->link);
}

static uint64_t there_ready(const struct conn *c)
{
    if (c->deaf || list_empty(&c->there))
        return UINT64_MAX;
    return later(later(message_at(c->there.next)->at_ms, frozen_until),
                 c->stalled_until);
}

static uint64_t back_ready(const struct conn *c)
{
    if (c->deaf || list_empty(&c->back))
        return UINT64_MAX;
    return later(later(message_at(c->back.next)->at_ms, c->link->paused_until),
                 c->stalled_until);
}

void bus_send(struct conn *c, struct bytes *command)
{
    if (!c->served) /* which the node does not know yet */
        return;
    struct message *m = message_new(command);
    set_arrival(m, c, &c->there_ms);
    list_insert(&c->there, &m->link);
}

/* The node knows nothing of the connection any more. What it had sent may
 * still arrive, but not after what it sends on the next one. */
void bus_abandon(struct conn *c)
{
    c->end = NULL;
    drop_back(c);
    if (!c->served) {
        conn_free(c);
        return;
    }
    c->closing = !c->deaf;
    c->linger_until =
        sim.now_ms + (c->deaf ? sim_below(BUS_LINGER_MS) : LATE_MS);
    if (sim_chance(50))
        drop_all(&c->there);
}

void bus_close(struct conn *c)
{
    drop_back(c);
    c->end = NULL;
    c->closing = !c->deaf;
    c->linger_until = sim.now_ms + BUS_LINGER_MS;
    if (!c->served || (c->closing && list_empty(&c->there)))
        conn_free(c);
}

/* ---- time ---------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t bus_due(void)
{
    uint64_t due = UINT64_MAX;
    for (struct list *n = conns.next; n != &conns; n = n->next) {
        const struct conn *c = conn_at(n);
        due = earlier(due, there_ready(c));
        due = earlier(due, back_ready(c));
        if (!c->end)
            due = earlier(due, c->linger_until);
    }
    return due;
}

/* Those that nobody holds any more. */
static void bury(void)
{
    struct list *n = conns.next;
    while (n != &conns) {
        struct conn *c = conn_at(n);
        n = n->next;
        if (!c->end && (sim.now_ms >= c->linger_until ||
                        (c->closing && list_empty(&c->there))))
            conn_free(c);
    }
}

bool bus_serve(void)
{
    struct conn *chosen = NULL;
    uint32_t n_ready = 0;
    for (struct list *n = conns.next; n != &conns; n = n->next) {
        struct conn *c = conn_at(n);
        /* Each with the same chance, however many there are. */
        if (there_ready(c) <= sim.now_ms && sim_below(++n_ready) == 0)
            chosen = c;
    }
    if (chosen) {
        struct message *m = pop(&chosen->there);
        check_executed(chosen->link->life, m->command);
        server_run(&chosen->client, m->command);
        message_free(m);
    }
    bury();
    return chosen != NULL;
}

bool bus_ready(const struct link *l)
{
    for (struct list *n = conns.next; n != &conns; n = n->next) {
        const struct conn *c = conn_at(n);
        if (c->link == l && c->end && back_ready(c) <= sim.now_ms)
            return true;
    }
    return false;
}

void bus_hand_over(struct link *l)
{
    uint32_t most = 1 + sim_below(TURN_MESSAGES);
    for (uint32_t i = 0; i < most; i++) {
        struct conn *chosen = NULL;
        uint32_t n_ready = 0;
        for (struct list *n = conns.next; n != &conns; n = n->next) {
            struct conn *c = conn_at(n);
            if (c->link == l && c->end && back_ready(c) <= sim.now_ms &&
                sim_below(++n_ready) == 0)
                chosen = c;
        }
        if (!chosen)
            return;
        struct message *m = pop(&chosen->back);
        client_take(chosen->end, m);
        message_free(m);
    }
}

static bool connected(const struct conn *c)
{
    return c->end && c->served && !c->deaf && redis_is_up(c->end);
}

bool bus_whole(const struct link *l)
{
    for (struct list *n = conns.next; n != &conns; n = n->next) {
        const struct conn *c = conn_at(n);
        if (c->link == l && connected(c) && client_subscribes(c->end))
            return true;
    }
    return false;
}

size_t bus_connected(const struct link *l)
{
    size_t n_connected = 0;
    for (struct list *n = conns.next; n != &conns; n = n->next) {
        const struct conn *c = conn_at(n);
        n_connected += c->link == l && connected(c);
    }
    return n_connected;
}

size_t bus_unanswered(const struct link *l)
{
    size_t n_unanswered = 0;
    for (struct list *n = conns.next; n != &conns; n = n->next) {
        const struct conn *c = conn_at(n);
        if (c->link == l && c->end)
            n_unanswered += redis_unanswered(c->end);
    }
    return n_unanswered;
}

/* ---- faults -------------------------------------------------------------- */

static void each_conn(struct link *l, void (*do_it)(struct conn *c, bool flag),
                      bool flag)
{
    struct list *n = conns.next;
    while (n != &conns) {
        struct conn *c = conn_at(n);
        n = n->next; /* it may be freed */
        if (!l || c->link == l)
            do_it(c, flag);
    }
}

/* Both connections of a node, or one of them. */
static void each_end(struct link *l, bool one,
                     void (*do_it)(struct conn *c, uint64_t arg), uint64_t arg)
{
    uint32_t skip = one ? sim_below(2) : 0;
    struct list *n = conns.next;
    while (n != &conns) {
        struct conn *c = conn_at(n);
        n = n->next; /* it may be freed */
        if (c->link != l || !c->end)
            continue;
        if (skip > 0) {
            skip--;
            continue;
        }
        do_it(c, arg);
        if (one)
            return;
    }
}

static void reset(struct conn *c, uint64_t drained)
{
    if (c->served && !c->deaf)
        hang_up(c, drained);
}

void bus_reset(struct link *l, bool one, bool drained)
{
    each_end(l, one, reset, drained);
}

static void stall(struct conn *c, uint64_t until_ms)
{
    c->stalled_until = until_ms;
}

void bus_stall(struct link *l, bool one, uint64_t until_ms)
{
    each_end(l, one, stall, until_ms);
}

static void deafen(struct conn *c, bool flag)
{
    (void)flag;
    c->deaf = true;
    c->closing = false;
    if (!c->end && c->linger_until > sim.now_ms + BUS_LINGER_MS)
        c->linger_until = sim.now_ms + BUS_LINGER_MS;
}

void bus_deafen(struct link *l)
{
    each_conn(l, deafen, false);
}

static void retime(struct conn *c, bool flag)
{
    (void)flag;
    c->latency_ms = c->link->latency_ms;
}

void bus_retime(struct link *l)
{
    each_conn(l, retime, false);
}

static void forsake(struct conn *c, bool quietly)
{
    if (c->end)
        client_orphan(c->end);
    c->end = NULL;
    drop_back(c);
    c->closing = !quietly && !c->deaf;
    c->linger_until = sim.now_ms + sim_below(BUS_LINGER_MS);
    if (quietly)
        deafen(c, false);
    if (!c->served)
        conn_free(c);
}

void bus_kill(struct link *l, bool quietly)
{
    l->dead = true;
    each_conn(l, forsake, quietly);
    bury();
}

void redis_server_stop(void)
{
    server_up = false;
    frozen_until = 0;
    sim_note("redis stops", 0, 0, 0);
    struct list *n = conns.next;
    while (n != &conns) {
        struct conn *c = conn_at(n);
        n = n->next;
        if (c->deaf) {
            unserve(c);
            drop_all(&c->there);
            if (!c->end)
                conn_free(c);
        } else if (c->served) {
            hang_up(c, sim_chance(50));
        }
    }
}

void redis_server_start(void)
{
    server_up = true;
    sim_note("redis starts", 0, 0, 0);
}

bool redis_server_up(void)
{
    return server_up;
}

void redis_server_freeze(uint64_t until_ms)
{
    frozen_until = until_ms;
}

/* ---- life ---------------------------------------------------------------- */

void bus_start(void)
{
    server_up = true;
    frozen_until = 0;
}

void bus_end(void)
{
    while (!list_empty(&conns))
        conn_free(conn_at(conns.next));
    if (clients_left() > 0 || server_clients() > 0)
        sim_fail("%zu connections are left", clients_left() + server_clients());
}

void bus_attach(struct link *l, unsigned life, struct loop *loop)
{
    l->life = life;
    l->loop = loop;
    list_insert(&links, &l->all);
}

struct link *bus_link(const struct loop *loop)
{
    for (struct list *n = links.next; n != &links; n = n->next) {
        struct link *l = container_of(n, struct link, all);
        if (l->loop == loop)
            return l;
    }
    sim_fail("a connection of nobody");
}

void bus_detach(struct link *l)
{
    list_remove(&l->all);
}
