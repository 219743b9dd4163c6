/* One run of the load generator: what was asked for, the clients, what they
 * have used and counted. Each scenario is a function that fills it and returns
 * through report_*. */
#ifndef CONFAB_TESTS_BENCH_RUN_H
#define CONFAB_TESTS_BENCH_RUN_H

#include "tests/bench/packet.h"
#include "tests/bench/probe.h"
#include "tests/bench/tally.h"

enum { NS_PER_MS = 1000000 };

struct options {
    const char *scenario;
    const char *id, *server; /* of the line that is printed */
    const char *host;
    pid_t pids[SWARM_NODES_MAX];
    uint32_t ports[SWARM_NODES_MAX];
    uint32_t n_nodes;
    uint32_t redis; /* process id; 0 = none */
    uint32_t conns, window, size, messages, warm, cpu_ms, per_room;
    uint32_t rate, seconds; /* of open loops */
    uint32_t polling, bare, binary, msgpack, deflate;
    uint32_t slow, slow_polling; /* clients that stop reading */
    uint32_t first_room;
};

/* What one phase took. The server's time is that of all nodes. */
struct usage {
    uint64_t wall_ns, own_ns, server_ns, redis_ns;
};

struct run {
    const struct options *o;
    struct swarm swarm;
    struct packet_form form;
    struct tally tally;
    struct usage used;
    uint64_t expected; /* deliveries, the warm-up included */
    uint64_t measured; /* operations that `used` was used for */
    uint32_t limit;    /* of this round: messages in all, or of each client */
    uint32_t rounds;   /* measured */
    char packet[PACKET_MAX];
    void *own; /* the scenario's */
};

/* Each returns the exit status: 1 when a message was lost, doubled, reordered
 * or changed. */
int fanout(struct run *r);  /* fanout.c */
int latency(struct run *r); /* latency.c */
int echo(struct run *r);    /* echo.c */
int churn(struct run *r);   /* churn.c */
int idle(struct run *r);    /* idle.c */
int joins(struct run *r);   /* joins.c */
int hold(struct run *r);    /* hold.c */

/* Opens the clients that the options ask for. */
void run_open(struct run *r, uint32_t conns, uint32_t per_room);

struct usage usage_now(const struct options *o);
struct usage usage_since(struct usage from, const struct options *o);

/* Handles events until `done`, calling `each` after every turn; false when
 * nothing has come for too long. */
bool run_until(struct run *r, bool (*done)(const struct run *r),
               void (*each)(struct run *r));
/* The warm-up, then what is measured: rounds until enough CPU time was used. A
 * round is false when it broke off. */
void run_rounds(struct run *r, bool (*round)(struct run *r, uint32_t n));

/* The line of JSON: what all scenarios have, between the two what one has more,
 * as members that begin with a comma. */
void report_begin(const struct run *r);
int report_end(const struct run *r);
/* One member. */
void report_number(const char *name, double v);

#endif
