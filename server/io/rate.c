#include "server/io/rate.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "server/io/socket.h"

enum {
    STRIKES_MS = 10000, /* rate.strikes are counted in */
    LOGS_PER_MINUTE = 30,
    CODE_POLICY = 1008,
    NUMBER_MAX = 24,
    ADDRESS_BLOCK = 16,
};

struct event_rate {
    struct map_node by_name;
    struct bucket_rate rate;
    uint32_t nth;
    struct bytes *name;
};

/* ---- the settings -------------------------------------------------------- */

static struct str event_name(const struct map_node *n)
{
    return bytes_str(const_container_of(n, struct event_rate, by_name)->name);
}

static bool to_number(struct str s, double *out)
{
    char z[NUMBER_MAX], *end;
    if (s.len >= sizeof(z) || strspn(s.p, "0123456789.") < s.len)
        return false;
    memcpy(z, s.p, s.len);
    z[s.len] = '\0';
    *out = strtod(z, &end);
    return end == z + s.len && s.len > 0;
}

/* "per_second" or "per_second/burst"; the burst is what a second brings. */
static bool parse_rate(struct str text, struct bucket_rate *r)
{
    struct str number;
    double per_second;
    uint64_t burst;
    str_next(&text, '/', &number);
    if (!to_number(number, &per_second) || per_second > BUCKET_RATE_MAX)
        return false;
    burst = per_second < 1 ? 1 : (uint64_t)per_second;
    if (text.p && !str_to_u64(text, UINT32_MAX, &burst))
        return false;
    return bucket_rate(r, per_second, (uint32_t)burst);
}

static bool add_event(struct rates *r, struct str item)
{
    struct str name, value;
    struct bucket_rate rate;
    if (!str_pair(item, &name, &value) || !parse_rate(value, &rate) ||
        map_get(&r->events, name))
        return false;
    struct event_rate *e = mem_zalloc(sizeof(*e));
    e->name = bytes_new(name);
    e->rate = rate;
    e->nth = r->n_events++;
    map_put(&r->events, &e->by_name);
    if (r->others.most < rate.most)
        r->others.most = rate.most;
    return true;
}

/* 0 events a second are any number. */
static bool plain_rate(struct bucket_rate *r, uint32_t events, uint32_t burst)
{
    *r = (struct bucket_rate){0, 0};
    return events == 0 || bucket_rate(r, events, burst);
}

int rates_init(struct rates *r, const struct settings *set, struct str *bad)
{
    struct str list = str_of(set->rate_events), item;
    *r = (struct rates){.n_events = 0};
    map_init(&r->events, event_name);
    *bad = STR("rate.connection_burst");
    if (!plain_rate(&r->connection, set->rate_connection_events,
                    set->rate_connection_burst))
        return ERR_CONFIG;
    *bad = STR("rate.address_burst");
    if (!plain_rate(&r->address, set->rate_address_events,
                    set->rate_address_burst))
        return ERR_CONFIG;
    *bad = STR("rate.room_burst");
    if (!plain_rate(&r->room, set->rate_room_events, set->rate_room_burst))
        return ERR_CONFIG;
    *bad = STR("rate.strikes");
    if (set->rate_strikes &&
        !bucket_rate(&r->strikes, set->rate_strikes * 1000.0 / STRIKES_MS,
                     set->rate_strikes))
        return ERR_CONFIG;
    r->addresses.most = r->address.most;
    /* A tenth of the burst at most: what is small is exact. */
    r->address_block =
        set->rate_address_burst < 10 * ADDRESS_BLOCK ? 1 : ADDRESS_BLOCK;
    r->address.step *= r->address_block;
    if (r->address.step == 0)
        r->address_block = UINT32_MAX;
    r->others.most = r->room.most;
    while (str_next(&list, '\n', &item)) {
        *bad = item;
        if (item.len > 0 && !add_event(r, item))
            return ERR_CONFIG;
    }
    return 0;
}

static void free_event(struct map_node *n, void *arg)
{
    struct rates *r = arg;
    struct event_rate *e = container_of(n, struct event_rate, by_name);
    map_remove(&r->events, n);
    bytes_unref(e->name);
    mem_free(e);
}

void rates_fini(struct rates *r)
{
    if (r->n_events)
        map_each(&r->events, free_event, r);
    map_fini(&r->events);
    r->n_events = 0;
    bucket_table_fini(&r->addresses);
    bucket_table_fini(&r->others);
}

/* ---- keys ---------------------------------------------------------------- */

/* Who has an IPv6 address has a whole network of them. */
static uint64_t address_key(const char *text)
{
    struct in6_addr a;
    char v4[INET_ADDRSTRLEN];
    if (!strchr(text, ':') || inet_pton(AF_INET6, text, &a) != 1)
        return map_hash(str_of(text));
    if (!IN6_IS_ADDR_V4MAPPED(&a))
        return map_hash((struct str){(const char *)&a, 8});
    inet_ntop(AF_INET, &a.s6_addr[12], v4, sizeof(v4));
    return map_hash(str_of(v4));
}

static uint64_t event_key(const struct client *c, const struct event_rate *e)
{
    uint64_t key[3] = {(uintptr_t)c, (uint64_t)c->issued_ms, e->nth};
    return map_hash((struct str){(const char *)key, sizeof(key)});
}

static uint64_t room_key(const struct sio_namespace *ns, struct str room)
{
    uint64_t key[2] = {map_hash(ns->name), map_hash(room)};
    return map_hash((struct str){(const char *)key, sizeof(key)});
}

