/* The connections that keep up worst. */
#ifndef CONFAB_SERVER_ENGINE_SLOW_H
#define CONFAB_SERVER_ENGINE_SLOW_H

#include "server/engine/engine.h"

struct engine_slow {
    struct str sid;
    const char *address;
    const char *transport;
    size_t queued_bytes;
    uint64_t slow_ms; /* for how long it has not kept up */
};

enum { ENGINE_SLOWEST_MAX = 100 };

/* Calls `each` for at most `most` (and ENGINE_SLOWEST_MAX) of those that are
 * over their limit now, the fullest queue first. */
void engine_slowest(const struct engine *e, uint32_t most,
                    void (*each)(void *arg, const struct engine_slow *s),
                    void *arg);

#endif
