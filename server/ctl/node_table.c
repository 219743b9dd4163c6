#include "server/ctl/node_table.h"

#include <stdlib.h>

#include "common/json.h"
#include "common/mem.h"

enum { PEERS_MAX = 64 * 1024, READY_VALUES = 2048 };

void node_table_init(struct node_table *t)
{
    t->v = mem_zalloc(NODES_MAX * sizeof(*t->v));
    t->n = 0;
}

void node_table_fini(struct node_table *t)
{
    for (size_t i = 0; i < t->n; i++)
        buf_fini(&t->v[i].peers);
    mem_free(t->v);
}

struct node_state *node_table_find(const struct node_table *t, struct str name)
{
    for (size_t i = 0; i < t->n; i++) {
        if (str_eq(str_of(t->v[i].name), name))
            return &t->v[i];
    }
    return NULL;
}

bool node_hears(const struct node_state *n, struct str peer)
{
    struct str rest = buf_str(&n->peers), name;
    while (str_next(&rest, '\n', &name)) {
        if (name.len > 0 && str_eq(name, peer))
            return true;
    }
    return false;
}

/* ---- reading ------------------------------------------------------------- */

/* What is printed: no control characters, and of bounded length. */
static bool plain(struct str s, size_t max)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
            return false;
    }
    return s.len > 0 && s.len <= max;
}

/* A text of at most `max` bytes, with a NUL; empty when there is none. */
static bool take_text(const struct json *j, uint32_t node, size_t max,
                      char *out)
{
    struct buf scratch;
    out[0] = '\0';
    if (node == JSON_NONE || json_type(j, node) != JSON_STRING)
        return false;
    buf_init(&scratch, 1024);
    struct str s = json_string_view(j, node, &scratch);
    bool ok = plain(s, max);
    if (ok) {
        memcpy(out, s.p, s.len);
        out[s.len] = '\0';
    }
    buf_fini(&scratch);
    return ok;
}

static void take_peers(const struct json *j, struct buf *out)
{
    char name[NODE_NAME_MAX + 1];
    uint32_t list = json_get(j, 0, STR("peers"));
    buf_clear(out);
    if (list == JSON_NONE || json_type(j, list) != JSON_ARRAY)
        return;
    uint32_t item = json_first(j, list);
    for (; item != JSON_NONE; item = json_next(j, list, item)) {
        if (!take_text(j, item, NODE_NAME_MAX, name))
            continue;
        buf_add(out, str_of(name));
        buf_addc(out, '\n');
    }
}

/* The quicker the answer, the more exact. */
static void take_time(const struct json *j, struct node_state *n,
                      int64_t asked_ms, int64_t came_ms)
{
    int64_t t, rtt = came_ms - asked_ms;
    uint32_t node = json_get(j, 0, STR("time_ms"));
    if (node == JSON_NONE || json_type(j, node) != JSON_NUMBER ||
        !json_i64(j, node, &t) || t < 0 || t > INT64_C(1) << 52)
        return;
    if (rtt < 0 || rtt >= NODE_NO_RTT || (n->timed && rtt >= n->rtt_ms))
        return;
    n->timed = true;
    n->rtt_ms = (int32_t)rtt;
    n->ahead_ms = t - (asked_ms + rtt / 2);
}

static int take(struct node_table *t, const struct json *j,
                unsigned http_status, int64_t asked_ms, int64_t came_ms)
{
    char name[NODE_NAME_MAX + 1], status[NODE_WORD_MAX + 1];
    if (json_type(j, 0) != JSON_OBJECT ||
        !take_text(j, json_get(j, 0, STR("node")), NODE_NAME_MAX, name) ||
        !take_text(j, json_get(j, 0, STR("status")), NODE_WORD_MAX, status))
        return ERR_PROTO;
    struct node_state *n = node_table_find(t, str_of(name));
    bool first = !n;
    if (first && t->n == NODES_MAX)
        return ERR_LIMIT;
    if (first) {
        n = &t->v[t->n++];
        memcpy(n->name, name, sizeof(name));
        buf_init(&n->peers, PEERS_MAX);
    }
    memcpy(n->status, status, sizeof(status));
    n->http_status = http_status;
    (void)take_text(j, json_get(j, 0, STR("adapter")), NODE_WORD_MAX,
                    n->adapter);
    (void)take_text(j, json_get(j, 0, STR("redis")), NODE_WORD_MAX, n->redis);
    (void)take_text(j, json_get(j, 0, STR("prefix")), NODE_WORD_MAX, n->prefix);
    take_peers(j, &n->peers);
    take_time(j, n, asked_ms, came_ms);
    return first;
}

int node_table_take(struct node_table *t, struct str text, unsigned http_status,
                    int64_t asked_ms, int64_t came_ms)
{
    struct json j;
    json_init(&j);
    int rc = json_parse(&j, text, (struct json_limits){8, READY_VALUES});
    rc = rc < 0 ? ERR_PROTO : take(t, &j, http_status, asked_ms, came_ms);
    json_fini(&j);
    return rc;
}

/* ---- what they are ------------------------------------------------------- */

bool node_ready(const struct node_state *n)
{
    return n->http_status == 200;
}

bool node_degraded(const struct node_state *n)
{
    return strcmp(n->status, "degraded") == 0;
}

bool node_joined(const struct node_state *n)
{
    return strcmp(n->adapter, "redis") == 0 && !node_degraded(n) &&
           node_ready(n);
}

size_t node_names(const struct node_table *t, node_is_fn *right,
                  const void *arg, struct buf *out)
{
    size_t all = 0, n = 0;
    for (size_t i = 0; i < t->n; i++)
        all += right(&t->v[i], arg);
    for (size_t i = 0; i < t->n; i++) {
        if (!right(&t->v[i], arg))
            continue;
        if (n > 0)
            buf_add(out, n + 1 == all ? STR(" and ") : STR(", "));
        buf_add(out, str_of(t->v[i].name));
        n++;
    }
    return all;
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

int64_t node_table_time(const struct node_table *t)
{
    int64_t v[NODES_MAX + 1];
    size_t n = 0;
    v[n++] = 0; /* this machine's */
    for (size_t i = 0; i < t->n; i++) {
        if (t->v[i].timed)
            v[n++] = t->v[i].ahead_ms;
    }
    qsort(v, n, sizeof(v[0]), by_value);
    /* Two clocks that differ have no majority: this machine is believed. */
    return n == 2 ? 0 : v[(n - 1) / 2];
}
