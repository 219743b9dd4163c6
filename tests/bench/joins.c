/* What joining a room costs while there are more and more: the clients join new
 * rooms, --window at a time each, until there are --messages rooms. One line
 * for each power of ten on the way. */
#include <stdio.h>

#include "tests/bench/run.h"

struct joins {
    uint32_t next; /* the number of the next room */
};

static void join(struct run *r, struct client *c)
{
    struct joins *j = r->own;
    int n = snprintf(r->packet, sizeof(r->packet), "2%u[\"join\",\"new-%u\"]",
                     c->sent, j->next);
    swarm_send(c, r->packet, (size_t)n);
    c->sent++;
    j->next++;
}

static void on_packet(struct client *c, const char *p, size_t len, void *arg)
{
    struct run *r = arg;
    const struct joins *j = r->own;
    uint32_t id;
    char end;
    char text[16];
    snprintf(text, sizeof(text), "%.*s", (int)len, p);
    if (sscanf(text, "3%u%c", &id, &end) != 2 || end != '[' || id >= c->sent) {
        r->tally.bad++;
        return;
    }
    tally_add(&r->tally, c, id);
    if (j->next < r->limit)
        join(r, c);
}

static bool done(const struct run *r)
{
    return r->tally.delivered >= r->limit;
}

static void nothing(struct run *r)
{
    (void)r;
}

static bool up_to(struct run *r, uint32_t rooms)
{
    struct joins *j = r->own;
    struct usage from = usage_now(r->o);
    uint32_t begun = j->next;
    r->limit = rooms;
    for (uint32_t i = 0; i < r->swarm.n; i++) {
        struct client *c = &r->swarm.clients[i];
        for (uint32_t w = 0; w < r->o->window && j->next < r->limit; w++)
            join(r, c);
        swarm_flush(c);
    }
    if (!run_until(r, done, nothing))
        return false;
    r->used = usage_since(from, r->o);
    r->measured = rooms - begun;
    return true;
}

int joins(struct run *r)
{
    static struct joins j;
    r->own = &j;
    r->swarm.on_packet = on_packet;
    run_open(r, r->o->conns, 0);
    int rc = 0;
    for (uint32_t rooms = 1000; rooms <= r->o->messages; rooms *= 10) {
        up_to(r, rooms);
        r->expected = r->limit;
        report_begin(r);
        report_number("rooms", rooms);
        rc |= report_end(r);
    }
    return rc;
}
