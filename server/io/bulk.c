#include "server/io/bulk.h"

#include <inttypes.h>
#include <stdio.h>

struct bulk {
    const struct room_names *rooms;
    bool close;
    int rc; /* the first failure */
};

static bool join_one(struct sio_socket *s, void *arg)
{
    struct bulk *k = arg;
    for (size_t i = 0; i < k->rooms->n; i++) {
        int rc = sio_join(s, sio_from_str(k->rooms->v[i]));
        if (k->rc == 0)
            k->rc = rc;
    }
    return true;
}

static bool leave_one(struct sio_socket *s, void *arg)
{
    const struct bulk *k = arg;
    for (size_t i = 0; i < k->rooms->n; i++)
        sio_leave(s, sio_from_str(k->rooms->v[i]));
    return true;
}

static bool disconnect_one(struct sio_socket *s, void *arg)
{
    const struct bulk *k = arg;
    sio_disconnect(s, k->close);
    return true;
}

int bulk_join(struct sio_namespace *ns, const struct broadcast *to,
              const struct room_names *rooms)
{
    struct bulk k = {.rooms = rooms};
    selection_visit(ns, to, join_one, &k);
    return k.rc;
}

void bulk_leave(struct sio_namespace *ns, const struct broadcast *to,
                const struct room_names *rooms)
{
    struct bulk k = {.rooms = rooms};
    selection_visit(ns, to, leave_one, &k);
}

void bulk_disconnect(struct sio_namespace *ns, const struct broadcast *to,
                     bool close)
{
    struct bulk k = {.close = close};
    selection_visit(ns, to, disconnect_one, &k);
}

/* ---- sio.h --------------------------------------------------------------- */

int sio_sockets(const struct sio_broadcast *b,
                bool (*each)(struct sio_socket *s, void *arg), void *arg)
{
    int rc = selection_check(b);
    if (rc < 0)
        return rc;
    struct selection_names names;
    struct broadcast to = selection_of(b, &names);
    selection_visit(b->ns, &to, each, arg);
    return 0;
}

enum change { JOIN, LEAVE };

/* The others are told first: what handlers do here comes after it there. */
static int change(const struct sio_broadcast *b, enum change what,
                  struct str room, bool number)
{
    int rc = selection_check(b);
    if (rc == 0)
        rc = socket_check_room(b->ns, room);
    if (rc < 0)
        return rc;
    struct selection_names names;
    struct broadcast to = selection_of(b, &names);
    struct room_names rooms = {&room, 1, number};
    if (what == JOIN) {
        adapter_sockets_join(b->ns->adapter, &to, &rooms);
        return bulk_join(b->ns, &to, &rooms);
    }
    adapter_sockets_leave(b->ns->adapter, &to, &rooms);
    bulk_leave(b->ns, &to, &rooms);
    return 0;
}

static int change_number(const struct sio_broadcast *b, enum change what,
                         int64_t room)
{
    char digits[SELECTION_DIGITS];
    snprintf(digits, sizeof(digits), "%" PRId64, room);
    return change(b, what, str_of(digits), true);
}

int sio_sockets_join(const struct sio_broadcast *b, struct sio_str room)
{
    return change(b, JOIN, str_from_sio(room), false);
}

int sio_sockets_leave(const struct sio_broadcast *b, struct sio_str room)
{
    return change(b, LEAVE, str_from_sio(room), false);
}

int sio_sockets_join_number(const struct sio_broadcast *b, int64_t room)
{
    return change_number(b, JOIN, room);
}

int sio_sockets_leave_number(const struct sio_broadcast *b, int64_t room)
{
    return change_number(b, LEAVE, room);
}

int sio_sockets_disconnect(const struct sio_broadcast *b, bool close)
{
    int rc = selection_check(b);
    if (rc < 0)
        return rc;
    struct selection_names names;
    struct broadcast to = selection_of(b, &names);
    adapter_sockets_disconnect(b->ns->adapter, &to, close);
    bulk_disconnect(b->ns, &to, close);
    return 0;
}