/* ---- refusing ------------------------------------------------------------ */

static void answer(struct sio_event *e, uint32_t wait_ms)
{
    sio_reply(e, "{error:s,retry_after_ms:I}", "rate_limited",
              (int64_t)wait_ms);
}

static void disconnect(struct sio_socket *s)
{
    static struct log_gate gate;
    struct sio_server *srv = s->ns->server;
    metrics_add(M_RATE_DISCONNECTS, 1);
    if (log_allow(&gate, loop_now(srv->loop), LOGS_PER_MINUTE))
        log_info("rate_limited", "sid=%.8s address=%s",
                 session_sid(client_session(s->client)).p,
                 log_safe(str_of(sio_address(s))));
    client_disconnect_all(s->client, CODE_POLICY, "rate limit");
}

static void strike(struct sio_socket *s, uint32_t now)
{
    const struct bucket_rate *strikes = &s->ns->server->rates.strikes;
    if (strikes->step == 0 || !client_session(s->client))
        return;
    uint32_t *full = &client_extra(s->client)->strikes;
    if (bucket_wait(strikes, *full, now))
        disconnect(s);
    else
        bucket_take(strikes, full, now);
}

bool rate_remembers(struct client *c)
{
    struct sio_server *srv = client_server(c);
    return bucket_lacks(&srv->rates.strikes, c->extra->strikes,
                        bucket_time(loop_now(srv->loop))) > 0;
}

/* ---- admitting ----------------------------------------------------------- */

/* Buckets that an event takes from, and which of them it has to wait for. */
struct demand {
    uint32_t *address, *event; /* NULL: not asked */
    const struct bucket_rate *event_rate;
    uint32_t wait_ms;
    enum metric why;
};

static void wait_for(struct demand *d, const struct bucket_rate *rate,
                     uint32_t full, uint32_t now, enum metric why)
{
    uint32_t wait = bucket_wait(rate, full, now);
    if (wait <= d->wait_ms)
        return;
    d->wait_ms = wait;
    d->why = why;
}

static void ask_address(const struct sio_socket *s, struct demand *d,
                        uint32_t now)
{
    struct rates *r = &s->ns->server->rates;
    d->address =
        bucket_table_at(&r->addresses, address_key(sio_address(s)), now);
    wait_for(d, &r->address, *d->address, now, M_RATE_ADDRESS);
}

static void ask_event(const struct sio_socket *s, const struct sio_event *e,
                      struct demand *d, uint32_t now)
{
    struct rates *r = &s->ns->server->rates;
    const struct map_node *n = map_get(&r->events, e->name);
    if (!n)
        return;
    const struct event_rate *own =
        const_container_of(n, struct event_rate, by_name);
    d->event = bucket_table_at(&r->others, event_key(s->client, own), now);
    d->event_rate = &own->rate;
    wait_for(d, d->event_rate, *d->event, now, M_RATE_EVENT);
}

static void take_others(struct client *c, const struct rates *r,
                        const struct demand *d, uint32_t now)
{
    if (d->address) {
        bucket_take(&r->address, d->address, now);
        c->unpaid = 0;
    }
    if (d->event)
        bucket_take(d->event_rate, d->event, now);
}

static bool admit(struct sio_socket *s, struct sio_event *e, uint32_t now)
{
    struct rates *r = &s->ns->server->rates;
    struct client *c = s->client;
    struct demand d = {.wait_ms = 0};
    wait_for(&d, &r->connection, c->events_full, now, M_RATE_CONNECTION);
    if (c->unpaid + 1U >= r->address_block)
        ask_address(s, &d, now);
    if (r->n_events)
        ask_event(s, e, &d, now);
    if (d.wait_ms) {
        metrics_add(d.why, 1);
        answer(e, d.wait_ms);
        strike(s, now);
        return false;
    }
    if (r->connection.step)
        bucket_take(&r->connection, &c->events_full, now);
    c->unpaid++;
    if (d.address || d.event)
        take_others(c, r, &d, now);
    return true;
}

bool rate_admit(struct sio_socket *s, struct sio_event *e)
{
    struct sio_server *srv = s->ns->server;
    const struct rates *r = &srv->rates;
    struct client *c = s->client;
    uint32_t now = bucket_time(loop_now(srv->loop));
    uint32_t lacks = bucket_lacks(&r->connection, c->events_full, now);
    /* Most of the time there is nobody else to ask. */
    if (lacks > r->connection.most - r->connection.step || r->n_events ||
        c->unpaid + 1U >= r->address_block)
        return admit(s, e, now);
    c->events_full = now + lacks + r->connection.step;
    c->unpaid++;
    return true;
}

/* ---- sio.h --------------------------------------------------------------- */

bool sio_allow_room(struct sio_event *e, struct sio_str room)
{
    if (!e->socket)
        return true;
    const struct sio_namespace *ns = e->socket->ns;
    struct rates *r = &ns->server->rates;
    if (r->room.step == 0)
        return true;
    uint32_t now = bucket_time(loop_now(ns->server->loop));
    uint32_t *full =
        bucket_table_at(&r->others, room_key(ns, str_from_sio(room)), now);
    uint32_t wait = bucket_wait(&r->room, *full, now);
    if (wait == 0) {
        bucket_take(&r->room, full, now);
        return true;
    }
    metrics_add(M_RATE_ROOM, 1);
    answer(e, wait);
    return false;
}
