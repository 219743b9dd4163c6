/* --conns clients, --per-room to a room, that stay until they are told to go:
 * what they are to do comes line by line on standard input, and each line is
 * answered with one of JSON.
 *
 *   count   connections that are ready, on each node; and since the beginning:
 *           those lost on each, attempts that were refused (503 and the like),
 *           that reached nobody, or broke off
 *   say N   the first of each room says N messages to it; answered when all
 *           have come, or no more do
 *   closes  the seconds of the system's monotonic clock in which connections
 *           were lost, and how many in each
 *   quit
 *
 * Who loses a connection comes back as the official clients do: to another node
 * (as a balancer has it), after 0.5 to 1.5 seconds, twice as long after each
 * failure, up to 5 seconds. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/run.h"

enum {
    DELAY_MS = 1000,
    DELAY_MAX_MS = 5000,
    LOOK_MS = 10,
    SECONDS = 7200,
    LINE_MAX_BYTES = 64,
};

struct back {
    uint64_t due_ms; /* 0: it is not away */
    uint32_t failures;
};

struct hold {
    struct back *back;
    uint32_t away;
    uint64_t looked_ms;
    uint32_t lost[SWARM_NODES_MAX];
    uint32_t refused, unreached, broken_off;
    uint32_t first_second, closes[SECONDS];
    uint32_t *sent; /* of each room */
    uint64_t seen;
    char line[LINE_MAX_BYTES];
    size_t len;
};

static uint64_t now_ms(void)
{
    return probe_now_ns() / NS_PER_MS;
}

/* ---- who comes back ------------------------------------------------------ */

static void on_lost(struct client *c, enum swarm_loss how, void *arg)
{
    struct run *r = arg;
    struct hold *h = r->own;
    struct back *b = &h->back[c->index];
    uint64_t now = now_ms();
    if (how == SWARM_LOST_READY) {
        uint64_t second = now / 1000 - h->first_second;
        h->lost[c->node]++;
        h->closes[second < SECONDS ? second : SECONDS - 1]++;
        b->failures = 0;
    } else {
        h->refused += how == SWARM_REFUSED;
        h->unreached += how == SWARM_UNREACHED;
        h->broken_off += how == SWARM_LOST_OPENING;
        b->failures++;
    }
    uint64_t delay = DELAY_MS;
    for (uint32_t i = 0; i < b->failures && delay < DELAY_MAX_MS; i++)
        delay *= 2;
    if (delay > DELAY_MAX_MS)
        delay = DELAY_MAX_MS;
    b->due_ms = now + delay / 2 + (uint64_t)rand() % delay;
    h->away++;
    c->node = (uint8_t)((c->node + 1) % r->swarm.n_nodes);
}

static void bring_back(struct run *r)
{
    struct hold *h = r->own;
    uint64_t now = now_ms();
    if (h->away == 0 || now < h->looked_ms + LOOK_MS)
        return;
    h->looked_ms = now;
    for (uint32_t i = 0; i < r->swarm.n; i++) {
        if (h->back[i].due_ms == 0 || h->back[i].due_ms > now)
            continue;
        h->back[i].due_ms = 0;
        h->away--;
        swarm_reopen(&r->swarm.clients[i]);
    }
}

/* ---- messages ------------------------------------------------------------ */

static uint32_t room_of(const struct run *r, const struct client *c)
{
    return c->index / r->o->per_room;
}

static void on_packet(struct client *c, const char *p, size_t len, void *arg)
{
    struct run *r = arg;
    const struct hold *h = r->own;
    char name[SWARM_ROOM_MAX];
    uint32_t number;
    swarm_room(r->o->first_room + room_of(r, c), name);
    if (!packet_read_say(&r->form, name, p, len, &number) ||
        number >= h->sent[room_of(r, c)])
        r->tally.bad++;
    else
        tally_add(&r->tally, c, number);
}

static bool all_came(const struct run *r)
{
    return r->tally.delivered >= r->expected;
}

