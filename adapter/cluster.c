#include "adapter/channels.h"

#include <assert.h>
#include <stdio.h>
#include <time.h>

#include "common/id.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/mp.h"

enum {
    BAD_LOGS_PER_MINUTE = 6,
    PEER_LOGS_PER_MINUTE = 30,
    NAME_MAX_BYTES = 64,
    RECOVERY_EXPIRE_MS = 10000, /* how often, at most */
    REQUESTS_TIMEOUT_MS = 5000,
};

static struct str nsp_key(const struct map_node *n)
{
    return const_container_of(n, struct adapter, by_nsp)->nsp;
}

static struct str pattern_key(const struct map_node *n)
{
    return buf_str(&const_container_of(n, struct adapter, by_pattern)->pattern);
}

void cluster_bad_message(struct cluster *c, struct str channel, int why)
{
    metrics_add(M_REDIS_BAD, 1);
    if (log_allow(&c->bad_gate, loop_now(c->loop), BAD_LOGS_PER_MINUTE))
        log_warn("redis_bad_message", "channel=%s why=%s", log_safe(channel),
                 log_safe(str_of(err_text(why))));
}

/* ---- presence ------------------------------------------------------------ */

static void arm_presence(struct cluster *c)
{
    uint64_t due = presence_due(c->presence);
    uint64_t now = loop_now(c->loop);
    timer_stop(&c->presence_timer);
    if (due != UINT64_MAX)
        loop_timer(c->loop, &c->presence_timer, due > now ? due - now : 0);
}

static void on_presence_timer(struct timer *t)
{
    struct cluster *c = container_of(t, struct cluster, presence_timer);
    presence_tick(c->presence, loop_now(c->loop));
    arm_presence(c);
}

static void on_presence_send(void *owner, struct str message)
{
    struct cluster *c = owner;
    redis_pubsub_publish(c->pubsub, buf_str(&c->presence_channel), message,
                         PUBLISH_REPEATED);
}

static void on_presence_event(void *owner, struct str nsp, struct str group,
                              struct str key, struct str meta,
                              enum presence_event what)
{
    struct cluster *c = owner;
    struct map_node *n = map_get(&c->by_nsp, nsp);
    if (!n)
        return;
    struct adapter *a = container_of(n, struct adapter, by_nsp);
    if (a->ops->presence)
        a->ops->presence(a->host, group, key, meta, (int)what);
}

static void on_presence_peer(void *owner, struct str node, struct str name,
                             enum presence_peer what)
{
    static const char *const event[] = {
        [PEER_FOUND] = "peer_found",
        [PEER_LEFT] = "peer_left",
        [PEER_LOST] = "peer_lost",
    };
    struct cluster *c = owner;
    size_t peers = presence_peers(c->presence);
    if (log_allow(&c->peer_gate, loop_now(c->loop), PEER_LOGS_PER_MINUTE))
        log_info(event[what], "id=%.*s name=%s peers=%zu", STR_ARG(node),
                 log_safe(name), peers);
    redis_pubsub_expect(c->pubsub, buf_str(&c->presence_channel), peers + 1);
}

static const struct presence_ops presence_ops = {
    .send = on_presence_send,
    .event = on_presence_event,
    .peer = on_presence_peer,
};

/* ---- relaying ------------------------------------------------------------ */

_Static_assert((int)CLUSTER_TAG_LEN == (int)PRESENCE_TAG_LEN &&
                   (int)CLUSTER_TOKEN_LEN == (int)PRESENCE_TOKEN_LEN,
               "they are the same");

static void choose_relay(struct cluster *c, const struct cluster_relay *r)
{
    if (!r)
        return;
    memcpy(c->relay.tag, r->tag.p, sizeof(c->relay.tag));
    memcpy(c->relay.token, r->token.p, sizeof(c->relay.token));
    assert(r->address.len <= sizeof(c->relay.address));
    memcpy(c->relay.address, r->address.p, r->address.len);
    c->relay.address_len = r->address.len;
    c->relay_port = r->address.len > 0 ? 0 : r->port;
}

/* Whoever reaches Redis reaches the address from which we do, in all likelihood
 * (cluster.relay_address is for those who do not). It may change with the
 * connection. */
static void announce(struct cluster *c)
{
    char host[STREAM_ADDR_MAX];
    struct presence_relay *r = &c->relay;
    if (c->relay_port > 0) {
        redis_pubsub_local(c->pubsub, host);
        bool v6 = strchr(host, ':') != NULL;
        int n = host[0]
                    ? snprintf(r->address, sizeof(r->address),
                               v6 ? "[%s]:%u" : "%s:%u", host, c->relay_port)
                    : 0;
        r->address_len = n > 0 ? (size_t)n : 0;
    }
    presence_announce(c->presence, r);
}

