/* A conversation by way of confabctl's client, for tests:
 *
 *     talk URL TRANSPORT NAMESPACE AUTH [EVENT ARGUMENTS]...
 *
 * asks with each event in turn and prints, a line each, what happens:
 * "connected", "upgraded" (or why not), "event JSON", "answer JSON" (with the
 * attachments' sizes behind it), and in the end "closed WHY" if the server ends
 * it. TRANSPORT is polling, websocket or upgrade; AUTH may be empty. The event
 * WAIT waits for as many milliseconds as its argument says. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/ctl/client.h"

struct talk {
    struct loop *loop;
    struct ctl_client *client;
    bool upgrades;
    bool ready, answered, closed;
};

static void print(const char *what, const struct ctl_values *v)
{
    struct str text = json_text(v->json, 0);
    printf("%s %.*s", what, STR_ARG(text));
    for (size_t i = 0; i < v->n_bins; i++)
        printf(" %u", v->bins[i]->len);
    printf("\n");
}

static void on_connect(void *arg)
{
    struct talk *t = arg;
    printf("connected %zu\n", ctl_client_id(t->client).len);
    t->ready = !t->upgrades || ctl_eio_upgraded(ctl_client_eio(t->client));
}

static void on_upgrade(void *arg, const struct ctl_fault *why)
{
    struct talk *t = arg;
    printf("%s\n", why ? why->text : "upgraded");
    t->ready = ctl_client_id(t->client).len > 0;
    t->upgrades = false;
}

static void on_event(void *arg, const struct ctl_values *v)
{
    (void)arg;
    print("event", v);
}

static void on_ping(void *arg)
{
    (void)arg;
    printf("ping\n");
}

static void on_close(void *arg, const struct ctl_fault *why)
{
    struct talk *t = arg;
    printf("closed %s\n", why->text);
    t->closed = true;
}

static void on_answer(void *arg, const struct ctl_values *v)
{
    struct talk *t = arg;
    t->answered = true;
    if (v)
        print("answer", v);
    else
        printf("unanswered\n");
}

static const struct ctl_client_ops ops = {.on_connect = on_connect,
                                          .on_event = on_event,
                                          .on_ping = on_ping,
                                          .on_upgrade = on_upgrade,
                                          .on_close = on_close};

static void wait_for(struct talk *t, const bool *done, uint64_t ms)
{
    uint64_t end = loop_now(t->loop) + ms;
    while (!*done && !t->closed && loop_now(t->loop) < end)
        loop_turn(t->loop, 20);
}

static void say(struct talk *t, const char *event, const char *args)
{
    bool never = false;
    if (strcmp(event, "WAIT") == 0) {
        wait_for(t, &never, strtoull(args, NULL, 10));
        return;
    }
    t->answered = false;
    if (!ctl_client_ask(t->client, str_of(event), str_of(args), 3000, on_answer,
                        t))
        printf("not sent\n");
    else
        wait_for(t, &t->answered, 10000);
}

int main(int argc, char **argv)
{
    struct talk t = {0};
    struct ctl_url url;
    const char *why = "";
    char err[TLS_ERR_MAX];
    if (argc < 5 || ctl_url_parse(&url, argv[1], &why) < 0)
        return 2;
    memcpy(url.path, "/socket.io/", sizeof("/socket.io/"));
    (void)signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    t.loop = loop_new();
    struct ctl_net net = {.loop = t.loop,
                          .resolver = resolver_new(t.loop),
                          .tls = tls_client_new(NULL, false, err),
                          .connect_ms = 5000};
    t.upgrades = strcmp(argv[2], "upgrade") == 0;
    struct ctl_client_settings s = {
        .eio = {.url = &url,
                .polling = strcmp(argv[2], "websocket") != 0,
                .websocket = strcmp(argv[2], "polling") != 0,
                .timeout_ms = 5000,
                .max_bytes = 4 * 1024 * 1024},
        .nsp = str_of(argv[3]),
        .auth = str_of(argv[4])};
    t.client = ctl_client_new(&net, &s, &ops, &t);
    wait_for(&t, &t.ready, 10000);
    for (int i = 5; i + 1 < argc; i += 2)
        say(&t, argv[i], argv[i + 1]);
    bool never = false;
    ctl_client_free(t.client);
    t.closed = false;
    wait_for(&t, &never, 100);
    stream_abort_lingering();
    loop_turn(t.loop, 0);
    resolver_free(net.resolver);
    tls_free(net.tls);
    loop_free(t.loop);
    return t.ready ? 0 : 1;
}
