#include "adapter/questions.h"

#include <assert.h>

#include "common/json_out.h"
#include "common/mem.h"
#include "common/metrics.h"

/* ---- names --------------------------------------------------------------- */

struct name {
    struct map_node by_name;
    struct str s;
};

static struct str name_key(const struct map_node *n)
{
    return const_container_of(n, struct name, by_name)->s;
}

static void name_free(struct map_node *n, void *arg)
{
    map_remove(arg, n);
    mem_free(container_of(n, struct name, by_name));
}

static bool name_new(struct map *names, struct str s)
{
    if (map_get(names, s))
        return false;
    struct name *n = mem_alloc(sizeof(*n) + s.len);
    char *copy = (char *)(n + 1);
    memcpy(copy, s.p, s.len);
    n->s = (struct str){copy, s.len};
    map_put(names, &n->by_name);
    return true;
}

/* ---- the end ------------------------------------------------------------- */

static void question_free(struct question *q)
{
    map_each(&q->names, name_free, &q->names);
    map_fini(&q->names);
    buf_fini(&q->json);
    mem_free(q);
}

static void tell(struct question *q)
{
    switch (q->kind) {
    case ASK_COUNT:
        q->fn.count(q->arg, q->servers);
        break;
    case ASK_BROADCAST:
        q->fn.ask->done(q->arg, q->missing);
        break;
    default:
        buf_addc(&q->json, ']');
        q->fn.answers(q->arg, buf_str(&q->json), q->missing);
        break;
    }
}

/* Whoever is told may ask again, or free the adapter: the question belongs to
 * nobody by then. */
static void finish(struct question *q)
{
    struct questions *qs = q->of;
    timer_stop(&q->timer);
    list_remove(&q->link);
    qs->n--;
    qs->n_broadcasts -= q->kind == ASK_BROADCAST;
    qs->bytes -= q->json.len;
    tell(q);
    question_free(q);
}

static void on_timer(struct timer *t)
{
    finish(container_of(t, struct question, timer));
}

void question_end(struct question *q)
{
    loop_timer(q->of->loop, &q->timer, 0);
}

/* ---- the way there ------------------------------------------------------- */

static bool may_open(const struct questions *qs)
{
    return qs->n < QUESTIONS_MAX && qs->bytes < QUESTIONS_BYTES;
}

int question_open(struct questions *qs, enum question_kind kind,
                  union question_fn fn, void *arg, struct question **out)
{
    if (qs->closing)
        return ERR_STATE;
    if (!may_open(qs)) {
        metrics_add(M_LIMIT_QUESTIONS, 1);
        return ERR_LIMIT;
    }
    struct question *q = mem_zalloc(sizeof(*q));
    q->of = qs;
    q->kind = kind;
    q->fn = fn;
    q->arg = arg;
    q->servers = 1;
    timer_init(&q->timer, on_timer);
    map_init(&q->names, name_key);
    buf_init(&q->json, UINT32_MAX);
    if (kind != ASK_COUNT && kind != ASK_BROADCAST)
        buf_addc(&q->json, '[');
    list_insert(&qs->open, &q->link);
    qs->n++;
    qs->n_broadcasts += kind == ASK_BROADCAST;
    qs->bytes += q->json.len;
    *out = q;
    return 0;
}

void question_add(struct question *q, struct str json)
{
    size_t before = q->json.len;
    if (before > 1)
        buf_addc(&q->json, ',');
    buf_add(&q->json, json);
    q->of->bytes += q->json.len - before;
}

void question_add_name(struct question *q, struct str name)
{
    if (!name_new(&q->names, name))
        return;
    size_t before = q->json.len;
    if (before > 1)
        buf_addc(&q->json, ',');
    json_out_string(&q->json, name);
    q->of->bytes += q->json.len - before;
}

/* ---- life ---------------------------------------------------------------- */

void questions_init(struct questions *qs, struct loop *l)
{
    *qs = (struct questions){.loop = l};
    list_init(&qs->open);
}

void questions_fini(struct questions *qs)
{
    qs->closing = true;
    while (!list_empty(&qs->open))
        finish(container_of(qs->open.next, struct question, link));
    assert(qs->n == 0 && qs->bytes == 0);
}
