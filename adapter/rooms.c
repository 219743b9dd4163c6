#include "adapter/rooms.h"

#include <assert.h>

#include "common/mem.h"

static struct str room_key(const struct map_node *n)
{
    return const_container_of(n, struct room, by_name)->name;
}

static struct str member_key(const struct map_node *n)
{
    return member_id(const_container_of(n, struct member, by_id));
}

void rooms_init(struct rooms *r)
{
    *r = (struct rooms){0};
    map_init(&r->by_name, room_key);
    map_init_dense(&r->by_id, member_key);
}

void rooms_fini(struct rooms *r)
{
    assert(r->everyone.n == 0 && r->by_name.count == 0);
    map_fini(&r->by_name);
    map_fini(&r->by_id);
    mem_free(r->everyone.members);
}

static uint32_t room_push(struct room *room, struct member *m)
{
    if (room->n == room->cap) {
        room->cap = room->cap ? room->cap * 2 : 4;
        room->members =
            mem_realloc(room->members, room->cap * sizeof(room->members[0]));
    }
    room->members[room->n] = m;
    return room->n++;
}

static struct membership *memberships(struct member *m)
{
    return m->n_in > 1 ? m->in.many : &m->in.one;
}

static uint32_t *slot_of(const struct rooms *r, struct member *m,
                         const struct room *room)
{
    if (room == &r->everyone)
        return &m->everyone_slot;
    struct membership *in = memberships(m);
    for (unsigned i = 0; i < m->n_in; i++) {
        if (in[i].room == room)
            return &in[i].slot;
    }
    return NULL;
}

/* The last member takes the free slot. */
static void room_drop(const struct rooms *r, struct room *room, uint32_t slot)
{
    assert(slot < room->n);
    struct member *moved = room->members[--room->n];
    if (slot == room->n)
        return;
    room->members[slot] = moved;
    uint32_t *moved_slot = slot_of(r, moved, room);
    assert(moved_slot); /* linked from both sides */
    *moved_slot = slot;
}

static void room_free(struct rooms *r, struct room *room)
{
    if (r->watch)
        r->watch->emptied(r->watch_arg, room->name);
    map_remove(&r->by_name, &room->by_name);
    mem_free(room->members);
    mem_free(room);
}

void rooms_add(struct rooms *r, struct member *m, struct str id)
{
    *m = (struct member){.id = id.p, .id_len = (uint32_t)id.len};
    map_put(&r->by_id, &m->by_id);
    m->everyone_slot = room_push(&r->everyone, m);
}

void rooms_remove(struct rooms *r, struct member *m)
{
    struct membership *in = memberships(m);
    for (unsigned i = 0; i < m->n_in; i++) {
        struct room *room = in[i].room;
        room_drop(r, room, in[i].slot);
        if (room->n == 0)
            room_free(r, room);
    }
    if (m->n_in > 1)
        mem_free(m->in.many);
    m->n_in = 0;
    room_drop(r, &r->everyone, m->everyone_slot);
    map_remove(&r->by_id, &m->by_id);
}

struct member *rooms_member(const struct rooms *r, struct str id)
{
    struct map_node *n = map_get(&r->by_id, id);
    return n ? container_of(n, struct member, by_id) : NULL;
}

struct room *rooms_find(const struct rooms *r, struct str name)
{
    struct map_node *n = map_get(&r->by_name, name);
    return n ? container_of(n, struct room, by_name) : NULL;
}

size_t rooms_count(const struct rooms *r)
{
    return r->by_name.count;
}

bool rooms_has(const struct member *m, struct str name)
{
    const struct membership *in = member_in(m);
    for (unsigned i = 0; i < m->n_in; i++) {
        if (str_eq(in[i].room->name, name))
            return true;
    }
    return false;
}

static struct room *room_new(struct rooms *r, struct str name)
{
    struct room *room = mem_zalloc(sizeof(*room) + name.len);
    memcpy(room + 1, name.p, name.len);
    room->name = (struct str){(const char *)(room + 1), name.len};
    map_put(&r->by_name, &room->by_name);
    return room;
}

