/* Clients of the chat (server/app/chat.h) on all nodes speak to each other, in
 * a room that nobody else knows. */
#include <stdio.h>

#include "common/id.h"
#include "common/log.h"
#include "common/mem.h"
#include "server/ctl/doctor.h"

enum { CLIENTS_MAX = 64, NODE_MAX = 64, HEARING_MS = 5000 };

struct guest {
    struct chat *chat;
    struct ctl_client *client;
    char node[NODE_MAX + 1];
    bool connected, answered, ok, closed;
    bool speaks;    /* the first on its node */
    uint64_t heard; /* bit i: what guest i has said */
};

struct chat {
    struct doctor *d;
    struct guest guests[CLIENTS_MAX];
    size_t n;
    char room[ID_LEN + 16];
    struct ctl_client_settings settings;
    struct buf scratch;
};

static void on_connect(void *arg)
{
    struct guest *g = arg;
    g->connected = true;
}

/* ["chat message", {"room":..., "message":"3"}] */
static void on_event(void *arg, const struct ctl_values *v)
{
    struct guest *g = arg;
    uint64_t who;
    uint32_t name = json_at(v->json, 0, 0), value = json_at(v->json, 0, 1);
    if (value == JSON_NONE || json_type(v->json, name) != JSON_STRING ||
        !json_string_eq(v->json, name, STR("chat message")))
        return;
    uint32_t text = json_get(v->json, value, STR("message"));
    if (text == JSON_NONE || json_type(v->json, text) != JSON_STRING)
        return;
    struct str s = json_string_view(v->json, text, &g->chat->scratch);
    if (str_to_u64(s, CLIENTS_MAX - 1, &who))
        g->heard |= UINT64_C(1) << who;
}

static void on_close(void *arg, const struct ctl_fault *why)
{
    (void)why;
    struct guest *g = arg;
    g->closed = g->connected = g->answered = true;
}

static const struct ctl_client_ops guest_ops = {
    .on_connect = on_connect, .on_event = on_event, .on_close = on_close};

/* {"ok":true,"node":...} */
static void on_answer(void *arg, const struct ctl_values *v)
{
    struct guest *g = arg;
    g->answered = true;
    uint32_t value = v ? json_at(v->json, 0, 0) : JSON_NONE;
    if (value == JSON_NONE)
        return;
    uint32_t ok = json_get(v->json, value, STR("ok"));
    uint32_t node = json_get(v->json, value, STR("node"));
    g->ok = ok != JSON_NONE && json_type(v->json, ok) == JSON_TRUE;
    if (node == JSON_NONE || json_type(v->json, node) != JSON_STRING)
        return;
    struct str s = json_string_view(v->json, node, &g->chat->scratch);
    if (s.len <= NODE_MAX) {
        memcpy(g->node, s.p, s.len);
        g->node[s.len] = '\0';
    }
}

static bool ask(struct guest *g, struct str event, struct str args)
{
    g->answered = g->ok = false;
    if (!ctl_client_ask(g->client, event, args, HEARING_MS, on_answer, g))
        return false;
    return doctor_wait(g->chat->d, &g->answered, HEARING_MS) && g->ok;
}

/* One more; false when the application is none that we know. */
static bool come_in(struct chat *c)
{
    struct guest *g = &c->guests[c->n++];
    g->chat = c;
    g->client = ctl_client_new(&c->d->net, &c->settings, &guest_ops, g);
    if (!doctor_wait(c->d, &g->connected, DOCTOR_STEP_MS) || g->closed ||
        !ask(g, STR("hello"), STR("")))
        return false;
    g->speaks = true;
    for (size_t i = 0; i + 1 < c->n; i++) {
        if (strcmp(c->guests[i].node, g->node) == 0)
            g->speaks = false;
    }
    return true;
}

static size_t speakers(const struct chat *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        n += c->guests[i].speaks;
    return n;
}

/* Until there is one on each node; those that are too many stay, so that a
 * balancer looks elsewhere. */
static bool gather(struct chat *c)
{
    size_t want = c->d->n_nodes;
    size_t most = 2 + 4 * want;
    while (c->n < CLIENTS_MAX && c->n < most &&
           (c->n == 0 || speakers(c) < want)) {
        if (!come_in(c))
            return false;
    }
    return true;
}

static bool enter(struct chat *c)
{
    char args[sizeof(c->room) + 4];
    (void)snprintf(args, sizeof(args), "\"%s\"", c->room);
    for (size_t i = 0; i < c->n; i++) {
        struct guest *g = &c->guests[i];
        if (g->speaks && !ask(g, STR("join room"), str_of(args)))
            return false;
    }
    return true;
}

static bool speak(struct chat *c)
{
    for (size_t i = 0; i < c->n; i++) {
        char args[sizeof(c->room) + 64];
        (void)snprintf(args, sizeof(args),
                       "{\"room\":\"%s\",\"message\":\"%zu\"}", c->room, i);
        if (c->guests[i].speaks &&
            !ask(&c->guests[i], STR("chat message"), str_of(args)))
            return false;
    }
    return true;
}

/* The first two of whom one has not heard the other. */
static bool deaf(const struct chat *c, const struct guest **who,
                 const struct guest **whom)
{
    for (size_t i = 0; i < c->n; i++) {
        for (size_t k = 0; k < c->n; k++) {
            *who = &c->guests[i];
            *whom = &c->guests[k];
            if ((*who)->speaks && (*whom)->speaks && !((*who)->heard >> k & 1))
                return true;
        }
    }
    return false;
}

static void hear_out(struct chat *c)
{
    const struct guest *who, *whom;
    bool never = false;
    uint64_t end = loop_now(c->d->net.loop) + HEARING_MS;
    while (deaf(c, &who, &whom) && loop_now(c->d->net.loop) < end &&
           doctor_left(c->d) > 0)
        (void)doctor_wait(c->d, &never, 50);
    if (deaf(c, &who, &whom))
        doctor_wrong(c->d,
                     "delivery: a client on %s did not hear what one on %s "
                     "said to their room: see redis_gap and redis_deaf in "
                     "these nodes' logs",
                     log_safe(str_of(who->node)), log_safe(str_of(whom->node)));
    else
        doctor_right(c->d, "delivery between clients on %zu nodes",
                     speakers(c));
}

void doctor_chat(struct doctor *d)
{
    struct chat *c = mem_zalloc(sizeof(*c));
    char id[ID_LEN + 1] = {0};
    id_random(id, ID_LEN);
    c->d = d;
    (void)snprintf(c->room, sizeof(c->room), "doctor-%s", id);
    buf_init(&c->scratch, 1024);
    c->settings =
        (struct ctl_client_settings){.eio = {.url = &d->options.url,
                                             .polling = !d->websocket,
                                             .websocket = d->websocket,
                                             .timeout_ms = DOCTOR_STEP_MS,
                                             .max_bytes = DOCTOR_ANSWER_MAX},
                                     .nsp = STR("/")};
    bool ok = (d->polling || d->websocket) && gather(c) && enter(c) && speak(c);
    if (ok)
        hear_out(c);
    else if (d->polling || d->websocket)
        doctor_wrong(d, "delivery: the application does not answer as "
                        "confab's chat does: leave --chat out");
    for (size_t i = 0; i < c->n; i++)
        ctl_client_free(c->guests[i].client);
    buf_fini(&c->scratch);
    mem_free(c);
}
