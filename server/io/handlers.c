#include "server/io/handlers.h"

#include <assert.h>

#include "common/mem.h"

void handlers_init(struct handlers *hs)
{
    list_init(&hs->list);
    hs->added = 0;
}

void handlers_fini(struct handlers *hs)
{
    struct list *n;
    while ((n = list_pop(&hs->list))) {
        struct handler *h = container_of(n, struct handler, link);
        assert(h->held == 0);
        mem_free(h);
    }
}

static struct handler *add_before(struct handlers *hs, struct list *pos,
                                  void *arg)
{
    struct handler *h = mem_zalloc(sizeof(*h));
    h->arg = arg;
    h->nth = ++hs->added;
    list_insert(pos, &h->link);
    return h;
}

struct handler *handlers_add(struct handlers *hs, void *arg)
{
    return add_before(hs, &hs->list, arg);
}

struct handler *handlers_prepend(struct handlers *hs, void *arg)
{
    return add_before(hs, hs->list.next, arg);
}

static void free_unused(struct handler *h)
{
    if (h->held || !h->off)
        return;
    list_remove(&h->link);
    mem_free(h);
}

void handlers_remove(struct handler *h)
{
    h->off = true;
    free_unused(h);
}

/* Stands on the first at or after `n` that may be called. */
static struct handler *stand(struct handler_walk *w, struct list *n)
{
    w->at = NULL;
    for (; n != &w->of->list; n = n->next) {
        struct handler *h = container_of(n, struct handler, link);
        if (h->off || h->nth > w->added)
            continue;
        h->held++;
        w->at = h;
        break;
    }
    return w->at;
}

struct handler *handlers_first(struct handler_walk *w, struct handlers *hs)
{
    w->of = hs;
    w->added = hs->added;
    return stand(w, hs->list.next);
}

struct handler *handlers_next(struct handler_walk *w)
{
    struct handler *left = w->at;
    struct handler *h = stand(w, left->link.next);
    left->held--;
    free_unused(left);
    return h;
}

void handlers_leave(struct handler_walk *w)
{
    if (!w->at)
        return;
    w->at->held--;
    free_unused(w->at);
    w->at = NULL;
}
