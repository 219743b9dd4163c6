#include "adapter/presence_table.h"

#include <assert.h>

#include "common/mem.h"

/* An id is the lengths of its three names and then the names, so that no two
 * triples look the same, whatever characters they have. Groups and members are
 * named the same way, with the part that does not matter left empty. */
enum { HEAD = 3 * sizeof(uint16_t), ID_MAX = HEAD + 3 * PRESENCE_NAME_MAX };

static size_t name_len(struct str id, unsigned i)
{
    uint16_t len;
    memcpy(&len, id.p + i * sizeof(len), sizeof(len));
    return len;
}

static struct str name_of(struct str id, unsigned i)
{
    size_t at = HEAD;
    for (unsigned before = 0; before < i; before++)
        at += name_len(id, before);
    return (struct str){id.p + at, name_len(id, i)};
}

void presence_id_begin(struct buf *out)
{
    static const char no_lengths[HEAD] = {0};
    buf_clear(out);
    buf_add(out, (struct str){no_lengths, HEAD});
}

int presence_id_name(struct buf *out, unsigned i)
{
    size_t before = HEAD;
    for (unsigned n = 0; n < i; n++)
        before += name_len(buf_str(out), n);
    size_t len = out->len - before;
    if (out->full || len > PRESENCE_NAME_MAX)
        return ERR_LIMIT;
    uint16_t short_len = (uint16_t)len;
    memcpy(buf_ptr(out) + i * sizeof(short_len), &short_len, sizeof(short_len));
    return 0;
}

/* The id of names that are short enough; its length. */
static size_t spell(char out[ID_MAX], struct str nsp, struct str group,
                    struct str key)
{
    const struct str names[] = {nsp, group, key};
    size_t at = HEAD;
    for (unsigned i = 0; i < 3; i++) {
        uint16_t len = (uint16_t)names[i].len;
        assert(names[i].len <= PRESENCE_NAME_MAX);
        memcpy(out + i * sizeof(len), &len, sizeof(len));
        if (len > 0)
            memcpy(out + at, names[i].p, len);
        at += len;
    }
    return at;
}

int presence_id(struct buf *out, struct str nsp, struct str group,
                struct str key)
{
    char id[ID_MAX] = {0};
    if (nsp.len > PRESENCE_NAME_MAX || group.len > PRESENCE_NAME_MAX ||
        key.len > PRESENCE_NAME_MAX)
        return ERR_LIMIT;
    buf_clear(out);
    buf_add(out, (struct str){id, spell(id, nsp, group, key)});
    return out->full ? ERR_LIMIT : 0;
}

static struct str entry_id(const struct map_node *n)
{
    return const_container_of(n, struct presence_entry, by_id)->id;
}

static struct str bag_id(const struct map_node *n)
{
    return const_container_of(n, struct presence_bag, by_id)->id;
}

void presence_table_init(struct presence_table *t)
{
    *t = (struct presence_table){0};
    map_init(&t->groups, bag_id);
    map_init(&t->members, bag_id);
}

void presence_table_fini(struct presence_table *t)
{
    assert(t->groups.count == 0 && t->members.count == 0 && t->bytes == 0);
    map_fini(&t->groups);
    map_fini(&t->members);
}

void presence_source_init(struct presence_source *s, bool own)
{
    map_init(&s->entries, entry_id);
    list_init(&s->order);
    s->own = own;
}

void presence_source_fini(struct presence_source *s)
{
    assert(s->entries.count == 0);
    map_fini(&s->entries);
}

/* ---- groups and members -------------------------------------------------- */

static struct presence_bag *find_bag(const struct map *bags, struct str id)
{
    struct map_node *n = map_get(bags, id);
    return n ? container_of(n, struct presence_bag, by_id) : NULL;
}

static struct presence_bag *join_bag(struct map *bags, struct str nsp,
                                     struct str group, struct str key)
{
    char id[ID_MAX];
    size_t len = spell(id, nsp, group, key);
    struct presence_bag *bag = find_bag(bags, (struct str){id, len});
    if (!bag) {
        bag = mem_zalloc(sizeof(*bag) + len);
        memcpy(bag + 1, id, len);
        bag->id = (struct str){(const char *)(bag + 1), len};
        list_init(&bag->entries);
        map_put(bags, &bag->by_id);
    }
    bag->n++;
    return bag;
}

