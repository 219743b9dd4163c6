#include "adapter/recovery.h"

#include <assert.h>

#include "common/mem.h"
#include "common/metrics.h"

struct recovery {
    struct recovery_settings settings;
    struct packet_log log;
    struct map namespaces; /* of recovery_nsp, by name */
    struct map sessions;   /* of recovery_session, by pid */
    struct list saved;     /* of recovery_session, oldest first */
    size_t n_saved, saved_bytes;
};

struct recovery_nsp {
    struct map_node by_name;
    struct recovery *recovery;
    struct packet_log_nsp log;
    size_t n_sessions;
    bool open;
    struct str name;
};

static struct str nsp_key(const struct map_node *n)
{
    return const_container_of(n, struct recovery_nsp, by_name)->name;
}

static struct str pid_key(const struct map_node *n)
{
    const struct recovery_session *s =
        const_container_of(n, struct recovery_session, by_pid);
    return (struct str){s->pid, ID_LEN};
}

/* ---- namespaces ---------------------------------------------------------- */

struct recovery_nsp *recovery_open(struct recovery *r, struct str name)
{
    struct map_node *n = map_get(&r->namespaces, name);
    struct recovery_nsp *ns;
    if (n) {
        ns = container_of(n, struct recovery_nsp, by_name);
    } else {
        ns = mem_zalloc(sizeof(*ns) + name.len);
        memcpy(ns + 1, name.p, name.len);
        ns->name = (struct str){(const char *)(ns + 1), name.len};
        ns->recovery = r;
        packet_log_nsp_init(&ns->log, &r->log);
        map_put(&r->namespaces, &ns->by_name);
    }
    assert(!ns->open);
    ns->open = true;
    return ns;
}

/* Its events are of use to nobody. */
static void free_unused(struct recovery_nsp *ns)
{
    if (ns->open || ns->n_sessions > 0)
        return;
    map_remove(&ns->recovery->namespaces, &ns->by_name);
    packet_log_nsp_fini(&ns->log);
    mem_free(ns);
}

void recovery_close(struct recovery_nsp *ns)
{
    ns->open = false;
    free_unused(ns);
}

uint64_t recovery_record(struct recovery_nsp *ns, uint64_t now_ms,
                         struct packet *p, const struct broadcast *b)
{
    return packet_log_add(&ns->log, now_ms, p, b);
}

/* ---- the life of a session ----------------------------------------------- */

void recovery_begin(struct recovery_nsp *ns, struct member *m)
{
    struct recovery_session *s = mem_zalloc(sizeof(*s));
    list_init(&s->of_saved);
    s->nsp = ns;
    s->member = m;
    assert(m->id_len == ID_LEN);
    memcpy(s->id, m->id, ID_LEN);
    id_random(s->pid, ID_LEN);
    map_put(&ns->recovery->sessions, &s->by_pid);
    ns->n_sessions++;
    m->session = s;
}

void recovery_leave(struct recovery_session *s)
{
    if (s->left == 0)
        s->left = s->nsp->recovery->log.offset;
}

static void forget_rooms(struct recovery_session *s)
{
    mem_free(s->rooms);
    s->rooms = NULL;
    s->n_rooms = 0;
}

static size_t copy_rooms(struct recovery_session *s, const struct member *m)
{
    size_t bytes = 0;
    for (unsigned i = 0; i < m->n_in; i++)
        bytes += member_in(m)[i].room->name.len;
    forget_rooms(s);
    s->n_rooms = m->n_in + 1U;
    bytes += s->n_rooms * sizeof(struct str);
    s->rooms = mem_alloc(bytes);
    char *text = (char *)(s->rooms + s->n_rooms);
    s->rooms[0] = (struct str){s->id, ID_LEN};
    for (unsigned i = 0; i < m->n_in; i++) {
        struct str name = member_in(m)[i].room->name;
        memcpy(text, name.p, name.len);
        s->rooms[i + 1] = (struct str){text, name.len};
        text += name.len;
    }
    return bytes;
}

struct recovery_session *recovery_detach(struct member *m)
{
    struct recovery_session *s = m->session;
    s->cost = sizeof(*s) + copy_rooms(s, m);
    s->member = NULL;
    m->session = NULL;
    return s;
}

static void take_off(struct recovery_session *s)
{
    struct recovery *r = s->nsp->recovery;
    list_remove(&s->of_saved);
    r->n_saved--;
    r->saved_bytes -= s->cost;
}

void recovery_drop(struct recovery_session *s)
{
    struct recovery_nsp *ns = s->nsp;
    map_remove(&ns->recovery->sessions, &s->by_pid);
    forget_rooms(s);
    bytes_unref(s->data);
    mem_free(s);
    ns->n_sessions--;
    free_unused(ns);
}

static struct recovery_session *oldest(const struct recovery *r)
{
    return container_of(r->saved.next, struct recovery_session, of_saved);
}

static void drop_oldest(struct recovery *r)
{
    struct recovery_session *s = oldest(r);
    take_off(s);
    recovery_drop(s);
}

static bool too_old(const struct recovery *r, const struct recovery_session *s,
                    uint64_t now_ms)
{
    return s->saved_ms + r->settings.max_disconnection_ms < now_ms;
}

/* One that had come back, and left before it was welcomed, is as old as it was:
 * it goes to its place. */
static void put_in_order(struct recovery *r, struct recovery_session *s)
{
    struct list *before = &r->saved;
    while (before->prev != &r->saved &&
           container_of(before->prev, struct recovery_session, of_saved)
                   ->saved_ms > s->saved_ms)
        before = before->prev;
    list_insert(before, &s->of_saved);
}

