#include <getopt.h>
#include <stdio.h>

#include "server/ctl/doctor.h"
#include "server/ctl/options.h"

enum { TIMEOUT_S = 120, TIMEOUT_S_MAX = 24 * 3600 };

static const char usage[] =
    "usage: confabctl doctor [OPTION]... URL\n"
    "\n"
    "Looks at a cluster through its balancer, as a client does, and says in a "
    "line\neach what is wrong, how that was seen and what to change. Says "
    "nothing when\nall is well. URL is what clients connect to; its path, if "
    "it has one, is the\nengine's (/socket.io/ otherwise).\n"
    "\n"
    "      --origin ORIGIN  pages of this origin, as https://example.org, are "
    "to be\n"
    "                       served: looks at the cross-origin answers\n"
    "      --credentials    ...and they send cookies\n"
    "      --node URL       asks this node, too, past the balancer; may be "
    "repeated\n"
    "      --chat           the application is confab's chat: lets clients on "
    "all\n"
    "                       nodes speak to each other, in a room of their own\n"
    "      --insecure       believes any certificate\n"
    "      --ca FILE        believes certificates of these authorities\n"
    "      --timeout S      seconds for all of it, 120; it takes a little "
    "longer than\n"
    "                       the server's ping interval\n"
    "  -v, --verbose        says what is right, too\n"
    "      --help\n"
    "\n"
    "Exit codes: 0 nothing is wrong, 1 something is, 2 bad usage.\n";

enum {
    OPT_ORIGIN = 256,
    OPT_CREDENTIALS,
    OPT_NODE,
    OPT_CHAT,
    OPT_INSECURE,
    OPT_CA,
    OPT_TIMEOUT,
    OPT_HELP,
};

static const struct option longs[] = {
    {"origin", required_argument, NULL, OPT_ORIGIN},
    {"credentials", no_argument, NULL, OPT_CREDENTIALS},
    {"node", required_argument, NULL, OPT_NODE},
    {"chat", no_argument, NULL, OPT_CHAT},
    {"insecure", no_argument, NULL, OPT_INSECURE},
    {"ca", required_argument, NULL, OPT_CA},
    {"timeout", required_argument, NULL, OPT_TIMEOUT},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

static int refuse(const char *why, const char *what)
{
    fprintf(stderr, "confabctl: %s%s; see confabctl doctor --help\n", why,
            what);
    return CTL_USAGE;
}

static int take_timeout(struct doctor_options *o, const char *text)
{
    uint64_t s;
    if (!str_to_u64(str_of(text), TIMEOUT_S_MAX, &s) || s == 0)
        return refuse("this is no number of seconds: ", text);
    o->timeout_ms = (uint32_t)s * 1000;
    return -1;
}

static int take_node(struct doctor_options *o, const char *text)
{
    if (o->n_nodes == DOCTOR_NODES_MAX)
        return refuse("more than 64 nodes are named", "");
    o->nodes[o->n_nodes++] = text;
    return -1;
}

static int take_origin(struct doctor_options *o, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p <= ' ' || *p > '~')
            return refuse("this is no origin: ", text);
    }
    o->origin = text;
    return -1;
}

static int take_option(struct doctor_options *o, int c)
{
    switch (c) {
    case OPT_ORIGIN:
        return take_origin(o, optarg);
    case OPT_CREDENTIALS:
        o->credentials = true;
        return -1;
    case OPT_NODE:
        return take_node(o, optarg);
    case OPT_CHAT:
        o->chat = true;
        return -1;
    case OPT_INSECURE:
        o->insecure = true;
        return -1;
    case OPT_CA:
        o->ca_file = optarg;
        return -1;
    case OPT_TIMEOUT:
        return take_timeout(o, optarg);
    case 'v':
        o->verbose = true;
        return -1;
    case 'h':
    case OPT_HELP:
        fputs(usage, stdout);
        return CTL_OK;
    default:
        return refuse("an option is wrong", "");
    }
}

static int take_url(struct doctor_options *o, const char *text)
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

static int check_nodes(const struct doctor_options *o)
{
    for (size_t i = 0; i < o->n_nodes; i++) {
        struct ctl_url url;
        const char *why;
        if (ctl_url_parse(&url, o->nodes[i], &why) < 0)
            return refuse("this node has no URL: ", o->nodes[i]);
    }
    return -1;
}

int doctor_options_read(struct doctor_options *o, int argc, char **argv)
{
    int c, rc = -1;
    *o = (struct doctor_options){.timeout_ms = TIMEOUT_S * 1000};
    while (rc < 0 && (c = getopt_long(argc, argv, "hv", longs, NULL)) != -1)
        rc = take_option(o, c);
    if (rc >= 0)
        return rc;
    if (argc - optind != 1)
        return refuse("which cluster? Give one URL", "");
    if (o->credentials && !o->origin)
        return refuse("--credentials means nothing without --origin", "");
    rc = take_url(o, argv[optind]);
    return rc < 0 ? check_nodes(o) : rc;
}
