#include "server/io/selection.h"

#include "common/mem.h"

struct broadcast selection_of(const struct sio_broadcast *b,
                              struct selection_names *names)
{
    for (unsigned i = 0; i < b->n_rooms; i++)
        names->rooms[i] = str_from_sio(b->rooms[i]);
    for (unsigned i = 0; i < b->n_except; i++)
        names->except[i] = str_from_sio(b->except[i]);
    return (struct broadcast){.rooms = names->rooms,
                              .n_rooms = b->n_rooms,
                              .except = names->except,
                              .n_except = b->n_except,
                              .local = b->local,
                              .is_volatile = b->is_volatile};
}

int selection_check(const struct sio_broadcast *b)
{
    if (!b->ns->adapter)
        return SIO_ERR_STATE;
    return b->overflow ? SIO_ERR_ARG : 0;
}

struct walk {
    void (*each)(struct sio_socket *s, void *arg);
    void *arg;
};

static void walk_member(void *arg, struct member *m)
{
    struct walk *w = arg;
    struct sio_socket *s = container_of(m, struct sio_socket, member);
    if (socket_live(s))
        w->each(s, w->arg);
}

void selection_each(const struct sio_broadcast *b,
                    void (*each)(struct sio_socket *s, void *arg), void *arg)
{
    struct selection_names names;
    struct broadcast to = selection_of(b, &names);
    struct walk w = {each, arg};
    rooms_select(adapter_rooms(b->ns->adapter), to.rooms, to.n_rooms, to.except,
                 to.n_except, walk_member, &w);
}

/* ---- sio.h --------------------------------------------------------------- */

/* Taken first and used afterwards, so that what is done to a socket may change
 * rooms and end others: a socket that has ended stays in memory until the end
 * of the turn. */
struct taken {
    struct sio_socket **v;
    size_t n, cap;
};

static void take_socket(struct sio_socket *s, void *arg)
{
    struct taken *t = arg;
    if (t->n == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 16;
        t->v = mem_realloc(t->v, t->cap * sizeof(struct sio_socket *));
    }
    t->v[t->n++] = s;
}

int sio_sockets(const struct sio_broadcast *b,
                bool (*each)(struct sio_socket *s, void *arg), void *arg)
{
    int rc = selection_check(b);
    if (rc < 0)
        return rc;
    struct taken t = {0};
    selection_each(b, take_socket, &t);
    bool more = true;
    for (size_t i = 0; i < t.n && more; i++) {
        if (socket_live(t.v[i]))
            more = each(t.v[i], arg);
    }
    mem_free(t.v);
    return 0;
}

struct bulk {
    struct sio_str room;
    bool close;
    int rc; /* the first failure */
};

static bool join_one(struct sio_socket *s, void *arg)
{
    struct bulk *k = arg;
    int rc = sio_join(s, k->room);
    if (k->rc == 0)
        k->rc = rc;
    return true;
}

static bool leave_one(struct sio_socket *s, void *arg)
{
    const struct bulk *k = arg;
    sio_leave(s, k->room);
    return true;
}

static bool disconnect_one(struct sio_socket *s, void *arg)
{
    const struct bulk *k = arg;
    sio_disconnect(s, k->close);
    return true;
}

int sio_sockets_join(const struct sio_broadcast *b, struct sio_str room)
{
    struct bulk k = {.room = room};
    int rc = sio_sockets(b, join_one, &k);
    return rc < 0 ? rc : k.rc;
}

int sio_sockets_leave(const struct sio_broadcast *b, struct sio_str room)
{
    struct bulk k = {.room = room};
    return sio_sockets(b, leave_one, &k);
}

int sio_sockets_disconnect(const struct sio_broadcast *b, bool close)
{
    struct bulk k = {.close = close};
    return sio_sockets(b, disconnect_one, &k);
}