/* From the second on memberships are an array, whose size is the power of two
 * that holds them. */
static void add_membership(struct member *m, struct membership new)
{
    assert(m->n_in < UINT16_MAX / 2);
    if (m->n_in == 0) {
        m->in.one = new;
        m->n_in = 1;
        return;
    }
    struct membership first = m->in.one;
    struct membership *many = m->n_in == 1 ? NULL : m->in.many;
    if ((m->n_in & (m->n_in - 1)) == 0)
        many = mem_realloc(many, 2 * (size_t)m->n_in * sizeof(*many));
    if (m->n_in == 1)
        many[0] = first;
    many[m->n_in++] = new;
    m->in.many = many;
}

static void remove_membership(struct member *m, unsigned i)
{
    struct membership *in = memberships(m);
    m->n_in--;
    memmove(&in[i], &in[i + 1], (m->n_in - i) * sizeof(*in));
    if (m->n_in == 1) {
        m->in.one = in[0];
        mem_free(in);
    }
}

bool rooms_join(struct rooms *r, struct member *m, struct str name)
{
    if (rooms_has(m, name))
        return false;
    struct room *room = rooms_find(r, name);
    bool created = !room;
    if (created)
        room = room_new(r, name);
    add_membership(m, (struct membership){room, room_push(room, m)});
    if (created && r->watch)
        r->watch->created(r->watch_arg, room->name);
    return true;
}

bool rooms_leave(struct rooms *r, struct member *m, struct str name)
{
    const struct membership *in = member_in(m);
    unsigned i = 0;
    while (i < m->n_in && !str_eq(in[i].room->name, name))
        i++;
    if (i == m->n_in)
        return false;
    struct room *room = in[i].room;
    room_drop(r, room, in[i].slot);
    remove_membership(m, i);
    if (room->n == 0)
        room_free(r, room);
    return true;
}

/* ---- selection ----------------------------------------------------------- */

/* A member whose mark equals the running number has been taken already, or
 * must not be: that is how overlapping rooms deliver once. */
static void mark_all(struct rooms *r, struct str name)
{
    struct room *room = rooms_find(r, name);
    for (uint32_t i = 0; room && i < room->n; i++)
        room->members[i]->mark = r->selection;
    struct member *m = rooms_member(r, name);
    if (m)
        m->mark = r->selection;
}

static void next_selection(struct rooms *r)
{
    if (++r->selection != 0)
        return;
    /* The number wrapped: no old mark may look like a new one. */
    for (uint32_t i = 0; i < r->everyone.n; i++)
        r->everyone.members[i]->mark = 0;
    r->selection = 1;
}

static size_t take(struct rooms *r, struct member *m,
                   void (*each)(void *arg, struct member *m), void *arg)
{
    if (m->mark == r->selection)
        return 0;
    m->mark = r->selection;
    each(arg, m);
    return 1;
}

static size_t take_all(struct rooms *r, const struct room *room,
                       void (*each)(void *arg, struct member *m), void *arg)
{
    size_t n = 0;
    for (uint32_t i = 0; i < room->n; i++)
        n += take(r, room->members[i], each, arg);
    return n;
}

size_t rooms_select(struct rooms *r, const struct str *in, size_t n_in,
                    const struct str *except, size_t n_except,
                    void (*each)(void *arg, struct member *m), void *arg)
{
    next_selection(r);
    for (size_t i = 0; i < n_except; i++)
        mark_all(r, except[i]);
    if (n_in == 0)
        return take_all(r, &r->everyone, each, arg);
    size_t n = 0;
    for (size_t i = 0; i < n_in; i++) {
        struct room *room = rooms_find(r, in[i]);
        if (room)
            n += take_all(r, room, each, arg);
        struct member *m = rooms_member(r, in[i]);
        if (m)
            n += take(r, m, each, arg);
    }
    return n;
}
