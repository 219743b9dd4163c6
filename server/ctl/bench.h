/* `confabctl bench URL`: clients that speak to each other in rooms, and check
 * that everyone hears everything once and in order.
 *
 * What they say is the chat's (server/app/chat.h): "join room" and "chat
 * message" with an answer; or an event that is named, which every client hears
 * as another, or finds in the answer.
 *
 * bench.c has the phases, bench_client.c one client, bench_report.c what is
 * told. */
#ifndef CONFAB_SERVER_CTL_BENCH_H
#define CONFAB_SERVER_CTL_BENCH_H

#include "server/ctl/client.h"
#include "server/ctl/latency.h"
#include "server/ctl/reasons.h"
#include "server/ctl/sequence.h"

enum {
    BENCH_CLIENTS_MAX = 20000,
    BENCH_TEXT_MAX = 65536,
    BENCH_RUN_LEN = 8,
    BENCH_ANSWER_MS = 10000,
};

struct bench_options {
    struct ctl_url url;
    uint32_t clients, rooms;
    uint32_t rate;   /* messages a second of all together, or 0 and... */
    uint32_t window; /* each client has so many without an answer */
    uint32_t size, seconds, late_ms;
    bool polling, websocket;
    const char *nsp;
    const char *event; /* NULL: the chat's */
    const char *heard; /* with an event: what it is heard as; NULL: in the
                        * answer */
    bool insecure;
    const char *ca_file;
};

/* -1: go on; otherwise what to exit with, all being said. */
int bench_options_read(struct bench_options *o, int argc, char **argv);

/* With the arguments behind "bench". Returns an exit code. */
int bench_main(int argc, char **argv);

/* ---- inside -------------------------------------------------------------- */

struct bench_counts {
    uint64_t said, taken, refused, unanswered;
    uint64_t held; /* not sent, as the connection took no more */
    uint64_t heard, doubled, reordered, late, strange;
    uint64_t limited; /* of the refused: by the server's rate limits */
    uint32_t connected, failed, ended, pending; /* clients */
};

struct bench;

struct bench_client {
    struct bench *bench;
    uint32_t number;
    struct ctl_client *client;
    struct list open;   /* its questions, of struct bench_question */
    struct timer again; /* it connects, or speaks, again */
    unsigned tries;
    bool connected, upgraded, ready, over;
};

struct bench {
    struct bench_options options;
    struct ctl_net net;
    struct ctl_client_settings settings;
    char run[BENCH_RUN_LEN + 1]; /* marks what is ours */
    struct bench_client *client;
    struct sequence *sequence;
    struct bench_counts counts;
    struct latency deliveries, answers;
    struct reasons failures, ends, refusals;
    uint64_t open;     /* questions */
    uint64_t retry_ms; /* the longest that a rate limit told to wait */
    uint64_t connecting_us, talking_us, busy_us;
    bool talking, interrupted;
    struct buf text, scratch;
};

/* The client connects; it becomes ready, or counts as failed. */
void bench_connect(struct bench_client *c);
/* Says something; false when it cannot now. */
bool bench_speak(struct bench_client *c);
void bench_client_free(struct bench_client *c);

/* One line on the terminal, written over the one before. */
void bench_progress(const struct bench *b, const char *phase,
                    uint64_t heard_before, uint64_t ms);
/* Prints the result and returns the exit code. */
int bench_report(const struct bench *b);

#endif
