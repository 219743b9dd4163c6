#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/cluster/sim/sim.h"

enum {
    WARM_RUNS = 100, /* after these, what is kept for reuse has its size */
    LEAK_BYTES = 64 * 1024,
};

struct sim sim;

/* ---- chance, notes, failures --------------------------------------------- */

static uint64_t next_word(void)
{
    uint64_t x = sim.chance += 0x9e3779b97f4a7c15U;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

uint32_t sim_below(uint32_t n)
{
    return (uint32_t)((next_word() >> 32) * n >> 32);
}

bool sim_chance(uint32_t percent)
{
    return sim_below(100) < percent;
}

static void mix(uint64_t v)
{
    sim.hash = (sim.hash ^ v) * 1099511628211U;
}

void sim_note(const char *what, uint64_t a, uint64_t b, uint64_t c)
{
    mix(sim.now_ms);
    for (const char *p = what; *p; p++)
        mix((unsigned char)*p);
    mix(a);
    mix(b);
    mix(c);
    if (sim.trace)
        (void)printf("%9" PRIu64 " %-12s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                     sim.now_ms, what, a, b, c);
}

void sim_fail(const char *fmt, ...)
{
    va_list args;
    (void)printf("seed %" PRIu64 " (run %" PRIu64
                 ") breaks a promise at %" PRIu64 " ms: ",
                 sim.seed, sim.tally.runs + 1, sim.now_ms);
    va_start(args, fmt);
    (void)vprintf(fmt, args);
    va_end(args);
    (void)printf("\nreplay with --seed %" PRIu64 " --runs 1 --trace", sim.seed);
    if (sim.nodes)
        (void)printf(" --nodes %u", sim.nodes);
    if (sim.steps)
        (void)printf(" --steps %u", sim.steps);
    (void)printf("\n");
    (void)fflush(stdout);
    _exit(1);
}

static void on_death(void)
{
    (void)printf("seed %" PRIu64 " (run %" PRIu64 ") ends the process\n",
                 sim.seed, sim.tally.runs + 1);
    (void)fflush(stdout);
}

static void on_abort(int signal_number)
{
    on_death();
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

/* There when sanitizers are. */
void __sanitizer_set_death_callback(void (*callback)(void))
    __attribute__((weak));

/* ---- results ------------------------------------------------------------- */

static void print_tally(void)
{
    const struct tally *t = &sim.tally;
    (void)printf("%" PRIu64 " runs: %" PRIu64 " sent, %" PRIu64
                 " delivered, %" PRIu64
                 " lost, 0 doubled, 0 reordered; %" PRIu64
                 " queries ended, %" PRIu64 " partial\n",
                 t->runs, t->sent, t->delivered,
                 t->unpublished + t->died + t->away + t->cut_off, t->queries,
                 t->partial);
    (void)printf(
        "lost: %" PRIu64 " by their nodes, which counted %" PRIu64 " (%" PRIu64
        " of presence, %" PRIu64 " of questions, and %" PRIu64
        " had arrived); %" PRIu64 " with their nodes; %" PRIu64
        " for nodes that were away, %" PRIu64 " on connections that broke\n",
        t->unpublished, t->counted, t->counted_presence, t->counted_questions,
        t->counted_arrived, t->died, t->away, t->cut_off);
    (void)printf(
        "%" PRIu64 " events, %" PRIu64 " changes of presence, %" PRIu64
        " kills, %" PRIu64 " cuts, %" PRIu64
        " failures of Redis; all agreed again after %" PRIu64 " ms at most\n",
        t->events, t->presence, t->kills, t->cuts, t->restarts, t->slowest_ms);
}

static uint64_t in_use(void)
{
    return mallinfo2().uordblks;
}

static void usage(void)
{
    (void)fprintf(stderr, "usage: sim [--runs N] [--seed S] [--nodes N] "
                          "[--steps N] [--trace]\n");
    exit(2);
}

struct options {
    uint64_t runs, seed, nodes, steps;
};

static void parse(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; i++) {
        uint64_t *to = NULL;
        char *end = NULL;
        if (!strcmp(argv[i], "--trace")) {
            sim.trace = true;
            continue;
        }
        if (!strcmp(argv[i], "--runs"))
            to = &o->runs;
        else if (!strcmp(argv[i], "--seed"))
            to = &o->seed;
        else if (!strcmp(argv[i], "--nodes"))
            to = &o->nodes;
        else if (!strcmp(argv[i], "--steps"))
            to = &o->steps;
        if (!to || ++i == argc)
            usage();
        *to = strtoull(argv[i], &end, 10);
        if (*end || end == argv[i])
            usage();
    }
    if (o->nodes > 12 || o->steps > 100000)
        usage();
}

int main(int argc, char **argv)
{
    struct options o = {.runs = 1000};
    if (getrandom(&o.seed, 4, 0) != 4)
        abort();
    parse(argc, argv, &o);
    sim.nodes = (unsigned)o.nodes;
    sim.steps = (unsigned)o.steps;
    log_set_level(LOG_ERROR);
    (void)signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(on_death);
    uint64_t all = 14695981039346656037U;
    uint64_t warm = 0;
    for (uint64_t i = 0; i < o.runs; i++) {
        plan_run(o.seed + i);
        all = (all ^ sim.hash) * 1099511628211U;
        if (i + 1 == WARM_RUNS)
            warm = in_use();
    }
    print_tally();
    (void)printf("seed %" PRIu64 ", hash %016" PRIx64 "\n", o.seed, all);
    if (warm > 0 && in_use() > warm + LEAK_BYTES) {
        (void)printf("%" PRIu64 " bytes have leaked\n", in_use() - warm);
        return 1;
    }
    return 0;
}
