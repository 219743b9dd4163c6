#include "server/engine/slow.h"

#include <stdlib.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/slab.h"
#include "server/engine/engine.h"

enum {
    BEHIND_BYTES = 16 * 1024,
    LOGS_PER_MINUTE = 30,
    CODE_TRY_LATER = 1013,
};

/* A packet that waits. */
struct waiting {
    struct list link, of_class;
    struct fate fate;
    uint32_t n, bytes;
    struct bytes *frames[];
};

static struct slow *slow_of(const struct session *s)
{
    return s->extra ? s->extra->slow : NULL;
}

static const struct engine_settings *settings(const struct session *s)
{
    return &s->engine->settings;
}

/* ---- packets that wait --------------------------------------------------- */

static struct waiting *waiting_new(struct bytes *const *frames, uint32_t n,
                                   const struct fate *fate)
{
    size_t size = sizeof(struct waiting) + n * sizeof(frames[0]);
    struct waiting *w = slab_alloc(size);
    w->fate = *fate;
    w->n = n;
    w->bytes = (uint32_t)size;
    for (uint32_t i = 0; i < n; i++) {
        w->frames[i] = bytes_ref(frames[i]);
        bytes_hold(frames[i]);
        w->bytes += frames[i]->len;
    }
    list_init(&w->of_class);
    return w;
}

static void waiting_free(struct slow *slow, struct waiting *w)
{
    size_t size = sizeof(*w) + w->n * sizeof(w->frames[0]);
    slow->bytes -= w->bytes;
    slow->session->engine->slow.bytes -= size;
    list_remove(&w->link);
    list_remove(&w->of_class);
    for (uint32_t i = 0; i < w->n; i++) {
        bytes_release(w->frames[i]);
        bytes_unref(w->frames[i]);
    }
    slab_free(w, size);
}

static void drop(struct slow *slow, struct waiting *w, enum metric why)
{
    metrics_add(why, 1);
    waiting_free(slow, w);
}

/* There is one at most. */
static void drop_earlier(struct slow *slow, const struct list *class,
                         uint32_t key)
{
    for (struct list *n = class->next; n != class; n = n->next) {
        struct waiting *w = container_of(n, struct waiting, of_class);
        if (w->fate.key == key) {
            drop(slow, w, M_DROP_SLOW_LATEST);
            return;
        }
    }
}

static void make_room(struct slow *slow, const struct list *class)
{
    const struct session *s = slow->session;
    while (session_queued(s) > settings(s)->lag_bytes &&
           class->next != class->prev)
        drop(slow, container_of(class->next, struct waiting, of_class),
             M_DROP_SLOW_OLDEST);
}

void slow_put(struct session *s, struct bytes *const *frames, uint32_t n,
              const struct fate *fate)
{
    struct slow *slow = slow_of(s);
    struct list *class =
        fate->kind == FATE_KEEP ? NULL : &slow->classes[fate->class];
    if (fate->kind == FATE_DROP_NEW &&
        session_queued(s) > settings(s)->lag_bytes) {
        metrics_add(M_DROP_SLOW_NEW, 1);
        return;
    }
    if (fate->kind == FATE_LATEST)
        drop_earlier(slow, class, fate->key);
    struct waiting *w = waiting_new(frames, n, fate);
    list_insert(&slow->packets, &w->link);
    if (class)
        list_insert(class, &w->of_class);
    slow->bytes += w->bytes;
    s->engine->slow.bytes += sizeof(*w) + n * sizeof(frames[0]);
    if (fate->kind == FATE_DROP_OLDEST)
        make_room(slow, class);
    slow_check(s);
}

/* Until the transport has so many bytes. */
static void pass_on(struct session *s, struct slow *slow, size_t bytes)
{
    while (!list_empty(&slow->packets) &&
           session_queued(s) - slow->bytes <= bytes) {
        struct waiting *w =
            container_of(slow->packets.next, struct waiting, link);
        for (uint32_t i = 0; i < w->n; i++)
            session_put(s, w->frames[i]);
        waiting_free(slow, w);
    }
    s->lagging = !list_empty(&slow->packets);
}

