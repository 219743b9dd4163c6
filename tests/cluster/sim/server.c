#include "tests/cluster/sim/server.h"

#include "common/mem.h"
#include "tests/cluster/sim/bus.h"
#include "tests/cluster/sim/check.h"
#include "tests/cluster/sim/sim.h"

struct subscription {
    struct list link;
    struct bytes *name;
    bool pattern;
};

static struct list clients = {&clients, &clients};

static struct subscription *subscription_at(struct list *n)
{
    return container_of(n, struct subscription, link);
}

static struct server_client *client_at(struct list *n)
{
    return container_of(n, struct server_client, link);
}

/* ---- patterns ------------------------------------------------------------ */

/* `*p` stands behind the bracket, and is moved to the one that closes. */
static bool in_class(struct str pattern, size_t *p, char c)
{
    bool found = false;
    bool negated = *p < pattern.len && pattern.p[*p] == '^';
    if (negated)
        ++*p;
    for (; *p < pattern.len && pattern.p[*p] != ']'; ++*p) {
        if (pattern.p[*p] == '\\' && *p + 1 < pattern.len)
            ++*p;
        char from = pattern.p[*p];
        char to = from;
        if (*p + 2 < pattern.len && pattern.p[*p + 1] == '-' &&
            pattern.p[*p + 2] != ']') {
            to = pattern.p[*p + 2];
            *p += 2;
        }
        if (from <= c && c <= to)
            found = true;
    }
    return found != negated;
}

bool server_matches(struct str pattern, struct str text)
{
    size_t p = 0;
    size_t t = 0;
    for (; p < pattern.len; p++, t++) {
        char c = pattern.p[p];
        if (c == '*') {
            for (size_t i = t; i <= text.len; i++) {
                if (server_matches(str_from(pattern, p + 1), str_from(text, i)))
                    return true;
            }
            return false;
        }
        if (t == text.len)
            return false;
        if (c == '[') {
            p++;
            if (!in_class(pattern, &p, text.p[t]))
                return false;
            continue;
        }
        if (c == '\\' && p + 1 < pattern.len)
            c = pattern.p[++p];
        else if (c == '?')
            continue;
        if (c != text.p[t])
            return false;
    }
    return t == text.len;
}

/* ---- commands ------------------------------------------------------------ */

static size_t number_at(const char **p)
{
    size_t n = 0;
    for (++*p; **p != '\r'; ++*p)
        n = n * 10 + (size_t)(**p - '0');
    *p += 2;
    return n;
}

size_t server_split(const struct bytes *command, struct str *argv, size_t max)
{
    const char *p = command->p;
    size_t n = number_at(&p);
    if (n > max)
        n = max;
    for (size_t i = 0; i < n; i++) {
        size_t len = number_at(&p);
        argv[i] = (struct str){p, len};
        p += len + 2;
    }
    return n;
}

struct request {
    struct server_client *client;
    struct bytes *command;
    const struct str *argv;
    size_t argc;
    struct str kind; /* what a reply to a subscription says */
};

static struct redis_reply text(struct str s)
{
    return (struct redis_reply){.type = REPLY_TEXT, .text = s};
}

static struct redis_reply integer(size_t n)
{
    return (struct redis_reply){.type = REPLY_INTEGER, .integer = (int64_t)n};
}

static void add(struct message *m, struct redis_reply item)
{
    m->reply.type = REPLY_ARRAY;
    if (m->reply.n == REDIS_ITEMS_MAX)
        sim_fail("a reply of more than %u elements", REDIS_ITEMS_MAX);
    m->items[m->reply.n++] = item;
}

static void answer(const struct request *r, struct redis_reply reply)
{
    struct message *m = message_new(r->command);
    m->reply = reply;
    bus_answer(r->client, m);
}

static void push(const struct request *r, struct server_client *to,
                 const struct subscription *s)
{
    struct message *m = message_new(r->command);
    m->pushed = true;
    if (s->pattern)
        m->pattern = bytes_ref(s->name);
    add(m, text(r->argv[1]));
    add(m, text(r->argv[2]));
    bus_answer(to, m);
}

/* To all exact subscriptions, then to all patterns; a client that has several
 * which match gets as many. */
