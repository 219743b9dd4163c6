#include "adapter/adapter.h"

#include <assert.h>

#include "adapter/channels.h"
#include "adapter/requests.h"
#include "common/id.h"
#include "common/mem.h"
#include "common/metrics.h"

enum { LOGS_PER_MINUTE = 6, PAYLOAD_KEEP_BYTES = 64 * 1024 };

/* ---- broadcast ----------------------------------------------------------- */

struct delivery {
    struct adapter *a;
    struct packet *p;
    bool is_volatile;
    uint64_t offset;
};

static void deliver_one(void *arg, struct member *m)
{
    const struct delivery *d = arg;
    bool sent = d->a->ops->deliver(d->a->host, m, d->p, d->is_volatile);
    if (d->offset && sent && m->session)
        recovery_sent(m->session, d->offset);
}

static size_t select_receivers(struct adapter *a, const struct broadcast *b,
                               struct delivery *d)
{
    uint64_t began = loop_clock_us();
    size_t n = rooms_select(&a->rooms, b->rooms, b->n_rooms, b->except,
                            b->n_except, deliver_one, d);
    if (n > 0) {
        metrics_observe(H_FAN_OUT, n);
        metrics_observe(H_FAN_OUT_TIME, loop_clock_us() - began);
    }
    return n;
}

/* Where our own broadcasts and those of other nodes meet. */
static size_t deliver(struct adapter *a, struct packet *p,
                      const struct broadcast *b)
{
    struct delivery d = {a, p, b->is_volatile, 0};
    if (a->recovery && p->type == PACKET_EVENT && p->ack == PACKET_NO_ACK &&
        !b->is_volatile)
        d.offset =
            recovery_record(a->recovery, loop_now(a->cluster->loop), p, b);
    p->to = b;
    size_t n = select_receivers(a, b, &d);
    p->to = NULL;
    return n;
}

static void publish(struct adapter *a, const struct packet *p,
                    const struct broadcast *b)
{
    struct cluster *c = a->cluster;
    struct str uid = {a->uid, sizeof(a->uid)};
    buf_clear(&c->channel);
    buf_clear(&c->payload);
    wire_classic_channel(buf_str(&a->base), b, &c->channel);
    int rc = wire_classic_encode(&c->tape, uid, p, b, &c->payload);
    if (rc == 0) {
        redis_pubsub_publish(c->pubsub, buf_str(&c->channel),
                             buf_str(&c->payload),
                             b->is_volatile ? PUBLISH_VOLATILE : PUBLISH_KEPT);
    } else {
        metrics_add(M_REDIS_OUTGOING, 1);
        metrics_add(M_LOST_UNFIT, 1);
        if (log_allow(&c->bad_gate, loop_now(c->loop), LOGS_PER_MINUTE))
            log_warn("redis_publish_lost", "why=%s bytes=%u",
                     log_safe(str_of(err_text(rc))), p->data->len);
    }
    /* The storage is for the next one, unless this one was unusual. */
    if (c->payload.cap > PAYLOAD_KEEP_BYTES)
        buf_fini(&c->payload);
}

size_t adapter_broadcast(struct adapter *a, struct packet *p,
                         const struct broadcast *b)
{
    if (a->cluster->pubsub && !b->local)
        publish(a, p, b);
    return deliver(a, p, b);
}

/* A room's message is for nodes that have somebody in the room; that is decided
 * before anything of it is read. A socket is in the room of its own id. */
static bool concerns_us(const struct adapter *a, struct str room)
{
    if (room.len == 0)
        return a->rooms.everyone.n > 0;
    return rooms_find(&a->rooms, room) || rooms_member(&a->rooms, room);
}

bool adapter_receive(struct adapter *a, struct str channel, struct str payload)
{
    struct cluster *c = a->cluster;
    struct str room;
    if (!wire_classic_room(buf_str(&a->base), channel, &room) ||
        !concerns_us(a, room))
        return false;
    if (str_eq(wire_classic_uid(payload),
               (struct str){a->uid, sizeof(a->uid)})) {
        metrics_add(M_REDIS_OWN, 1);
        return true;
    }
    struct wire_message m;
    int rc = wire_classic_decode(payload, a->nsp, &c->limits, &m);
    if (rc == 0) {
        metrics_add(M_REDIS_DELIVERED, 1);
        struct broadcast b = {.rooms = m.rooms,
                              .n_rooms = m.n_rooms,
                              .except = m.except,
                              .n_except = m.n_except,
                              .is_volatile = m.is_volatile};
        (void)deliver(a, m.packet, &b);
    } else if (rc != ERR_STATE) {
        cluster_bad_message(c, channel, rc);
    }
    wire_message_fini(&m);
    return rc != ERR_STATE;
}