void recovery_save(struct recovery_session *s, uint64_t now_ms,
                   struct bytes *data)
{
    struct recovery *r = s->nsp->recovery;
    assert(!s->member && !s->data);
    if (s->saved_ms == 0)
        s->saved_ms = now_ms;
    s->data = data ? bytes_ref(data) : NULL;
    s->cost += data ? data->len + sizeof(*data) : 0;
    put_in_order(r, s);
    r->n_saved++;
    r->saved_bytes += s->cost;
    while (r->saved_bytes > r->settings.saved_bytes) {
        metrics_add(M_RECOVERY_DROPPED_SESSIONS, 1);
        drop_oldest(r);
    }
}

/* ---- coming back --------------------------------------------------------- */

static void add_size(void *arg, uint64_t offset, struct packet *p)
{
    size_t *size = arg;
    (void)offset;
    *size += p->data->len;
    for (unsigned i = 0; i < p->n_bins; i++)
        *size += p->bins[i]->len;
}

/* Whether all that came after `from` is there, and not too much. */
static enum recovery_result check_missed(const struct recovery_session *s,
                                         uint64_t from)
{
    size_t size = 0;
    if (from < s->nsp->log.dropped)
        return RECOVERY_TRIMMED;
    packet_log_after(&s->nsp->log, from, s->rooms, s->n_rooms, add_size, &size);
    return size > s->nsp->recovery->settings.missed_bytes ? RECOVERY_TOO_MUCH
                                                          : RECOVERY_FOUND;
}

static enum recovery_result set_from(struct recovery_session *s,
                                     struct str offset)
{
    uint64_t seen = packet_log_offset(offset);
    if (s->last == 0 || seen == s->last) {
        s->from = s->left;
        s->seen = s->last;
        return RECOVERY_FOUND;
    }
    if (!packet_log_has(&s->nsp->log, seen))
        return RECOVERY_UNKNOWN_OFFSET;
    s->from = seen > s->since ? seen : s->since;
    s->seen = seen;
    return RECOVERY_FOUND;
}

enum recovery_result recovery_find(struct recovery_nsp *ns, struct str pid,
                                   struct str offset, uint64_t now_ms,
                                   struct recovery_session **out)
{
    struct recovery *r = ns->recovery;
    struct map_node *n = map_get(&r->sessions, pid);
    if (!n)
        return RECOVERY_UNKNOWN_PID;
    struct recovery_session *s =
        container_of(n, struct recovery_session, by_pid);
    if (s->nsp != ns)
        return RECOVERY_UNKNOWN_PID;
    *out = s;
    if (s->member)
        return RECOVERY_LIVE;
    if (too_old(r, s, now_ms))
        return RECOVERY_EXPIRED;
    enum recovery_result rc = set_from(s, offset);
    return rc == RECOVERY_FOUND ? check_missed(s, s->from) : rc;
}

struct bytes *recovery_resume(struct recovery_session *s, struct member *m)
{
    struct bytes *data = s->data;
    take_off(s);
    s->data = NULL;
    s->member = m;
    m->session = s;
    return data;
}

struct missed {
    struct recovery_session *session;
    void (*each)(void *arg, struct packet *p);
    void *arg;
};

static void pass_on(void *arg, uint64_t offset, struct packet *p)
{
    const struct missed *m = arg;
    m->each(m->arg, p);
    recovery_sent(m->session, offset);
}

bool recovery_welcome(struct recovery_session *s,
                      void (*each)(void *arg, struct packet *p), void *arg)
{
    if (s->since == 0) {
        s->since = s->nsp->recovery->log.offset;
        return true;
    }
    /* It may have waited in a middleware while the log went on. */
    if (check_missed(s, s->from) != RECOVERY_FOUND)
        return false;
    s->last = s->seen;
    struct missed m = {s, each, arg};
    packet_log_after(&s->nsp->log, s->from, s->rooms, s->n_rooms, pass_on, &m);
    forget_rooms(s);
    s->left = s->saved_ms = 0;
    return true;
}

/* ---- life ---------------------------------------------------------------- */

void recovery_expire(struct recovery *r, uint64_t now_ms)
{
    packet_log_expire(&r->log, now_ms);
    while (!list_empty(&r->saved) && too_old(r, oldest(r), now_ms))
        drop_oldest(r);
}

void recovery_metrics(const struct recovery *r)
{
    metrics_set(M_RECOVERY_PACKETS, r->log.n);
    metrics_set(M_RECOVERY_PACKET_BYTES, r->log.bytes);
    metrics_set(M_RECOVERY_SESSIONS, r->n_saved);
}

struct recovery *recovery_new(const struct recovery_settings *s,
                              uint64_t now_us)
{
    struct recovery *r = mem_zalloc(sizeof(*r));
    struct packet_log_limits limits = {.age_ms = s->max_disconnection_ms,
                                       .packets = s->packets,
                                       .bytes = s->bytes};
    r->settings = *s;
    packet_log_init(&r->log, &limits, now_us);
    map_init(&r->namespaces, nsp_key);
    map_init(&r->sessions, pid_key);
    list_init(&r->saved);
    return r;
}

void recovery_free(struct recovery *r)
{
    if (!r)
        return;
    while (!list_empty(&r->saved))
        drop_oldest(r);
    assert(r->namespaces.count == 0);
    packet_log_fini(&r->log);
    map_fini(&r->namespaces);
    map_fini(&r->sessions);
    mem_free(r);
}
