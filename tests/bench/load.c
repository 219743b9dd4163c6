/* The load generator: one scenario against one server, one line of JSON.
 *
 *     load --pid PID --port PORT [--conns N] [--window W] [--size BYTES]
 *          [--messages M] [--warm M] [--cpu-ms MS] [--per-room N]
 *          idle|fanout|echo
 *
 * idle    N clients, --per-room to a room: what one costs in memory, and in CPU
 *         time to connect.
 * fanout  one room of N, one of them sends M messages that go to all N; W are
 *         under way at a time.
 * echo    N clients, each asks for an acknowledgement M / N times, W at a time.
 *
 * CPU time is the server's own, as the kernel counts it. Messages carry
 * numbers: the line says how many were lost, doubled, reordered or changed, and
 * the exit code is 1 when any was. The first --warm messages are not measured.
 * A message of SIZE bytes is one whose Engine.IO text has that length. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/probe.h"
#include "tests/bench/tally.h"

enum {
    PACKET_MAX = 64 * 1024,
    STALL_MS = 10000,
    IDLE_MS = 1000,
    NS_PER_MS = 1000000,
};

struct options {
    const char *scenario, *name, *host;
    pid_t pid;
    uint32_t port, conns, window, size, messages, warm, cpu_ms, per_room;
};

/* What one phase took. */
struct usage {
    uint64_t wall_ns, own_ns;
    struct probe_cpu server;
};

struct run {
    const struct options *o;
    struct swarm swarm;
    struct tally tally;
    struct usage used;
    char packet[PACKET_MAX];
    size_t packet_len;
    uint32_t limit;  /* of this round: messages in all, or of each client */
    uint32_t rounds; /* measured */
    /* fanout */
    char prefix[64]; /* of a delivered packet, up to the number */
    size_t prefix_len;
    uint32_t sent, done;        /* messages that went out, that reached all */
    uint32_t got[TALLY_WINDOW]; /* deliveries of those under way */
};

/* Too large for the stack. */
static struct run run;

static struct usage usage_now(pid_t pid)
{
    struct usage u = {.wall_ns = probe_now_ns()};
    struct probe_cpu own;
    if (!probe_cpu(pid, &u.server) || !probe_cpu(getpid(), &own))
        die("no such process: %d", (int)pid);
    u.own_ns = own.total_ns;
    return u;
}

static struct usage usage_since(struct usage from, pid_t pid)
{
    struct usage u = usage_now(pid);
    u.wall_ns -= from.wall_ns;
    u.own_ns -= from.own_ns;
    u.server.total_ns -= from.server.total_ns;
    u.server.user_ns -= from.server.user_ns;
    u.server.system_ns -= from.server.system_ns;
    return u;
}

