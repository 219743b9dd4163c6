/* What the nodes of a cluster say of themselves in /readyz, side by side. */
#ifndef CONFAB_SERVER_CTL_NODE_TABLE_H
#define CONFAB_SERVER_CTL_NODE_TABLE_H

#include "common/buf.h"
#include "common/err.h"

enum {
    NODE_NAME_MAX = 64,
    NODE_WORD_MAX = 16,
    NODES_MAX = 256,
    NODE_NO_RTT = INT32_MAX,
};

struct node_state {
    char name[NODE_NAME_MAX + 1];
    char status[NODE_WORD_MAX + 1];  /* ready, degraded, stopping, ... */
    char adapter[NODE_WORD_MAX + 1]; /* memory, redis */
    char redis[NODE_WORD_MAX + 1];   /* digests */
    char prefix[NODE_WORD_MAX + 1];
    struct buf peers;     /* names, each followed by '\n' */
    unsigned http_status; /* of the answer */
    int64_t ahead_ms;     /* of this machine's clock */
    int32_t rtt_ms;       /* ahead_ms may be wrong by half of it */
    bool timed;           /* it said what time it has */
};

struct node_table {
    struct node_state *v;
    size_t n;
};

void node_table_init(struct node_table *t);
void node_table_fini(struct node_table *t);

/* Takes the body of an answer that was asked for and came at these times of
 * this machine. 1: a node that was not known; 0: it was, and is up to date now;
 * ERR_PROTO: this is no node's /readyz; ERR_LIMIT: too many nodes. */
MUST_CHECK int node_table_take(struct node_table *t, struct str json,
                               unsigned http_status, int64_t asked_ms,
                               int64_t came_ms);
struct node_state *node_table_find(const struct node_table *t, struct str name);
bool node_hears(const struct node_state *n, struct str peer);

/* Whether a node is ready, has its Redis, and speaks to others by it. */
bool node_ready(const struct node_state *n);
bool node_degraded(const struct node_state *n);
bool node_joined(const struct node_state *n);

/* The names of those that are `right`, as "a, b and c"; how many. */
typedef bool node_is_fn(const struct node_state *n, const void *arg);
size_t node_names(const struct node_table *t, node_is_fn *right,
                  const void *arg, struct buf *out);

/* The time, relative to this machine's, that most clocks have, its own
 * included. */
int64_t node_table_time(const struct node_table *t);

#endif
