#include "server/engine/slow.h"

struct ranking {
    struct engine_slow v[ENGINE_SLOWEST_MAX]; /* the fullest first */
    uint32_t n, most;
};

static struct engine_slow describe(const struct session *s)
{
    const struct engine *e = s->engine;
    uint64_t began = s->extra->slow.due_ms - e->settings.slow_consumer_ms;
    uint64_t now = loop_now(e->loop);
    return (struct engine_slow){
        .sid = session_sid(s),
        .address = session_address(s),
        .transport = session_transport(s),
        .queued_bytes = s->ws ? websocket_queued(s->ws) : session_kept(s),
        .slow_ms = now > began ? now - began : 0,
    };
}

static void insert(struct ranking *r, const struct engine_slow *slow)
{
    uint32_t i = r->n < r->most ? r->n++ : r->most;
    for (; i > 0 && r->v[i - 1].queued_bytes < slow->queued_bytes; i--) {
        if (i < r->most)
            r->v[i] = r->v[i - 1];
    }
    if (i < r->most)
        r->v[i] = *slow;
}

static bool rank(const struct map_node *n, void *arg)
{
    const struct session *s = const_container_of(n, struct session, by_sid);
    if (!s->extra || !timer_running(&s->extra->slow))
        return true;
    struct engine_slow slow = describe(s);
    insert(arg, &slow);
    return true;
}

void engine_slowest(const struct engine *e, uint32_t most,
                    void (*each)(void *arg, const struct engine_slow *s),
                    void *arg)
{
    struct ranking r = {.most = most < ENGINE_SLOWEST_MAX ? most
                                                          : ENGINE_SLOWEST_MAX};
    map_look(&e->sessions, rank, &r);
    for (uint32_t i = 0; i < r.n; i++)
        each(arg, &r.v[i]);
}
