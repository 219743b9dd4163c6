#include "tests/cluster/sim/node.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "adapter/redis_pubsub.h"
#include "common/config.h"
#include "common/id.h"
#include "common/mem.h"
#include "tests/cluster/sim/ask.h"
#include "tests/cluster/sim/check.h"

struct life lives[LIVES];
static uint32_t meta_bytes; /* of this run */

/* Names that patterns, channels and numbers could stumble over. */
const char *const room_names[ROOMS] = {
    "lobby", "a", "a#b", "*", "7", "[x]", "?", "room\\", "\xc3\xa9t\xc3\xa9",
    "#",
};

static const char *const nsps[NSPS] = {"/", "/chat"};
const char *const group_names[GROUPS] = {"g0", "g1", "g2"};

/* ---- whose counters ------------------------------------------------------ */

static uint64_t before[METRIC_COUNT];
static struct life *inside; /* whose code runs */

void node_enter(struct life *l)
{
    assert(!inside);
    inside = l;
    loop_set_clock(l->loop, sim.now_ms);
    memcpy(before, metrics_value, sizeof(before));
}

static void hear_later(struct place *p)
{
    for (unsigned m = 0; m < MEMBERS; m++) {
        p->heard[m] |= p->later[m];
        p->later[m] = 0;
    }
}

static void note_usable(struct life *l)
{
    bool usable = l->cluster && cluster_usable(l->cluster);
    if (usable && !l->usable) {
        l->usable_ms = sim.now_ms;
        for (unsigned i = 0; i < NSPS; i++)
            hear_later(&l->at[i]);
    }
    l->usable = usable;
}

void node_exit(struct life *l)
{
    loop_end_of_turn(l->loop);
    for (size_t i = 0; i < METRIC_COUNT; i++)
        l->counters[i] += metrics_value[i] - before[i];
    note_usable(l);
    inside = NULL;
}

/* Between the adapter and redis_pubsub.c, put there by the linker. */
void __real_redis_pubsub_publish(struct redis_pubsub *ps, struct str channel,
                                 struct str payload, enum publish_kind kind);
void __wrap_redis_pubsub_publish(struct redis_pubsub *ps, struct str channel,
                                 struct str payload, enum publish_kind kind);

void __wrap_redis_pubsub_publish(struct redis_pubsub *ps, struct str channel,
                                 struct str payload, enum publish_kind kind)
{
    check_attempt(inside, payload);
    __real_redis_pubsub_publish(ps, channel, payload, kind);
}

/* ---- the host ------------------------------------------------------------ */

static bool on_deliver(void *host, struct member *to, struct packet *p,
                       bool is_volatile)
{
    (void)is_volatile;
    const struct place *at = host;
    check_member(at, (unsigned)(to - at->members), bytes_str(p->data));
    return true;
}

static void on_presence(void *host, struct str group, struct str key,
                        struct str meta, int event)
{
    check_presence_event(host, group, key, meta, event);
}

static const struct adapter_host host_ops = {
    .deliver = on_deliver,
    .presence = on_presence,
    .sockets_join = ask_on_join,
    .sockets_leave = ask_on_leave,
    .sockets_disconnect = ask_on_disconnect,
    .sockets_describe = ask_on_describe,
    .broadcast_ack = ask_on_broadcast,
    .server_event = ask_on_event,
};

/* ---- members ------------------------------------------------------------- */

static struct life *life_of(const struct place *p)
{
    return &lives[p->life];
}

void node_add(struct place *p, unsigned member)
{
    node_enter(life_of(p));
    id_random(p->ids[member], ID_LEN);
    p->here[member] = true;
    p->rooms[member] = p->heard[member] = p->later[member] = 0;
    for (unsigned g = 0; g < GROUPS; g++)
        p->entry[g][member] = 0;
    adapter_add(p->adapter, &p->members[member], str_of(p->ids[member]));
    node_exit(life_of(p));
}

static void forget(struct place *p, unsigned group, unsigned member)
{
    if (p->present[group][member])
        check_entry_gone(p->entry[group][member]);
    p->present[group][member] = false;
}

void member_remove(struct place *p, unsigned member)
{
    p->here[member] = false;
    p->rooms[member] = p->heard[member] = p->later[member] = 0;
    for (unsigned g = 0; g < GROUPS; g++)
        forget(p, g, member);
    adapter_remove(p->adapter, &p->members[member]);
}

struct joining {
    struct place *place;
    unsigned member, room;
    char id[ID_LEN];
};

