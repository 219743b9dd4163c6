/* What becomes of events whose receiver does not keep up (slow.policies), by
 * their names: a class for each name.
 *
 * Never dropped: whatever is no event, whatever asks for an acknowledgement,
 * and events with an offset. A client that comes back says the last offset it
 * saw, and gets what came after it; one that was left out before it would be
 * missing for good. */
#ifndef CONFAB_SERVER_IO_FATES_H
#define CONFAB_SERVER_IO_FATES_H

#include "common/fate.h"
#include "common/map.h"
#include "server/io/parser.h"

enum { FATES_MAX = 64 };

struct fates {
    struct map by_name;
    uint16_t n;
};

/* `list` has one event=policy a line. 0, or ERR_CONFIG with the item that is
 * none, that has no name or one that was there before, or that is one too many;
 * call fates_fini either way. */
MUST_CHECK int fates_init(struct fates *f, struct str list, struct str *bad);
void fates_fini(struct fates *f);

/* Of a packet that goes `to` some rooms; NULL: to one socket. */
struct fate fates_find(const struct fates *f, const struct parser_out *p,
                       const struct broadcast *to);
static inline struct fate fate_of(const struct fates *f,
                                  const struct parser_out *p,
                                  const struct broadcast *to)
{
    return f->n ? fates_find(f, p, to) : (struct fate){0};
}

#endif
