#include "server/ctl/bench.h"

#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include "common/id.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "server/ctl/options.h"

enum {
    STEP_MS = 10000,
    AT_ONCE = 64, /* handshakes under way */
    TURN_MS = 10,
    TICK_MS = 1,      /* of a rate */
    BURST_MAX = 2000, /* messages of one tick */
    REST_MS = 5000,   /* for what is on its way in the end */
    TWICE_MS = 300,   /* for what comes twice */
    ANSWER_BYTES = 256 * 1024,
    DESCRIPTORS = 3, /* of a client, at most */
    DESCRIPTORS_ELSE = 32,
};

/* ---- progress ------------------------------------------------------------ */

struct pulse {
    struct bench *bench;
    const char *phase;
    uint64_t last_ms, heard;
};

static void beat(struct pulse *p)
{
    uint64_t now = loop_now(p->bench->net.loop);
    if (now - p->last_ms < 1000)
        return;
    bench_progress(p->bench, p->phase, p->heard, now - p->last_ms);
    p->last_ms = now;
    p->heard = p->bench->counts.heard;
}

static struct pulse pulse_of(struct bench *b, const char *phase)
{
    return (struct pulse){b, phase, loop_now(b->net.loop), b->counts.heard};
}

/* ---- phases -------------------------------------------------------------- */

static void connect_all(struct bench *b)
{
    uint64_t began = loop_clock_us();
    uint32_t next = 0;
    struct pulse p = pulse_of(b, "connecting");
    while (!b->interrupted &&
           (next < b->options.clients || b->counts.pending)) {
        while (next < b->options.clients && b->counts.pending < AT_ONCE)
            bench_connect(&b->client[next++]);
        loop_turn(b->net.loop, TURN_MS);
        beat(&p);
    }
    b->connecting_us = loop_clock_us() - began;
}

static void fill_windows(struct bench *b)
{
    for (uint32_t w = 0; w < b->options.window; w++) {
        for (uint32_t i = 0; i < b->options.clients; i++) {
            if (b->client[i].ready)
                (void)bench_speak(&b->client[i]);
        }
    }
    loop_turn(b->net.loop, 0);
}

/* The next client speaks that can. */
static bool speak_in_turn(struct bench *b, uint32_t *turn)
{
    for (uint32_t tried = 0; tried < b->options.clients; tried++) {
        struct bench_client *c = &b->client[*turn];
        *turn = (*turn + 1) % b->options.clients;
        if (c->ready && bench_speak(c))
            return true;
    }
    return false;
}

/* Keeps the rate from inside the loop's turns, so that what is said goes out
 * with the turn. */
struct pace {
    struct timer tick;
    struct bench *bench;
    uint64_t began_us, done;
    uint32_t turn;
};

static void on_tick(struct timer *t)
{
    struct pace *p = container_of(t, struct pace, tick);
    struct bench *b = p->bench;
    uint64_t due = (loop_clock_us() - p->began_us) * b->options.rate / 1000000;
    for (unsigned n = 0; p->done < due && n < BURST_MAX; n++) {
        if (speak_in_turn(b, &p->turn))
            p->done++;
        else
            p->done = due; /* that time is over */
    }
    loop_timer(b->net.loop, t, TICK_MS);
}

static void talk(struct bench *b)
{
    uint64_t busy = metrics_histogram[H_LOOP_TURN].sum;
    struct pace pace = {.bench = b, .began_us = loop_clock_us()};
    struct pulse p = pulse_of(b, "talking");
    uint64_t length = (uint64_t)b->options.seconds * 1000000;
    b->talking = true;
    timer_init(&pace.tick, on_tick);
    if (b->options.rate)
        loop_timer(b->net.loop, &pace.tick, TICK_MS);
    else
        fill_windows(b);
    while (b->talking_us < length && !b->interrupted &&
           b->counts.ended < b->counts.connected) {
        loop_turn(b->net.loop, TURN_MS);
        b->talking_us = loop_clock_us() - pace.began_us;
        beat(&p);
    }
    timer_stop(&pace.tick);
    b->talking = false;
    b->busy_us = metrics_histogram[H_LOOP_TURN].sum - busy;
}

