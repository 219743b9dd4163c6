/* What operators may know of sessions: looking changes nothing. */
#ifndef CONFAB_SERVER_ENGINE_LOOK_H
#define CONFAB_SERVER_ENGINE_LOOK_H

#include "server/engine/engine.h"

struct session_view {
    size_t queued_bytes;
    bool slow;         /* its queue is over the limit */
    bool closing;      /* waits for its last poll */
    bool upgrading;    /* a WebSocket is about to take over */
    bool polled;       /* polling: there is a poll to answer */
    bool awaits_pong;  /* a ping is out */
    uint32_t asked_ms; /* since the latest ping, or the pong before the next */
    uint32_t left_ms;  /* until the next ping, or until it is given up */
};
struct session_view session_look(const struct session *s);

/* By its sid, or by the head of that (journal.h), for which all sessions are
 * walked. NULL when there is none. */
struct session *engine_find(const struct engine *e, struct str sid);

/* Of all sessions; walks them. */
struct engine_load {
    size_t queued_bytes;
    size_t slow;
};
struct engine_load engine_load(const struct engine *e);

#endif
