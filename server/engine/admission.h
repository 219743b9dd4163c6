/* Whether a handshake may become a session, when the application wants to say
 * so: the request is parked until it does.
 *
 *   WAITING --allow--> the rest of the handshake
 *      |-----deny----> 403, or 400 for a WebSocket
 *      '-client left, engine closed--> nothing to decide any more
 *
 * In every case the admission stays valid until it is settled, which frees it.
 * What waits counts as a session in max_sessions. */
#ifndef CONFAB_SERVER_ENGINE_ADMISSION_H
#define CONFAB_SERVER_ENGINE_ADMISSION_H

#include "common/err.h"
#include "server/http/http.h"

struct admission;
struct engine;

/* Called for each handshake that passed the checks before it, polling or
 * WebSocket; must settle `a` exactly once, inside the call or later. */
typedef void admission_fn(struct admission *a, void *arg);

/* The request; NULL once there is nothing to decide any more. */
struct http_request *admission_request(const struct admission *a);
/* Adds a header to the first response of the session, the polling handshake's
 * or the 101; the same name may come several times. ERR_CONFIG when name or
 * value are none or the name is one that HTTP itself needs, ERR_LIMIT past 8 kB
 * in all, ERR_STATE when there is nothing to decide any more. */
MUST_CHECK int admission_header(struct admission *a, struct str name,
                                struct str value);
void admission_allow(struct admission *a);
/* The client gets `message`; "Forbidden" when it is empty. */
void admission_deny(struct admission *a, struct str message);

/* ---- inside the engine folder -------------------------------------------- */

void admission_begin(struct engine *e, struct http_request *r);
/* The engine closes: answers 503 to all that wait. */
void admission_close(struct engine *e);

#endif