static bool all_heard(const struct bench *b)
{
    return b->open == 0 && sequence_sum(b->sequence).missing == 0;
}

static void turn_for(struct bench *b, uint64_t ms)
{
    uint64_t end = loop_now(b->net.loop) + ms;
    while (loop_now(b->net.loop) < end)
        loop_turn(b->net.loop, TURN_MS);
}

static void hear_out(struct bench *b)
{
    uint64_t rest = REST_MS + (uint64_t)b->options.late_ms;
    uint64_t end = loop_now(b->net.loop) + rest;
    struct pulse p = pulse_of(b, "hearing the rest");
    while (!all_heard(b) && loop_now(b->net.loop) < end) {
        turn_for(b, 100);
        beat(&p);
    }
    turn_for(b, TWICE_MS);
}

/* ---- life ---------------------------------------------------------------- */

static bool descriptors_suffice(const struct bench_options *o)
{
    struct rlimit rl;
    rlim_t need = (rlim_t)o->clients * DESCRIPTORS + DESCRIPTORS_ELSE;
    if (!o->polling)
        need = o->clients + DESCRIPTORS_ELSE;
    if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur >= need)
        return true;
    rl.rlim_cur = rl.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &rl);
    if (rl.rlim_max >= need)
        return true;
    fprintf(stderr,
            "confabctl: %u clients need %llu descriptors, and this process "
            "may have %llu (ulimit -n)\n",
            o->clients, (unsigned long long)need,
            (unsigned long long)rl.rlim_max);
    return false;
}

static void on_interrupt(evutil_socket_t sig, short what, void *arg)
{
    (void)sig;
    (void)what;
    struct bench *b = arg;
    b->interrupted = true;
}

static void begin(struct bench *b)
{
    const struct bench_options *o = &b->options;
    ctl_net_open(&b->net, STEP_MS);
    id_hex(b->run, BENCH_RUN_LEN);
    b->sequence = sequence_new(o->clients, o->rooms);
    b->client = mem_zalloc(o->clients * sizeof(*b->client));
    for (uint32_t i = 0; i < o->clients; i++) {
        b->client[i].bench = b;
        b->client[i].number = i;
    }
    b->settings = (struct ctl_client_settings){
        .eio = {.url = &o->url,
                .polling = o->polling,
                .websocket = o->websocket,
                .timeout_ms = STEP_MS,
                .max_bytes = ANSWER_BYTES + o->size * 2},
        .nsp = str_of(o->nsp)};
    buf_init(&b->text, UINT32_MAX);
    buf_init(&b->scratch, UINT32_MAX);
}

static int run(struct bench *b)
{
    begin(b);
    struct event *interrupt =
        event_new(b->net.loop->base, SIGINT, EV_SIGNAL, on_interrupt, b);
    event_add(interrupt, NULL);
    connect_all(b);
    if (b->counts.connected > 0) {
        talk(b);
        hear_out(b);
    }
    int rc = bench_report(b);
    for (uint32_t i = 0; i < b->options.clients; i++)
        bench_client_free(&b->client[i]);
    event_free(interrupt);
    ctl_net_close(&b->net);
    sequence_free(b->sequence);
    mem_free(b->client);
    buf_fini(&b->text);
    buf_fini(&b->scratch);
    return rc;
}

int bench_main(int argc, char **argv)
{
    struct bench *b = mem_zalloc(sizeof(*b));
    char err[TLS_ERR_MAX];
    int rc = bench_options_read(&b->options, argc, argv);
    if (rc < 0 && !descriptors_suffice(&b->options))
        rc = CTL_USAGE;
    if (rc < 0) {
        b->net.tls =
            tls_client_new(b->options.ca_file, !b->options.insecure, err);
        if (b->net.tls) {
            rc = run(b);
        } else {
            fprintf(stderr, "confabctl: %s\n", err);
            rc = CTL_USAGE;
        }
    }
    mem_free(b);
    return rc;
}
