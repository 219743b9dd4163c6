#include <string.h>

#include "common/id.h"
#include "common/map.h"
#include "common/mem.h"
#include "tests/cluster/sim/ask.h"
#include "tests/cluster/sim/check.h"
#include "tests/cluster/sim/node.h"

enum {
    NODES_MIN = 2,
    NODES_MAX = 6,
    STEPS_MIN = 20,
    STEPS_MAX = 160,
    REPAIRS = 64,
    DEAF_MS = 16000,    /* a dead connection is noticed by then */
    SETTLE_MS = 150000, /* until all must agree again */
    QUIET_MS = 10000,   /* between two failures of Redis */
};

/* What a run is about. */
enum temper {
    CALM,     /* nothing ever fails, and nothing may be lost */
    RESTARTS, /* Redis does: nothing is published before all are back */
    ROUGH,    /* everything does */
};

struct repair {
    uint64_t at_ms;
    void (*run)(unsigned life);
    unsigned life;
};

static struct {
    struct node_settings settings;
    enum temper temper;
    unsigned nodes, n_lives;
    uint32_t latency_ms, jitter_ms, fault_percent;
    struct repair repairs[REPAIRS];
    size_t n_repairs;
    uint64_t quiet_ms; /* no failure of Redis before */
} plan;

/* ---- time ---------------------------------------------------------------- */

static void repair_at(uint64_t at_ms, void (*run)(unsigned life), unsigned life)
{
    if (plan.n_repairs == REPAIRS)
        sim_fail("too many failures at once");
    plan.repairs[plan.n_repairs++] = (struct repair){at_ms, run, life};
}

static void repair_until(uint64_t until_ms)
{
    size_t i = 0;
    while (i < plan.n_repairs) {
        struct repair r = plan.repairs[i];
        if (r.at_ms > until_ms) {
            i++;
            continue;
        }
        plan.repairs[i] = plan.repairs[--plan.n_repairs];
        r.run(r.life);
    }
}

static bool ready(const struct life *l)
{
    return l->state == ALIVE && l->link.paused_until <= sim.now_ms &&
           (node_due(l) <= sim.now_ms || bus_ready(&l->link));
}

/* One of those who can do something does it; false when nobody can. */
static bool step(void)
{
    struct life *able[LIVES];
    uint32_t n = 0;
    for (unsigned i = 0; i < plan.n_lives; i++) {
        if (ready(&lives[i]))
            able[n++] = &lives[i];
    }
    sim.tally.events++;
    uint32_t i = sim_below(n + 1);
    if (i == n)
        return bus_serve() || n > 0;
    node_turn(able[i]);
    return true;
}

static uint64_t next_ms(void)
{
    uint64_t next = bus_due();
    for (unsigned i = 0; i < plan.n_lives; i++) {
        if (lives[i].state == ALIVE && node_due(&lives[i]) < next)
            next = node_due(&lives[i]);
    }
    for (size_t i = 0; i < plan.n_repairs; i++) {
        if (plan.repairs[i].at_ms < next)
            next = plan.repairs[i].at_ms;
    }
    return next;
}

static void run_for(uint64_t ms)
{
    uint64_t end = sim.now_ms + ms;
    for (;;) {
        while (step())
            ;
        uint64_t next = next_ms();
        if (next > end)
            break;
        if (next > sim.now_ms)
            sim.now_ms = next;
        repair_until(sim.now_ms);
    }
    sim.now_ms = end;
}

/* ---- choosing ------------------------------------------------------------ */

static struct life *some_life(void)
{
    struct life *able[LIVES];
    uint32_t n = 0;
    for (unsigned i = 0; i < plan.n_lives; i++) {
        if (lives[i].state == ALIVE && lives[i].link.paused_until <= sim.now_ms)
            able[n++] = &lives[i];
    }
    return n ? able[sim_below(n)] : NULL;
}

static struct place *some_place(void)
{
    struct life *l = some_life();
    return l ? &l->at[sim_below(NSPS)] : NULL;
}

/* NULL when there is nobody. */
static const char *some_member(unsigned nsp)
{
    const struct place *p = &lives[sim_below(plan.n_lives)].at[nsp];
    unsigned m = sim_below(MEMBERS);
    return p->here[m] ? p->ids[m] : NULL;
}

