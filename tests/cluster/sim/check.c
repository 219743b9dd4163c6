#include "tests/cluster/sim/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/mem.h"

enum {
    ENTRIES = 2048,
    /* Longest wait of a node that reconnects, and of one that has. */
    RETURN_MS = 8000,
};

/* One broadcast. Sets of nodes have a bit for each life. */
struct record {
    struct broadcast_plan plan;
    char to[21], but[21];
    unsigned life, nsp;
    uint32_t seq;
    bool executed;
    bool owed; /* there is no excuse for not publishing it */
    uint32_t pushed, arrived, cut_off;
};

static struct record *records; /* number 1 is the first */
static uint32_t n_records, cap_records;

/* What is being delivered: the members of one place that must still get it. */
static struct {
    bool active;
    uint32_t number;
    const struct place *place;
    uint32_t missing;
    uint32_t n;
} now;

struct entry {
    unsigned life, nsp, group;
    uint32_t version; /* 0: it is gone */
    uint32_t versions;
};

static struct entry entries[ENTRIES];
static uint32_t n_entries;
static uint32_t seen[LIVES][ENTRIES]; /* versions, as events told them */

static uint32_t last_seq[LIVES][LIVES][NSPS];
static unsigned allowed;
static uint32_t lease_ms;
static uint64_t redis_troubled_ms;

void check_begin(uint32_t lease)
{
    mem_free(records);
    records = NULL;
    n_records = cap_records = 0;
    n_entries = 0;
    memset(&now, 0, sizeof(now));
    memset(entries, 0, sizeof(entries));
    memset(seen, 0, sizeof(seen));
    memset(last_seq, 0, sizeof(last_seq));
    allowed = EXCUSE_AWAY | EXCUSE_CUT_OFF | EXCUSE_LOST | EXCUSE_UNSENT;
    lease_ms = lease;
    redis_troubled_ms = 0;
}

void check_allow(unsigned excuses)
{
    allowed = excuses;
}

/* ---- broadcasts: who must get it ----------------------------------------- */

static uint32_t number_in(struct str text)
{
    static const char mark[] = "sim:";
    const char *at = memmem(text.p, text.len, mark, sizeof(mark) - 1);
    return at ? (uint32_t)strtoul(at + sizeof(mark) - 1, NULL, 10) : 0;
}

static struct record *record_of(uint32_t number)
{
    if (number == 0 || number > n_records)
        sim_fail("message %u was never sent", number);
    return &records[number - 1];
}

/* By what the simulation knows, without asking the adapter. */
uint32_t check_selected(const struct place *p,
                        const struct broadcast_plan *plan)
{
    bool all = plan->rooms == 0 && !plan->to;
    uint32_t set = 0;
    for (unsigned m = 0; m < MEMBERS; m++) {
        if (!p->here[m])
            continue;
        bool in = all || (p->rooms[m] & plan->rooms) ||
                  (plan->to && strcmp(p->ids[m], plan->to) == 0);
        bool out = (p->rooms[m] & plan->except) ||
                   (plan->but && strcmp(p->ids[m], plan->but) == 0);
        if (in && !out)
            set |= 1U << m;
    }
    return set;
}

static uint32_t receivers(const struct place *p, const struct record *r)
{
    struct broadcast_plan plan = r->plan;
    plan.to = plan.to ? r->to : NULL;
    plan.but = plan.but ? r->but : NULL;
    return check_selected(p, &plan);
}

uint32_t check_number(struct str text)
{
    return number_in(text);
}

/* Those to whom it must be sent: a message to one room has a channel of its
 * own, of which a node need not hear before the join is confirmed. */
static uint32_t must_hear(const struct place *p, const struct record *r)
{
    const struct broadcast_plan *plan = &r->plan;
    uint32_t set = receivers(p, r);
    if (plan->to || plan->twice || __builtin_popcount(plan->rooms) != 1)
        return set;
    for (unsigned m = 0; m < MEMBERS; m++) {
        if (!(p->heard[m] & plan->rooms))
            set &= ~(1U << m);
    }
    return set;
}

