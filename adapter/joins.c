#include "adapter/joins.h"

#include <assert.h>

#include "common/mem.h"

struct join {
    struct interest_wait wait;
    struct list link; /* waiting, ready or told */
    uint64_t since_ms;
    struct joins *joins;
    struct member *member; /* NULL: it has gone */
    struct join *next;     /* of the member's */
    joins_fn *fn;          /* NULL: it was called */
    void *arg;
    int rc;
};

static void leave_member(struct join *j)
{
    if (!j->member)
        return;
    struct join **at = &j->member->joins;
    while (*at != j)
        at = &(*at)->next;
    *at = j->next;
    j->member->n_joins--;
    j->member = NULL;
}

static void tell(struct join *j, int rc)
{
    joins_fn *fn = j->fn;
    j->fn = NULL;
    if (fn)
        fn(j->arg, rc);
}

/* What its function makes ready is for the next turn. */
static void on_ready(struct timer *t)
{
    struct joins *js = container_of(t, struct joins, timer);
    struct list now, *n;
    list_init(&now);
    list_splice(&now, &js->ready);
    while ((n = list_pop(&now))) {
        struct join *j = container_of(n, struct join, link);
        int rc = j->member ? j->rc : ERR_STATE;
        leave_member(j);
        tell(j, rc);
        mem_free(j);
    }
}

static void on_late(struct timer *t)
{
    struct joins *js = container_of(t, struct joins, late);
    uint64_t now = loop_now(js->loop);
    while (!list_empty(&js->waiting)) {
        struct join *j = container_of(js->waiting.next, struct join, link);
        if (now - j->since_ms < JOINS_WAIT_MS) {
            loop_timer(js->loop, t, j->since_ms + JOINS_WAIT_MS - now);
            return;
        }
        list_remove(&j->link);
        list_insert(&js->told, &j->link);
        tell(j, ERR_STATE);
    }
}

static void on_answer(struct interest_wait *w, int rc)
{
    joins_settle(container_of(w, struct join, wait), rc);
}

struct join *joins_add(struct joins *js, struct member *m, joins_fn *fn,
                       void *arg)
{
    struct join *j = mem_zalloc(sizeof(*j));
    j->wait.done = on_answer;
    j->joins = js;
    j->fn = fn;
    j->arg = arg;
    j->member = m;
    j->next = m->joins;
    m->joins = j;
    m->n_joins++;
    j->since_ms = loop_now(js->loop);
    list_insert(&js->waiting, &j->link);
    if (!timer_running(&js->late))
        loop_timer(js->loop, &js->late, JOINS_WAIT_MS);
    return j;
}

struct interest_wait *joins_wait(struct join *j)
{
    return &j->wait;
}

void joins_settle(struct join *j, int rc)
{
    struct joins *js = j->joins;
    j->rc = rc;
    list_remove(&j->link);
    list_insert(&js->ready, &j->link);
    if (!timer_running(&js->timer))
        loop_timer(js->loop, &js->timer, 0);
}

void joins_drop(struct join *j)
{
    list_remove(&j->link);
    leave_member(j);
    mem_free(j);
}

void joins_forget(struct member *m)
{
    while (m->joins)
        leave_member(m->joins);
}

void joins_init(struct joins *js, struct loop *l)
{
    js->loop = l;
    list_init(&js->waiting);
    list_init(&js->ready);
    list_init(&js->told);
    timer_init(&js->timer, on_ready);
    timer_init(&js->late, on_late);
}

void joins_end(struct joins *js)
{
    struct list *lists[] = {&js->ready, &js->waiting};
    for (unsigned i = 0; i < 2; i++) {
        struct list *n = lists[i]->next;
        for (; n != lists[i]; n = n->next)
            tell(container_of(n, struct join, link), ERR_STATE);
    }
}

void joins_fini(struct joins *js)
{
    timer_stop(&js->timer);
    timer_stop(&js->late);
    assert(list_empty(&js->waiting) && list_empty(&js->told));
    struct list *n;
    while ((n = list_pop(&js->ready))) {
        struct join *j = container_of(n, struct join, link);
        leave_member(j);
        mem_free(j);
    }
}
