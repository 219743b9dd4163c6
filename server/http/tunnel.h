/* Two streams as one: what one says is sent to the other, whatever it is.
 *
 * When the one that is written to does not keep up, the other is not read: at
 * most what a few reads bring waits between them. When one has finished, the
 * other gets what it said, and both are closed. When one has taken nothing for
 * `stall_ms` although something waits for it, both are cut. */
#ifndef CONFAB_SERVER_HTTP_TUNNEL_H
#define CONFAB_SERVER_HTTP_TUNNEL_H

#include "common/metrics.h"
#include "common/stream.h"

struct tunnel;

/* Both streams are closed; the tunnel is gone. */
typedef void tunnel_fn(void *arg);

struct tunnel_end {
    struct stream *stream;
    enum metric bytes; /* counts what it was sent */
};

/* Becomes the owner of both streams. */
struct tunnel *tunnel_new(const struct tunnel_end ends[2], uint32_t stall_ms,
                          tunnel_fn *on_end, void *arg);
/* Closes both, gently; calls nobody. */
void tunnel_close(struct tunnel *t);

#endif
