#include "tests/bench/run.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STALL_MS = 10000 };

/* From here on a generator has no time left: what is measured by the clock is
 * its own speed. */
static const double share_max = 0.95;

static uint64_t cpu_of(pid_t pid)
{
    uint64_t ns;
    if (!probe_cpu(pid, &ns))
        die("no such process: %d", (int)pid);
    return ns;
}

struct usage usage_now(const struct options *o)
{
    struct usage u = {.wall_ns = probe_now_ns(), .own_ns = cpu_of(getpid())};
    for (uint32_t i = 0; i < o->n_nodes; i++)
        u.server_ns += cpu_of(o->pids[i]);
    if (o->redis)
        u.redis_ns = cpu_of((pid_t)o->redis);
    return u;
}

struct usage usage_since(struct usage from, const struct options *o)
{
    struct usage u = usage_now(o);
    u.wall_ns -= from.wall_ns;
    u.own_ns -= from.own_ns;
    u.server_ns -= from.server_ns;
    u.redis_ns -= from.redis_ns;
    return u;
}

void run_open(struct run *r, uint32_t conns, uint32_t per_room)
{
    const struct options *o = r->o;
    struct swarm *s = &r->swarm;
    s->host = o->host;
    s->n_nodes = o->n_nodes;
    for (uint32_t i = 0; i < o->n_nodes; i++)
        s->ports[i] = (uint16_t)o->ports[i];
    s->first_room = o->first_room;
    s->msgpack = o->msgpack;
    s->deflate = o->deflate;
    s->arg = r;
    swarm_open(s, conns, per_room);
}

bool run_until(struct run *r, bool (*done)(const struct run *r),
               void (*each)(struct run *r))
{
    uint64_t seen = r->swarm.messages, since = probe_now_ns();
    while (!done(r)) {
        swarm_turn(&r->swarm, 100);
        each(r);
        uint64_t now = probe_now_ns();
        if (seen != r->swarm.messages)
            since = now;
        else if (now - since > STALL_MS * (uint64_t)NS_PER_MS)
            return false;
        seen = r->swarm.messages;
    }
    return true;
}

void run_rounds(struct run *r, bool (*round)(struct run *r, uint32_t n))
{
    const struct options *o = r->o;
    uint64_t enough = o->cpu_ms * (uint64_t)NS_PER_MS;
    if (!round(r, o->warm))
        return;
    struct usage from = usage_now(o);
    do {
        if (!round(r, o->messages))
            return;
        r->rounds++;
        r->used = usage_since(from, o);
        if (r->used.server_ns < r->used.own_ns / 1000)
            die("process %d does nothing meanwhile: is it the server?",
                (int)o->pids[0]);
    } while (r->used.server_ns < enough);
}

void report_number(const char *name, double v)
{
    printf(",\"%s\":%.3f", name, v);
}

static uint64_t lost(const struct run *r)
{
    return r->expected - r->tally.delivered;
}

void report_begin(const struct run *r)
{
    const struct options *o = r->o;
    const struct tally *t = &r->tally;
    const struct usage *u = &r->used;
    double n = (double)r->measured, wall = (double)u->wall_ns / 1e9;
    double share = wall > 0 ? (double)u->own_ns / 1e9 / wall : 0;
    printf("{\"id\":\"%s\",\"scenario\":\"%s\",\"server\":\"%s\",\"conns\":%u,"
           "\"window\":%u,\"size\":%u,\"nodes\":%u,\"per_room\":%u,"
           "\"operations\":%.0f,\"delivered\":%lu,\"lost\":%lu,"
           "\"doubled\":%lu,\"reordered\":%lu,\"bad\":%lu,"
           "\"load_share\":%.3f,\"load_was_limit\":%s",
           o->id, o->scenario, o->server, o->conns, o->window, o->size,
           o->n_nodes, o->per_room, n, t->delivered, lost(r), t->doubled,
           t->reordered, t->bad, share, share > share_max ? "true" : "false");
    printf(",\"bytes_in\":%lu,\"bytes_out\":%lu", wire_bytes.in,
           wire_bytes.out);
    if (n == 0 || u->wall_ns == 0)
        return;
    report_number("wall_s", wall);
    report_number("server_share", (double)u->server_ns / (double)u->wall_ns);
    report_number("cpu_ns", (double)u->server_ns / n);
    report_number("redis_cpu_ns", (double)u->redis_ns / n);
    report_number("per_wall_s", n / wall);
}

int report_end(const struct run *r)
{
    const struct tally *t = &r->tally;
    puts("}");
    return lost(r) || t->doubled || t->reordered || t->bad;
}
