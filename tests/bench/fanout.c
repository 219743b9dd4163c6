/* Rooms of --per-room clients each (default: one room of all); the first of
 * each sends messages that go to all of it, room after room. --messages in all,
 * --window under way at a time. */
#include <string.h>

#include "tests/bench/run.h"

enum { SLOTS = TALLY_WINDOW };

struct fanout {
    uint32_t n_rooms, members;
    uint32_t sent, done; /* messages that went out, that reached all */
    uint32_t got[SLOTS]; /* deliveries of those under way */
};

/* Of a room, messages are numbered from 0, which is what its members count. */
static bool take(struct run *r, struct client *c, uint32_t number)
{
    struct fanout *f = r->own;
    uint32_t room = c->index / f->members;
    if (number >= f->sent || number % f->n_rooms != room)
        return false;
    if (tally_add(&r->tally, c, number / f->n_rooms))
        f->got[number % SLOTS]++;
    return true;
}

static void on_packet(struct client *c, const char *p, size_t len, void *arg)
{
    struct run *r = arg;
    struct fanout *f = r->own;
    char room[SWARM_ROOM_MAX];
    uint32_t number;
    swarm_room(c->index / f->members, room);
    bool good =
        !c->open_part && packet_read_say(&r->form, room, p, len, &number);
    if (good && r->form.attached) {
        c->open_part = true;
        c->received = number;
    } else if (!good || !take(r, c, number)) {
        r->tally.bad++;
    }
}

static void on_attachment(struct client *c, const char *p, size_t len,
                          void *arg)
{
    struct run *r = arg;
    bool good = c->open_part && len == r->form.size &&
                memcmp(p, packet_padding(), len) == 0;
    c->open_part = false;
    if (!good || !take(r, c, c->received))
        r->tally.bad++;
}

static bool done(const struct run *r)
{
    const struct fanout *f = r->own;
    return f->done == r->limit;
}

static void send_one(struct run *r)
{
    struct fanout *f = r->own;
    uint32_t at = f->sent % f->n_rooms;
    struct client *sender = &r->swarm.clients[at * f->members];
    char room[SWARM_ROOM_MAX];
    swarm_room(at, room);
    size_t len = packet_say(&r->form, room, f->sent, r->packet);
    if (len == 0)
        die("--size %u is too small for a message", r->form.size);
    swarm_send(sender, r->packet, len);
    if (r->form.attached)
        swarm_attach(sender, packet_padding(), r->form.size);
    f->sent++;
}

static void send_more(struct run *r)
{
    struct fanout *f = r->own;
    uint32_t from = f->sent;
    while (f->done < f->sent && f->got[f->done % SLOTS] == f->members) {
        f->got[f->done % SLOTS] = 0;
        f->done++;
    }
    while (f->sent < r->limit && f->sent - f->done < r->o->window)
        send_one(r);
    for (uint32_t i = from; i < f->sent; i++)
        swarm_flush(&r->swarm.clients[i % f->n_rooms * f->members]);
}

static bool round_of(struct run *r, uint32_t messages)
{
    r->limit += messages;
    send_more(r);
    return run_until(r, done, send_more);
}

int fanout(struct run *r)
{
    static struct fanout f;
    const struct options *o = r->o;
    f.members = o->per_room ? o->per_room : o->conns;
    f.n_rooms = o->conns / f.members;
    if (f.n_rooms * f.members != o->conns)
        die("--conns has to be a multiple of --per-room");
    r->own = &f;
    r->swarm.on_packet = on_packet;
    r->swarm.on_attachment = on_attachment;
    run_open(r, o->conns, f.members);
    run_rounds(r, round_of);
    r->expected = (uint64_t)f.sent * f.members;
    r->measured = (uint64_t)r->rounds * o->messages * f.members;
    report_begin(r);
    report_number("members", f.members);
    return report_end(r);
}
