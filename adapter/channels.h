/* Exact channels of Redis, and who gets what is published there. */
#ifndef CONFAB_ADAPTER_CHANNELS_H
#define CONFAB_ADAPTER_CHANNELS_H

#include "common/buf.h"
#include "common/map.h"

struct channel {
    struct map_node by_name;
    struct buf name;
    void (*receive)(void *owner, struct str channel, struct str payload);
    void *owner;
};

static inline struct str channel_key(const struct map_node *n)
{
    return buf_str(&const_container_of(n, struct channel, by_name)->name);
}

#endif