static uint32_t some_rooms(uint32_t max)
{
    uint32_t set = 0;
    for (uint32_t n = sim_below(max + 1); n > 0; n--)
        set |= 1U << sim_below(ROOMS);
    return set;
}

static uint32_t between(uint32_t min, uint32_t max)
{
    return min + sim_below(max - min + 1);
}

/* ---- what people do ------------------------------------------------------ */

static void broadcast(struct place *p, unsigned padding)
{
    struct broadcast_plan b = {.padding = padding};
    if (sim_chance(70))
        b.rooms = some_rooms(4);
    if (sim_chance(30))
        b.except = some_rooms(2);
    if (sim_chance(15))
        b.to = some_member(p->nsp);
    if (sim_chance(15))
        b.but = some_member(p->nsp);
    b.local = sim_chance(5);
    b.is_volatile = sim_chance(10);
    b.twice = sim_chance(20);
    node_broadcast(p, &b);
}

static void do_broadcast(struct place *p)
{
    broadcast(p, sim_chance(10) ? sim_below(3000) : 0);
}

static void do_burst(struct place *p)
{
    unsigned padding = sim_chance(30) ? 8000 : sim_below(200);
    for (uint32_t n = between(5, 50); n > 0; n--)
        broadcast(p, padding);
}

static void do_member(struct place *p)
{
    unsigned m = sim_below(MEMBERS);
    if (!p->here[m])
        node_add(p, m);
    else if (sim_chance(40))
        node_remove(p, m);
}

static void do_room(struct place *p)
{
    unsigned m = sim_below(MEMBERS);
    unsigned room = sim_below(ROOMS);
    if (!p->here[m])
        node_add(p, m);
    if (!(p->rooms[m] & 1U << room))
        node_join(p, m, room);
    else if (sim_chance(50))
        node_leave(p, m, room);
}

static void do_presence(struct place *p)
{
    unsigned m = sim_below(MEMBERS);
    unsigned g = sim_below(GROUPS);
    if (!p->here[m])
        return;
    if (p->present[g][m] && sim_chance(50))
        node_clear(p, g, m);
    else
        node_set(p, g, m);
}

static void select_some(const struct place *p, struct broadcast_plan *b)
{
    if (sim_chance(60))
        b->rooms = some_rooms(3);
    if (sim_chance(20))
        b->except = some_rooms(2);
    if (sim_chance(20))
        b->to = some_member(p->nsp);
}

static void do_ask(struct place *p)
{
    struct broadcast_plan b = {0};
    select_some(p, &b);
    if (sim_chance(25))
        node_broadcast_ack(p, &b);
    else
        ask(p, sim_below(ASK_ACKS), &b);
}

static void do_command(struct place *p)
{
    struct broadcast_plan b = {0};
    select_some(p, &b);
    if (sim_chance(85))
        ask_join(p, &b, sim_below(ROOMS), sim_chance(60));
    else if (b.rooms || b.to)
        ask_disconnect(p, &b);
}

/* ---- what fails ---------------------------------------------------------- */

static void trouble(struct life *l, uint64_t until_ms)
{
    if (until_ms > l->troubled_ms)
        l->troubled_ms = until_ms;
}

static void populate(struct place *p)
{
    for (unsigned m = 0; m < MEMBERS; m++) {
        if (sim_chance(50))
            continue;
        node_add(p, m);
        for (uint32_t n = sim_below(4); n > 0; n--)
            node_join(p, m, sim_below(ROOMS));
        if (sim_chance(30))
            node_set(p, sim_below(GROUPS), m);
    }
}

static void start_one(unsigned life)
{
    (void)life;
    if (plan.n_lives == LIVES)
        return;
    struct life *l = &lives[plan.n_lives++];
    node_start(l, &plan.settings, plan.latency_ms, plan.jitter_ms);
    for (unsigned i = 0; i < NSPS; i++)
        populate(&l->at[i]);
}

static void heal_cut(unsigned life)
{
    lives[life].link.cut = false;
}

static void heal_slow(unsigned life)
{
    struct life *l = &lives[life];
    l->link.latency_ms = plan.latency_ms;
    if (l->state == ALIVE)
        bus_retime(&l->link);
    trouble(l, sim.now_ms);
}

static void restart_redis(unsigned life)
{
    (void)life;
    redis_server_start();
    check_trouble(sim.now_ms);
    plan.quiet_ms = sim.now_ms + QUIET_MS;
}