static void leave_bag(struct map *bags, struct presence_bag *bag)
{
    assert(bag->n > 0);
    if (--bag->n > 0)
        return;
    map_remove(bags, &bag->by_id);
    mem_free(bag);
}

struct presence_bag *presence_table_group(const struct presence_table *t,
                                          struct str nsp, struct str group)
{
    char id[ID_MAX] = {0};
    if (nsp.len > PRESENCE_NAME_MAX || group.len > PRESENCE_NAME_MAX)
        return NULL;
    return find_bag(&t->groups,
                    (struct str){id, spell(id, nsp, group, STR(""))});
}

struct presence_bag *presence_table_member(const struct presence_table *t,
                                           struct str nsp, struct str key)
{
    char id[ID_MAX] = {0};
    if (nsp.len > PRESENCE_NAME_MAX || key.len > PRESENCE_NAME_MAX)
        return NULL;
    return find_bag(&t->members,
                    (struct str){id, spell(id, nsp, STR(""), key)});
}

/* ---- entries ------------------------------------------------------------- */

static size_t cost(struct str id, struct str meta)
{
    return sizeof(struct presence_entry) + id.len + meta.len;
}

struct presence_entry *presence_table_find(const struct presence_source *s,
                                           struct str id)
{
    struct map_node *n = map_get(&s->entries, id);
    return n ? container_of(n, struct presence_entry, by_id) : NULL;
}

static struct presence_entry *
entry_new(struct presence_table *t, struct presence_source *s, struct str id)
{
    struct presence_entry *e = mem_zalloc(sizeof(*e) + id.len);
    memcpy(e + 1, id.p, id.len);
    e->id = (struct str){(const char *)(e + 1), id.len};
    e->nsp = name_of(e->id, 0);
    e->group_name = name_of(e->id, 1);
    e->key = name_of(e->id, 2);
    e->source = s;
    map_put(&s->entries, &e->by_id);
    list_insert(&s->order, &e->in_source);
    e->group = join_bag(&t->groups, e->nsp, e->group_name, STR(""));
    list_insert(&e->group->entries, &e->in_group);
    list_init(&e->in_member);
    if (s->own) {
        e->member = join_bag(&t->members, e->nsp, STR(""), e->key);
        list_insert(&e->member->entries, &e->in_member);
    }
    return e;
}

int presence_table_put(struct presence_table *t, struct presence_source *s,
                       struct str id, struct str meta,
                       struct presence_entry **out)
{
    struct presence_entry *e = presence_table_find(s, id);
    *out = e;
    if (e && str_eq(e->meta, meta))
        return PRESENCE_SAME;
    size_t old = e ? cost(e->id, e->meta) : 0;
    if (meta.len > PRESENCE_META_MAX ||
        t->bytes - old + cost(id, meta) > PRESENCE_BYTES_MAX ||
        (!e && s->entries.count >= PRESENCE_ENTRIES_MAX))
        return ERR_LIMIT;
    int rc = e ? PRESENCE_CHANGED : PRESENCE_NEW;
    if (!e)
        e = entry_new(t, s, id);
    mem_free(e->meta_text);
    e->meta_text = mem_strndup(meta.p, meta.len);
    e->meta = (struct str){e->meta_text, meta.len};
    t->bytes = t->bytes - old + cost(id, meta);
    *out = e;
    return rc;
}

void presence_table_remove(struct presence_table *t, struct presence_entry *e)
{
    map_remove(&e->source->entries, &e->by_id);
    list_remove(&e->in_source);
    list_remove(&e->in_group);
    leave_bag(&t->groups, e->group);
    list_remove(&e->in_member);
    if (e->member)
        leave_bag(&t->members, e->member);
    t->bytes -= cost(e->id, e->meta);
}

void presence_entry_free(struct presence_entry *e)
{
    mem_free(e->meta_text);
    mem_free(e);
}

void presence_table_clear(struct presence_table *t, struct presence_source *s)
{
    while (!list_empty(&s->order)) {
        struct presence_entry *e =
            container_of(s->order.next, struct presence_entry, in_source);
        presence_table_remove(t, e);
        presence_entry_free(e);
    }
}
