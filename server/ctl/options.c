#include "server/ctl/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/buf.h"

static const char usage[] =
    "usage: confabctl [--redis URL] [--prefix P] COMMAND [OPTION]...\n"
    "       confabctl top|drain [OPTION]...\n"
    "       confabctl doctor|bench [OPTION]... URL\n"
    "\n"
    "Looks after a cluster; each has a --help of its own:\n"
    "\n"
    "  top\n"
    "      shows its nodes, rooms and slow clients in a terminal\n"
    "  drain\n"
    "      tells a node to see its clients off and to end\n"
    "  doctor\n"
    "      looks at it as a client does, and says what is wrong\n"
    "  bench\n"
    "      puts load on it, and checks that all of it arrives, in order\n"
    "\n"
    "Publishes into a cluster of Socket.IO servers, through its Redis:\n"
    "\n"
    "  emit [--volatile] [--no-compress] [--text] EVENT [ARGUMENT]...\n"
    "      an event to clients; arguments are JSON, with --text plain strings\n"
    "  emit --lines\n"
    "      an event for each line of standard input, one JSON object a line:\n"
    "        {\"event\":\"news\",\"args\":[1,\"two\"],\"to\":[\"room\",7],"
    "\"except\":[],\n"
    "         \"namespace\":\"/\",\"volatile\":true,\"compress\":false}\n"
    "      all but event may be left out; bad lines are reported, others sent\n"
    "  join ROOM...\n"
    "  leave ROOM...\n"
    "      clients join or leave these rooms\n"
    "  disconnect [--close]\n"
    "      clients are put out of the namespace, or their connections closed\n"
    "  server-emit [--text] EVENT [ARGUMENT]...\n"
    "      an event to the servers themselves\n"
    "\n"
    "Which clients (not for server-emit and --lines):\n"
    "      --to ROOM        those in this room; may be repeated\n"
    "      --except ROOM    but not those in this one; may be repeated\n"
    "      --numbers        each ROOM is a number, as JavaScript servers may\n"
    "                       have it\n"
    "  -n, --namespace N    of this namespace; / when nothing is said\n"
    "\n"
    "Where, later ones win:\n"
    "  -c, --config FILE    a node's settings: redis.url or redis.url_file, "
    "and\n"
    "                       redis.prefix\n"
    "                       CONFAB_REDIS_URL, CONFAB_REDIS_URL_FILE,\n"
    "                       CONFAB_REDIS_PREFIX in the environment\n"
    "      --redis URL      redis://[user:password@]host[:port][/db]\n"
    "      --prefix P       of channels\n"
    "\n"
    "      --version, --help\n"
    "\n"
    "Exit codes: 0 all is published, 1 not all of it, 2 bad usage.\n";

enum option_id {
    OPT_CONFIG = 256, /* above all letters */
    OPT_HELP,
    OPT_VERSION,
    OPT_REDIS,
    OPT_PREFIX,
    OPT_NAMESPACE,
    OPT_TO,
    OPT_EXCEPT,
    OPT_NUMBERS,
    OPT_VOLATILE,
    OPT_NO_COMPRESS,
    OPT_TEXT,
    OPT_LINES,
    OPT_CLOSE,
};

static const struct option longs[] = {
    {"config", required_argument, NULL, OPT_CONFIG},
    {"help", no_argument, NULL, OPT_HELP},
    {"version", no_argument, NULL, OPT_VERSION},
    {"redis", required_argument, NULL, OPT_REDIS},
    {"prefix", required_argument, NULL, OPT_PREFIX},
    {"namespace", required_argument, NULL, OPT_NAMESPACE},
    {"to", required_argument, NULL, OPT_TO},
    {"except", required_argument, NULL, OPT_EXCEPT},
    {"numbers", no_argument, NULL, OPT_NUMBERS},
    {"volatile", no_argument, NULL, OPT_VOLATILE},
    {"no-compress", no_argument, NULL, OPT_NO_COMPRESS},
    {"text", no_argument, NULL, OPT_TEXT},
    {"lines", no_argument, NULL, OPT_LINES},
    {"close", no_argument, NULL, OPT_CLOSE},
    {NULL, 0, NULL, 0},
};

