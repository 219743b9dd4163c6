/* The load generator: one scenario against one server, one line of JSON.
 *
 *     load --pid PID[,PID]... --port PORT[,PORT]... [OPTION VALUE]...
 *          fanout|latency|echo|churn|idle|joins|hold
 *
 * What each scenario does and which options it takes stands at the head of its
 * file. Several processes are the nodes of one cluster; --redis is the process
 * id of its Redis. CPU time is the servers' own, as the kernel counts it: what
 * comes first is --warm messages that are not measured, then rounds of
 * --messages until they have used --cpu-ms. Messages carry numbers: the line
 * says how many were lost, doubled, reordered or changed, and the exit code is
 * 1 when any was. --size is the length of a message's text, with the Engine.IO
 * type; with --binary, of its attachment; with --msgpack, of the string in it.
 * load_was_limit is true when the generator itself had no time left. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/run.h"

static const struct {
    const char *name;
    int (*play)(struct run *r);
} scenarios[] = {
    {"fanout", fanout}, {"latency", latency}, {"echo", echo}, {"churn", churn},
    {"idle", idle},     {"joins", joins},     {"hold", hold},
};

/* Too large for the stack. */
static struct run run;

static uint32_t number(const char *option, const char *text, char **end)
{
    unsigned long n = strtoul(text, end, 10);
    if (*end == text || n > UINT32_MAX)
        die("--%s wants a number, not %s", option, text);
    return (uint32_t)n;
}

/* "1,2,3"; how many. */
static uint32_t numbers(const char *option, char *text, uint32_t *out)
{
    uint32_t n = 0;
    do {
        if (n == SWARM_NODES_MAX)
            die("--%s: too many nodes", option);
        out[n++] = number(option, text, &text);
    } while (*text++ == ',');
    return n;
}

static void check_options(const struct options *o, uint32_t n_pids)
{
    if (!o->n_nodes || n_pids != o->n_nodes)
        die("--pid and --port say which servers");
    if (!o->conns || o->size < 2 || o->size > PACKET_BODY_MAX)
        die("--conns or --size is out of range");
    if (!o->window || o->window > TALLY_WINDOW || !o->rate)
        die("--window goes from 1 to %d, --rate from 1", TALLY_WINDOW);
}

static void read_options(struct options *o, int argc, char **argv)
{
    enum { ID, SERVER, PID, PORT };
    uint32_t pids[SWARM_NODES_MAX], n_pids = 0;
    const struct {
        const char *name;
        uint32_t *to;
    } table[] = {
        {"id", NULL},
        {"server", NULL},
        {"pid", NULL},
        {"port", NULL},
        {"redis", &o->redis},
        {"conns", &o->conns},
        {"window", &o->window},
        {"size", &o->size},
        {"messages", &o->messages},
        {"warm", &o->warm},
        {"cpu-ms", &o->cpu_ms},
        {"per-room", &o->per_room},
        {"rate", &o->rate},
        {"seconds", &o->seconds},
        {"polling", &o->polling},
        {"bare", &o->bare},
        {"binary", &o->binary},
        {"msgpack", &o->msgpack},
        {"deflate", &o->deflate},
        {"slow", &o->slow},
        {"slow-polling", &o->slow_polling},
        {"first-room", &o->first_room},
    };
    enum { N = sizeof(table) / sizeof(table[0]) };
    struct option longs[N + 1] = {{0}};
    for (int i = 0; i < N; i++)
        longs[i] = (struct option){table[i].name, required_argument, NULL, 0};
    int at, c;
    while ((c = getopt_long(argc, argv, "", longs, &at)) == 0) {
        char *end;
        if (at == ID)
            o->id = optarg;
        else if (at == SERVER)
            o->server = optarg;
        else if (at == PID)
            n_pids = numbers("pid", optarg, pids);
        else if (at == PORT)
            o->n_nodes = numbers("port", optarg, o->ports);
        else
            *table[at].to = number(table[at].name, optarg, &end);
    }
    if (c != -1 || optind + 1 != argc)
        die("usage: load --pid PID --port PORT [OPTION VALUE]... SCENARIO");
    o->scenario = argv[optind];
    for (uint32_t i = 0; i < n_pids; i++)
        o->pids[i] = (pid_t)pids[i];
    check_options(o, n_pids);
}

int main(int argc, char **argv)
{
    static struct options o = {.id = "",
                               .server = "server",
                               .host = "127.0.0.1",
                               .conns = 100,
                               .window = 1,
                               .size = 64,
                               .messages = 1000,
                               .warm = 100,
                               .rate = 50,
                               .seconds = 4};
    read_options(&o, argc, argv);
    run.o = &o;
    run.form = (struct packet_form){
        .msgpack = o.msgpack, .attached = o.binary, .size = o.size};
    for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (strcmp(scenarios[i].name, o.scenario) == 0)
            return scenarios[i].play(&run);
    }
    die("no such scenario: %s", o.scenario);
}