/* ---- members ------------------------------------------------------------- */

struct rooms *adapter_rooms(struct adapter *a)
{
    return &a->rooms;
}

struct recovery_nsp *adapter_recovery(const struct adapter *a)
{
    return a->recovery;
}

void adapter_add(struct adapter *a, struct member *m, struct str id)
{
    rooms_add(&a->rooms, m, id);
    channels_add_id(a, id);
}

void adapter_remove(struct adapter *a, struct member *m)
{
    /* First the rooms: who hears of the end of a presence entry is not to send
     * the news to the one who left. */
    joins_forget(m);
    rooms_remove(&a->rooms, m);
    channels_drop_id(a, member_id(m));
    presence_clear_member(a->cluster->presence, a->nsp, member_id(m));
}

void adapter_join(struct adapter *a, struct member *m, struct str room)
{
    (void)rooms_join(&a->rooms, m, room);
}

void adapter_join_then(struct adapter *a, struct member *m, struct str room,
                       adapter_joined_fn *fn, void *arg)
{
    (void)rooms_join(&a->rooms, m, room);
    struct join *j = joins_add(&a->cluster->joins, m, fn, arg);
    int rc = channels_wait(a, room, joins_wait(j));
    if (rc <= 0)
        joins_settle(j, rc);
}

bool adapter_hears(struct adapter *a, struct member *m, adapter_joined_fn *fn,
                   void *arg)
{
    struct join *j = joins_add(&a->cluster->joins, m, fn, arg);
    if (channels_wait(a, member_id(m), joins_wait(j)) == 1)
        return false;
    joins_drop(j);
    return true;
}

size_t adapter_joins(const struct member *m)
{
    return m->n_joins;
}

void adapter_leave(struct adapter *a, struct member *m, struct str room)
{
    (void)rooms_leave(&a->rooms, m, room);
}

/* ---- presence ------------------------------------------------------------ */

int adapter_presence_set(struct adapter *a, struct str group, struct str key,
                         struct str meta)
{
    return presence_set(a->cluster->presence, a->nsp, group, key, meta);
}

void adapter_presence_clear(struct adapter *a, struct str group, struct str key)
{
    presence_clear(a->cluster->presence, a->nsp, group, key);
}

size_t adapter_presence_count(struct adapter *a, struct str group)
{
    return presence_count(a->cluster->presence, a->nsp, group);
}

void adapter_presence_each(struct adapter *a, struct str group,
                           bool (*each)(void *arg, struct str key,
                                        struct str meta),
                           void *arg)
{
    presence_each(a->cluster->presence, a->nsp, group, each, arg);
}

/* ---- life ---------------------------------------------------------------- */

struct adapter *adapter_new(struct cluster *c, struct str nsp,
                            const struct adapter_host *ops, void *host)
{
    struct adapter *a = mem_zalloc(sizeof(*a) + nsp.len);
    char *copy = (char *)(a + 1);
    memcpy(copy, nsp.p, nsp.len);
    a->nsp = (struct str){copy, nsp.len};
    a->cluster = c;
    a->ops = ops;
    a->host = host;
    id_random(a->uid, sizeof(a->uid));
    rooms_init(&a->rooms);
    buf_init(&a->base, UINT32_MAX);
    buf_init(&a->pattern, UINT32_MAX);
    map_put(&c->by_nsp, &a->by_nsp);
    if (c->longest_nsp < nsp.len)
        c->longest_nsp = nsp.len;
    if (c->recovery)
        a->recovery = recovery_open(c->recovery, nsp);
    channels_open(a);
    requests_init(a);
    return a;
}

void adapter_free(struct adapter *a)
{
    if (!a)
        return;
    struct cluster *c = a->cluster;
    assert(a->rooms.everyone.n == 0);
    requests_fini(a);
    presence_clear_namespace(c->presence, a->nsp);
    if (a->recovery)
        recovery_close(a->recovery);
    map_remove(&c->by_nsp, &a->by_nsp);
    channels_close(a);
    rooms_fini(&a->rooms);
    buf_fini(&a->base);
    buf_fini(&a->pattern);
    mem_free(a);
}
