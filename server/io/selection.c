#include "server/io/selection.h"

#include <inttypes.h>
#include <stdio.h>

#include "common/mem.h"

static void name_all(const union sio_room *from, unsigned n, unsigned numbers,
                     struct str *to, char (*digits)[SELECTION_DIGITS])
{
    for (unsigned i = 0; i < n; i++) {
        if (numbers >> i & 1) {
            int len = snprintf(digits[i], SELECTION_DIGITS, "%" PRId64,
                               from[i].number);
            to[i] = (struct str){digits[i], (size_t)len};
        } else {
            to[i] = str_from_sio(from[i].name);
        }
    }
}

struct broadcast selection_of(const struct sio_broadcast *b,
                              struct selection_names *names)
{
    name_all(b->rooms, b->n_rooms, b->number_rooms, names->rooms,
             names->room_digits);
    name_all(b->except, b->n_except, b->number_except, names->except,
             names->except_digits);
    return (struct broadcast){.rooms = names->rooms,
                              .n_rooms = b->n_rooms,
                              .except = names->except,
                              .n_except = b->n_except,
                              .number_rooms = b->number_rooms,
                              .number_except = b->number_except,
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

void selection_each(struct sio_namespace *ns, const struct broadcast *to,
                    void (*each)(struct sio_socket *s, void *arg), void *arg)
{
    struct walk w = {each, arg};
    rooms_select(adapter_rooms(ns->adapter), to->rooms, to->n_rooms, to->except,
                 to->n_except, walk_member, &w);
}

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

void selection_visit(struct sio_namespace *ns, const struct broadcast *to,
                     bool (*each)(struct sio_socket *s, void *arg), void *arg)
{
    struct taken t = {0};
    selection_each(ns, to, take_socket, &t);
    bool more = true;
    for (size_t i = 0; i < t.n && more; i++) {
        if (socket_live(t.v[i]))
            more = each(t.v[i], arg);
    }
    mem_free(t.v);
}
