#include "adapter/packet_log.h"

#include <assert.h>

#include "common/mem.h"
#include "common/metrics.h"

struct logged {
    struct list of_log;
    struct packet_log_nsp *nsp;
    uint64_t offset, at_ms;
    struct packet *packet;
    size_t cost;
    uint32_t n_rooms, n_except;
    struct str names[]; /* of rooms, then of those excepted; text follows */
};

/* ---- offsets ------------------------------------------------------------- */

/* In the order of their codes, so that offsets sort as text. */
static const char digits[] =
    "-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";

enum { DIGIT_BITS = 6, OFFSET_DIGITS_MAX = 10 };

static void give_offset(struct packet *p, uint64_t offset)
{
    char text[OFFSET_DIGITS_MAX];
    size_t at = sizeof(text);
    do {
        text[--at] = digits[offset & 63];
        offset >>= DIGIT_BITS;
    } while (offset && at > 0);
    packet_set_offset(p, (struct str){text + at, sizeof(text) - at});
}

uint64_t packet_log_offset(struct str text)
{
    uint64_t n = 0;
    if (text.len > OFFSET_DIGITS_MAX)
        return 0;
    for (size_t i = 0; i < text.len; i++) {
        const char *d = memchr(digits, text.p[i], sizeof(digits) - 1);
        if (!d)
            return 0;
        n = n << DIGIT_BITS | (uint64_t)(d - digits);
    }
    return n;
}

/* ---- the ring ------------------------------------------------------------ */

static struct logged *ring_at(const struct packet_log_nsp *ns, uint32_t i)
{
    return ns->ring[(ns->first + i) & (ns->cap - 1)];
}

static void ring_push(struct packet_log_nsp *ns, struct logged *e)
{
    if (ns->n == ns->cap) {
        uint32_t cap = ns->cap ? ns->cap * 2 : 16;
        struct logged **ring = mem_alloc(cap * sizeof(struct logged *));
        for (uint32_t i = 0; i < ns->n; i++)
            ring[i] = ring_at(ns, i);
        mem_free(ns->ring);
        ns->ring = ring;
        ns->cap = cap;
        ns->first = 0;
    }
    ns->ring[(ns->first + ns->n++) & (ns->cap - 1)] = e;
}