#define BIT(opt) (1U << ((opt)-OPT_CONFIG))
#define EVERYWHERE (BIT(OPT_CONFIG) | BIT(OPT_REDIS) | BIT(OPT_PREFIX))
#define SELECTING \
    (BIT(OPT_NAMESPACE) | BIT(OPT_TO) | BIT(OPT_EXCEPT) | BIT(OPT_NUMBERS))

static const struct command {
    const char *name;
    uint32_t takes; /* besides what is taken everywhere */
    int min_words, max_words;
    const char *words; /* what they are */
} commands[] = {
    [CTL_EMIT] = {"emit",
                  SELECTING | BIT(OPT_VOLATILE) | BIT(OPT_NO_COMPRESS) |
                      BIT(OPT_TEXT),
                  1, INT32_MAX, "an event's name"},
    [CTL_EMIT_LINES] = {"emit --lines", BIT(OPT_LINES), 0, 0, ""},
    [CTL_JOIN] = {"join", SELECTING, 1, SIO_EMISSION_ROOMS, "1 to 64 rooms"},
    [CTL_LEAVE] = {"leave", SELECTING, 1, SIO_EMISSION_ROOMS, "1 to 64 rooms"},
    [CTL_DISCONNECT] = {"disconnect", SELECTING | BIT(OPT_CLOSE), 0, 0, ""},
    [CTL_SERVER_EMIT] = {"server-emit", BIT(OPT_NAMESPACE) | BIT(OPT_TEXT), 1,
                         INT32_MAX, "an event's name"},
};

/* As they came, before it is known what all of them mean. */
struct arguments {
    uint32_t given;
    const char *command, *file, *url, *prefix;
};

static int refuse(const char *why, const char *what)
{
    fprintf(stderr, "confabctl: %s%s; see confabctl --help\n", why, what);
    return CTL_USAGE;
}

/* ---- arguments ----------------------------------------------------------- */

static int add_name(char **names, size_t *n, char *name)
{
    if (*n == SIO_EMISSION_ROOMS)
        return refuse("more than 64 rooms are named", "");
    names[(*n)++] = name;
    return -1;
}

static int take_option(struct ctl_options *o, struct arguments *a, int opt)
{
    a->given |= BIT(opt);
    switch (opt) {
    case OPT_CONFIG:
        a->file = optarg;
        break;
    case OPT_REDIS:
        a->url = optarg;
        break;
    case OPT_PREFIX:
        a->prefix = optarg;
        break;
    case OPT_NAMESPACE:
        o->nsp = optarg;
        break;
    case OPT_TO:
        return add_name(o->to, &o->n_to, optarg);
    case OPT_EXCEPT:
        return add_name(o->except, &o->n_except, optarg);
    case OPT_HELP:
        fputs(usage, stdout);
        return CTL_OK;
    case OPT_VERSION:
        printf("confabctl %s\n", CONFAB_VERSION);
        return CTL_OK;
    default:
        break;
    }
    return -1;
}

static int option_of(int c)
{
    switch (c) {
    case 'c':
        return OPT_CONFIG;
    case 'h':
        return OPT_HELP;
    case 'n':
        return OPT_NAMESPACE;
    default:
        return c;
    }
}

/* Options stand before the words that they do not belong to: a word may begin
 * with a minus then, as a negative number does. */
static int read_arguments(struct ctl_options *o, struct arguments *a, int argc,
                          char **argv)
{
    for (;;) {
        int c = getopt_long(argc, argv, "+c:hn:", longs, NULL);
        if (c == '?')
            return refuse("an option is wrong", "");
        if (c != -1) {
            int rc = take_option(o, a, option_of(c));
            if (rc >= 0)
                return rc;
        } else if (!a->command && optind < argc) {
            a->command = argv[optind++];
        } else {
            break;
        }
    }
    o->words = argv + optind;
    o->n_words = argc - optind;
    return a->command ? -1 : refuse("no command", "");
}

/* ---- what they mean ------------------------------------------------------ */

