/* An open loop: every 1 / --rate seconds client 0 sends a message to the room
 * of all clients, whether or not those before have come. How long each takes to
 * each client, counted from when it was due: a late generator makes it worse,
 * not better. With several nodes, those of the sender's apart from the rest.
 *
 * --slow more clients in the room stop reading before the first message, and
 * read again what there is for them after the last; --slow-polling (up to 100)
 * never come back for it. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/bench/run.h"
#include "tests/bench/script.h"

enum { NS_PER_S = 1000000000, SAMPLES_MAX = 1 << 24, WARM_MS = 500 };
enum { QUIET_MS = 1000, OPENING = 64 };

struct samples {
    uint32_t *ns;
    size_t n;
};

struct latency {
    struct samples own, other; /* the sender's node, the rest */
    uint64_t start_ns, interval_ns;
    uint32_t sent, warm;
    uint32_t wanted; /* messages in all */
    struct tally slow;
    uint32_t slow_ended;
};

static uint64_t due(const struct latency *l, uint32_t number)
{
    return l->start_ns + number * l->interval_ns;
}

static void sample(struct samples *s, uint64_t ns)
{
    if (s->n < SAMPLES_MAX)
        s->ns[s->n++] = ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

static void on_packet(struct client *c, const char *p, size_t len, void *arg)
{
    struct run *r = arg;
    struct latency *l = r->own;
    uint32_t number;
    if (!packet_read_say(&r->form, "room-0", p, len, &number) ||
        number >= l->sent) {
        r->tally.bad++;
        return;
    }
    if (c->index >= r->o->conns) {
        tally_add(&l->slow, c, number);
        return;
    }
    bool other = c->index % r->o->n_nodes != 0;
    if (tally_add(&r->tally, c, number) && number >= l->warm)
        sample(other ? &l->other : &l->own, probe_now_ns() - due(l, number));
}

static void send_due(struct run *r)
{
    struct latency *l = r->own;
    struct client *sender = &r->swarm.clients[0];
    uint64_t now = probe_now_ns();
    for (; l->sent < l->wanted && due(l, l->sent) <= now; l->sent++) {
        size_t len = packet_say(&r->form, "room-0", l->sent, r->packet);
        swarm_send(sender, r->packet, len);
    }
    swarm_flush(sender);
}

static int by_size(const void *a, const void *b)
{
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void report_samples(const char *prefix, struct samples *s)
{
    static const struct {
        const char *name;
        double part;
    } parts[] = {{"p50", 0.5}, {"p99", 0.99}, {"p999", 0.999}, {"max", 1}};
    if (s->n == 0)
        return;
    qsort(s->ns, s->n, sizeof(*s->ns), by_size);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        char name[32];
        size_t at = (size_t)(parts[i].part * (double)(s->n - 1));
        snprintf(name, sizeof(name), "%s%s_us", prefix, parts[i].name);
        report_number(name, s->ns[at] / 1e3);
    }
}

static struct samples samples_new(void)
{
    struct samples s = {malloc(SAMPLES_MAX * sizeof(uint32_t)), 0};
    if (!s.ns)
        die("out of memory");
    return s;
}

/* Turns between one message and the next; the end of a wait is the kernel's to
 * the microsecond, not epoll's to the millisecond. */
static bool loop(struct run *r)
{
    struct latency *l = r->own;
    struct usage from = usage_now(r->o);
    uint64_t end = due(l, l->wanted) + 5 * (uint64_t)NS_PER_S;
    while (r->tally.delivered < (uint64_t)l->wanted * r->o->conns) {
        uint64_t now = probe_now_ns();
        if (now > end)
            return false;
        send_due(r);
        uint64_t next = due(l, l->sent);
        swarm_turn_ns(&r->swarm, l->sent < l->wanted && next > now ? next - now
                                                                   : NS_PER_MS);
    }
    r->used = usage_since(from, r->o);
    return true;
}

/* Only slow ones may end. */
static void on_lost(struct client *c, enum swarm_loss how, void *arg)
{
    struct run *r = arg;
    struct latency *l = r->own;
    if (c->index < r->o->conns || how != SWARM_LOST_READY)
        die("client %u: its connection has ended", c->index);
    l->slow_ended++;
}

static void pause_slow(struct run *r)
{
    const struct options *o = r->o;
    for (uint32_t i = o->conns; i < r->swarm.n; i++)
        swarm_pause(&r->swarm.clients[i]);
    struct script_end to = {o->host, (uint16_t)o->ports[0]};
    if (o->slow_polling)
        script_keep(&script_polling_stays, to, o->slow_polling, OPENING);
}

static void resume_slow(struct run *r)
{
    for (uint32_t i = r->o->conns; i < r->swarm.n; i++)
        swarm_resume(&r->swarm.clients[i]);
    uint64_t seen = r->swarm.messages, since = probe_now_ns();
    while (probe_now_ns() - since < QUIET_MS * (uint64_t)NS_PER_MS) {
        swarm_turn(&r->swarm, 50);
        if (r->swarm.messages != seen)
            since = probe_now_ns();
        seen = r->swarm.messages;
    }
}

static void report_slow(const struct latency *l)
{
    report_number("sent", l->wanted);
    report_number("slow_delivered", (double)l->slow.delivered);
    report_number("slow_doubled", (double)l->slow.doubled);
    report_number("slow_reordered", (double)l->slow.reordered);
    report_number("slow_ended", l->slow_ended);
}

int latency(struct run *r)
{
    static struct latency l;
    const struct options *o = r->o;
    l.own = samples_new();
    l.other = samples_new();
    r->own = &l;
    r->swarm.on_packet = on_packet;
    if (o->slow) {
        r->swarm.on_lost = on_lost;
        r->swarm.narrow_from = o->conns;
    }
    run_open(r, o->conns + o->slow, o->conns + o->slow);
    pause_slow(r);
    l.interval_ns = NS_PER_S / o->rate;
    l.warm = o->rate * WARM_MS / 1000;
    l.wanted = l.warm + o->rate * o->seconds;
    l.start_ns = probe_now_ns() + 100 * NS_PER_MS;
    loop(r);
    resume_slow(r);
    r->expected = (uint64_t)l.wanted * o->conns;
    r->measured = r->used.wall_ns ? r->expected : 0;
    report_begin(r);
    report_samples("", &l.own);
    report_samples("other_", &l.other);
    report_slow(&l);
    return report_end(r);
}