void slow_release(struct session *s)
{
    struct slow *slow = slow_of(s);
    if (slow)
        pass_on(s, slow, SIZE_MAX);
}

static void drop_waiting(struct slow *slow)
{
    while (!list_empty(&slow->packets))
        waiting_free(slow,
                     container_of(slow->packets.next, struct waiting, link));
    slow->session->lagging = false;
}

/* ---- on the list and off it ---------------------------------------------- */

static size_t size_of(const struct session *s)
{
    return sizeof(struct slow) +
           settings(s)->fate_classes * sizeof(struct list);
}

static void on_deadline(struct timer *t);

static struct slow *slow_new(struct session *s)
{
    struct slow *slow = slab_alloc(size_of(s));
    session_extra(s)->slow = slow;
    slow->session = s;
    slow->since_ms = loop_now(s->engine->loop);
    timer_init(&slow->deadline, on_deadline);
    list_init(&slow->packets);
    for (uint32_t i = 0; i < settings(s)->fate_classes; i++)
        list_init(&slow->classes[i]);
    list_insert(&s->engine->slow.behind, &slow->behind);
    s->engine->slow.n++;
    return slow;
}

void slow_forget(struct session *s)
{
    struct slow *slow = slow_of(s);
    if (!slow)
        return;
    drop_waiting(slow);
    timer_stop(&slow->deadline);
    list_remove(&slow->behind);
    s->engine->slow.n--;
    s->extra->slow = NULL;
    slab_free(slow, size_of(s));
}

void slow_stop(struct session *s)
{
    struct slow *slow = slow_of(s);
    if (!slow || !timer_running(&slow->deadline))
        return;
    timer_stop(&slow->deadline);
    session_note(s, J_CAUGHT_UP, (uint32_t)session_queued(s));
    if (s->ws)
        websocket_pause(s->ws, false);
}

void slow_caught_up(struct session *s)
{
    struct slow *slow = slow_of(s);
    if (!slow)
        return;
    pass_on(s, slow, settings(s)->lag_bytes / 2);
    if (session_queued(s) <= settings(s)->output_queue_bytes)
        slow_stop(s);
    if (!s->lagging)
        slow_forget(s);
    else if (s->ws)
        websocket_tell(s->ws);
}

/* ---- the end of one ------------------------------------------------------ */

/* Nothing of what waits goes out any more, so that the memory is back at once
 * and the reason is not behind all that. The head of the id is enough to find
 * it, and not enough to take it over. */
static void end_slow(struct session *s, enum metric cause, const char *why)
{
    static struct log_gate gate;
    const struct engine *e = s->engine;
    metrics_add(cause, 1);
    session_note(s, J_SLOW_CLOSED, (uint32_t)session_queued(s));
    if (log_allow(&gate, loop_now(e->loop), LOGS_PER_MINUTE))
        log_info("slow_consumer",
                 "sid=%.10s address=%s transport=%s queued_bytes=%zu why=%s",
                 session_sid(s).p, session_address(s), session_transport(s),
                 session_queued(s), log_safe(str_of(why)));
    if (slow_of(s))
        drop_waiting(slow_of(s));
    if (s->ws)
        websocket_cut(s->ws);
    else
        polling_forget(s);
    session_end_because(s, REASON_TRANSPORT_ERROR, CODE_TRY_LATER, why);
}

static void on_deadline(struct timer *t)
{
    end_slow(container_of(t, struct slow, deadline)->session, M_SLOW_TIME,
             "slow consumer");
}

void slow_overrun(struct session *s)
{
    end_slow(s, M_SLOW_FULL, "slow consumer");
}

/* ---- all of them --------------------------------------------------------- */

struct rank {
    struct session *session;
    size_t bytes;
    uint64_t since_ms;
};

