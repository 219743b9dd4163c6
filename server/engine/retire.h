/* An engine that is to end without cutting everybody off at once: it takes
 * nobody in any more and closes its sessions one by one, at its caller's pace.
 */
#ifndef CONFAB_SERVER_ENGINE_RETIRE_H
#define CONFAB_SERVER_ENGINE_RETIRE_H

#include <stdbool.h>

struct engine;

/* Refuses handshakes from now on, also those that wait for their admission. */
void engine_retire(struct engine *e);
/* Closes another session, "server shutting down"; what is queued for it goes
 * out first. O(1): the next one in the table, whose order is random, so that
 * clients that came together (from another node that drained, into one room)
 * do not leave together. False when there is none but those that are closing
 * and wait for their last poll. */
bool engine_retire_one(struct engine *e);

#endif