static int find_command(struct ctl_options *o, const struct arguments *a)
{
    size_t n = sizeof(commands) / sizeof(commands[0]);
    size_t i = 0;
    while (i < n && strcmp(commands[i].name, a->command) != 0)
        i++;
    if (i == n)
        return refuse("there is no command ", a->command);
    if (i == CTL_EMIT && a->given & BIT(OPT_LINES))
        i = CTL_EMIT_LINES;
    const struct command *c = &commands[i];
    for (const struct option *opt = longs; opt->name; opt++) {
        if ((a->given & BIT(opt->val) & ~(c->takes | EVERYWHERE)) == 0)
            continue;
        fprintf(stderr, "confabctl: %s does not take --%s\n", c->name,
                opt->name);
        return CTL_USAGE;
    }
    if (o->n_words < c->min_words || o->n_words > c->max_words) {
        fprintf(stderr, "confabctl: %s takes %s%s\n", c->name,
                c->max_words ? c->words : "no more arguments",
                c->max_words ? " after its options" : "");
        return CTL_USAGE;
    }
    o->command = (enum ctl_command)i;
    o->numbers = a->given & BIT(OPT_NUMBERS);
    o->is_volatile = a->given & BIT(OPT_VOLATILE);
    o->no_compress = a->given & BIT(OPT_NO_COMPRESS);
    o->text = a->given & BIT(OPT_TEXT);
    o->close = a->given & BIT(OPT_CLOSE);
    return -1;
}

static int check_numbers(char *const *rooms, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *end;
        errno = 0;
        (void)strtoll(rooms[i], &end, 10);
        if (errno || end == rooms[i] || *end)
            return refuse("with --numbers, this room is no number: ", rooms[i]);
    }
    return -1;
}

static int check_rooms(const struct ctl_options *o)
{
    if (!o->numbers)
        return -1;
    int rc = check_numbers(o->to, o->n_to);
    if (rc < 0)
        rc = check_numbers(o->except, o->n_except);
    if (rc < 0 && (o->command == CTL_JOIN || o->command == CTL_LEAVE))
        rc = check_numbers(o->words, (size_t)o->n_words);
    return rc;
}

static int set(struct ctl_options *o, const char *key, const char *value,
               char err[CONFIG_ERR_MAX])
{
    if (!value)
        return 0;
    struct buf text;
    buf_init(&text, SIZE_MAX);
    buf_fmt(&text, "%s=%s", key, value);
    int rc = config_set(&settings_table, &o->settings, buf_str(&text),
                        "arguments", err);
    buf_fini(&text);
    return rc;
}

static int read_settings(struct ctl_options *o, const struct arguments *a)
{
    char err[CONFIG_ERR_MAX];
    int rc = 0;
    if (a->file)
        rc = config_load_file(&settings_table, &o->settings, a->file, err);
    if (rc == 0)
        rc = config_load_env(&settings_table, &o->settings, environ, err);
    if (rc == 0)
        rc = set(o, "redis.url", a->url, err);
    if (rc == 0 && a->url)
        rc = set(o, "redis.url_file", "", err);
    if (rc == 0)
        rc = settings_complete(&o->settings, err);
    if (rc == 0)
        rc = set(o, "redis.prefix", a->prefix, err);
    if (rc < 0) {
        fprintf(stderr, "confabctl: %s\n", err);
        return CTL_USAGE;
    }
    if (!o->settings.redis_url[0])
        return refuse("which Redis? Give --redis redis://host:port or set "
                      "CONFAB_REDIS_URL",
                      "");
    return -1;
}

int ctl_options_read(struct ctl_options *o, int argc, char **argv)
{
    struct arguments a = {0};
    *o = (struct ctl_options){.nsp = "/"};
    config_defaults(&settings_table, &o->settings);
    int rc = read_arguments(o, &a, argc, argv);
    if (rc < 0)
        rc = find_command(o, &a);
    if (rc < 0)
        rc = check_rooms(o);
    if (rc < 0)
        rc = read_settings(o, &a);
    return rc;
}

void ctl_options_fini(struct ctl_options *o)
{
    config_fini(&settings_table, &o->settings);
}