bool cluster_is_address(struct str s)
{
    return wire_presence_is_address(s);
}

bool cluster_find_relay(const struct cluster *c, struct str tag,
                        struct cluster_relay *out)
{
    const struct presence_relay *r = presence_relay_of(c->presence, tag);
    if (!r)
        return false;
    *out = (struct cluster_relay){
        .tag = {r->tag, sizeof(r->tag)},
        .token = {r->token, sizeof(r->token)},
        .address = {r->address, r->address_len},
    };
    return true;
}

/* ---- Redis --------------------------------------------------------------- */

static void on_usable(void *owner, bool usable)
{
    struct cluster *c = owner;
    if (usable) {
        announce(c);
        presence_up(c->presence, loop_now(c->loop));
    } else {
        presence_down(c->presence);
    }
    arm_presence(c);
}

static void on_message(void *owner, struct str pattern, struct str channel,
                       struct str payload)
{
    struct cluster *c = owner;
    if (payload.len > c->max_message_bytes) {
        cluster_bad_message(c, channel, ERR_LIMIT);
        return;
    }
    if (pattern.len > 0) {
        channels_receive_pattern(c, pattern, channel, payload);
        return;
    }
    /* P#, with which all channels of rooms begin and no others. */
    if (str_starts(channel, c->prefix) && channel.len > c->prefix.len &&
        channel.p[c->prefix.len] == '#') {
        channels_receive(c, channel, payload);
        return;
    }
    struct map_node *n = map_get(&c->by_channel, channel);
    if (n) {
        struct request_channel *ch =
            container_of(n, struct request_channel, by_name);
        ch->receive(ch->adapter, channel, payload);
        return;
    }
    if (!str_eq(channel, buf_str(&c->presence_channel))) {
        channels_receive(c, channel, payload);
        return;
    }
    int rc = presence_receive(c->presence, payload, loop_now(c->loop));
    if (rc < 0)
        cluster_bad_message(c, channel, rc);
    else
        metrics_add(M_PRESENCE_RECEIVED, 1);
    arm_presence(c);
}

static const struct redis_pubsub_ops pubsub_ops = {
    .on_usable = on_usable,
    .on_message = on_message,
};

static int start_redis(struct cluster *c, const struct adapter_settings *s,
                       char *err)
{
    if (redis_url_parse(&c->url, s->redis_url, err) < 0)
        return ERR_CONFIG;
    char name[NAME_MAX_BYTES];
    (void)snprintf(name, sizeof(name), "confab-%s", s->node_name);
    struct redis_pubsub_settings ps = {
        .url = &c->url,
        .client_name = name,
        .queue_bytes = s->publish_queue_bytes,
        .max_message_bytes = s->max_message_bytes,
    };
    c->pubsub = redis_pubsub_new(c->loop, &ps, &pubsub_ops, c);
    buf_add(&c->presence_channel, c->prefix);
    buf_add(&c->presence_channel, STR("-presence#"));
    struct str channel = buf_str(&c->presence_channel);
    redis_pubsub_subscribe(c->pubsub, channel, REDIS_COUNTED);
    redis_pubsub_expect(c->pubsub, channel, 1);
    return 0;
}

int cluster_set_login(struct cluster *c, const char *redis_url)
{
    char err[CONFIG_ERR_MAX];
    struct redis_url u;
    if (!c->pubsub || redis_url_parse(&u, redis_url, err) < 0)
        return ERR_STATE;
    bool same_place = strcmp(u.host, c->url.host) == 0 &&
                      u.port == c->url.port && u.db == c->url.db;
    if (same_place) {
        struct redis_url old = c->url;
        c->url.user = u.user;
        c->url.password = u.password;
        u.user = old.user;
        u.password = old.password;
    }
    redis_url_fini(&u);
    return same_place ? 0 : ERR_STATE;
}

/* ---- recovery ------------------------------------------------------------ */

static void on_recovery_timer(struct timer *t)
{
    struct cluster *c = container_of(t, struct cluster, recovery_timer);
    recovery_expire(c->recovery, loop_now(c->loop));
    loop_timer(c->loop, t, c->recovery_every_ms);
}