/* Handles events until `done`; false when nothing has come for too long. */
static bool turn_until(struct run *r, bool (*done)(const struct run *r),
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

/* The warm-up, then what is measured. */
static void run_rounds(struct run *r, bool (*round)(struct run *r, uint32_t n))
{
    const struct options *o = r->o;
    uint64_t enough = o->cpu_ms * (uint64_t)NS_PER_MS;
    if (!round(r, o->warm))
        return;
    struct usage from = usage_now(o->pid);
    do {
        if (!round(r, o->messages))
            return;
        r->rounds++;
        r->used = usage_since(from, o->pid);
        if (r->used.server.total_ns < r->used.own_ns / 100)
            die("process %d does nothing meanwhile: is it the server?",
                (int)o->pid);
    } while (r->used.server.total_ns < enough);
}

static void nothing(struct run *r)
{
    (void)r;
}

/* A number and what ends it; NULL when there is none. */
static const char *read_number(const char *p, const char *end, uint32_t *out)
{
    const char *from = p;
    uint32_t n = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        n = n * 10 + (uint32_t)(*p - '0');
    *out = n;
    return p > from && p < end ? p : NULL;
}

/* ---- fanout -------------------------------------------------------------- */

static void make_message(struct run *r, uint32_t seq)
{
    size_t size = r->o->size - 1; /* without the Engine.IO type */
    int n = snprintf(r->packet, sizeof(r->packet), "%.*s%u,\"pad\":\"",
                     (int)r->prefix_len, r->prefix, seq);
    size_t used = (size_t)n + 3;
    if (used > size)
        die("--size %u is too small for a message", r->o->size);
    memset(r->packet + n, 'x', size - used);
    memcpy(r->packet + size - 3, "\"}]", 3);
    r->packet_len = size;
}

static bool fanout_deliver(struct run *r, struct client *c, const char *p,
                           size_t len)
{
    uint32_t seq;
    const char *end = p + len;
    if (len != r->o->size - 1 || memcmp(p, r->prefix, r->prefix_len) != 0 ||
        memcmp(end - 3, "\"}]", 3) != 0)
        return false;
    if (!read_number(p + r->prefix_len, end, &seq) || seq >= r->sent)
        return false;
    if (tally_add(&r->tally, c, seq))
        r->got[seq % TALLY_WINDOW]++;
    return true;
}

static void on_fanout_packet(struct client *c, const char *p, size_t len,
                             void *arg)
{
    struct run *r = arg;
    if (!fanout_deliver(r, c, p, len))
        r->tally.bad++;
}

static bool fanout_done(const struct run *r)
{
    return r->done == r->limit;
}

static void fanout_send(struct run *r)
{
    while (r->done < r->sent && r->got[r->done % TALLY_WINDOW] == r->swarm.n) {
        r->got[r->done % TALLY_WINDOW] = 0;
        r->done++;
    }
    struct client *sender = &r->swarm.clients[0];
    for (; r->sent < r->limit && r->sent - r->done < r->o->window; r->sent++) {
        make_message(r, r->sent);
        swarm_send(sender, r->packet, r->packet_len);
    }
    swarm_flush(sender);
}

static bool fanout_round(struct run *r, uint32_t messages)
{
    r->limit += messages;
    fanout_send(r);
    return turn_until(r, fanout_done, fanout_send);
}

static uint64_t fanout(struct run *r)
{
    const struct options *o = r->o;
    char room[32];
    r->swarm.on_packet = on_fanout_packet;
    swarm_open(&r->swarm, o->host, (uint16_t)o->port, o->conns, o->conns);
    swarm_room(&r->swarm, 0, room, sizeof(room));
    r->prefix_len =
        (size_t)snprintf(r->prefix, sizeof(r->prefix),
                         "2[\"say\",{\"room\":\"%s\",\"seq\":", room);
    run_rounds(r, fanout_round);
    return (uint64_t)r->sent * o->conns;
}

/* ---- echo ---------------------------------------------------------------- */

static void echo_send(struct run *r, struct client *c)
{
    int n = snprintf(r->packet, sizeof(r->packet), "2%u[\"echo\",\"", c->sent);
    size_t head = (size_t)n, size = r->o->size - 1;
    if (head + 2 > size)
        die("--size %u is too small for a message", r->o->size);
    memset(r->packet + n, 'x', size - head - 2);
    memcpy(r->packet + size - 2, "\"]", 2);
    swarm_send(c, r->packet, size);
    c->sent++;
}

/* The answer is shorter than the question by the event's name. */
static bool echo_answer(struct run *r, struct client *c, const char *p,
                        size_t len)
{
    uint32_t id;
    size_t name = sizeof("\"echo\",") - 1;
    const char *end = p + len;
    if (len + name != r->o->size - 1 || p[0] != '3')
        return false;
    const char *rest = read_number(p + 1, end, &id);
    if (!rest || rest[0] != '[' || end[-1] != ']' || id >= c->sent)
        return false;
    if (tally_add(&r->tally, c, id))
        c->received++;
    return true;
}

static void on_echo_packet(struct client *c, const char *p, size_t len,
                           void *arg)
{
    struct run *r = arg;
    if (!echo_answer(r, c, p, len))
        r->tally.bad++;
    else if (c->sent < r->limit)
        echo_send(r, c);
}

static bool echo_done(const struct run *r)
{
    return r->tally.delivered >= (uint64_t)r->limit * r->swarm.n;
}

static bool echo_round(struct run *r, uint32_t messages)
{
    r->limit += messages / r->o->conns;
    for (uint32_t i = 0; i < r->swarm.n; i++) {
        struct client *c = &r->swarm.clients[i];
        for (uint32_t w = 0; w < r->o->window && c->sent < r->limit; w++)
            echo_send(r, c);
        swarm_flush(c);
    }
    return turn_until(r, echo_done, nothing);
}

static uint64_t echo(struct run *r)
{
    const struct options *o = r->o;
    r->swarm.on_packet = on_echo_packet;
    swarm_open(&r->swarm, o->host, (uint16_t)o->port, o->conns, 0);
    run_rounds(r, echo_round);
    return (uint64_t)r->limit * o->conns;
}

/* ---- idle ---------------------------------------------------------------- */

static void on_settled(struct client *c, const char *p, size_t len, void *arg)
{
    (void)c;
    (void)p;
    (void)len;
    struct run *r = arg;
    r->tally.delivered++;
}

static bool settle_done(const struct run *r)
{
    return r->tally.delivered > 0;
}

/* The server's memory when it has nothing left to clean up: the event has it
 * collect its garbage, if it is of that kind. */
static struct probe_memory settled(struct run *r)
{
    static const char packet[] = "20[\"settle\"]";
    struct probe_memory m;
    r->tally.delivered = 0;
    swarm_send(&r->swarm.clients[0], packet, sizeof(packet) - 1);
    swarm_flush(&r->swarm.clients[0]);
    if (!turn_until(r, settle_done, nothing))
        die("the server does not answer");
    for (uint64_t end = probe_now_ns() + IDLE_MS * (uint64_t)NS_PER_MS;
         probe_now_ns() < end;)
        swarm_turn(&r->swarm, 50);
    if (!probe_memory(r->o->pid, &m))
        die("no memory to read of process %d", (int)r->o->pid);
    return m;
}

static void idle(struct run *r)
{
    const struct options *o = r->o;
    r->swarm.on_packet = on_settled;
    r->swarm.arg = r;
    swarm_open(&r->swarm, o->host, (uint16_t)o->port, 1, 1);
    struct probe_memory before = settled(r);
    swarm_close(&r->swarm);

    struct usage from = usage_now(o->pid);
    swarm_open(&r->swarm, o->host, (uint16_t)o->port, o->conns, o->per_room);
    struct usage used = usage_since(from, o->pid);
    struct probe_memory after = settled(r);
    double n = o->conns;
    printf("{\"scenario\":\"idle\",\"server\":\"%s\",\"conns\":%u,"
           "\"per_room\":%u,\"dirty_before\":%lu,\"dirty_after\":%lu,"
           "\"bytes_per_conn\":%.0f,\"pss_per_conn\":%.0f,"
           "\"connect_cpu_us\":%.2f,\"connects_per_wall_s\":%.0f}\n",
           o->name, o->conns, o->per_room, before.private_dirty,
           after.private_dirty,
           ((double)after.private_dirty - (double)before.private_dirty) / n,
           ((double)after.pss - (double)before.pss) / n,
           (double)used.server.total_ns / 1e3 / n,
           n / ((double)used.wall_ns / 1e9));
}

/* ---- result -------------------------------------------------------------- */

/* `expected` in all, the warm-up included. */
static int report(const struct run *r, uint64_t expected)
{
    const struct options *o = r->o;
    const struct tally *t = &r->tally;
    const struct usage *u = &r->used;
    bool fan = strcmp(o->scenario, "fanout") == 0;
    uint64_t lost = expected - t->delivered;
    double per_round = fan ? (double)o->messages * o->conns
                           : (double)(o->messages / o->conns) * o->conns;
    double n = per_round * r->rounds;
    double wall = (double)u->wall_ns / 1e9;
    double cpu = (double)u->server.total_ns / 1e9;
    double parts = (double)(u->server.user_ns + u->server.system_ns) / 1e9;
    bool whole = lost == 0 && wall > 0 && cpu > 0;
    printf("{\"scenario\":\"%s\",\"server\":\"%s\",\"conns\":%u,"
           "\"window\":%u,\"size\":%u,\"operations\":%.0f,"
           "\"lost\":%lu,\"doubled\":%lu,\"reordered\":%lu,\"bad\":%lu,"
           "\"wall_s\":%.4f,\"server_cpu_s\":%.4f,\"server_share\":%.3f,"
           "\"server_user_share\":%.3f,\"load_share\":%.3f,"
           "\"per_cpu_s\":%.0f,\"per_wall_s\":%.0f}\n",
           o->scenario, o->name, o->conns, o->window, o->size, n, lost,
           t->doubled, t->reordered, t->bad, wall, cpu, whole ? cpu / wall : 0,
           parts > 0 ? (double)u->server.user_ns / 1e9 / parts : 0,
           whole ? (double)u->own_ns / 1e9 / wall : 0, whole ? n / cpu : 0,
           whole ? n / wall : 0);
    return lost || t->doubled || t->reordered || t->bad;
}

/* ---- options ------------------------------------------------------------- */

static uint32_t number(const char *option, const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);
    if (*text == '\0' || *end != '\0' || n > UINT32_MAX)
        die("--%s wants a number, not %s", option, text);
    return (uint32_t)n;
}

