/* The rooms of one namespace that have members anywhere in the cluster, with
 * how many. It is told of each change, so that a list costs nothing while
 * nothing changes, and asks nobody. All zero is an empty list. */
#ifndef CONFAB_SERVER_APP_ROOMLIST_H
#define CONFAB_SERVER_APP_ROOMLIST_H

#include "server/sio.h"

struct roomlist {
    void *rooms; /* tree of struct room, by name */
    size_t count;
    char *json; /* NULL when out of date */
    size_t json_len;
};

/* A room without members is dropped. Without memory the room is not listed. */
void roomlist_set(struct roomlist *list, struct sio_str name, size_t members);
/* JSON: [{"room":"...","count":1},...], the 200 fullest, fullest first; lent
 * until the next change. False without memory. */
bool roomlist_json(struct roomlist *list, struct sio_str *out);

#endif
