/* A cluster in one process, with no clock, no chance and no network of its own.
 *
 *     main.c    options, many runs, one line of numbers
 *     plan.c    one run: what happens, drawn from the seed
 *     node.c    a node: the production adapter and a host that notes what it
 *               is handed
 *     client.c  a node's connection to Redis: it implements adapter/redis.h
 *     bus.c     the wires, and all that can happen to them
 *     server.c  Redis: commands and subscriptions
 *     ask.c     questions about the whole cluster
 *     check.c   the promises
 *
 * Everything runs on one thread. The same seed gives the same run, event by
 * event; the hash of the events is there to show it. Time is milliseconds. */
#ifndef CONFAB_TESTS_SIM_H
#define CONFAB_TESTS_SIM_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LIVES = 32, /* of nodes in one run: a node that returns is a new one */
    NSPS = 2,
    MEMBERS = 6, /* in each namespace of a node */
    ROOMS = 10,
    GROUPS = 3, /* of presence, in each namespace */
};

/* Of all runs. */
struct tally {
    uint64_t runs, events;
    uint64_t sent;        /* broadcasts that were not for one node only */
    uint64_t delivered;   /* to members */
    uint64_t unpublished; /* never reached Redis; their nodes counted them */
    uint64_t died;        /* the same, and their node died before it could */
    uint64_t counted;     /* given up by nodes: of all they publish */
    uint64_t counted_presence, counted_questions;
    uint64_t counted_arrived; /* of these, had reached Redis all the same */
    uint64_t away;            /* a receiving node was not connected then */
    uint64_t cut_off;         /* on the way to one when its connection broke */
    uint64_t queries, partial;
    uint64_t presence, kills, cuts, restarts;
    uint64_t slowest_ms; /* until all agreed, after the faults had ended */
};

struct sim {
    uint64_t seed, now_ms, hash;
    unsigned nodes, steps; /* as asked for; 0: drawn */
    bool trace;
    uint64_t chance; /* state of the plan's source, apart from the nodes' */
    struct tally tally;
};

extern struct sim sim;

/* Uniform in [0, n), and true in so many of a hundred cases. */
uint32_t sim_below(uint32_t n);
bool sim_chance(uint32_t percent);

/* Something happened: it is part of the run's hash, and printed with --trace.
 * `what` is static text. */
void sim_note(const char *what, uint64_t a, uint64_t b, uint64_t c);

/* A promise is broken: prints the seed and ends the process. */
__attribute__((noreturn, format(printf, 1, 2))) void sim_fail(const char *fmt,
                                                              ...);

/* One run; fills sim.hash and adds to the tally. */
void plan_run(uint64_t seed);

#endif
