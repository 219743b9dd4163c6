#include "server/engine/retire.h"

#include "server/engine/engine.h"

void engine_retire(struct engine *e)
{
    e->retired = true;
    e->next_slot = 0;
    admission_close(e);
}

/* The next one that is open. Nothing is added to the table any more, so it
 * keeps its size and one round sees them all. */
static struct session *next_open(struct engine *e)
{
    while (e->next_slot < e->sessions.n_slots) {
        size_t slot = e->next_slot;
        struct map_node *n = map_first(&e->sessions, &slot);
        if (!n || slot < e->next_slot)
            return NULL; /* it went round */
        e->next_slot = slot;
        for (; n; n = n->next) {
            struct session *s = container_of(n, struct session, by_sid);
            if (s->state == SESSION_OPEN)
                return s;
        }
        e->next_slot++;
    }
    return NULL;
}

bool engine_retire_one(struct engine *e)
{
    struct session *s = next_open(e);
    if (s)
        session_leave(s, REASON_SHUTDOWN);
    return s != NULL;
}