static void on_joined(void *arg, int rc)
{
    struct joining *j = arg;
    struct place *p = j->place;
    uint32_t bit = 1U << j->room;
    p->joining--;
    /* It may be another member, which did not join, or have left. */
    if (memcmp(p->ids[j->member], j->id, sizeof(j->id)) == 0 &&
        (p->rooms[j->member] & bit)) {
        if (rc == 0)
            p->heard[j->member] |= bit;
        else
            p->later[j->member] |= bit;
    }
    mem_free(j);
}

void member_join(struct place *p, unsigned member, unsigned room)
{
    struct joining *j = mem_zalloc(sizeof(*j));
    j->place = p;
    j->member = member;
    j->room = room;
    memcpy(j->id, p->ids[member], sizeof(j->id));
    p->joining++;
    p->rooms[member] |= 1U << room;
    adapter_join_then(p->adapter, &p->members[member], str_of(room_names[room]),
                      on_joined, j);
}

void member_leave(struct place *p, unsigned member, unsigned room)
{
    p->rooms[member] &= ~(1U << room);
    p->heard[member] &= ~(1U << room);
    p->later[member] &= ~(1U << room);
    adapter_leave(p->adapter, &p->members[member], str_of(room_names[room]));
}

void node_remove(struct place *p, unsigned member)
{
    node_enter(life_of(p));
    member_remove(p, member);
    node_exit(life_of(p));
}

void node_join(struct place *p, unsigned member, unsigned room)
{
    node_enter(life_of(p));
    member_join(p, member, room);
    node_exit(life_of(p));
}

void node_leave(struct place *p, unsigned member, unsigned room)
{
    node_enter(life_of(p));
    member_leave(p, member, room);
    node_exit(life_of(p));
}

/* ---- presence ------------------------------------------------------------ */

void node_set(struct place *p, unsigned group, unsigned member)
{
    char meta[4096];
    uint32_t *entry = &p->entry[group][member];
    if (!*entry)
        *entry = check_entry_new(p, group);
    if (!*entry)
        return;
    node_enter(life_of(p));
    p->present[group][member] = true;
    (void)snprintf(meta, sizeof(meta), "[%u,%u,\"%0*u\"]", *entry,
                   check_entry_changed(*entry), (int)meta_bytes, 0);
    if (adapter_presence_set(p->adapter, str_of(group_names[group]),
                             str_of(p->ids[member]), str_of(meta)) < 0)
        sim_fail("a presence entry was refused");
    sim.tally.presence++;
    node_exit(life_of(p));
}

void node_clear(struct place *p, unsigned group, unsigned member)
{
    node_enter(life_of(p));
    forget(p, group, member);
    adapter_presence_clear(p->adapter, str_of(group_names[group]),
                           str_of(p->ids[member]));
    sim.tally.presence++;
    node_exit(life_of(p));
}

/* ---- broadcasts ---------------------------------------------------------- */

static size_t name_rooms(struct str *names, uint32_t rooms, const char *id,
                         bool twice)
{
    size_t n = 0;
    for (unsigned i = 0; i < ROOMS; i++) {
        if (rooms & 1U << i)
            names[n++] = str_of(room_names[i]);
    }
    if (id)
        names[n++] = str_of(id);
    if (twice && n > 0) {
        names[n] = names[0];
        n++;
    }
    return n;
}

void selection_of(const struct broadcast_plan *plan, struct selection *s)
{
    s->b = (struct broadcast){.rooms = s->rooms,
                              .except = s->except,
                              .local = plan->local,
                              .is_volatile = plan->is_volatile};
    s->b.n_rooms = name_rooms(s->rooms, plan->rooms, plan->to, plan->twice);
    s->b.n_except = name_rooms(s->except, plan->except, plan->but, plan->twice);
}

static struct bytes *text_of(uint32_t number, unsigned padding)
{
    struct buf b;
    buf_init(&b, UINT32_MAX);
    buf_fmt(&b, "[\"m\",\"sim:%u:", number);
    for (unsigned i = 0; i < padding; i++)
        buf_addc(&b, 'x');
    buf_add(&b, STR("\"]"));
    struct bytes *text = bytes_new(buf_str(&b));
    buf_fini(&b);
    return text;
}

/* With `ask` the receivers on other nodes are to acknowledge it, and those here
 * are not this function's business. */