static void fail_reset(struct life *l)
{
    bus_reset(&l->link, sim_chance(60), sim_chance(50));
    trouble(l, sim.now_ms);
}

static void fail_cut(struct life *l)
{
    l->link.cut = true;
    if (sim_chance(50)) {
        bus_reset(&l->link, false, sim_chance(20));
        trouble(l, sim.now_ms);
    } else {
        bus_deafen(&l->link);
        trouble(l, sim.now_ms + DEAF_MS);
    }
    repair_at(sim.now_ms + between(100, 12000), heal_cut, l->id);
    sim.tally.cuts++;
}

static void fail_stall(struct life *l)
{
    uint64_t until = sim.now_ms + between(50, 12000);
    bus_stall(&l->link, sim_chance(50), until);
    trouble(l, until);
}

static void fail_slow(struct life *l)
{
    l->link.latency_ms = between(20, 600);
    bus_retime(&l->link);
    trouble(l, sim.now_ms);
    repair_at(sim.now_ms + between(500, 8000), heal_slow, l->id);
}

static void fail_pause(struct life *l)
{
    l->link.paused_until = sim.now_ms + between(50, 15000);
    trouble(l, l->link.paused_until);
}

static void come_back(void)
{
    if (sim_chance(80))
        repair_at(sim.now_ms + between(50, 12000), start_one, 0);
}

static void fail_kill(struct life *l)
{
    node_kill(l, sim_chance(40));
    sim.tally.kills++;
    come_back();
}

static void fail_stop(struct life *l)
{
    node_stop(l);
    come_back();
}

static void fail_redis(struct life *l)
{
    (void)l;
    if (!redis_server_up() || sim.now_ms < plan.quiet_ms)
        return;
    redis_server_stop();
    sim.tally.restarts++;
    uint64_t until = sim.now_ms + between(20, 8000);
    check_trouble(until);
    repair_at(until, restart_redis, 0);
}

static void fail_freeze(struct life *l)
{
    (void)l;
    uint64_t until = sim.now_ms + between(50, 15000);
    if (!redis_server_up())
        return;
    redis_server_freeze(until);
    check_trouble(until);
}

static void do_fault(struct place *p)
{
    static void (*const faults[])(struct life * l) = {
        fail_reset, fail_reset, fail_cut,  fail_stall, fail_slow,
        fail_pause, fail_kill,  fail_stop, fail_redis, fail_freeze,
    };
    if (plan.temper == CALM || plan.n_repairs > REPAIRS / 2)
        return;
    if (plan.temper == RESTARTS)
        fail_redis(NULL);
    else
        faults[sim_below(sizeof(faults) / sizeof(faults[0]))](&lives[p->life]);
}

/* ---- a run --------------------------------------------------------------- */

static void draw(uint64_t seed)
{
    static const char *const prefixes[] = {"socket.io", "a*b", "x?[1]\\"};
    memset(&plan, 0, sizeof(plan));
    sim.seed = sim.chance = seed;
    sim.now_ms = 1000 + sim_below(1000000);
    sim.hash = 14695981039346656037U;
    uint32_t dice = sim_below(100);
    plan.temper = dice < 15 ? CALM : dice < 35 ? RESTARTS : ROUGH;
    plan.nodes = sim.nodes ? sim.nodes : between(NODES_MIN, NODES_MAX);
    /* A small queue may overflow, which is no reason to lose in a calm. */
    plan.settings.queue_bytes =
        plan.temper == CALM ? 16U << 20 : 4096U << (4 * sim_below(3));
    plan.settings.lease_ms = sim_chance(50) ? 4000 : between(1000, 10000);
    plan.settings.interest = sim_chance(75);
    plan.settings.prefix = prefixes[sim_below(3)];
    plan.settings.specific_responses = sim_chance(50);
    /* With much in each entry, an answer comes in parts. */
    plan.settings.meta_bytes = sim_chance(20) ? 4000 : sim_below(50);
    plan.latency_ms = sim_below(10);
    plan.jitter_ms = sim_below(5);
    plan.fault_percent = between(1, 15);
    id_seed(seed);
    map_reseed();
    node_reset();
    check_begin(plan.settings.lease_ms);
    ask_begin();
    bus_start();
}

