/* Rooms and members of one namespace, linked from both sides.
 *
 * A room is a dense array of its members; a member knows its slot in each of
 * its rooms, so that leaving is O(1) and a broadcast walks memory in order.
 * Every member is reachable by its id as if it were in a room of that name
 * (Socket.IO's private room), at no cost. A room exists while it has members.
 *
 * The member is embedded in the server's socket and owned by it; names are
 * copied into the room. */
#ifndef CONFAB_ADAPTER_ROOMS_H
#define CONFAB_ADAPTER_ROOMS_H

#include "common/map.h"

struct room;
struct recovery_session;
struct join;

struct membership {
    struct room *room;
    uint32_t slot; /* in room->members */
};

struct member {
    struct map_node by_id;
    const char *id; /* owned by the socket; constant while it is a member */
    union {
        struct membership one; /* of the only room, as most members have */
        struct membership *many;
    } in;
    struct recovery_session *session; /* NULL: it cannot be recovered */
    struct join *joins;               /* that wait, in joins.c */
    uint32_t everyone_slot;
    uint32_t mark; /* last selection that has seen it: rooms.selection */
    uint32_t id_len;
    uint16_t n_in;
    uint16_t n_joins;
};

static inline struct str member_id(const struct member *m)
{
    return (struct str){m->id, m->id_len};
}

/* Its n_in memberships, in order of joining. */
static inline const struct membership *member_in(const struct member *m)
{
    return m->n_in > 1 ? m->in.many : &m->in.one;
}

struct room {
    struct map_node by_name;
    struct member **members;
    uint32_t n, cap;
    struct str name;
};

/* Told when a room gets its first member and when it has lost its last. */
struct rooms_watch {
    void (*created)(void *arg, struct str room);
    void (*emptied)(void *arg, struct str room);
};

struct rooms {
    struct map by_name; /* of room */
    struct map by_id;   /* of member */
    struct room everyone;
    uint32_t selection;
    const struct rooms_watch *watch; /* may be NULL */
    void *watch_arg;
};

void rooms_init(struct rooms *r);
/* All members must be gone. */
void rooms_fini(struct rooms *r);

void rooms_add(struct rooms *r, struct member *m, struct str id);
/* Leaves all rooms, in the order they were joined. */
void rooms_remove(struct rooms *r, struct member *m);
struct member *rooms_member(const struct rooms *r, struct str id);
/* NULL when nobody is in it. Private rooms are not among them. */
struct room *rooms_find(const struct rooms *r, struct str name);
size_t rooms_count(const struct rooms *r);

/* True when it was not a member before. */
bool rooms_join(struct rooms *r, struct member *m, struct str name);
bool rooms_leave(struct rooms *r, struct member *m, struct str name);
bool rooms_has(const struct member *m, struct str name);

/* Calls `each` once for every member selected: of any of `in` (everyone when
 * n_in is 0), and of none of `except`. `each` must not add, remove, join or
 * leave. Returns how many were called. */
size_t rooms_select(struct rooms *r, const struct str *in, size_t n_in,
                    const struct str *except, size_t n_except,
                    void (*each)(void *arg, struct member *m), void *arg);

#endif
