/* /debug/state: the node at a glance, as counters and gauges that whoever asks
 * twice can subtract. */
#include "common/json_out.h"
#include "common/metrics.h"
#include "server/admin/pages.h"
#include "server/io/namespace.h"

#include <time.h>
#include <unistd.h>

/* Rooms are looked at up to a number, so that asking a node with many does not
 * hold up its clients. */
enum { ROOMS_TOLD = 50, ROOMS_LOOKED_AT = 100000 };

/* ---- the largest rooms --------------------------------------------------- */

struct ranked {
    const struct room *room;
    const struct sio_namespace *ns;
};

struct ranking {
    struct ranked v[ROOMS_TOLD]; /* the largest first */
    uint32_t n, looked_at;
    const struct sio_namespace *ns; /* whose rooms are looked at */
};

static bool rank(const struct map_node *n, void *arg)
{
    struct ranking *r = arg;
    const struct room *room = const_container_of(n, struct room, by_name);
    if (r->looked_at++ == ROOMS_LOOKED_AT)
        return false;
    if (r->n == ROOMS_TOLD && r->v[r->n - 1].room->n >= room->n)
        return true;
    uint32_t i = r->n < ROOMS_TOLD ? r->n++ : ROOMS_TOLD - 1;
    for (; i > 0 && r->v[i - 1].room->n < room->n; i--)
        r->v[i] = r->v[i - 1];
    r->v[i] = (struct ranked){room, r->ns};
    return true;
}

static void add_rooms(const struct sio_server *srv, struct buf *out)
{
    struct ranking r = {0};
    const struct list *at = srv->namespaces.next;
    for (; at != &srv->namespaces && r.looked_at <= ROOMS_LOOKED_AT;
         at = at->next) {
        r.ns = const_container_of(at, struct sio_namespace, of_server);
        map_look(&adapter_rooms(r.ns->adapter)->by_name, rank, &r);
    }
    buf_fmt(out, "\"all_rooms_looked_at\":%s,\"largest_rooms\":[",
            r.looked_at <= ROOMS_LOOKED_AT ? "true" : "false");
    for (uint32_t i = 0; i < r.n; i++) {
        buf_add(out, i ? STR(",{") : STR("{"));
        page_text(out, "room", r.v[i].room->name);
        buf_addc(out, ',');
        page_text(out, "namespace", r.v[i].ns->name);
        buf_fmt(out, ",\"members\":%u}", r.v[i].room->n);
    }
    buf_addc(out, ']');
}

/* ---- numbers ------------------------------------------------------------- */

/* Of the table of metrics, under names of their own: the first to the last of a
 * family, added up. */
static const struct {
    const char *name;
    enum metric first, last;
} numbers[] = {
    {"connections", M_CONNECTIONS, M_CONNECTIONS},
    {"polling", M_SESSIONS_POLLING, M_SESSIONS_POLLING},
    {"websocket", M_SESSIONS_WEBSOCKET, M_SESSIONS_WEBSOCKET},
    {"sockets", M_SOCKETS, M_SOCKETS},
    {"rooms", M_ROOMS, M_ROOMS},
    {"handshakes", M_HANDSHAKES, M_HANDSHAKES},
    {"upgrades", M_UPGRADES, M_UPGRADES},
    {"events_in", M_EVENTS_IN, M_EVENTS_IN},
    {"broadcasts", M_BROADCASTS, M_BROADCASTS},
    {"deliveries", M_DELIVERIES, M_DELIVERIES},
    {"bytes_in", M_BYTES_IN, M_BYTES_IN},
    {"bytes_out", M_BYTES_OUT, M_BYTES_OUT},
    {"dropped", M_DROP_VOLATILE, M_DROP_SLOW_LATEST},
    {"disconnects", M_CLOSE_TRANSPORT, M_CLOSE_SHUTDOWN},
    {"slow_clients", M_SLOW_CLIENTS, M_SLOW_CLIENTS},
    {"slow_behind", M_SLOW_BEHIND, M_SLOW_BEHIND},
    {"slow_closed", M_SLOW_TIME, M_SLOW_SHED},
    {"rate_limited", M_RATE_CONNECTION, M_RATE_ROOM},
    {"queued_bytes", M_OUTPUT_QUEUED, M_OUTPUT_QUEUED},
    {"limited", M_LIMIT_ROOMS, M_LIMIT_NAME},
    {"heap_bytes", M_HEAP, M_HEAP},
    {"peers", M_PRESENCE_PEERS, M_PRESENCE_PEERS},
    {"redis_received", M_REDIS_RECEIVED, M_REDIS_RECEIVED},
    {"redis_published", M_REDIS_PUBLISHED, M_REDIS_PUBLISHED},
    {"redis_lost", M_LOST_FULL, M_LOST_UNFIT},
    {"redis_queued", M_REDIS_QUEUED_MESSAGES, M_REDIS_QUEUED_MESSAGES},
};

static void add_numbers(struct buf *out)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint64_t sum = 0;
        for (unsigned m = numbers[i].first; m <= (unsigned)numbers[i].last; m++)
            sum += metrics_value[m];
        buf_fmt(out, "%s\"%s\":%llu", i ? "," : "", numbers[i].name,
                (unsigned long long)sum);
    }
}

/* Upper bounds in microseconds and how many turns were within each, not those
 * before it; null: longer. */
static void add_turns(struct buf *out)
{
    const struct histogram *h = &metrics_histogram[H_LOOP_TURN];
    buf_fmt(out, "\"loop\":{\"turns\":%llu,\"busy_us\":%llu,\"turn_us\":[",
            (unsigned long long)histogram_total(H_LOOP_TURN),
            (unsigned long long)h->sum);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++)
        buf_fmt(out, "[%llu,%llu],",
                (unsigned long long)histogram_bound(H_LOOP_TURN, i),
                (unsigned long long)h->count[i]);
    buf_fmt(out, "[null,%llu]]}",
            (unsigned long long)h->count[HISTOGRAM_BUCKETS]);
}

static int64_t clock_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void add_node(const struct sio_server *srv, struct buf *out)
{
    int64_t now = clock_ms();
    page_text(out, "node", str_of(srv->name));
    buf_fmt(out, ",\"version\":\"%s\",\"pid\":%d,\"at\":", CONFAB_VERSION,
            (int)getpid());
    page_time(out, now);
    buf_fmt(out, ",\"uptime_ms\":%llu,\"state\":\"%s\",",
            (unsigned long long)(loop_now(srv->loop) - srv->began_ms),
            srv->stopping || drain_is_on(&srv->drain) ? "draining" : "serving");
    buf_fmt(out, "\"adapter\":\"%s\",\"cluster_usable\":%s,",
            cluster_kind(srv->cluster),
            cluster_usable(srv->cluster) ? "true" : "false");
}

unsigned page_state(struct sio_server *srv, struct http_request *r,
                    struct buf *out)
{
    (void)r;
    server_metrics(srv);
    buf_addc(out, '{');
    add_node(srv, out);
    add_turns(out);
    buf_add(out, STR(",\"numbers\":{"));
    add_numbers(out);
    buf_add(out, STR("},"));
    add_rooms(srv, out);
    buf_add(out, STR("}\n"));
    return 200;
}