static void publish(struct place *p, const struct broadcast_plan *plan,
                    bool ask)
{
    struct selection s;
    selection_of(plan, &s);
    uint32_t number = check_broadcast(p, plan, ask);
    struct bytes *text = text_of(number, plan->padding);
    struct packet *packet = packet_new(PACKET_EVENT, str_of(nsps[p->nsp]),
                                       PACKET_NO_ACK, text, NULL, 0);
    node_enter(life_of(p));
    check_delivered(number, ask ? ask_receivers(p, plan, packet, &s.b)
                                : adapter_broadcast(p->adapter, packet, &s.b));
    node_exit(life_of(p));
    if (packet->refs != 1 || text->refs != 2)
        sim_fail("a packet is held on to");
    packet_unref(packet);
    bytes_unref(text);
}

void node_broadcast(struct place *p, const struct broadcast_plan *plan)
{
    publish(p, plan, false);
}

void node_broadcast_ack(struct place *p, const struct broadcast_plan *plan)
{
    publish(p, plan, true);
}

/* ---- life ---------------------------------------------------------------- */

static bool has_timers(const struct timer_wheel *w)
{
    for (unsigned level = 0; level < TIMER_LEVELS; level++) {
        for (unsigned slot = 0; slot < TIMER_SLOTS; slot++) {
            if (!list_empty(&w->slot[level][slot]))
                return true;
        }
    }
    return false;
}

static void bury(struct life *l)
{
    for (unsigned i = 0; i < NSPS; i++) {
        if (l->at[i].joining > 0)
            sim_fail("%zu joins of node %u never ended", l->at[i].joining,
                     l->id);
    }
    if (has_timers(&l->loop->wheel))
        sim_fail("node %u has left a timer", l->id);
    loop_free(l->loop);
    l->loop = NULL;
    bus_detach(&l->link);
    l->state = GONE;
}

void node_reset(void)
{
    memset(lives, 0, sizeof(lives));
}

void node_start(struct life *l, const struct node_settings *s,
                uint32_t latency_ms, uint32_t jitter_ms)
{
    char err[CONFIG_ERR_MAX] = "";
    char name[16];
    unsigned id = (unsigned)(l - lives);
    assert(l->state == UNBORN);
    *l = (struct life){.id = id, .state = ALIVE};
    (void)snprintf(name, sizeof(name), "node-%u", id);
    l->link.latency_ms = latency_ms;
    l->link.jitter_ms = jitter_ms;
    l->loop = loop_new_at(sim.now_ms);
    bus_attach(&l->link, id, l->loop);
    struct adapter_settings as = {.type = ADAPTER_REDIS,
                                  .redis_url = "redis://localhost",
                                  .prefix = s->prefix,
                                  .node_name = name,
                                  .interest = s->interest,
                                  .publish_queue_bytes = s->queue_bytes,
                                  .lease_ms = s->lease_ms,
                                  .json_depth = 24,
                                  .max_message_bytes = 1000000,
                                  .requests_timeout_ms = ASK_TIMEOUT_MS,
                                  .specific_responses = s->specific_responses};
    meta_bytes = s->meta_bytes;
    node_enter(l);
    l->cluster = cluster_new(l->loop, &as, err);
    if (!l->cluster)
        sim_fail("%s", err);
    for (unsigned i = 0; i < NSPS; i++) {
        struct place *p = &l->at[i];
        p->life = id;
        p->nsp = i;
        list_init(&p->asked);
        p->adapter = adapter_new(l->cluster, str_of(nsps[i]), &host_ops, p);
    }
    node_exit(l);
    sim_note("node starts", id, 0, 0);
}

static void take_down(struct life *l)
{
    for (unsigned i = 0; i < NSPS; i++) {
        for (unsigned m = 0; m < MEMBERS; m++) {
            if (l->at[i].here[m])
                node_remove(&l->at[i], m);
        }
    }
    node_enter(l);
    for (unsigned i = 0; i < NSPS; i++) {
        adapter_free(l->at[i].adapter);
        ask_forget(&l->at[i]);
    }
    cluster_free(l->cluster);
    l->cluster = NULL;
    node_exit(l);
    l->gone_ms = sim.now_ms;
}

void node_stop(struct life *l)
{
    sim_note("node stops", l->id, 0, 0);
    l->state = STOPPING;
    take_down(l);
    bury(l);
}

void node_kill(struct life *l, bool quietly)
{
    sim_note("node dies", l->id, quietly, 0);
    l->state = STOPPING;
    bus_kill(&l->link, quietly);
    take_down(l);
    bury(l);
}

uint64_t node_due(const struct life *l)
{
    uint64_t due = loop_due(l->loop);
    return due > l->link.paused_until ? due : l->link.paused_until;
}

void node_turn(struct life *l)
{
    node_enter(l);
    bus_hand_over(&l->link);
    loop_advance(l->loop, sim.now_ms);
    node_exit(l);
}
