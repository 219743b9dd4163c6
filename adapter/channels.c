#include "adapter/channels.h"

#include "common/metrics.h"

/* ---- listening ----------------------------------------------------------- */

static bool by_interest(const struct adapter *a)
{
    return a->cluster->pubsub && a->cluster->interest;
}

/* Until the next one is made. */
static struct str room_channel(const struct adapter *a, struct str room)
{
    struct buf *out = &a->cluster->channel;
    struct broadcast b = {.rooms = &room, .n_rooms = 1};
    buf_clear(out);
    wire_classic_channel(buf_str(&a->base), &b, out);
    return buf_str(out);
}

static void add(void *arg, struct str room)
{
    const struct adapter *a = arg;
    if (room.len != WIRE_PRIVATE_BYTES)
        redis_pubsub_subscribe(a->cluster->pubsub, room_channel(a, room),
                               REDIS_ROOM);
}

static void drop(void *arg, struct str room)
{
    const struct adapter *a = arg;
    if (room.len != WIRE_PRIVATE_BYTES)
        redis_pubsub_unsubscribe(a->cluster->pubsub, room_channel(a, room),
                                 REDIS_ROOM);
}

void channels_add_id(struct adapter *a, struct str id)
{
    if (by_interest(a))
        add(a, id);
}

void channels_drop_id(struct adapter *a, struct str id)
{
    if (by_interest(a))
        drop(a, id);
}

void channels_open(struct adapter *a)
{
    static const struct rooms_watch watch = {add, drop};
    struct cluster *c = a->cluster;
    if (!c->pubsub)
        return;
    wire_classic_base(c->prefix, a->nsp, &a->base);
    wire_classic_pattern(buf_str(&a->base), c->interest, &a->pattern);
    map_put(&c->by_pattern, &a->by_pattern);
    redis_pubsub_subscribe(c->pubsub, buf_str(&a->pattern), REDIS_PATTERN);
    if (!c->interest)
        return;
    redis_pubsub_subscribe(c->pubsub, buf_str(&a->base), REDIS_CHANNEL);
    a->rooms.watch = &watch;
    a->rooms.watch_arg = a;
}

void channels_close(struct adapter *a)
{
    struct cluster *c = a->cluster;
    if (!c->pubsub)
        return;
    redis_pubsub_unsubscribe(c->pubsub, buf_str(&a->pattern), REDIS_PATTERN);
    map_remove(&c->by_pattern, &a->by_pattern);
    if (c->interest)
        redis_pubsub_unsubscribe(c->pubsub, buf_str(&a->base), REDIS_CHANNEL);
}

int channels_wait(struct adapter *a, struct str room, struct interest_wait *w)
{
    struct redis_pubsub *ps = a->cluster->pubsub;
    if (!ps)
        return 0;
    if (!a->cluster->interest)
        return redis_pubsub_wait(ps, buf_str(&a->pattern), REDIS_PATTERN, w);
    /* Patterns come before channels: with the latter the former is there. So is
     * the namespace's channel with that of any room. */
    if (room.len == WIRE_PRIVATE_BYTES)
        return redis_pubsub_wait(ps, buf_str(&a->base), REDIS_CHANNEL, w);
    return redis_pubsub_wait(ps, room_channel(a, room), REDIS_ROOM, w);
}

/* ---- hearing ------------------------------------------------------------- */

void channels_receive_pattern(struct cluster *c, struct str pattern,
                              struct str channel, struct str payload)
{
    struct map_node *n = map_get(&c->by_pattern, pattern);
    /* The namespace may have gone a moment ago. */
    if (!n || !adapter_receive(container_of(n, struct adapter, by_pattern),
                               channel, payload))
        metrics_add(M_REDIS_NO_ROOM, 1);
}

/* Names of rooms and namespaces may have a '#' in them, so that a channel can
 * belong to several; the message itself then says whose it is. */
void channels_receive(struct cluster *c, struct str channel, struct str payload)
{
    struct str rest = str_from(channel, c->prefix.len + 1);
    bool wanted = false;
    for (size_t i = 0; i < rest.len && i <= c->longest_nsp; i++) {
        if (rest.p[i] != '#')
            continue;
        struct map_node *n = map_get(&c->by_nsp, (struct str){rest.p, i});
        struct str room = str_from(rest, i + 1);
        /* This one has come, or will, by the pattern. */
        if (n && room.len != WIRE_PRIVATE_BYTES + 1)
            wanted |= adapter_receive(container_of(n, struct adapter, by_nsp),
                                      channel, payload);
    }
    metrics_add(M_REDIS_NO_ROOM, !wanted);
}
