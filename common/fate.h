/* What becomes of a packet whose receiver does not keep up. Looked up once for
 * a packet, and kept beside its frames. */
#ifndef CONFAB_COMMON_FATE_H
#define CONFAB_COMMON_FATE_H

#include <stdint.h>

enum fate_kind {
    FATE_KEEP,        /* waits, whatever it takes; the receiver may be closed */
    FATE_DROP_NEW,    /* is not queued */
    FATE_DROP_OLDEST, /* the oldest queued ones of its class make room */
    FATE_LATEST,      /* only the latest one with its key stays queued */
};

struct fate {
    uint8_t kind;
    uint16_t class; /* of events: from 0, a few */
    uint32_t key;   /* of FATE_LATEST */
};

#endif
