/* The handlers of events, by the events' names. */
#ifndef CONFAB_SERVER_IO_EVENT_TABLE_H
#define CONFAB_SERVER_IO_EVENT_TABLE_H

#include "common/map.h"
#include "server/io/handlers.h"

/* The handlers of one event; there while it has any or is being run. */
struct event_handlers {
    struct map_node node;
    struct handlers handlers;
    uint32_t running;
    struct str name;
};

struct event_table {
    struct map by_name;
    struct event_handlers *last; /* found; often asked for again; may be NULL */
};

void event_table_init(struct event_table *t);
/* No handler may be running. */
void event_table_fini(struct event_table *t);

/* NULL when it has no handlers. */
struct event_handlers *event_table_find(struct event_table *t,
                                        struct str event);
/* Made when it is not there. */
struct event_handlers *event_table_need(struct event_table *t,
                                        struct str event);
/* After handlers have gone or been run: frees what nobody needs any more, for
 * names that come and go must not pile up. */
void event_table_tidy(struct event_table *t, struct event_handlers *eh);

#endif