uint32_t check_broadcast(const struct place *p,
                         const struct broadcast_plan *plan, bool elsewhere)
{
    if (n_records == cap_records) {
        cap_records = cap_records ? cap_records * 2 : 256;
        records = mem_realloc(records, cap_records * sizeof(records[0]));
    }
    struct record *r = &records[n_records++];
    *r = (struct record){.plan = *plan, .life = p->life, .nsp = p->nsp};
    if (plan->to)
        (void)snprintf(r->to, sizeof(r->to), "%s", plan->to);
    if (plan->but)
        (void)snprintf(r->but, sizeof(r->but), "%s", plan->but);
    r->seq = ++lives[p->life].at[p->nsp].seq;
    r->owed = !plan->local && !plan->is_volatile && !(allowed & EXCUSE_UNSENT);
    sim.tally.sent += !plan->local;
    sim_note("broadcast", p->life, n_records, plan->rooms);
    now.active = true;
    now.number = n_records;
    now.place = p;
    now.missing = elsewhere ? 0 : receivers(p, r);
    now.n = (uint32_t)__builtin_popcount(now.missing);
    return n_records;
}

static void all_have_it(void)
{
    if (now.missing)
        sim_fail("message %u did not reach members %#x of node %u", now.number,
                 now.missing, now.place->life);
    sim.tally.delivered += now.n;
    now.active = false;
}

void check_delivered(uint32_t number, size_t n)
{
    if (n != now.n)
        sim_fail("message %u: %zu receivers were told, %u there are", number, n,
                 now.n);
    all_have_it();
}

void check_member(const struct place *p, unsigned member, struct str text)
{
    uint32_t number = number_in(text);
    uint32_t bit = 1U << member;
    if (!now.active || number != now.number || p != now.place)
        sim_fail("message %u came to node %u out of turn", number, p->life);
    if (!(now.missing & bit))
        sim_fail("message %u came to member %u of node %u twice, or is not "
                 "meant for it",
                 number, member, p->life);
    now.missing &= ~bit;
}

/* ---- broadcasts: on the bus ---------------------------------------------- */

static unsigned kind_of(struct str payload)
{
    if (number_in(payload))
        return BROADCASTS;
    return str_starts(payload, STR("{\"v\":1,")) ? PRESENCE : QUESTIONS;
}

/* What a command publishes; false when it does not. */
static bool published(const struct bytes *command, struct str *payload)
{
    struct str argv[3];
    if (!command || server_split(command, argv, 3) != 3 ||
        !str_eq(argv[0], STR("PUBLISH")))
        return false;
    *payload = argv[2];
    return true;
}

void check_attempt(struct life *l, struct str payload)
{
    l->attempts[kind_of(payload)]++;
}

void check_executed(unsigned life, const struct bytes *command)
{
    struct str payload;
    if (published(command, &payload))
        lives[life].executed[kind_of(payload)]++;
}

void check_answered(unsigned life, const struct bytes *command)
{
    struct str payload;
    if (published(command, &payload))
        lives[life].answered[kind_of(payload)]++;
}

void check_pushed(unsigned life, struct str payload)
{
    uint32_t number = number_in(payload);
    if (number)
        record_of(number)->pushed |= 1U << life;
}

void check_published(struct str payload)
{
    uint32_t number = number_in(payload);
    if (!number)
        return;
    struct record *r = record_of(number);
    if (r->executed)
        sim_fail("message %u was published twice", number);
    r->executed = true;
    for (unsigned i = 0; i < LIVES; i++) {
        const struct life *l = &lives[i];
        if (l->state != ALIVE || i == r->life || (r->pushed & 1U << i) ||
            !must_hear(&l->at[r->nsp], r))
            continue;
        if (l->usable && bus_whole(&l->link))
            sim_fail("message %u was not meant for node %u, which is connected "
                     "and has receivers",
                     number, i);
        if (!(allowed & EXCUSE_AWAY))
            sim_fail("message %u was published before node %u was back", number,
                     i);
        sim.tally.away++;
        sim_note("away", i, number, 0);
    }
}

void check_cut_off(unsigned life, struct str payload)
{
    uint32_t number = number_in(payload);
    const struct life *l = &lives[life];
    if (!number || l->state != ALIVE)
        return;
    struct record *r = record_of(number);
    r->cut_off |= 1U << life;
    if (r->life == life || !receivers(&l->at[r->nsp], r))
        return;
    if (!(allowed & EXCUSE_CUT_OFF))
        sim_fail("message %u was lost on the way to node %u", number, life);
    sim.tally.cut_off++;
    sim_note("cut off", life, number, 0);
}

void check_arriving(unsigned life, struct str payload)
{
    uint32_t number = number_in(payload);
    memset(&now, 0, sizeof(now));
    if (!number)
        return;
    struct record *r = record_of(number);
    now.active = true;
    now.number = number;
    now.place = &lives[life].at[r->nsp];
    /* Again, or our own: for nobody. */
    if (!(r->arrived & 1U << life) && r->life != life)
        now.missing = receivers(now.place, r);
    now.n = (uint32_t)__builtin_popcount(now.missing);
    r->arrived |= 1U << life;
    sim_note("arrives", life, number, now.missing);
    if (!now.missing)
        return;
    uint32_t *last = &last_seq[life][r->life][r->nsp];
    if (r->seq <= *last)
        sim_fail("message %u of node %u comes to node %u after a later one",
                 number, r->life, life);
    *last = r->seq;
}