static void check_options(const struct options *o)
{
    if (!o->pid || !o->port || o->port > UINT16_MAX)
        die("--pid and --port say which server");
    if (!o->conns || !o->per_room || o->size < 2 || o->size > PACKET_MAX)
        die("--conns, --per-room or --size is out of range");
    if (!o->window || o->window > TALLY_WINDOW)
        die("--window goes from 1 to %d", TALLY_WINDOW);
}

static void read_options(struct options *o, int argc, char **argv)
{
    static const struct option longs[] = {
        {"name", 1, NULL, 0},     {"host", 1, NULL, 0},
        {"pid", 1, NULL, 0},      {"port", 1, NULL, 0},
        {"conns", 1, NULL, 0},    {"window", 1, NULL, 0},
        {"size", 1, NULL, 0},     {"messages", 1, NULL, 0},
        {"warm", 1, NULL, 0},     {"cpu-ms", 1, NULL, 0},
        {"per-room", 1, NULL, 0}, {NULL, 0, NULL, 0},
    };
    uint32_t pid = 0;
    /* In the order of the options, from --pid on. */
    uint32_t *const numbers[] = {&pid,       &o->port,   &o->conns,
                                 &o->window, &o->size,   &o->messages,
                                 &o->warm,   &o->cpu_ms, &o->per_room};
    int at, c;
    while ((c = getopt_long(argc, argv, "", longs, &at)) == 0) {
        if (at == 0)
            o->name = optarg;
        else if (at == 1)
            o->host = optarg;
        else
            *numbers[at - 2] = number(longs[at].name, optarg);
    }
    if (c != -1 || optind + 1 != argc)
        die("usage: load --pid PID --port PORT [options] idle|fanout|echo");
    o->scenario = argv[optind];
    o->pid = (pid_t)pid;
    if (o->warm == UINT32_MAX)
        o->warm = o->messages / 5;
}

int main(int argc, char **argv)
{
    struct options o = {.name = "server",
                        .host = "127.0.0.1",
                        .conns = 100,
                        .window = 1,
                        .size = 64,
                        .messages = 1000,
                        .warm = UINT32_MAX,
                        .per_room = 100};
    read_options(&o, argc, argv);
    check_options(&o);
    run.o = &o;
    run.swarm.arg = &run;
    int rc = 0;
    if (strcmp(o.scenario, "idle") == 0)
        idle(&run);
    else if (strcmp(o.scenario, "fanout") == 0)
        rc = report(&run, fanout(&run));
    else if (strcmp(o.scenario, "echo") == 0)
        rc = report(&run, echo(&run));
    else
        die("no such scenario: %s", o.scenario);
    swarm_close(&run.swarm);
    return rc;
}
