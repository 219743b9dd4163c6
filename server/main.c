/* The node: arguments, settings, the chat application, exit codes (0 clean
 * stop, 1 failure at run time, 2 bad usage or configuration). */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/app/chat.h"
#include "server/app/page.h"
#include "server/http/bundle.h"
#include "server/settings.h"
#include "server/sio.h"

enum { EXIT_USAGE = 2, SETS_MAX = 256 };

struct options {
    const char *file;
    const char *sets[SETS_MAX];
    int n_sets;
    bool check, print;
};

static const char usage[] =
    "usage: confab [-c FILE] [--set section.key=value]... [--check-config]\n"
    "              [--print-config] [--version] [--help]\n"
    "\n"
    "A node of a chat cluster that speaks Socket.IO.\n"
    "\n"
    "  -c, --config FILE   read settings from a YAML file\n"
    "      --set KEY=VALUE set one, e.g. --set listen.port=8000; wins over "
    "the\n"
    "                      file and over CONFAB_SECTION_KEY in the "
    "environment\n"
    "      --check-config  check the settings and exit\n"
    "      --print-config  print all settings, with help, as a YAML file\n"
    "      --version       print versions and exit\n"
    "\n"
    "Exit codes: 0 clean stop, 1 failure, 2 bad usage or configuration.\n";

static void print_version(void)
{
    struct str client = bundle_version();
    printf("confab %s (socket.io-client %.*s, Engine.IO 4, Socket.IO 5)\n",
           CONFAB_VERSION, STR_ARG(client));
}

/* -1: go on; otherwise exit with it. */
static int read_arguments(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        {"config", required_argument, NULL, 'c'},
        {"set", required_argument, NULL, 's'},
        {"check-config", no_argument, NULL, 'k'},
        {"print-config", no_argument, NULL, 'p'},
        {"version", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "c:h", longs, NULL)) != -1) {
        if (c == 'c') {
            o->file = optarg;
        } else if (c == 's' && o->n_sets < SETS_MAX) {
            o->sets[o->n_sets++] = optarg;
        } else if (c == 'k') {
            o->check = true;
        } else if (c == 'p') {
            o->print = true;
        } else if (c == 'v') {
            print_version();
            return 0;
        } else {
            fputs(usage, c == 'h' ? stdout : stderr);
            return c == 'h' ? 0 : EXIT_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "confab: unexpected argument %s\n%s", argv[optind],
                usage);
        return EXIT_USAGE;
    }
    return -1;
}

static int configure(struct sio_server *srv, const struct options *o)
{
    int rc = o->file ? sio_server_config_file(srv, o->file) : 0;
    if (rc == 0)
        rc = sio_server_config_env(srv);
    for (int i = 0; i < o->n_sets && rc == 0; i++)
        rc = sio_server_set(srv, o->sets[i]);
    if (rc == 0)
        rc = sio_server_check(srv);
    return rc;
}

static int serve(struct sio_server *srv)
{
    chat_install(srv);
    page_install(srv);
    int rc = sio_server_listen(srv);
    if (rc == 0) {
        const char *host = sio_server_host(srv);
        const char *admin = sio_server_admin(srv);
        printf("confab ready on http%s://%s:%u node=%s%s%s\n",
               sio_server_secure(srv) ? "s" : "", host[0] ? host : "localhost",
               sio_server_port(srv), sio_server_node(srv),
               admin[0] ? " admin=" : "", admin);
        fflush(stdout);
        rc = sio_server_run(srv);
    }
    if (rc < 0)
        fprintf(stderr, "confab: %s\n", sio_server_error(srv));
    return rc == SIO_ERR_CONFIG ? EXIT_USAGE : rc < 0 ? EXIT_FAILURE : 0;
}

int main(int argc, char **argv)
{
    struct options o = {0};
    int rc = read_arguments(argc, argv, &o);
    if (rc >= 0)
        return rc;
    struct sio_server *srv = sio_server_new();
    if (configure(srv, &o) < 0) {
        fprintf(stderr, "confab: %s\n", sio_server_error(srv));
        rc = EXIT_USAGE;
    } else if (o.print) {
        sio_server_print_config(srv, stdout);
        rc = 0;
    } else if (o.check) {
        puts("confab: the configuration is good");
        rc = 0;
    } else {
        rc = serve(srv);
    }
    sio_server_free(srv);
    return rc;
}
