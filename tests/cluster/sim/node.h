/* A node: the adapter and all below it as a server uses them, with members that
 * note what they are handed. Beside it stands what the simulation itself knows
 * of the node, kept without asking it. */
#ifndef CONFAB_TESTS_SIM_NODE_H
#define CONFAB_TESTS_SIM_NODE_H

#include "adapter/adapter.h"
#include "common/metrics.h"
#include "tests/cluster/sim/bus.h"
#include "tests/cluster/sim/sim.h"

enum life_state { UNBORN, ALIVE, STOPPING, GONE };

/* One namespace of one node. */
struct place {
    unsigned life, nsp;
    struct adapter *adapter;
    struct member members[MEMBERS];
    char ids[MEMBERS][21];
    /* What should be so: */
    bool here[MEMBERS];
    uint32_t rooms[MEMBERS]; /* a bit for each */
    /* Of these, rooms whose messages from other nodes must arrive: the join is
     * confirmed; and those that will be when Redis is back. */
    uint32_t heard[MEMBERS], later[MEMBERS];
    size_t joining;                  /* joins that wait for their callbacks */
    uint32_t seq;                    /* of its broadcasts */
    uint32_t entry[GROUPS][MEMBERS]; /* numbers; 0: there never was one */
    bool present[GROUPS][MEMBERS];
    struct list asked; /* by other nodes, and not answered yet */
};

/* What nodes publish. */
enum { BROADCASTS, QUESTIONS, PRESENCE, KINDS };

struct life {
    unsigned id;
    enum life_state state;
    struct loop *loop;
    struct cluster *cluster;
    struct link link;
    struct place at[NSPS];
    uint64_t counters[METRIC_COUNT]; /* this node's, of the process's */
    uint64_t attempts[KINDS], executed[KINDS], answered[KINDS];
    uint64_t gone_ms, usable_ms;
    uint64_t troubled_ms; /* something was wrong with its links until then */
    bool usable;
};

struct node_settings {
    uint32_t queue_bytes, lease_ms;
    uint32_t meta_bytes; /* of a presence entry, at least */
    const char *prefix;
    bool interest;
    bool specific_responses;
};

extern struct life lives[LIVES];
extern const char *const room_names[ROOMS];
extern const char *const group_names[GROUPS];

/* No node has lived yet. */
void node_reset(void);
void node_start(struct life *l, const struct node_settings *s,
                uint32_t latency_ms, uint32_t jitter_ms);
/* As on SIGTERM: members first, then a goodbye. */
void node_stop(struct life *l);
/* As on SIGKILL; see bus_kill. */
void node_kill(struct life *l, bool quietly);

/* When the node has something to do. */
uint64_t node_due(const struct life *l);
/* One turn of its loop. */
void node_turn(struct life *l);

void node_add(struct place *p, unsigned member);
void node_remove(struct place *p, unsigned member);
void node_join(struct place *p, unsigned member, unsigned room);
void node_leave(struct place *p, unsigned member, unsigned room);
void node_set(struct place *p, unsigned group, unsigned member);
void node_clear(struct place *p, unsigned group, unsigned member);

struct broadcast_plan {
    uint32_t rooms, except;         /* bits */
    const char *to, *but;           /* ids of members, or NULL */
    unsigned padding;               /* bytes */
    bool local, is_volatile, twice; /* `twice`: names a room again */
};
void node_broadcast(struct place *p, const struct broadcast_plan *plan);
void node_broadcast_ack(struct place *p, const struct broadcast_plan *plan);

/* A plan in the adapter's words. */
struct selection {
    struct broadcast b;
    struct str rooms[ROOMS + 2], except[ROOMS + 2];
};
void selection_of(const struct broadcast_plan *plan, struct selection *s);

/* Whatever runs a node's code stands between these. */
void node_enter(struct life *l);
void node_exit(struct life *l);
/* Of those above, for code that does. */
void member_remove(struct place *p, unsigned member);
void member_join(struct place *p, unsigned member, unsigned room);
void member_leave(struct place *p, unsigned member, unsigned room);

#endif
