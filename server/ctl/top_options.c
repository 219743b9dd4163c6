#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/ctl/options.h"
#include "server/ctl/top.h"

static const char usage[] =
    "usage: confabctl top [OPTION]...\n"
    "\n"
    "Shows the nodes of a cluster, its largest rooms and its slowest clients, "
    "anew\nevery second.\n"
    "\n"
    "      --admin URL   asks this node's admin listener, http://HOST:PORT, "
    "or all\n"
    "                    nodes that HOST has addresses of; may be repeated, "
    "or name\n"
    "                    several with commas between them; otherwise the one "
    "that\n"
    "                    CONFAB_ADMIN_PORT and CONFAB_ADMIN_HOST tell\n"
    "      --interval S  seconds, 1; 0.1 to 3600\n"
    "      --once        prints it once, as plain text, after one interval; "
    "so it does\n"
    "                    when standard output is no terminal\n"
    "      --help\n"
    "\n"
    "Keys: q ends it; left and right, or 1 to 9, choose the column to sort "
    "by, r turns\nthe order round; up and down choose a node whose rooms and "
    "clients are shown.\n"
    "\n"
    "Exit codes: 0, 1 no node answers (with --once), 2 bad usage.\n";

enum { OPT_ADMIN = 256, OPT_INTERVAL, OPT_ONCE, OPT_HELP };

static const struct option longs[] = {
    {"admin", required_argument, NULL, OPT_ADMIN},
    {"interval", required_argument, NULL, OPT_INTERVAL},
    {"once", no_argument, NULL, OPT_ONCE},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int refuse(const char *why, const char *what)
{
    fprintf(stderr, "confabctl: %s%s; see confabctl top --help\n", why, what);
    return CTL_USAGE;
}

static int take_interval(struct top_options *o, const char *text)
{
    char *end;
    double s = strtod(text, &end);
    if (end == text || *end || !isfinite(s) || s < 0.1 || s > 3600)
        return refuse("this is no number of seconds from 0.1 to 3600: ", text);
    o->interval_ms = (uint32_t)(s * 1000);
    return -1;
}

static int take_option(struct top_options *o, int c)
{
    switch (c) {
    case OPT_ADMIN:
        return ctl_targets_add(&o->targets, optarg);
    case OPT_INTERVAL:
        return take_interval(o, optarg);
    case OPT_ONCE:
        o->once = true;
        return -1;
    case 'h':
    case OPT_HELP:
        fputs(usage, stdout);
        return CTL_OK;
    default:
        return refuse("an option is wrong", "");
    }
}

int top_options_read(struct top_options *o, int argc, char **argv)
{
    int c, rc = -1;
    *o = (struct top_options){.interval_ms = 1000};
    while (rc < 0 && (c = getopt_long(argc, argv, "h", longs, NULL)) != -1)
        rc = take_option(o, c);
    if (rc >= 0)
        return rc;
    if (optind < argc)
        return refuse("this is too much: ", argv[optind]);
    return ctl_targets_complete(&o->targets);
}
