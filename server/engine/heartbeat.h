/* How a session shows that it lives, which the revisions of the protocol do in
 * opposite directions (session.beat is the timer of either):
 *
 *   v4  the server pings; the client's pong is due in ping_timeout_ms
 *   v3  the client pings, at least once in ping_interval_ms + ping_timeout_ms
 */
#ifndef CONFAB_SERVER_ENGINE_HEARTBEAT_H
#define CONFAB_SERVER_ENGINE_HEARTBEAT_H

#include "server/engine/session.h"

struct heartbeat {
    void (*start)(struct session *s);
    void (*on_ping)(struct session *s);
    void (*on_pong)(struct session *s);
    /* Any other packet. */
    void (*on_other)(struct session *s);
};

extern const struct heartbeat heartbeat3, heartbeat4;

#endif
