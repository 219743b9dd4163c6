/* How many events clients may send (the settings rate.*): each connection, all
 * connections of an address, each event of a connection that has a rate of its
 * own, and all of them into a room.
 *
 * An event that comes too fast reaches no handler; its acknowledgement is
 * {error: "rate_limited", retry_after_ms}, and takes nothing from any bucket.
 * Whoever goes on is disconnected (rate.strikes). Nothing is kept of those who
 * have been quiet for a while: see bucket.h. */
#ifndef CONFAB_SERVER_IO_RATE_H
#define CONFAB_SERVER_IO_RATE_H

#include "common/map.h"
#include "server/io/bucket_table.h"
#include "server/settings.h"

struct sio_event;
struct sio_socket;
struct client;

struct rates {
    struct bucket_rate connection, address, room, strikes;
    struct map events; /* that have a rate of their own */
    uint32_t n_events;
    /* A connection pays its address for so many events at once: finding the
     * address costs more than all the rest. */
    uint32_t address_block;
    struct bucket_table addresses; /* by address; IPv6 by its first 64 bits */
    struct bucket_table others;    /* by connection and event, by room */
};

/* 0, or ERR_CONFIG with what is wrong: an item of rate.events, or the key of a
 * burst that would take over two hours to come back. Call rates_fini either
 * way. */
MUST_CHECK int rates_init(struct rates *r, const struct settings *set,
                          struct str *bad);
void rates_fini(struct rates *r);

/* Whether the event may go on; otherwise it has been answered, and its client
 * may have been disconnected. */
bool rate_admit(struct sio_socket *s, struct sio_event *e);
/* Something of the client's refusals must be remembered. */
bool rate_remembers(struct client *c);

#endif
