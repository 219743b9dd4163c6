#include "adapter/questions.h"

#include <assert.h>

#include "common/id.h"
#include "common/json_out.h"
#include "common/mem.h"
#include "common/metrics.h"

enum {
    TICK_MS = 50,
    PATIENCE_MS = 1000, /* for the others to come into reach */
    RECOUNT_MS = 250,
    SETTLED = 2,
};

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

/* What a name takes besides its text. */
_Static_assert(sizeof(struct name) <= QUESTION_NAME_BYTES, "as declared");

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

static void forget(struct question *q)
{
    struct questions *qs = q->of;
    timer_stop(&q->timer);
    list_remove(&q->link);
    if (q->state != QUESTION_ENDED)
        map_remove(&qs->by_id, &q->by_id);
    qs->n--;
    qs->n_broadcasts -= q->kind == ASK_BROADCAST;
    qs->bytes -= q->held;
}

static void question_free(struct question *q)
{
    map_each(&q->names, name_free, &q->names);
    map_fini(&q->names);
    buf_fini(&q->json);
    bytes_unref(q->request);
    mem_free(q);
}

static void tell(struct question *q)
{
    if (q->missing > 0)
        metrics_add(M_QUESTIONS_PARTIAL, 1);
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

/* Those who did not answer. When nobody could be counted, as many as there were
 * last, and one at least: that nobody is missing is what cannot be said. */
static size_t missing(const struct question *q)
{
    size_t expected = q->expected;
    if (q->kind == ASK_COUNT)
        return 0;
    if (q->state != QUESTION_ASKED)
        expected = q->of->last_others > 1 ? q->of->last_others : 1;
    size_t n = q->refused;
    if (expected > q->heard)
        n += expected - q->heard;
    if (q->receivers > q->acks)
        n += (size_t)(q->receivers - q->acks);
    return n;
}

/* Whoever is told may ask again, or free the adapter: the question belongs to
 * nobody by then. */
static void finish(struct question *q)
{
    if (q->state != QUESTION_ENDED)
        q->missing = missing(q);
    forget(q);
    tell(q);
    question_free(q);
}

static void on_timer(struct timer *t)
{
    finish(container_of(t, struct question, timer));
}

static void end_with(struct question *q, size_t n_missing)
{
    q->missing = n_missing;
    q->state = QUESTION_ENDED;
    map_remove(&q->of->by_id, &q->by_id);
    loop_timer(q->of->loop, &q->timer, 0);
}

void question_end(struct question *q)
{
    end_with(q, 0);
}

/* ---- counting ------------------------------------------------------------ */

static bool complete(const struct question *q, size_t servers)
{
    return q->state == QUESTION_ASKED && q->heard >= servers &&
           q->acks >= q->receivers;
}

void question_check(struct question *q)
{
    if (complete(q, q->expected))
        end_with(q, missing(q));
}

static struct question *question_at(struct list *n)
{
    return container_of(n, struct question, link);
}

static void start_count(struct questions *qs)
{
    if (qs->counting || !qs->ops->reachable(qs->owner) ||
        !qs->ops->count(qs->owner))
        return;
    qs->counting = true;
    qs->counted_ms = loop_now(qs->loop);
    for (struct list *n = qs->open.next; n != &qs->open; n = n->next) {
        if (question_at(n)->state == QUESTION_NEW)
            question_at(n)->state = QUESTION_COUNTING;
    }
}

static void first_count(struct question *q, size_t others)
{
    q->expected = others;
    q->servers = others + 1;
    q->state = QUESTION_ASKED;
    if (q->kind == ASK_COUNT || others == 0) {
        end_with(q, q->refused);
        return;
    }
    if (q->request) {
        q->of->ops->publish(q->of->owner, bytes_str(q->request));
        bytes_unref(q->request);
        q->request = NULL;
    }
    question_check(q);
}

static bool is_old(const struct question *q, uint64_t now)
{
    return q->state == QUESTION_ASKED && now - q->opened_ms >= RECOUNT_MS;
}

/* Servers that have left are not waited for. Who left may be one that has
 * answered, and who has not may need a little longer: hence twice. Whose the
 * missing acknowledgements are nobody can tell, unless all have left. */
static void later_count(struct question *q, size_t others)
{
    bool over = others == 0 || complete(q, others);
    q->settled = over ? q->settled + 1 : 0;
    if (q->settled == SETTLED)
        end_with(q, missing(q));
}

void questions_counted(struct questions *qs, int64_t servers)
{
    uint64_t now = loop_now(qs->loop);
    size_t others = servers > 1 ? (size_t)servers - 1 : 0;
    bool again = false;
    qs->counting = false;
    if (servers >= 0)
        qs->last_others = others;
    for (struct list *n = qs->open.next; n != &qs->open; n = n->next) {
        struct question *q = question_at(n);
        if (q->state == QUESTION_COUNTING && servers < 0)
            q->state = QUESTION_NEW;
        else if (q->state == QUESTION_COUNTING)
            first_count(q, others);
        else if (servers >= 0 && is_old(q, now))
            later_count(q, others);
        again = again || q->state == QUESTION_NEW;
    }
    if (again && servers >= 0)
        start_count(qs);
}

static void on_tick(struct timer *t)
{
    struct questions *qs = container_of(t, struct questions, tick);
    uint64_t now = loop_now(qs->loop);
    bool due = now - qs->counted_ms >= RECOUNT_MS;
    bool wanted = false, waiting = false;
    for (struct list *n = qs->open.next; n != &qs->open; n = n->next) {
        struct question *q = question_at(n);
        /* What is published reaches the others when they come back; its
         * deadline is its own. */
        if (q->state == QUESTION_NEW && q->kind != ASK_BROADCAST &&
            now - q->opened_ms >= PATIENCE_MS)
            end_with(q, missing(q));
        wanted = wanted || q->state == QUESTION_NEW || (due && is_old(q, now));
        waiting = waiting || q->state != QUESTION_ENDED;
    }
    if (wanted)
        start_count(qs);
    if (waiting)
        loop_timer(qs->loop, t, TICK_MS);
}

/* ---- the way there ------------------------------------------------------- */

static struct str id_key(const struct map_node *n)
{
    return question_id(const_container_of(n, struct question, by_id));
}

int question_open(struct questions *qs, enum question_kind kind,
                  union question_fn fn, void *arg, struct question **out)
{
    if (qs->closing)
        return ERR_STATE;
    if (qs->n >= QUESTIONS_MAX || qs->bytes >= QUESTIONS_BYTES) {
        metrics_add(M_LIMIT_QUESTIONS, 1);
        return ERR_LIMIT;
    }
    struct question *q = mem_zalloc(sizeof(*q));
    q->of = qs;
    q->kind = kind;
    q->fn = fn;
    q->arg = arg;
    q->servers = 1;
    q->opened_ms = loop_now(qs->loop);
    do {
        id_random(q->id, sizeof(q->id));
    } while (map_get(&qs->by_id, question_id(q)));
    map_put(&qs->by_id, &q->by_id);
    timer_init(&q->timer, on_timer);
    map_init(&q->names, name_key);
    buf_init(&q->json, UINT32_MAX);
    if (kind != ASK_COUNT && kind != ASK_BROADCAST)
        buf_addc(&q->json, '[');
    list_insert(&qs->open, &q->link);
    qs->n++;
    qs->n_broadcasts += kind == ASK_BROADCAST;
    *out = q;
    return 0;
}

static void hold(struct question *q, size_t bytes)
{
    q->held += bytes;
    q->of->bytes += bytes;
}

void question_add(struct question *q, struct str json)
{
    if (q->json.len > 1)
        buf_addc(&q->json, ',');
    buf_add(&q->json, json);
    hold(q, json.len);
}

void question_add_name(struct question *q, struct str name)
{
    if (!name_new(&q->names, name))
        return;
    if (q->json.len > 1)
        buf_addc(&q->json, ',');
    json_out_string(&q->json, name);
    hold(q, 2 * name.len + QUESTION_NAME_BYTES);
}

void question_cancel(struct question *q)
{
    forget(q);
    question_free(q);
}

void question_ask(struct question *q, struct bytes *request,
                  uint32_t timeout_ms)
{
    struct questions *qs = q->of;
    q->request = request;
    loop_timer(qs->loop, &q->timer, timeout_ms);
    if (!timer_running(&qs->tick))
        loop_timer(qs->loop, &qs->tick, TICK_MS);
    start_count(qs);
}

/* ---- what others answer -------------------------------------------------- */

struct question *questions_find(const struct questions *qs, struct str id)
{
    struct map_node *n = map_get(&qs->by_id, id);
    return n ? container_of(n, struct question, by_id) : NULL;
}

bool question_takes(struct question *q, size_t bytes, size_t names)
{
    struct questions *qs = q->of;
    if (q->others_bytes + bytes > qs->answer_bytes ||
        qs->bytes + bytes + names * QUESTION_NAME_BYTES > QUESTIONS_BYTES) {
        q->refused++;
        metrics_add(M_LIMIT_ANSWERS, 1);
        return false;
    }
    q->others_bytes += bytes;
    return true;
}

void question_heard(struct question *q)
{
    q->heard++;
    question_check(q);
}

bool question_ack(struct question *q)
{
    if (q->acks >= q->receivers)
        return false;
    q->acks++;
    return true;
}

/* ---- life ---------------------------------------------------------------- */

void questions_init(struct questions *qs, struct loop *l,
                    const struct questions_ops *ops, void *owner,
                    size_t answer_bytes)
{
    *qs = (struct questions){
        .loop = l, .ops = ops, .owner = owner, .answer_bytes = answer_bytes};
    list_init(&qs->open);
    map_init(&qs->by_id, id_key);
    timer_init(&qs->tick, on_tick);
}

void questions_fini(struct questions *qs)
{
    qs->closing = true;
    while (!list_empty(&qs->open))
        finish(question_at(qs->open.next));
    assert(qs->n == 0 && qs->bytes == 0);
    timer_stop(&qs->tick);
    map_fini(&qs->by_id);
}
