/* Questions about the whole cluster: they are asked, answered by the hosts of
 * other nodes, some at once, some late and some never, and end exactly once.
 *
 * In between, an answer may lack nodes, but holds nothing twice; when nothing
 * fails it is complete. */
#ifndef CONFAB_TESTS_SIM_ASK_H
#define CONFAB_TESTS_SIM_ASK_H

#include "tests/cluster/sim/node.h"

enum { ASK_TIMEOUT_MS = 5000 };

enum ask_kind { ASK_FETCH, ASK_LIST, ASK_SERVERS, ASK_VALUES, ASK_ACKS };

void ask_begin(void);
/* From now on hosts answer, soon and completely, and nothing may be missing.
 * `exact`: nor does anything change while a question is open. */
void ask_calm(bool exact);

/* One of the first four. */
void ask(struct place *p, enum ask_kind kind,
         const struct broadcast_plan *plan);
/* The last one, from within node_broadcast_ack; returns 0, the number of
 * receivers here. */
size_t ask_receivers(struct place *p, const struct broadcast_plan *plan,
                     struct packet *packet, const struct broadcast *b);

/* Joins or leaves those that are selected, on all nodes; or ends them. */
void ask_join(struct place *p, const struct broadcast_plan *plan, unsigned room,
              bool join);
void ask_disconnect(struct place *p, const struct broadcast_plan *plan);

/* All have ended, or those that should have by now. */
void ask_check(bool all);
bool ask_open(void);

/* ---- the host -------------------------------------------------------------
 */

void ask_on_join(void *host, const struct broadcast *b,
                 const struct room_names *rooms);
void ask_on_leave(void *host, const struct broadcast *b,
                  const struct room_names *rooms);
void ask_on_disconnect(void *host, const struct broadcast *b, bool close);
void ask_on_describe(void *host, const struct broadcast *b, struct buf *out);
size_t ask_on_broadcast(void *host, struct packet *p, const struct broadcast *b,
                        uint32_t timeout_ms, struct adapter_asked *from);
void ask_on_event(void *host, struct str data, struct adapter_asked *from);
/* The adapter is gone: gives up what was not answered. */
void ask_forget(struct place *p);

#endif