/* How many events have this offset or a lower one. */
static uint32_t count_upto(const struct packet_log_nsp *ns, uint64_t offset)
{
    uint32_t lo = 0, hi = ns->n;
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (ring_at(ns, mid)->offset <= offset)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* ---- keeping ------------------------------------------------------------- */

static size_t names_len(const struct str *names, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += names[i].len;
    return len;
}

static char *copy_names(struct str *to, const struct str *names, size_t n,
                        char *text)
{
    for (size_t i = 0; i < n; i++) {
        memcpy(text, names[i].p, names[i].len);
        to[i] = (struct str){text, names[i].len};
        text += names[i].len;
    }
    return text;
}

static struct logged *logged_new(struct packet *p, const struct broadcast *b)
{
    size_t n = b->n_rooms + b->n_except;
    size_t own = sizeof(struct logged) + n * sizeof(struct str) +
                 names_len(b->rooms, b->n_rooms) +
                 names_len(b->except, b->n_except);
    struct logged *e = mem_zalloc(own);
    e->packet = packet_ref(p);
    e->n_rooms = (uint32_t)b->n_rooms;
    e->n_except = (uint32_t)b->n_except;
    char *text = (char *)(e->names + n);
    text = copy_names(e->names, b->rooms, b->n_rooms, text);
    (void)copy_names(e->names + b->n_rooms, b->except, b->n_except, text);
    /* Payload and attachments stand in the frames once more. */
    size_t payload = p->data ? p->data->len : 0;
    for (unsigned i = 0; i < p->n_bins; i++)
        payload += p->bins[i]->len;
    e->cost = own + sizeof(*p) + 2 * (payload + sizeof(struct bytes));
    return e;
}

static void logged_free(struct packet_log *l, struct logged *e)
{
    list_remove(&e->of_log);
    l->n--;
    l->bytes -= e->cost;
    packet_unref(e->packet);
    mem_free(e);
}

/* The oldest of the log is the oldest of its namespace. */
static void drop_oldest(struct packet_log *l)
{
    struct logged *e = container_of(l->all.next, struct logged, of_log);
    struct packet_log_nsp *ns = e->nsp;
    assert(ring_at(ns, 0) == e);
    ns->first = (ns->first + 1) & (ns->cap - 1);
    ns->n--;
    ns->dropped = e->offset;
    logged_free(l, e);
}

void packet_log_expire(struct packet_log *l, uint64_t now_ms)
{
    while (!list_empty(&l->all)) {
        struct logged *e = container_of(l->all.next, struct logged, of_log);
        if (e->at_ms + l->limits.age_ms >= now_ms)
            return;
        drop_oldest(l);
    }
}

uint64_t packet_log_add(struct packet_log_nsp *ns, uint64_t now_ms,
                        struct packet *p, const struct broadcast *b)
{
    struct packet_log *l = ns->log;
    give_offset(p, ++l->offset);
    struct logged *e = logged_new(p, b);
    e->nsp = ns;
    e->offset = l->offset;
    e->at_ms = now_ms;
    list_insert(&l->all, &e->of_log);
    ring_push(ns, e);
    l->n++;
    l->bytes += e->cost;
    packet_log_expire(l, now_ms);
    while (l->n > l->limits.packets || l->bytes > l->limits.bytes) {
        metrics_add(M_RECOVERY_DROPPED_PACKETS, 1);
        drop_oldest(l);
    }
    return l->offset;
}

/* ---- finding ------------------------------------------------------------- */

bool packet_log_has(const struct packet_log_nsp *ns, uint64_t offset)
{
    uint32_t n = count_upto(ns, offset);
    return n > 0 && ring_at(ns, n - 1)->offset == offset;
}

static bool any_of(const struct str *a, size_t n_a, const struct str *b,
                   size_t n_b)
{
    for (size_t i = 0; i < n_a; i++) {
        for (size_t k = 0; k < n_b; k++) {
            if (str_eq(a[i], b[k]))
                return true;
        }
    }
    return false;
}

void packet_log_after(const struct packet_log_nsp *ns, uint64_t offset,
                      const struct str *rooms, size_t n_rooms,
                      void (*each)(void *arg, uint64_t offset,
                                   struct packet *p),
                      void *arg)
{
    for (uint32_t i = count_upto(ns, offset); i < ns->n; i++) {
        const struct logged *e = ring_at(ns, i);
        if (e->n_rooms && !any_of(e->names, e->n_rooms, rooms, n_rooms))
            continue;
        if (any_of(e->names + e->n_rooms, e->n_except, rooms, n_rooms))
            continue;
        each(arg, e->offset, e->packet);
    }
}

/* ---- life ---------------------------------------------------------------- */

void packet_log_init(struct packet_log *l, const struct packet_log_limits *lim,
                     uint64_t first_offset)
{
    *l = (struct packet_log){.limits = *lim, .offset = first_offset};
    list_init(&l->all);
}

void packet_log_fini(struct packet_log *l)
{
    assert(l->n == 0 && list_empty(&l->all));
    (void)l;
}

void packet_log_nsp_init(struct packet_log_nsp *ns, struct packet_log *l)
{
    *ns = (struct packet_log_nsp){.log = l};
}

void packet_log_nsp_fini(struct packet_log_nsp *ns)
{
    for (uint32_t i = 0; i < ns->n; i++)
        logged_free(ns->log, ring_at(ns, i));
    mem_free(ns->ring);
    *ns = (struct packet_log_nsp){.log = ns->log};
}
