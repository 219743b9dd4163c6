/* Whether there is room for one more handshake; who finds none is answered 503
 * and may come again. What waits for its admission counts as a session, and as
 * one that is half open. */
#ifndef CONFAB_SERVER_ENGINE_GATE_H
#define CONFAB_SERVER_ENGINE_GATE_H

#include "server/http/http.h"

struct engine;

enum gate {
    GATE_OPEN,
    GATE_STOPPING,
    GATE_DRAINING,
    GATE_SESSIONS,  /* max_sessions */
    GATE_HALF_OPEN, /* max_half_open */
    GATE_RATE,      /* handshakes_per_second */
};

/* For a handshake that has just come, which the rate counts. */
enum gate gate_enter(struct engine *e);
/* For one that was in before and goes on. */
enum gate gate_look(const struct engine *e);
/* `why` is not GATE_OPEN. */
void gate_refuse(struct engine *e, struct http_request *r, enum gate why);

#endif