void check_arrived(void)
{
    if (now.active)
        all_have_it();
}

/* ---- presence ------------------------------------------------------------ */

uint32_t check_entry_new(const struct place *p, unsigned group)
{
    if (n_entries + 1 == ENTRIES)
        return 0;
    entries[++n_entries] =
        (struct entry){.life = p->life, .nsp = p->nsp, .group = group};
    return n_entries;
}

uint32_t check_entry_changed(uint32_t entry)
{
    return entries[entry].version = ++entries[entry].versions;
}

void check_entry_gone(uint32_t entry)
{
    entries[entry].version = 0;
}

void check_trouble(uint64_t until_ms)
{
    if (until_ms > redis_troubled_ms)
        redis_troubled_ms = until_ms;
}

static uint32_t read_meta(struct str meta, uint32_t *version)
{
    unsigned entry = 0;
    unsigned v = 0;
    char text[32];
    (void)snprintf(text, sizeof(text), "%.*s", STR_ARG(meta));
    if (sscanf(text, "[%u,%u,", &entry, &v) != 2 || entry == 0 ||
        entry > n_entries || v == 0 || v > entries[entry].versions)
        sim_fail("an entry that was never there: %s", text);
    *version = v;
    return entry;
}

static uint64_t latest(const uint64_t *at, size_t n)
{
    uint64_t max = 0;
    for (size_t i = 0; i < n; i++) {
        if (at[i] > max)
            max = at[i];
    }
    return max;
}

/* `l` takes a node for dead that is alive: may it? What is wrong with its own
 * connection is no reason. */
static void check_lost(const struct life *l, const struct life *other)
{
    if (other->state != ALIVE)
        return;
    const uint64_t trouble[] = {redis_troubled_ms, other->troubled_ms,
                                other->usable_ms};
    if (!(allowed & EXCUSE_LOST) ||
        (other->usable &&
         latest(trouble, 3) + lease_ms + RETURN_MS < sim.now_ms))
        sim_fail("node %u takes node %u for dead", l->id, other->id);
}

void check_presence_event(const struct place *p, struct str group,
                          struct str key, struct str meta, int event)
{
    (void)key;
    uint32_t version;
    uint32_t entry = read_meta(meta, &version);
    const struct entry *e = &entries[entry];
    uint32_t *at = &seen[p->life][entry];
    if (e->nsp != p->nsp || !str_eq(group, str_of(group_names[e->group])))
        sim_fail("entry %u is in the wrong group", entry);
    sim_note("presence", p->life, entry, (uint64_t)event);
    switch (event) {
    case PRESENCE_ENTER:
        if (*at)
            sim_fail("entry %u enters twice on node %u", entry, p->life);
        *at = version;
        break;
    case PRESENCE_UPDATE:
        if (!*at)
            sim_fail("entry %u changes on node %u without being there", entry,
                     p->life);
        *at = version;
        break;
    default:
        if (!*at)
            sim_fail("entry %u leaves node %u without being there", entry,
                     p->life);
        *at = 0;
        if (event == PRESENCE_LOST)
            check_lost(&lives[p->life], &lives[e->life]);
        break;
    }
}

struct listing {
    const struct life *l;
    size_t n;
};

static bool list_entry(void *arg, struct str key, struct str meta)
{
    struct listing *listing = arg;
    (void)key;
    uint32_t version;
    uint32_t entry = read_meta(meta, &version);
    if (seen[listing->l->id][entry] != version)
        sim_fail("node %u lists entry %u and has not reported it",
                 listing->l->id, entry);
    listing->n++;
    return true;
}

static void check_ghost(const struct life *l, const struct entry *e)
{
    const struct life *dead = &lives[e->life];
    if (dead->state != GONE || !l->usable)
        return;
    const uint64_t trouble[] = {redis_troubled_ms, l->troubled_ms,
                                dead->troubled_ms, l->usable_ms, dead->gone_ms};
    if (latest(trouble, 5) + 2 * (uint64_t)lease_ms + RETURN_MS < sim.now_ms)
        sim_fail("node %u still knows an entry of node %u, which is dead",
                 l->id, e->life);
}