static void one_step(void)
{
    static const struct {
        uint32_t share;
        void (*run)(struct place *p);
    } actions[] = {
        {35, do_broadcast}, {3, do_burst}, {12, do_member}, {25, do_room},
        {20, do_presence},  {10, do_ask},  {3, do_command},
    };
    struct place *p = some_place();
    if (!p)
        return;
    if (sim_chance(plan.fault_percent)) {
        do_fault(p);
        return;
    }
    uint32_t dice = sim_below(108);
    size_t i = 0;
    while (dice >= actions[i].share)
        dice -= actions[i++].share;
    actions[i].run(p);
}

static void pass_time(void)
{
    uint32_t dice = sim_below(100);
    if (dice >= 98)
        run_for(sim_below(15000));
    else if (dice >= 80)
        run_for(sim_below(500));
    else if (dice >= 50)
        run_for(sim_below(20));
}

static void repair_all(void)
{
    repair_until(UINT64_MAX);
    redis_server_freeze(0);
    for (unsigned i = 0; i < plan.n_lives; i++) {
        if (lives[i].link.paused_until > sim.now_ms)
            lives[i].link.paused_until = sim.now_ms;
        bus_stall(&lives[i].link, false, 0);
    }
}

static void settle(void)
{
    uint64_t since = sim.now_ms;
    while (!check_settled()) {
        run_for(50);
        if (sim.now_ms - since > SETTLE_MS)
            sim_fail("the nodes do not agree after %u s", SETTLE_MS / 1000);
    }
    if (sim.now_ms - since > sim.tally.slowest_ms)
        sim.tally.slowest_ms = sim.now_ms - since;
}

/* What was under way has come, too. */
static void settle_well(void)
{
    settle();
    run_for(1000);
    settle();
}

/* All is well: whatever is sent now arrives. */
static void prove(void)
{
    check_allow(0);
    for (unsigned i = 0; i < plan.n_lives; i++) {
        if (lives[i].state != ALIVE)
            continue;
        for (unsigned n = 0; n < NSPS; n++) {
            node_broadcast(&lives[i].at[n], &(struct broadcast_plan){0});
            node_broadcast(&lives[i].at[n],
                           &(struct broadcast_plan){.rooms = some_rooms(3)});
        }
    }
    run_for(3000);
    settle();
    check_end();
}

/* Questions now have answers that lack nothing, and commands reach all. */
static void prove_answers(void)
{
    /* Until hosts that keep silent have given up, and Redis no longer counts
     * connections of machines that are gone. */
    run_for(BUS_LINGER_MS + 1000);
    ask_check(true);
    ask_calm(true);
    struct place *p = some_place();
    for (unsigned kind = 0; p && kind <= ASK_ACKS; kind++) {
        struct broadcast_plan b = {0};
        select_some(p, &b);
        if (kind == ASK_ACKS)
            node_broadcast_ack(p, &b);
        else
            ask(p, kind, &b);
    }
    run_for(ASK_TIMEOUT_MS);
    ask_check(true);
}

static void stop_all(void)
{
    for (unsigned i = 0; i < plan.n_lives; i++) {
        if (lives[i].state != ALIVE)
            continue;
        node_stop(&lives[i]);
        run_for(1000);
        if (!check_agreed())
            sim_fail("a node that said goodbye is still known");
    }
    run_for(60000);
    bus_end();
}

void plan_run(uint64_t seed)
{
    draw(seed);
    unsigned steps = sim.steps ? sim.steps : between(STEPS_MIN, STEPS_MAX);
    for (unsigned i = 0; i < plan.nodes; i++)
        repair_at(sim.now_ms + sim_below(2000), start_one, 0);
    run_for(2000);
    if (plan.temper != ROUGH || sim_chance(50))
        settle_well();
    if (plan.temper == CALM) {
        check_allow(0);
        ask_calm(false);
    }
    if (plan.temper == RESTARTS)
        check_allow(EXCUSE_CUT_OFF | EXCUSE_UNSENT);
    for (unsigned i = 0; i < steps; i++) {
        one_step();
        pass_time();
        for (unsigned k = 0; i % 8 == 0 && k < plan.n_lives; k++) {
            if (lives[k].state == ALIVE)
                check_presence(&lives[k]);
        }
        ask_check(false);
    }
    repair_all();
    settle_well();
    prove();
    prove_answers();
    stop_all();
    ask_check(true);
    sim.tally.runs++;
}
