/* Rooms of --per-room clients each (default: one room of all). The first of
 * each room sends messages that go to all of it, --messages in all rooms
 * together, --window under way at a time in each. */
#include <stdlib.h>
#include <string.h>

#include "tests/bench/run.h"

enum { SLOTS = TALLY_WINDOW };

struct room {
    uint32_t sent, done; /* messages that went out, that reached all */
    uint32_t got[SLOTS]; /* deliveries of those under way */
    bool listed;         /* among those that may go on */
};

struct fanout {
    struct room *rooms;
    uint32_t n_rooms, members;
    uint32_t *ready; /* rooms that may go on */
    uint32_t n_ready;
    uint32_t finished; /* rooms that have reached the round's limit */
};

static void list(struct fanout *f, uint32_t at)
{
    if (f->rooms[at].listed)
        return;
    f->rooms[at].listed = true;
    f->ready[f->n_ready++] = at;
}

static bool take(struct run *r, struct client *c, uint32_t number)
{
    struct fanout *f = r->own;
    uint32_t at = c->index / f->members;
    struct room *room = &f->rooms[at];
    if (number >= room->sent)
        return false;
    if (tally_add(&r->tally, c, number) &&
        ++room->got[number % SLOTS] == f->members)
        list(f, at);
    return true;
}

static void on_packet(struct client *c, const char *p, size_t len, void *arg)
{
    struct run *r = arg;
    struct fanout *f = r->own;
    char name[SWARM_ROOM_MAX];
    uint32_t number;
    swarm_room(c->index / f->members, name);
    bool good =
        !c->open_part && packet_read_say(&r->form, name, p, len, &number);
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
    return f->finished == f->n_rooms;
}

static void send_one(struct run *r, struct client *sender, const char *name,
                     uint32_t number)
{
    size_t len = packet_say(&r->form, name, number, r->packet);
    if (len == 0)
        die("--size %u is too small for a message", r->form.size);
    swarm_send(sender, r->packet, len);
    if (r->form.attached)
        swarm_attach(sender, packet_padding(), r->form.size);
}

/* Messages that have reached all make place for others. */
static void go_on(struct run *r, uint32_t at)
{
    struct fanout *f = r->own;
    struct room *room = &f->rooms[at];
    struct client *sender = &r->swarm.clients[at * f->members];
    char name[SWARM_ROOM_MAX];
    swarm_room(at, name);
    room->listed = false;
    while (room->done < room->sent &&
           room->got[room->done % SLOTS] == f->members) {
        room->got[room->done % SLOTS] = 0;
        f->finished += ++room->done == r->limit;
    }
    while (room->sent < r->limit && room->sent - room->done < r->o->window)
        send_one(r, sender, name, room->sent++);
    swarm_flush(sender);
}

static void send_more(struct run *r)
{
    struct fanout *f = r->own;
    for (uint32_t i = 0; i < f->n_ready; i++)
        go_on(r, f->ready[i]);
    f->n_ready = 0;
}

static bool round_of(struct run *r, uint32_t messages)
{
    struct fanout *f = r->own;
    r->limit += messages / f->n_rooms;
    f->finished = 0;
    for (uint32_t i = 0; i < f->n_rooms; i++)
        list(f, i);
    send_more(r);
    return run_until(r, done, send_more);
}

static void make_rooms(struct fanout *f, const struct options *o)
{
    f->members = o->per_room ? o->per_room : o->conns;
    f->n_rooms = o->conns / f->members;
    if (f->n_rooms * f->members != o->conns || o->messages < f->n_rooms ||
        (o->warm && o->warm < f->n_rooms))
        die("--conns has to be a multiple of --per-room, and no room without a "
            "message");
    f->rooms = calloc(f->n_rooms, sizeof(*f->rooms));
    f->ready = calloc(f->n_rooms, sizeof(*f->ready));
    if (!f->rooms || !f->ready)
        die("out of memory");
}

int fanout(struct run *r)
{
    static struct fanout f;
    const struct options *o = r->o;
    make_rooms(&f, o);
    r->own = &f;
    r->swarm.on_packet = on_packet;
    r->swarm.on_attachment = on_attachment;
    run_open(r, o->conns, f.members);
    run_rounds(r, round_of);
    for (uint32_t i = 0; i < f.n_rooms; i++)
        r->expected += (uint64_t)f.rooms[i].sent * f.members;
    r->measured = (uint64_t)r->rounds * (o->messages / f.n_rooms) * o->conns;
    report_begin(r);
    report_number("members", f.members);
    return report_end(r);
}
