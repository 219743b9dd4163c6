#include "server/io/event_table.h"

#include "common/mem.h"

static struct str key_of(const struct map_node *n)
{
    return const_container_of(n, struct event_handlers, node)->name;
}

void event_table_init(struct event_table *t)
{
    map_init(&t->by_name, key_of);
    t->last = NULL;
}

static void free_event(struct map_node *n, void *arg)
{
    struct event_table *t = arg;
    struct event_handlers *eh = container_of(n, struct event_handlers, node);
    map_remove(&t->by_name, n);
    if (t->last == eh)
        t->last = NULL;
    handlers_fini(&eh->handlers);
    mem_free(eh);
}

void event_table_fini(struct event_table *t)
{
    map_each(&t->by_name, free_event, t);
    map_fini(&t->by_name);
}

struct event_handlers *event_table_find(struct event_table *t, struct str event)
{
    if (t->last && str_eq(t->last->name, event))
        return t->last;
    struct map_node *n = map_get(&t->by_name, event);
    if (!n)
        return NULL;
    t->last = container_of(n, struct event_handlers, node);
    return t->last;
}

struct event_handlers *event_table_need(struct event_table *t, struct str event)
{
    struct event_handlers *eh = event_table_find(t, event);
    if (eh)
        return eh;
    eh = mem_zalloc(sizeof(*eh) + event.len);
    memcpy(eh + 1, event.p, event.len);
    eh->name = (struct str){(const char *)(eh + 1), event.len};
    handlers_init(&eh->handlers);
    map_put(&t->by_name, &eh->node);
    return eh;
}

void event_table_tidy(struct event_table *t, struct event_handlers *eh)
{
    if (eh->running == 0 && list_empty(&eh->handlers.list))
        free_event(&eh->node, t);
}
