/* Dynamic namespaces (sio.h: sio_of_match): a parent decides which names it
 * takes; a child is made by the first CONNECT for a name and freed, at the end
 * of the turn, when its last socket has gone. */
#ifndef CONFAB_SERVER_IO_DYNAMIC_H
#define CONFAB_SERVER_IO_DYNAMIC_H

#include "server/io/namespace.h"

/* A new child of that name, when one of the parents takes it; NULL when none
 * does, or with `*full` when there are too many. */
struct sio_namespace *dynamic_match(struct sio_server *srv, struct str name,
                                    struct sio_value auth, bool *full);
/* A socket has gone, or something else that kept the namespace. */
void dynamic_release(struct sio_namespace *ns);
/* All children must be gone. */
void dynamic_fini(struct sio_server *srv);

#endif
