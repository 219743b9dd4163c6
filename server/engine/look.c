#include "server/engine/look.h"

static bool is_slow(const struct session *s)
{
    return s->extra && s->extra->slow &&
           timer_running(&s->extra->slow->deadline);
}

struct session_view session_look(const struct session *s)
{
    const struct engine_settings *set = &s->engine->settings;
    int32_t left = (int32_t)(s->due_ms - (uint32_t)loop_now(s->engine->loop));
    struct session_view v = {
        .queued_bytes = session_queued(s),
        .slow = is_slow(s),
        .closing = s->state == SESSION_CLOSING,
        .upgrading = s->extra && s->extra->upgrade,
        .polled = session_get(s) != NULL,
        .awaits_pong = s->pong_due,
        .left_ms = left > 0 ? (uint32_t)left : 0,
    };
    uint32_t whole = s->old ? set->ping_interval_ms + set->ping_timeout_ms
                     : s->pong_due ? set->ping_timeout_ms
                                   : set->ping_interval_ms;
    v.asked_ms = whole > v.left_ms ? whole - v.left_ms : 0;
    return v;
}

/* ---- finding ------------------------------------------------------------- */

struct search {
    struct str head, sid; /* p is NULL until it is found */
};

static const struct session *session_at(const struct map_node *n)
{
    return const_container_of(n, struct session, by_sid);
}

static bool has_head(const struct map_node *n, void *arg)
{
    struct search *search = arg;
    if (str_starts(session_sid(session_at(n)), search->head))
        search->sid = session_sid(session_at(n));
    return !search->sid.p;
}

struct session *engine_find(const struct engine *e, struct str sid)
{
    struct search search = {.head = sid};
    if (sid.len == JOURNAL_HEAD)
        map_look(&e->sessions, has_head, &search);
    struct map_node *n = map_get(&e->sessions, search.sid.p ? search.sid : sid);
    return n ? container_of(n, struct session, by_sid) : NULL;
}

/* ---- all together -------------------------------------------------------- */

static bool add_load(const struct map_node *n, void *arg)
{
    struct engine_load *load = arg;
    load->queued_bytes += session_queued(session_at(n));
    load->slow += is_slow(session_at(n));
    return true;
}

struct engine_load engine_load(const struct engine *e)
{
    struct engine_load load = {0};
    map_look(&e->sessions, add_load, &load);
    return load;
}