static void start_recovery(struct cluster *c, const struct recovery_settings *s)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    c->recovery = recovery_new(s, (uint64_t)now.tv_sec * 1000000 +
                                      (uint64_t)now.tv_nsec / 1000);
    c->recovery_every_ms = s->max_disconnection_ms < RECOVERY_EXPIRE_MS
                               ? s->max_disconnection_ms
                               : RECOVERY_EXPIRE_MS;
    loop_timer(c->loop, &c->recovery_timer, c->recovery_every_ms);
}

/* ---- life ---------------------------------------------------------------- */

static void destroy(struct cluster *c)
{
    timer_stop(&c->presence_timer);
    timer_stop(&c->recovery_timer);
    joins_end(&c->joins);
    recovery_free(c->recovery);
    redis_pubsub_free(c->pubsub);
    joins_fini(&c->joins);
    presence_free(c->presence);
    redis_url_fini(&c->url);
    buf_fini(&c->presence_channel);
    map_fini(&c->by_nsp);
    map_fini(&c->by_pattern);
    map_fini(&c->by_channel);
    wire_space_fini(&c->space);
    json_fini(&c->tape);
    buf_fini(&c->channel);
    buf_fini(&c->payload);
    mem_free(c);
}

struct cluster *cluster_new(struct loop *l, const struct adapter_settings *s,
                            char *err)
{
    struct str prefix = str_of(s->prefix);
    struct cluster *c = mem_zalloc(sizeof(*c) + prefix.len);
    char *copy = (char *)(c + 1);
    memcpy(copy, prefix.p, prefix.len);
    c->prefix = (struct str){copy, prefix.len};
    c->loop = l;
    c->type = s->type;
    c->interest = s->interest;
    c->max_message_bytes = s->max_message_bytes;
    c->requests_timeout_ms =
        s->requests_timeout_ms ? s->requests_timeout_ms : REQUESTS_TIMEOUT_MS;
    c->specific_responses = s->specific_responses;
    c->limits.depth =
        s->json_depth < MP_DEPTH_MAX ? s->json_depth : MP_DEPTH_MAX;
    /* JSON may take more than twice the room (numbers, escapes). */
    c->limits.json_bytes = s->max_message_bytes < UINT32_MAX / 4
                               ? s->max_message_bytes * 4
                               : UINT32_MAX;
    map_init(&c->by_nsp, nsp_key);
    map_init(&c->by_pattern, pattern_key);
    map_init(&c->by_channel, request_channel_key);
    wire_space_init(&c->space);
    joins_init(&c->joins, l);
    json_init(&c->tape);
    buf_init(&c->channel, UINT32_MAX);
    buf_init(&c->payload, s->max_message_bytes);
    buf_init(&c->presence_channel, UINT32_MAX);
    timer_init(&c->presence_timer, on_presence_timer);
    timer_init(&c->recovery_timer, on_recovery_timer);
    char node[PRESENCE_NODE_LEN];
    id_hex(node, sizeof(node));
    c->presence =
        presence_new((struct str){node, sizeof(node)}, str_of(s->node_name),
                     s->lease_ms, &presence_ops, c);
    choose_relay(c, s->relay);
    if (s->type == ADAPTER_REDIS && start_redis(c, s, err) < 0) {
        destroy(c);
        return NULL;
    }
    if (s->type == ADAPTER_MEMORY && s->recovery)
        start_recovery(c, s->recovery);
    return c;
}

void cluster_free(struct cluster *c)
{
    if (!c)
        return;
    assert(c->by_nsp.count == 0);
    presence_bye(c->presence);
    destroy(c);
}

void cluster_end_joins(struct cluster *c)
{
    joins_end(&c->joins);
}

bool cluster_usable(const struct cluster *c)
{
    return !c->pubsub || redis_pubsub_usable(c->pubsub);
}

const char *cluster_kind(const struct cluster *c)
{
    return c->type == ADAPTER_REDIS ? "redis" : "memory";
}

static void add_rooms(struct map_node *n, void *arg)
{
    struct adapter *a = container_of(n, struct adapter, by_nsp);
    size_t *rooms = arg;
    *rooms += rooms_count(&a->rooms);
}

void cluster_peers(struct cluster *c, cluster_peer_fn *each, void *arg)
{
    presence_each_peer(c->presence, each, arg);
}

void cluster_metrics(struct cluster *c)
{
    size_t rooms = 0;
    map_each(&c->by_nsp, add_rooms, &rooms);
    metrics_set(M_ROOMS, rooms);
    metrics_set(M_PRESENCE_PEERS, presence_peers(c->presence));
    if (c->pubsub)
        redis_pubsub_metrics(c->pubsub);
    if (c->recovery)
        recovery_metrics(c->recovery);
}
