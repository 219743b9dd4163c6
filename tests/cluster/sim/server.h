/* Redis, as far as nodes know it: publish and subscribe, with patterns, and the
 * commands around them. Replies go to bus.c. */
#ifndef CONFAB_TESTS_SIM_SERVER_H
#define CONFAB_TESTS_SIM_SERVER_H

#include "common/bytes.h"
#include "common/list.h"

struct server_client {
    struct list link;
    struct list subscriptions;
};

void server_add(struct server_client *c);
/* Its subscriptions go with it. */
void server_remove(struct server_client *c);
/* Runs one command, in RESP; what it does not know ends the simulation. */
void server_run(struct server_client *c, struct bytes *command);
size_t server_clients(void);

/* Splits a command; returns the number of its arguments, which point into it,
 * at most `max`. */
size_t server_split(const struct bytes *command, struct str *argv, size_t max);
/* Redis' patterns: * ? [abc] [^a-c] and \ before any of them. */
bool server_matches(struct str pattern, struct str text);

#endif
