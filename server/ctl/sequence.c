#include "server/ctl/sequence.h"

#include <string.h>

#include "common/mem.h"

enum { FIRST = 64 };

struct said {
    uint64_t at_us;
    uint32_t member; /* the speaker, by its place in the room */
    uint32_t turn;   /* its messages are numbered from 1 */
};

/* Grows with the room's messages. */
struct bits {
    uint64_t *v;
    size_t n; /* words */
};

struct place {
    struct said *said;
    uint32_t n, cap, members;
    uint32_t *turns; /* how often each member has spoken */
    struct bits taken;
};

struct hearer {
    struct bits heard;
    uint32_t *latest; /* by speaker, the turn that was heard last */
    bool in;
};

struct sequence {
    uint32_t clients, rooms;
    uint64_t messages;
    struct place *place;
    struct hearer *hearer;
};

/* ---- bits ---------------------------------------------------------------- */

static bool bit(const struct bits *b, uint32_t i)
{
    return i / 64 < b->n && b->v[i / 64] >> (i % 64) & 1;
}

static void set_bit(struct bits *b, uint32_t i)
{
    if (i / 64 >= b->n) {
        size_t n = i / 64 + 1;
        n += n / 2 + 1;
        b->v = mem_realloc(b->v, n * sizeof(*b->v));
        memset(b->v + b->n, 0, (n - b->n) * sizeof(*b->v));
        b->n = n;
    }
    b->v[i / 64] |= UINT64_C(1) << (i % 64);
}

static uint64_t count_bits(const struct bits *b)
{
    uint64_t n = 0;
    for (size_t i = 0; i < b->n; i++)
        n += (uint64_t)__builtin_popcountll(b->v[i]);
    return n;
}

static uint64_t count_missing(const struct bits *want, const struct bits *have)
{
    uint64_t n = 0;
    for (size_t i = 0; i < want->n; i++) {
        uint64_t there = i < have->n ? have->v[i] : 0;
        n += (uint64_t)__builtin_popcountll(want->v[i] & ~there);
    }
    return n;
}

/* ---- life ---------------------------------------------------------------- */

struct sequence *sequence_new(uint32_t clients, uint32_t rooms)
{
    struct sequence *s = mem_zalloc(sizeof(*s));
    s->clients = clients;
    s->rooms = rooms;
    s->place = mem_zalloc(rooms * sizeof(*s->place));
    s->hearer = mem_zalloc(clients * sizeof(*s->hearer));
    for (uint32_t i = 0; i < clients; i++)
        s->place[i % rooms].members++;
    for (uint32_t i = 0; i < rooms; i++)
        s->place[i].turns =
            mem_zalloc((s->place[i].members + 1) * sizeof(uint32_t));
    return s;
}

void sequence_free(struct sequence *s)
{
    for (uint32_t i = 0; i < s->rooms; i++) {
        mem_free(s->place[i].said);
        mem_free(s->place[i].turns);
        mem_free(s->place[i].taken.v);
    }
    for (uint32_t i = 0; i < s->clients; i++) {
        mem_free(s->hearer[i].heard.v);
        mem_free(s->hearer[i].latest);
    }
    mem_free(s->place);
    mem_free(s->hearer);
    mem_free(s);
}

void sequence_enter(struct sequence *s, uint32_t client)
{
    struct hearer *h = &s->hearer[client];
    h->in = true;
    if (!h->latest)
        h->latest = mem_zalloc((s->place[client % s->rooms].members + 1) *
                               sizeof(uint32_t));
}

void sequence_leave(struct sequence *s, uint32_t client)
{
    s->hearer[client].in = false;
}

/* ---- speaking and hearing ------------------------------------------------ */

bool sequence_say(struct sequence *s, uint32_t client, uint64_t now_us,
                  uint32_t *number)
{
    struct place *p = &s->place[client % s->rooms];
    uint32_t member = client / s->rooms;
    if (s->messages == SEQUENCE_MESSAGES_MAX)
        return false;
    if (p->n == p->cap) {
        p->cap = p->cap ? p->cap * 2 : FIRST;
        p->said = mem_realloc(p->said, p->cap * sizeof(*p->said));
    }
    s->messages++;
    *number = p->n;
    p->said[p->n++] = (struct said){now_us, member, ++p->turns[member]};
    return true;
}

void sequence_taken(struct sequence *s, uint32_t room, uint32_t number)
{
    set_bit(&s->place[room].taken, number);
}

enum verdict sequence_hear(struct sequence *s, uint32_t client, uint64_t room,
                           uint64_t number, uint64_t now_us, uint64_t *since_us)
{
    struct hearer *h = &s->hearer[client];
    const struct place *p = &s->place[client % s->rooms];
    if (!h->latest || room != client % s->rooms || number >= p->n)
        return HEARD_STRANGE;
    const struct said *m = &p->said[number];
    *since_us = now_us > m->at_us ? now_us - m->at_us : 0;
    if (bit(&h->heard, (uint32_t)number))
        return HEARD_TWICE;
    set_bit(&h->heard, (uint32_t)number);
    if (m->turn < h->latest[m->member])
        return HEARD_LATE_ORDER;
    h->latest[m->member] = m->turn;
    return HEARD_WELL;
}

struct sequence_sum sequence_sum(const struct sequence *s)
{
    struct sequence_sum sum = {0};
    for (uint32_t i = 0; i < s->clients; i++) {
        const struct bits *taken = &s->place[i % s->rooms].taken;
        if (!s->hearer[i].in)
            continue;
        sum.expected += count_bits(taken);
        sum.missing += count_missing(taken, &s->hearer[i].heard);
    }
    return sum;
}
