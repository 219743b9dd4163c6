/* adapter/redis.h for nodes of the simulation: states, pauses and pings are
 * those of the real one, the connection is the bus's. */
#ifndef CONFAB_TESTS_SIM_CLIENT_H
#define CONFAB_TESTS_SIM_CLIENT_H

#include "tests/cluster/sim/bus.h"

/* Something comes: a reply, a published message, or the end. */
void client_take(struct redis *r, struct message *m);
bool client_subscribes(const struct redis *r);
/* Its connection is gone, and it is not told: its node is dead. */
void client_orphan(struct redis *r);
size_t clients_left(void);

#endif