static int longest_first(const void *a, const void *b)
{
    const struct rank *x = a, *y = b;
    return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

/* All that are behind, in order; the caller frees them. */
static struct rank *ranking(const struct engine *e)
{
    struct rank *all = mem_alloc(e->slow.n * sizeof(*all));
    size_t i = 0;
    const struct list *end = &e->slow.behind;
    for (struct list *n = end->next; n != end; n = n->next) {
        const struct slow *slow = container_of(n, struct slow, behind);
        all[i++] = (struct rank){slow->session, session_queued(slow->session),
                                 slow->since_ms};
    }
    if (i > 1)
        qsort(all, i, sizeof(*all), longest_first);
    return all;
}

static bool over_total(const struct engine *e)
{
    return e->settings.total_bytes &&
           bytes_held() + e->slow.bytes > e->settings.total_bytes;
}

static void shed(void *arg)
{
    struct engine *e = arg;
    uint32_t n = e->slow.n;
    struct rank *all = ranking(e);
    e->slow.shedding = false;
    /* Those who hear of an end may end others. */
    for (uint32_t i = 0; i < n && over_total(e); i++) {
        if (all[i].session->state != SESSION_CLOSED)
            end_slow(all[i].session, M_SLOW_SHED, "server is short of memory");
    }
    mem_free(all);
}

void engine_slowest(const struct engine *e, uint32_t most,
                    void (*each)(void *arg, const struct engine_slow *s),
                    void *arg)
{
    struct rank *all = ranking(e);
    for (uint32_t i = 0; i < e->slow.n && i < most; i++) {
        const struct session *s = all[i].session;
        each(arg, &(struct engine_slow){.sid = session_sid(s),
                                        .address = session_address(s),
                                        .transport = session_transport(s),
                                        .queued_bytes = all[i].bytes,
                                        .slow_ms = loop_now(e->loop) -
                                                   all[i].since_ms});
    }
    mem_free(all);
}

/* ---- one that queues much ------------------------------------------------ */

/* Closing waits for the end of the turn, since this may be the middle of a
 * broadcast. */
static void over_limit(struct session *s, struct slow *slow)
{
    const struct engine_settings *set = settings(s);
    if (session_queued(s) > 2 * (size_t)set->output_queue_bytes) {
        s->overrun = true;
        session_run_later(s);
        return;
    }
    if (timer_running(&slow->deadline))
        return;
    session_note(s, J_SLOW, (uint32_t)session_queued(s));
    loop_timer(s->engine->loop, &slow->deadline, set->slow_consumer_ms);
    if (s->ws)
        websocket_pause(s->ws, true);
}

/* Much may have been sent in this turn to one that reads well: only what the
 * kernel, or a poll, does not take at once says that it does not keep up. */
static bool lags(struct session *s)
{
    size_t bound = settings(s)->output_queue_bytes;
    if (settings(s)->fate_classes)
        bound = settings(s)->lag_bytes / 2;
    if (s->ws && session_queued(s) > bound)
        websocket_push(s->ws);
    return (s->ws || !s->extra->get) && session_queued(s) > bound;
}

void slow_check(struct session *s)
{
    struct engine *e = s->engine;
    struct slow *slow = slow_of(s) ? slow_of(s) : slow_new(s);
    if (lags(s) && e->settings.fate_classes)
        s->lagging = true;
    size_t queued = session_queued(s);
    if (s->ws)
        websocket_tell(s->ws);
    if (queued > e->settings.output_queue_bytes)
        over_limit(s, slow);
    if (over_total(e) && !e->slow.shedding) {
        e->slow.shedding = true;
        loop_call(e->loop, shed, e);
    }
}

void slow_init(struct engine *e)
{
    const struct engine_settings *set = &e->settings;
    list_init(&e->slow.behind);
    e->slow.mark = BEHIND_BYTES;
    if (e->slow.mark > set->output_queue_bytes)
        e->slow.mark = set->output_queue_bytes;
    if (set->fate_classes && e->slow.mark > set->lag_bytes / 2)
        e->slow.mark = set->lag_bytes / 2;
}
