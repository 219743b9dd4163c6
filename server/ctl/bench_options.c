#include <assert.h>
#include <getopt.h>
#include <stdio.h>

#include "server/ctl/bench.h"
#include "server/ctl/options.h"

/* Each client remembers of each other in its room what it heard last. */
enum { PAIRS_MAX = 100 * 1000 * 1000 };

static const char usage[] =
    "usage: confabctl bench [OPTION]... URL\n"
    "\n"
    "Clients speak to each other in rooms, as users of confab's chat, and "
    "check that\neveryone hears everything once and in order. URL is what "
    "clients connect to; its\npath, if it has one, is the engine's "
    "(/socket.io/ otherwise).\n"
    "\n"
    "      --clients N      100; at most 20000\n"
    "      --rooms N        they are spread over, 10\n"
    "      --rate N         messages a second, of all clients together, 100\n"
    "      --window N       instead: each client always has N messages "
    "without an\n"
    "                       answer\n"
    "      --size N         bytes of a message, 64\n"
    "      --seconds N      10\n"
    "      --transport T    websocket, polling or upgrade; websocket\n"
    "      --namespace N    /\n"
    "      --event E        instead of the chat's: sends the event E with a "
    "string,\n"
    "                       which its answer must hold\n"
    "      --heard E        ...or with which all clients of the namespace get "
    "the\n"
    "                       event E\n"
    "      --late MS        counts what takes longer, 1000\n"
    "      --insecure       believes any certificate\n"
    "      --ca FILE        believes certificates of these authorities\n"
    "      --help\n"
    "\n"
    "What the server refuses (rate limits) is counted, and is no fault.\n"
    "\n"
    "Exit codes: 0 everything was heard once and in order, 1 it was not, or a "
    "client\ncould not connect or was cut off, 2 bad usage.\n";

enum {
    OPT_CLIENTS = 256,
    OPT_ROOMS,
    OPT_RATE,
    OPT_WINDOW,
    OPT_SIZE,
    OPT_SECONDS,
    OPT_LATE,
    OPT_TRANSPORT,
    OPT_NAMESPACE,
    OPT_EVENT,
    OPT_HEARD,
    OPT_INSECURE,
    OPT_CA,
    OPT_HELP,
};

static const struct option longs[] = {
    {"clients", required_argument, NULL, OPT_CLIENTS},
    {"rooms", required_argument, NULL, OPT_ROOMS},
    {"rate", required_argument, NULL, OPT_RATE},
    {"window", required_argument, NULL, OPT_WINDOW},
    {"size", required_argument, NULL, OPT_SIZE},
    {"seconds", required_argument, NULL, OPT_SECONDS},
    {"late", required_argument, NULL, OPT_LATE},
    {"transport", required_argument, NULL, OPT_TRANSPORT},
    {"namespace", required_argument, NULL, OPT_NAMESPACE},
    {"event", required_argument, NULL, OPT_EVENT},
    {"heard", required_argument, NULL, OPT_HEARD},
    {"insecure", no_argument, NULL, OPT_INSECURE},
    {"ca", required_argument, NULL, OPT_CA},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int refuse(const char *why, const char *what)
{
    fprintf(stderr, "confabctl: %s%s; see confabctl bench --help\n", why, what);
    return CTL_USAGE;
}

static int take_number(uint32_t *to, uint32_t max, const char *text)
{
    uint64_t n;
    if (!str_to_u64(str_of(text), max, &n) || n == 0)
        return refuse("this number is wrong, or too large: ", text);
    *to = (uint32_t)n;
    return -1;
}

static int take_transport(struct bench_options *o, const char *text)
{
    bool upgrade = strcmp(text, "upgrade") == 0;
    o->polling = upgrade || strcmp(text, "polling") == 0;
    o->websocket = upgrade || strcmp(text, "websocket") == 0;
    return o->polling || o->websocket
               ? -1
               : refuse("--transport is websocket, polling or upgrade, not ",
                        text);
}

static int take_numeric(struct bench_options *o, int c)
{
    switch (c) {
    case OPT_CLIENTS:
        return take_number(&o->clients, BENCH_CLIENTS_MAX, optarg);
    case OPT_ROOMS:
        return take_number(&o->rooms, BENCH_CLIENTS_MAX, optarg);
    case OPT_RATE:
        return take_number(&o->rate, 1000000, optarg);
    case OPT_WINDOW:
        return take_number(&o->window, CTL_ASKED_MAX / 2, optarg);
    case OPT_SIZE:
        return take_number(&o->size, BENCH_TEXT_MAX, optarg);
    case OPT_SECONDS:
        return take_number(&o->seconds, 24 * 3600, optarg);
    default:
        return take_number(&o->late_ms, 60000, optarg);
    }
}

static int take_option(struct bench_options *o, int c)
{
    if (c >= OPT_CLIENTS && c <= OPT_LATE)
        return take_numeric(o, c);
    switch (c) {
    case OPT_TRANSPORT:
        return take_transport(o, optarg);
    case OPT_NAMESPACE:
        o->nsp = optarg;
        return o->nsp[0] == '/' ? -1
                                : refuse("a namespace begins with /: ", o->nsp);
    case OPT_EVENT:
        o->event = optarg;
        return -1;
    case OPT_HEARD:
        o->heard = optarg;
        return -1;
    case OPT_INSECURE:
        o->insecure = true;
        return -1;
    case OPT_CA:
        o->ca_file = optarg;
        return -1;
    case 'h':
    case OPT_HELP:
        fputs(usage, stdout);
        return CTL_OK;
    default:
        return refuse("an option is wrong", "");
    }
}

static int take_url(struct bench_options *o, const char *text)
{
    const char *why;
    if (ctl_url_parse(&o->url, text, &why) < 0) {
        fprintf(stderr, "confabctl: %s is no URL: %s\n", text, why);
        return CTL_USAGE;
    }
    if (strcmp(o->url.path, "/") == 0)
        memcpy(o->url.path, "/socket.io/", sizeof("/socket.io/"));
    return -1;
}

/* Who hears an event of the application is not a matter of rooms. */
static int complete(struct bench_options *o, bool rooms)
{
    if (o->heard && !o->event)
        return refuse("--heard means nothing without --event", "");
    if (o->event && rooms)
        return refuse("with --event there are no --rooms", "");
    if (o->rate && o->window)
        return refuse("either --rate or --window", "");
    if (!o->rate && !o->window)
        o->rate = 100;
    if (o->event)
        o->rooms = o->heard ? 1 : o->clients;
    if (o->rooms > o->clients && rooms)
        return refuse("there are more rooms than clients", "");
    if (o->rooms > o->clients)
        o->rooms = o->clients;
    assert(o->rooms > 0);
    uint64_t members = (o->clients + o->rooms - 1) / o->rooms;
    if (members * o->clients > PAIRS_MAX)
        return refuse("too many clients in a room to keep track of: take more "
                      "--rooms",
                      "");
    return -1;
}

int bench_options_read(struct bench_options *o, int argc, char **argv)
{
    int c, rc = -1;
    bool rooms = false;
    *o = (struct bench_options){.clients = 100,
                                .rooms = 10,
                                .size = 64,
                                .seconds = 10,
                                .late_ms = 1000,
                                .websocket = true,
                                .nsp = "/"};
    while (rc < 0 && (c = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        rooms = rooms || c == OPT_ROOMS;
        rc = take_option(o, c);
    }
    if (rc >= 0)
        return rc;
    if (argc - optind != 1)
        return refuse("which server? Give one URL", "");
    rc = take_url(o, argv[optind]);
    return rc < 0 ? complete(o, rooms) : rc;
}
