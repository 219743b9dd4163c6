/* How a session shows that it lives, which the revisions of the protocol do in
 * opposite directions:
 *
 *   v4  the server pings; the client's pong is due in ping_timeout_ms
 *   v3  the client pings, at least once in ping_interval_ms + ping_timeout_ms
 *
 * All sessions wait for one of a few times, each always equally long: so each
 * has a queue in which whoever comes last is due last, and one timer for its
 * first. A session pays a link and a time; starting over costs O(1). */
#ifndef CONFAB_SERVER_ENGINE_HEARTBEAT_H
#define CONFAB_SERVER_ENGINE_HEARTBEAT_H

#include "server/engine/session.h"

enum beat_wait {
    BEAT_PING,    /* until the next ping is sent */
    BEAT_PONG,    /* for the pong */
    BEAT_SILENCE, /* for a ping of protocol 3 */
    BEAT_CLOSE,   /* for the last poll of a closing session */
    BEAT_WAITS,
};

struct beat_queue {
    struct list sessions; /* in the order in which they are due */
    struct timer timer;
    struct loop *loop;
    uint32_t ms;
    void (*fire)(struct session *s);
};

struct heartbeats {
    struct beat_queue queue[BEAT_WAITS];
    struct bytes *ping, *pong; /* one for all */
};

struct heartbeat {
    void (*start)(struct session *s);
    void (*on_ping)(struct session *s);
    void (*on_pong)(struct session *s);
    /* Any other packet. */
    void (*on_other)(struct session *s);
};

extern const struct heartbeat heartbeat3, heartbeat4;

void heartbeats_init(struct heartbeats *h, struct loop *l, uint32_t interval_ms,
                     uint32_t timeout_ms);
/* No session may be waiting any more. */
void heartbeats_fini(struct heartbeats *h);

/* Waits, from now on, for that and nothing else. */
void heartbeat_wait(struct session *s, enum beat_wait what);
void heartbeat_stop(struct session *s);

#endif
