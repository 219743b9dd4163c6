#include "server/ctl/drain.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "server/ctl/http.h"
#include "server/ctl/options.h"
#include "server/ctl/targets.h"
#include "server/ctl/top_sample.h"

enum { STEP_MS = 5000, TURN_MS = 50, ASK_MS = 500, ANSWER_MAX = 1024 * 1024 };

static const char usage[] =
    "usage: confabctl drain [--admin URL] [--wait]\n"
    "\n"
    "Tells a node to see its clients off and to end, as SIGTERM does.\n"
    "\n"
    "      --admin URL  of the node's admin listener; otherwise the one that\n"
    "                   CONFAB_ADMIN_PORT and CONFAB_ADMIN_HOST tell\n"
    "      --wait       says how many sessions are left, until the node has "
    "gone\n"
    "      --help\n"
    "\n"
    "Exit codes: 0 it drains (with --wait: it has gone), 1 it does not, 2 bad "
    "usage.\n";

enum { OPT_ADMIN = 256, OPT_WAIT, OPT_HELP };

static const struct option longs[] = {
    {"admin", required_argument, NULL, OPT_ADMIN},
    {"wait", no_argument, NULL, OPT_WAIT},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

struct drain {
    struct ctl_targets targets;
    struct ctl_net net;
    struct ctl_url url; /* with one address */
    struct ctl_http *http;
    bool wait;
    size_t addresses;
    bool done; /* what is waited for */
    bool answered;
    unsigned status;
    struct ctl_fault why;
    struct top_sample state;
    bool told;
};

static int read_options(struct drain *d, int argc, char **argv)
{
    int c, rc = -1;
    while (rc < 0 && (c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        if (c == OPT_ADMIN) {
            rc = ctl_targets_add(&d->targets, optarg);
        } else if (c == OPT_WAIT) {
            d->wait = true;
        } else if (c == OPT_HELP || c == 'h') {
            fputs(usage, stdout);
            rc = CTL_OK;
        } else {
            rc = CTL_USAGE;
        }
    }
    if (rc < 0 && optind == argc)
        rc = ctl_targets_complete(&d->targets);
    else if (rc < 0)
        rc = CTL_USAGE;
    if (rc < 0 && d->targets.n > 1) {
        fputs("confabctl: drain one node after the other: give one --admin\n",
              stderr);
        rc = CTL_USAGE;
    }
    return rc;
}

static void turn(struct drain *d)
{
    while (!d->done)
        loop_turn(d->net.loop, TURN_MS);
}

/* ---- which node ---------------------------------------------------------- */

static void on_address(void *arg, const struct sockaddr *addr, socklen_t len,
                       const char *why)
{
    (void)len;
    struct drain *d = arg;
    if (addr) {
        if (d->addresses++ == 0)
            (void)ctl_target_at(&d->url, addr);
        return;
    }
    if (why)
        fprintf(stderr, "confabctl: %s has no address: %s\n",
                d->targets.v[0].host, why);
    d->done = true;
}

/* A name may stand for several: which of them would be drained is chance. */
static bool is_one(struct drain *d)
{
    d->done = false;
    (void)resolver_find_all(d->net.resolver, d->url.host, d->url.port,
                            on_address, d);
    turn(d);
    if (d->addresses > 1)
        fprintf(stderr,
                "confabctl: %s is the name of %zu nodes: give the address of "
                "one\n",
                d->targets.v[0].host, d->addresses);
    return d->addresses == 1;
}

/* ---- asking -------------------------------------------------------------- */

static void on_answer(void *arg, const struct ctl_answer *a,
                      const struct ctl_fault *why)
{
    struct drain *d = arg;
    d->done = true;
    d->answered = a != NULL;
    d->status = a ? a->status : 0;
    d->told =
        a && a->status == 200 && top_sample_read(&d->state, a->body, 0) == 0;
    if (!a)
        d->why = *why;
}

static void ask(struct drain *d, const char *verb, const char *target)
{
    bool post = strcmp(verb, "POST") == 0;
    struct ctl_request r = {.verb = verb,
                            .target = str_of(target),
                            .headers =
                                post ? STR("X-Confab-Admin: 1\r\n") : STR(""),
                            .body = post ? STR("") : (struct str){0},
                            .timeout_ms = STEP_MS};
    d->done = false;
    ctl_http_send(d->http, &r, on_answer, d);
    turn(d);
}

static void say_left(const struct drain *d, uint64_t left)
{
    bool live = isatty(STDOUT_FILENO);
    printf("%s%s: %llu sessions left%s", live ? "\r" : "",
           log_safe(str_of(d->state.node)), (unsigned long long)left,
           live ? "\x1b[K" : "\n");
    (void)fflush(stdout);
}

/* Until nobody listens there any more. */
static int wait_for_end(struct drain *d)
{
    uint64_t said = UINT64_MAX;
    unsigned silent = 0;
    for (;;) {
        ask(d, "GET", "/debug/state");
        if (!d->answered && d->why.kind == FAULT_CONNECT)
            break;
        silent = d->answered ? 0 : silent + 1;
        if (silent > 10) {
            fprintf(stderr, "confabctl: %s\n", d->why.text);
            return CTL_FAILED;
        }
        uint64_t left =
            d->state.number[TOP_POLLING] + d->state.number[TOP_WEBSOCKET];
        if (d->told && left != said)
            say_left(d, left);
        said = d->told ? left : said;
        uint64_t next = loop_now(d->net.loop) + ASK_MS;
        while (loop_now(d->net.loop) < next)
            loop_turn(d->net.loop, TURN_MS);
    }
    printf("%sit has gone\n", isatty(STDOUT_FILENO) ? "\n" : "");
    return CTL_OK;
}

static int visit(struct drain *d)
{
    d->url = d->targets.v[0];
    if (!is_one(d))
        return CTL_FAILED;
    d->http = ctl_http_new(&d->net, &d->url, ANSWER_MAX);
    ask(d, "POST", "/drain");
    int rc = d->answered && d->status == 200 ? CTL_OK : CTL_FAILED;
    if (rc == CTL_OK && d->wait)
        rc = wait_for_end(d);
    else if (rc == CTL_OK)
        printf("it drains\n");
    else if (d->answered)
        fprintf(stderr,
                "confabctl: POST /drain is answered with %u: is this an admin "
                "listener?\n",
                d->status);
    else
        fprintf(stderr, "confabctl: %s\n", d->why.text);
    ctl_http_free(d->http);
    return rc;
}

int drain_main(int argc, char **argv)
{
    struct drain *d = mem_zalloc(sizeof(*d));
    int rc = read_options(d, argc, argv);
    if (rc < 0) {
        ctl_net_open(&d->net, STEP_MS);
        rc = visit(d);
        ctl_net_close(&d->net);
    } else if (rc == CTL_USAGE) {
        fputs("See confabctl drain --help\n", stderr);
    }
    mem_free(d);
    return rc;
}
