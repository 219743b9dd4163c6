/* A connection to Redis for programs without a loop: its calls block, each for
 * the timeout at most (finding the host's name apart). It connects when it is
 * needed, and again after a loss; nothing is sent twice. A connection that the
 * other side has closed while it was idle is noticed before it is used.
 *
 * Publishes are held and go out together with the flush that asks for their
 * answers, in order. */
#ifndef CONFAB_ADAPTER_REDIS_SYNC_H
#define CONFAB_ADAPTER_REDIS_SYNC_H

#include "adapter/redis_url.h"
#include "common/str.h"

struct redis_sync;

/* `url` must outlive it. */
struct redis_sync *redis_sync_new(const struct redis_url *url,
                                  uint32_t timeout_ms);
/* What is held is lost. NULL is allowed. */
void redis_sync_free(struct redis_sync *r);
/* From the next call on. */
void redis_sync_timeout(struct redis_sync *r, uint32_t ms);

/* Each returns 0, or ERR_IO with a sentence in redis_sync_error. After a loss
 * nothing is held any more. */

/* Connects and signs in, unless that is done. */
MUST_CHECK int redis_sync_connect(struct redis_sync *r);
MUST_CHECK int redis_sync_publish(struct redis_sync *r, struct str channel,
                                  struct str payload);
/* Sends what is held, waits for all answers, and adds the numbers of receivers
 * to `*receivers`. */
MUST_CHECK int redis_sync_flush(struct redis_sync *r, int64_t *receivers);

/* Publishes that are held, and about their bytes. */
size_t redis_sync_held(const struct redis_sync *r);
size_t redis_sync_held_bytes(const struct redis_sync *r);
const char *redis_sync_error(const struct redis_sync *r);

#endif
