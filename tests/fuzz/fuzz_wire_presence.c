/* Whatever text comes as a message of presence, what is understood of it can be
 * written, and then says the same. */
#include "adapter/wire_presence.h"

#include <stdlib.h>

#include "common/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ENTRIES_MAX = 1000 };

static void expect(bool ok)
{
    if (!ok)
        abort();
}

/* The entries of a message that can be read, in order. */
struct entries {
    size_t n;
    struct presence_entry e[ENTRIES_MAX];
    struct buf id[ENTRIES_MAX], name[ENTRIES_MAX][3];
    struct presence_source source;
};

static void add_entry(struct entries *all, const struct json *tape,
                      uint32_t node, bool with_meta)
{
    if (all->n == ENTRIES_MAX)
        return;
    struct presence_entry *e = &all->e[all->n];
    struct buf *id = &all->id[all->n], *name = all->name[all->n];
    buf_init(id, 1U << 16);
    *e = (struct presence_entry){.meta = STR("")};
    if (wire_presence_read(tape, node, id, with_meta ? &e->meta : NULL) < 0) {
        buf_fini(id);
        return;
    }
    for (uint32_t i = 0; i < 3; i++) {
        buf_init(&name[i], 1U << 16);
        json_string(tape, json_at(tape, node, i), &name[i]);
    }
    e->nsp = buf_str(&name[0]);
    e->group_name = buf_str(&name[1]);
    e->key = buf_str(&name[2]);
    list_insert(&all->source.order, &e->in_source);
    all->n++;
}

static struct entries *entries_of(const struct json *tape,
                                  const struct presence_message *m)
{
    struct entries *all = mem_zalloc(sizeof(*all));
    list_init(&all->source.order);
    if (m->type == PRESENCE_SET || m->type == PRESENCE_DEL)
        add_entry(all, tape, m->entry, m->type == PRESENCE_SET);
    if (m->type != PRESENCE_FULL)
        return all;
    uint32_t node = json_first(tape, m->entry);
    for (; node != JSON_NONE; node = json_next(tape, m->entry, node))
        add_entry(all, tape, node, true);
    return all;
}

static void free_entries(struct entries *all)
{
    for (size_t i = 0; i < all->n; i++) {
        buf_fini(&all->id[i]);
        for (unsigned k = 0; k < 3; k++)
            buf_fini(&all->name[i][k]);
    }
    mem_free(all);
}

static void put(struct buf *out, const struct presence_message *m,
                const struct entries *all)
{
    struct list *next = all->source.order.next;
    wire_presence_begin(out, m->type, m->node);
    if (m->name_len)
        wire_presence_text(out, "name", (struct str){m->name, m->name_len});
    wire_presence_number(out, "seq", m->seq);
    wire_presence_number(out, "count", m->count);
    wire_presence_number(out, "part", m->part);
    if (m->type == PRESENCE_WANT)
        wire_presence_text(out, "of", m->of);
    if (m->type == PRESENCE_SET || m->type == PRESENCE_DEL)
        wire_presence_entry(out, &all->e[0], m->type == PRESENCE_SET);
    if (m->type == PRESENCE_FULL)
        expect(wire_presence_entries(out, &all->source, &next));
    wire_presence_end(out);
}

static void same(const struct entries *a, const struct entries *b)
{
    expect(a->n == b->n);
    for (size_t i = 0; i < a->n; i++) {
        expect(str_eq(buf_str(&a->id[i]), buf_str(&b->id[i])));
        expect(str_eq(a->e[i].meta, b->e[i].meta));
    }
}

static void again(const struct presence_message *m, const struct entries *all)
{
    struct json tape;
    struct buf text;
    struct presence_message back;
    json_init(&tape);
    buf_init(&text, PRESENCE_MESSAGE_MAX);
    put(&text, m, all);
    expect(wire_presence_decode(&tape, buf_str(&text), &back) == 0);
    expect(back.type == m->type && str_eq(back.node, m->node));
    expect(back.seq == m->seq && back.count == m->count);
    expect(back.part == m->part);
    if (m->type == PRESENCE_WANT)
        expect(str_eq(back.of, m->of));
    struct entries *read = entries_of(&tape, &back);
    same(read, all);
    free_entries(read);
    buf_fini(&text);
    json_fini(&tape);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json tape;
    struct presence_message m;
    json_init(&tape);
    if (wire_presence_decode(&tape, (struct str){(const char *)data, size},
                             &m) == 0 &&
        m.type != PRESENCE_TYPES) {
        struct entries *all = entries_of(&tape, &m);
        bool one = m.type == PRESENCE_SET || m.type == PRESENCE_DEL;
        if (!one || all->n == 1)
            again(&m, all);
        free_entries(all);
    }
    json_fini(&tape);
    return 0;
}
