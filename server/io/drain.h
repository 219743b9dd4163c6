/* How a server ends without cutting all its clients off at the same moment.
 *
 *   SERVING --sio_server_drain--> NOTICE --notice_ms--> WINDOW --> FAREWELL
 *                                                                      |
 *   from each of them, by sio_server_stop or at last by itself:    stopped
 *
 *   NOTICE    not ready (/readyz), but everybody is served, new clients too:
 *             balancers need a moment to notice
 *   WINDOW    no new sessions; those that are here are closed one by one over
 *             window_ms (pace.h)
 *   FAREWELL  all are closed; polling clients get a second to fetch that
 *
 * Once nobody is left after the notice, the server stops. Requests are answered
 * until then. */
#ifndef CONFAB_SERVER_IO_DRAIN_H
#define CONFAB_SERVER_IO_DRAIN_H

#include <stdbool.h>

#include "common/timer.h"
#include "server/io/pace.h"

struct sio_server;

enum drain_phase { DRAIN_SERVING, DRAIN_NOTICE, DRAIN_WINDOW, DRAIN_FAREWELL };

struct drain {
    struct sio_server *server;
    enum drain_phase phase;
    struct timer timer;
    struct pace pace;
    uint64_t began_ms;
    uint64_t ends_ms; /* of the farewell */
    uint32_t closed;
};

void drain_init(struct drain *d, struct sio_server *srv);
bool drain_is_on(const struct drain *d);
/* The server stops; what is left is cut off. */
void drain_end(struct drain *d);
/* Gauges, just before they are printed. */
void drain_metrics(const struct drain *d);

#endif
