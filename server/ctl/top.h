/* `confabctl top`: the nodes of a cluster, its largest rooms and its slowest
 * clients, in a terminal, anew every second; or once, as plain text.
 *
 * top_nodes.c asks the nodes' admin listeners, top_view.c writes the screen,
 * top.c turns the loop and hears keys. */
#ifndef CONFAB_SERVER_CTL_TOP_H
#define CONFAB_SERVER_CTL_TOP_H

#include "server/ctl/http.h"
#include "server/ctl/targets.h"
#include "server/ctl/top_sample.h"

struct top_options {
    struct ctl_targets targets;
    uint32_t interval_ms;
    bool once;
};

/* -1: go on; otherwise what to exit with, all being said. */
int top_options_read(struct top_options *o, int argc, char **argv);

/* With the arguments behind "top". Returns an exit code. */
int top_main(int argc, char **argv);

/* ---- nodes --------------------------------------------------------------- */

enum { TOP_NODES_MAX = 256 };

struct top_node {
    struct top *top;
    const struct ctl_url *target; /* what it was found by */
    struct ctl_url url;           /* the same with its address */
    struct ctl_http *http;
    bool named;    /* by DNS, when that was asked last */
    bool nameless; /* stands for a name that has no address */
    /* The two latest answers, the latest first; `samples` of them count. */
    struct top_sample *now, *before;
    unsigned samples;
    struct top_slow slow[TOP_SLOW];
    size_t n_slow;
    bool asked;               /* at least once, and answered or not */
    bool up;                  /* it has answered the last time */
    int64_t down_since_ms;    /* since the epoch; when it is not up */
    char why[CTL_FAULT_TEXT]; /* it is not */
};

/* Of one target. */
struct top_search {
    struct top *top;
    const struct ctl_url *target;
    struct resolver_query *query;
    size_t found;
};

struct top {
    struct top_options options;
    struct ctl_net net;
    struct top_search searches[TARGETS_MAX];
    struct top_node *nodes[TOP_NODES_MAX];
    size_t n;
};

/* Asks DNS for nodes that are new, or gone. */
void top_search(struct top *t);
/* Asks all nodes that have answered, or failed, since they were last asked. */
void top_ask(struct top *t);
/* Something is still to be answered. */
bool top_busy(const struct top *t);
void top_forget(struct top *t);

/* What a node is called: its name once it has told it, else its address. */
const char *top_node_name(const struct top_node *n);

/* ---- the screen ---------------------------------------------------------- */

struct top_view {
    unsigned width, height; /* height 0: as much as there is, plain */
    unsigned sort;          /* a column */
    bool reverse;
    size_t chosen;  /* 1: the first node shown alone below; 0: all */
    int64_t now_ms; /* since the epoch */
};

unsigned top_columns(void);
/* Appends lines. A chosen node that is not there becomes 0. */
void top_draw(const struct top *t, struct top_view *v, struct buf *out);

#endif