static void say(struct run *r, uint32_t n)
{
    struct hold *h = r->own;
    uint32_t members = r->o->per_room;
    char name[SWARM_ROOM_MAX];
    for (uint32_t room = 0; room < r->swarm.n / members; room++) {
        struct client *c = &r->swarm.clients[room * members];
        swarm_room(r->o->first_room + room, name);
        for (uint32_t i = 0; i < n && swarm_is_ready(c); i++) {
            size_t len = packet_say(&r->form, name, h->sent[room]++, r->packet);
            if (len == 0)
                die("--size %u is too small for a message", r->form.size);
            swarm_send(c, r->packet, len);
            r->expected += members;
        }
        swarm_flush(c);
    }
    run_until(r, all_came, bring_back);
    /* whatever were to come twice */
    for (uint64_t end = now_ms() + 200; now_ms() < end;)
        swarm_turn(&r->swarm, 20);
    const struct tally *t = &r->tally;
    printf("{\"expected\":%lu,\"delivered\":%lu,\"doubled\":%lu,"
           "\"reordered\":%lu,\"bad\":%lu}\n",
           r->expected, t->delivered, t->doubled, t->reordered, t->bad);
}

/* ---- lines --------------------------------------------------------------- */

static void print_counts(const char *name, const uint32_t *v, uint32_t n)
{
    printf("\"%s\":[", name);
    for (uint32_t i = 0; i < n; i++)
        printf("%s%u", i ? "," : "", v[i]);
    printf("],");
}

static void count(const struct run *r)
{
    const struct hold *h = r->own;
    uint32_t held[SWARM_NODES_MAX] = {0};
    for (uint32_t i = 0; i < r->swarm.n; i++)
        held[r->swarm.clients[i].node] += swarm_is_ready(&r->swarm.clients[i]);
    putchar('{');
    print_counts("held", held, r->swarm.n_nodes);
    print_counts("lost", h->lost, r->swarm.n_nodes);
    printf("\"ready\":%u,\"refused\":%u,\"unreached\":%u,\"broken_off\":%u,"
           "\"messages\":%lu}\n",
           r->swarm.ready, h->refused, h->unreached, h->broken_off,
           r->swarm.messages);
}

static void closes(const struct run *r)
{
    const struct hold *h = r->own;
    const char *comma = "";
    putchar('[');
    for (uint32_t i = 0; i < SECONDS; i++) {
        if (!h->closes[i])
            continue;
        printf("%s[%u,%u]", comma, h->first_second + i, h->closes[i]);
        comma = ",";
    }
    puts("]");
}

/* False at the end. */
static bool obey(struct run *r, const char *line)
{
    unsigned n;
    if (strcmp(line, "count") == 0)
        count(r);
    else if (strcmp(line, "closes") == 0)
        closes(r);
    else if (sscanf(line, "say %u", &n) == 1)
        say(r, n);
    else if (strcmp(line, "quit") == 0)
        return false;
    else
        die("not a command: %s", line);
    fflush(stdout);
    return true;
}

static bool read_lines(struct run *r)
{
    struct hold *h = r->own;
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&in, 1, 0) <= 0)
        return true;
    ssize_t n =
        read(STDIN_FILENO, h->line + h->len, sizeof(h->line) - h->len - 1);
    if (n <= 0)
        return false;
    h->len += (size_t)n;
    h->line[h->len] = '\0';
    for (char *end; (end = strchr(h->line, '\n'));) {
        *end++ = '\0';
        bool goes_on = obey(r, h->line);
        h->len -= (size_t)(end - h->line);
        memmove(h->line, end, h->len + 1);
        if (!goes_on)
            return false;
    }
    return h->len + 1 < sizeof(h->line);
}

int hold(struct run *r)
{
    static struct hold h;
    const struct options *o = r->o;
    if (!o->per_room || o->conns % o->per_room)
        die("--conns has to be a multiple of --per-room");
    h.back = calloc(o->conns, sizeof(*h.back));
    h.sent = calloc(o->conns / o->per_room, sizeof(*h.sent));
    if (!h.back || !h.sent)
        die("out of memory");
    h.first_second = (uint32_t)(now_ms() / 1000);
    srand((unsigned)getpid());
    r->own = &h;
    r->swarm.on_packet = on_packet;
    r->swarm.on_lost = on_lost;
    run_open(r, o->conns, o->per_room);
    count(r);
    fflush(stdout);
    while (read_lines(r)) {
        swarm_turn(&r->swarm, LOOK_MS);
        bring_back(r);
    }
    return 0;
}