void check_presence(const struct life *l)
{
    size_t n[NSPS][GROUPS] = {0};
    for (uint32_t i = 1; i <= n_entries; i++) {
        if (!seen[l->id][i])
            continue;
        n[entries[i].nsp][entries[i].group]++;
        check_ghost(l, &entries[i]);
    }
    for (unsigned i = 0; i < NSPS; i++) {
        for (unsigned g = 0; g < GROUPS; g++) {
            struct listing listing = {.l = l};
            struct str name = str_of(group_names[g]);
            adapter_presence_each(l->at[i].adapter, name, list_entry, &listing);
            size_t count = adapter_presence_count(l->at[i].adapter, name);
            if (listing.n != n[i][g] || count != n[i][g])
                sim_fail("node %u counts %zu entries, lists %zu, reported %zu",
                         l->id, count, listing.n, n[i][g]);
        }
    }
}

/* ---- the end ------------------------------------------------------------- */

static bool knows_all(const struct life *l)
{
    for (uint32_t i = 1; i <= n_entries; i++) {
        bool there = lives[entries[i].life].state == ALIVE;
        if (seen[l->id][i] != (there ? entries[i].version : 0))
            return false;
    }
    return true;
}

bool check_agreed(void)
{
    size_t alive = 0;
    for (unsigned i = 0; i < LIVES; i++)
        alive += lives[i].state == ALIVE;
    for (unsigned i = 0; i < LIVES; i++) {
        if (lives[i].state != ALIVE)
            continue;
        cluster_metrics(lives[i].cluster);
        if (metrics_value[M_PRESENCE_PEERS] != alive - 1 ||
            !knows_all(&lives[i]))
            return false;
    }
    return true;
}

bool check_settled(void)
{
    for (unsigned i = 0; i < LIVES; i++) {
        const struct life *l = &lives[i];
        if (l->state != ALIVE)
            continue;
        cluster_metrics(l->cluster);
        if (!cluster_usable(l->cluster) || metrics_value[M_REDIS_QUEUED] > 0 ||
            bus_connected(&l->link) != 2 || bus_unanswered(&l->link) > 0)
            return false;
    }
    return check_agreed();
}

static void check_number_of(const struct life *l, const char *what,
                            uint64_t says, uint64_t is)
{
    if (says != is)
        sim_fail("node %u says that %llu %s; it was %llu", l->id,
                 (unsigned long long)says, what, (unsigned long long)is);
}

/* Exactly what was not answered was counted as lost. */
static void check_counters(const struct life *l)
{
    const uint64_t *c = l->counters;
    uint64_t lost[KINDS];
    for (unsigned k = 0; k < KINDS; k++) {
        lost[k] = l->attempts[k] - l->answered[k];
        sim.tally.counted_arrived += l->executed[k] - l->answered[k];
        sim.tally.counted += lost[k];
    }
    sim.tally.counted_presence += l->attempts[PRESENCE] - l->executed[PRESENCE];
    sim.tally.counted_questions +=
        l->attempts[QUESTIONS] - l->executed[QUESTIONS];
    check_number_of(l, "messages were lost",
                    c[M_LOST_FULL] + c[M_LOST_UNANSWERED] + c[M_LOST_VOLATILE] +
                        c[M_LOST_REFUSED] + c[M_LOST_UNFIT],
                    lost[BROADCASTS] + lost[QUESTIONS]);
    check_number_of(l, "messages were published", c[M_REDIS_PUBLISHED],
                    l->answered[BROADCASTS] + l->answered[QUESTIONS]);
    check_number_of(l, "messages went out", c[M_REDIS_OUTGOING],
                    l->attempts[BROADCASTS] + l->attempts[QUESTIONS]);
    check_number_of(l, "messages of presence were lost", c[M_PRESENCE_LOST],
                    lost[PRESENCE]);
    check_number_of(l, "messages made no sense", c[M_REDIS_BAD], 0);
}

void check_end(void)
{
    uint32_t alive = 0;
    for (unsigned i = 0; i < LIVES; i++) {
        if (lives[i].state != ALIVE)
            continue;
        alive |= 1U << i;
        check_presence(&lives[i]);
        check_counters(&lives[i]);
    }
    for (uint32_t i = 0; i < n_records; i++) {
        const struct record *r = &records[i];
        uint32_t vanished = r->pushed & alive & ~(r->arrived | r->cut_off);
        if (vanished)
            sim_fail("message %u never came to nodes %#x", i + 1, vanished);
        if (r->executed || r->plan.local)
            continue;
        if (r->owed)
            sim_fail("message %u was never published", i + 1);
        if (alive & 1U << r->life)
            sim.tally.unpublished++;
        else
            sim.tally.died++;
    }
}