static void on_publish(const struct request *r)
{
    size_t n = 0;
    for (int pattern = 0; pattern <= 1; pattern++) {
        for (struct list *c = clients.next; c != &clients; c = c->next) {
            struct server_client *to = client_at(c);
            for (struct list *s = to->subscriptions.next;
                 s != &to->subscriptions; s = s->next) {
                const struct subscription *sub = subscription_at(s);
                if (sub->pattern != pattern)
                    continue;
                struct str name = bytes_str(sub->name);
                if (pattern ? !server_matches(name, r->argv[1])
                            : !str_eq(name, r->argv[1]))
                    continue;
                push(r, to, sub);
                n++;
            }
        }
    }
    check_published(r->argv[2]);
    answer(r, integer(n));
}

static struct subscription *find(const struct server_client *c, struct str name,
                                 bool pattern)
{
    for (struct list *n = c->subscriptions.next; n != &c->subscriptions;
         n = n->next) {
        struct subscription *s = subscription_at(n);
        if (s->pattern == pattern && str_eq(bytes_str(s->name), name))
            return s;
    }
    return NULL;
}

static void subscription_free(struct subscription *s)
{
    list_remove(&s->link);
    bytes_unref(s->name);
    mem_free(s);
}

static void on_subscribe(const struct request *r)
{
    bool pattern = r->kind.p[0] == 'p';
    bool wanted = r->kind.p[pattern] == 's';
    if (r->argc != 2)
        sim_fail("%.*s of %zu channels", STR_ARG(r->kind), r->argc - 1);
    struct subscription *s = find(r->client, r->argv[1], pattern);
    if (s && !wanted)
        subscription_free(s);
    if (!s && wanted) {
        s = mem_zalloc(sizeof(*s));
        s->name = bytes_new(r->argv[1]);
        s->pattern = pattern;
        list_insert(&r->client->subscriptions, &s->link);
    }
    struct message *m = message_new(r->command);
    add(m, text(r->kind));
    add(m, text(r->argv[1]));
    add(m, integer(1));
    bus_answer(r->client, m);
}

static size_t subscribers(struct str channel)
{
    size_t n = 0;
    for (struct list *c = clients.next; c != &clients; c = c->next)
        n += find(client_at(c), channel, false) != NULL;
    return n;
}

static void on_pubsub(const struct request *r)
{
    if (!str_ieq(r->argv[1], STR("NUMSUB")))
        sim_fail("PUBSUB %.*s is not known here", STR_ARG(r->argv[1]));
    struct message *m = message_new(r->command);
    m->reply.type = REPLY_ARRAY;
    for (size_t i = 2; i < r->argc; i++) {
        add(m, text(r->argv[i]));
        add(m, integer(subscribers(r->argv[i])));
    }
    bus_answer(r->client, m);
}

static void on_ping(const struct request *r)
{
    answer(r, text(STR("PONG")));
}

static const struct {
    struct str name, kind;
    void (*run)(const struct request *r);
} commands[] = {
    {STR_INIT("PUBLISH"), STR_INIT(""), on_publish},
    {STR_INIT("SUBSCRIBE"), STR_INIT("subscribe"), on_subscribe},
    {STR_INIT("PSUBSCRIBE"), STR_INIT("psubscribe"), on_subscribe},
    {STR_INIT("UNSUBSCRIBE"), STR_INIT("unsubscribe"), on_subscribe},
    {STR_INIT("PUNSUBSCRIBE"), STR_INIT("punsubscribe"), on_subscribe},
    {STR_INIT("PUBSUB"), STR_INIT(""), on_pubsub},
    {STR_INIT("PING"), STR_INIT(""), on_ping},
};

void server_run(struct server_client *c, struct bytes *command)
{
    struct str argv[REDIS_ARGS_MAX];
    struct request r = {c, command, argv,
                        server_split(command, argv, REDIS_ARGS_MAX), STR("")};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (str_ieq(argv[0], commands[i].name)) {
            r.kind = commands[i].kind;
            commands[i].run(&r);
            return;
        }
    }
    sim_fail("Redis does not know %.*s", STR_ARG(argv[0]));
}

/* ---- clients ------------------------------------------------------------- */

void server_add(struct server_client *c)
{
    list_insert(&clients, &c->link);
    list_init(&c->subscriptions);
}

void server_remove(struct server_client *c)
{
    list_remove(&c->link);
    while (!list_empty(&c->subscriptions))
        subscription_free(subscription_at(c->subscriptions.next));
}

size_t server_clients(void)
{
    size_t n = 0;
    for (struct list *c = clients.next; c != &clients; c = c->next)
        n++;
    return n;
}
