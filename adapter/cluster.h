/* Inside of adapter/: what cluster.c and adapter.c know of each other. The
 * interface for everyone else is adapter.h.
 *
 * A message from Redis comes with the pattern or channel it was subscribed by,
 * and that decides who gets it: whoever put the channel on the map (requests
 * and responses of one namespace), the cluster (presence), or else the adapters
 * (broadcasts: channels.h). */
#ifndef CONFAB_ADAPTER_CLUSTER_H
#define CONFAB_ADAPTER_CLUSTER_H

#include "adapter/adapter.h"
#include "adapter/joins.h"
#include "adapter/presence.h"
#include "adapter/recovery.h"
#include "adapter/redis_pubsub.h"
#include "adapter/requests.h"
#include "adapter/wire_request.h"
#include "common/log.h"

enum { ADAPTER_UID_LEN = 6 };

struct cluster {
    struct loop *loop;
    enum adapter_type type;
    struct str prefix;
    bool interest; /* in rooms, not in whole namespaces */
    uint32_t max_message_bytes;
    struct wire_limits limits;
    uint32_t requests_timeout_ms;
    bool specific_responses;
    struct map by_nsp, by_pattern; /* of adapter */
    struct map by_channel;         /* of request_channel */
    size_t longest_nsp;            /* of its names, so far */
    struct joins joins;

    struct redis_url url;
    struct redis_pubsub *pubsub; /* NULL for the memory adapter */

    struct presence *presence;
    struct presence_relay relay; /* of this node; no address: not known yet */
    uint16_t relay_port;         /* 0: takes no requests, or address is fixed */
    struct timer presence_timer;
    struct buf presence_channel;

    struct recovery *recovery; /* NULL when there is none */
    struct timer recovery_timer;
    uint32_t recovery_every_ms;

    struct json tape; /* work space for publishing */
    struct buf channel, payload;
    struct wire_space space; /* of the request or response that is read */
    struct log_gate bad_gate, peer_gate;
};

struct adapter {
    struct map_node by_nsp, by_pattern;
    struct cluster *cluster;
    struct rooms rooms;
    const struct adapter_host *ops;
    void *host;
    struct str nsp;
    struct buf base;    /* P#N# */
    struct buf pattern; /* by which it hears of rooms, or of all */
    struct recovery_nsp *recovery;
    struct requests requests;
    char uid[ADAPTER_UID_LEN];
};

/* A message of one of the namespace's channels. False when it is for a room
 * without members here. */
bool adapter_receive(struct adapter *a, struct str channel, struct str payload);
/* Counts something from Redis that made no sense, and logs it now and then. */
void cluster_bad_message(struct cluster *c, struct str channel, int why);

#endif
