/* Each of the clients asks for an acknowledgement --messages / --conns times,
 * --window at a time. */
#include "tests/bench/run.h"

static void send_one(struct run *r, struct client *c)
{
    size_t len = packet_echo(&r->form, c->sent, r->packet);
    if (len == 0)
        die("--size %u is too small for a message", r->form.size);
    swarm_send(c, r->packet, len);
    c->sent++;
}

static void on_packet(struct client *c, const char *p, size_t len, void *arg)
{
    struct run *r = arg;
    uint32_t id;
    if (!packet_read_echo(&r->form, p, len, &id) || id >= c->sent) {
        r->tally.bad++;
        return;
    }
    tally_add(&r->tally, c, id);
    if (c->sent < r->limit)
        send_one(r, c);
}

static bool done(const struct run *r)
{
    return r->tally.delivered >= (uint64_t)r->limit * r->swarm.n;
}

static void nothing(struct run *r)
{
    (void)r;
}

static bool round_of(struct run *r, uint32_t messages)
{
    r->limit += messages / r->o->conns;
    for (uint32_t i = 0; i < r->swarm.n; i++) {
        struct client *c = &r->swarm.clients[i];
        for (uint32_t w = 0; w < r->o->window && c->sent < r->limit; w++)
            send_one(r, c);
        swarm_flush(c);
    }
    return run_until(r, done, nothing);
}

int echo(struct run *r)
{
    const struct options *o = r->o;
    r->swarm.on_packet = on_packet;
    run_open(r, o->conns, 0);
    run_rounds(r, round_of);
    r->expected = (uint64_t)r->limit * o->conns;
    r->measured = (uint64_t)r->rounds * (o->messages / o->conns) * r->swarm.n;
    report_begin(r);
    return report_end(r);
}
