/* What a connection costs that does nothing: --conns of them with a session,
 * --per-room to a room, over WebSockets, or --polling and between two polls on
 * a connection that is kept. User space from the server's own pages, before and
 * after; the kernel's share from its table of small objects, half of the growth
 * for each end. */
#include <stdio.h>

#include "tests/bench/run.h"
#include "tests/bench/script.h"

enum { SETTLE_MS = 500, OPENING = 64 };

static void on_packet(struct client *c, const char *p, size_t len, void *arg)
{
    (void)c;
    (void)p;
    (void)len;
    struct run *r = arg;
    r->tally.delivered++;
}

static bool settle_done(const struct run *r)
{
    return r->tally.delivered == r->expected;
}

static void nothing(struct run *r)
{
    (void)r;
}

static struct probe_memory memory(const struct run *r)
{
    struct probe_memory m;
    if (!probe_memory(r->o->pids[0], &m))
        die("no memory to read of process %d", (int)r->o->pids[0]);
    return m;
}

/* The server's memory when it has nothing left to clean up: the event has it
 * collect its garbage, if it is of that kind. */
static struct probe_memory settled(struct run *r)
{
    static const char packet[] = "20[\"settle\"]";
    r->expected++;
    swarm_send(&r->swarm.clients[0], packet, sizeof(packet) - 1);
    swarm_flush(&r->swarm.clients[0]);
    if (!run_until(r, settle_done, nothing))
        die("the server does not answer");
    for (uint64_t end = probe_now_ns() + SETTLE_MS * (uint64_t)NS_PER_MS;
         probe_now_ns() < end;)
        swarm_turn(&r->swarm, 50);
    return memory(r);
}

static void open_all(struct run *r)
{
    const struct options *o = r->o;
    struct script_end to = {o->host, (uint16_t)o->ports[0]};
    if (o->polling)
        script_keep(&script_polling_stays, to, o->conns, OPENING);
    else
        run_open(r, o->conns, o->per_room);
}

int idle(struct run *r)
{
    const struct options *o = r->o;
    r->swarm.on_packet = on_packet;
    struct probe_memory empty = memory(r);
    run_open(r, 1, 1);
    struct probe_memory before = settled(r);
    swarm_close(&r->swarm);

    uint64_t slab = probe_kernel_slab();
    struct usage from = usage_now(o);
    open_all(r);
    r->used = usage_since(from, o);
    r->measured = o->conns;
    uint64_t slab_after = probe_kernel_slab();
    if (o->polling)
        run_open(r, 1, 1);
    struct probe_memory after = settled(r);
    double n = o->conns;
    report_begin(r);
    report_number("rss_empty", (double)empty.rss);
    report_number("dirty_before", (double)before.private_dirty);
    report_number("dirty_after", (double)after.private_dirty);
    report_number("bytes_per_conn",
                  ((double)after.private_dirty - (double)before.private_dirty) /
                      n);
    report_number("kernel_per_conn",
                  ((double)slab_after - (double)slab) / 2 / n);
    int rc = report_end(r);
    if (o->polling)
        script_close();
    return rc;
}
