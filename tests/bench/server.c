/* confab with the benchmark's events: the same as server.js.
 *
 *     server [presence] [section.key=value]...
 *
 * With `presence`, who joins a room is shown as being there. */
#include <stdio.h>
#include <string.h>

#include "server/sio.h"

static bool presence;

#define EVERYBODY SIO_STR("everybody")

static void on_join(struct sio_socket *s, struct sio_event *e, void *arg)
{
    (void)arg;
    struct sio_str room;
    if (!sio_str(sio_arg(e, 0), &room) || sio_join(s, room) < 0)
        return;
    if (presence && sio_presence_set(s, EVERYBODY, "{}") < 0)
        return;
    sio_reply(e, NULL);
}

static void on_count(struct sio_socket *s, struct sio_event *e, void *arg)
{
    (void)arg;
    sio_reply(e, "i",
              (int64_t)sio_presence_count(sio_namespace_of(s), EVERYBODY));
}

static void on_say(struct sio_socket *s, struct sio_event *e, void *arg)
{
    (void)arg;
    struct sio_str room;
    if (!sio_str(sio_get(sio_arg(e, 0), "room"), &room))
        return;
    struct sio_broadcast all = sio_all(sio_namespace_of(s));
    sio_to(&all, room);
    sio_broadcast(&all, "say", "v", sio_arg(e, 0));
}

static void on_echo(struct sio_socket *s, struct sio_event *e, void *arg)
{
    (void)s;
    (void)arg;
    sio_reply(e, "v", sio_arg(e, 0));
}

/* There is no garbage to collect. */
static void on_settle(struct sio_socket *s, struct sio_event *e, void *arg)
{
    (void)s;
    (void)arg;
    sio_reply(e, NULL);
}

static int serve(struct sio_server *srv, int argc, char **argv)
{
    int rc = sio_server_set(srv, "listen.host=127.0.0.1");
    if (rc == 0)
        rc = sio_server_set(srv, "listen.port=0");
    /* The load is one address that means to be all there is. */
    if (rc == 0)
        rc = sio_server_set(srv, "limits.handshakes_per_second=0");
    if (rc == 0)
        rc = sio_server_set(srv, "limits.half_open=0");
    if (rc == 0)
        rc = sio_server_set(srv, "drain.notice_ms=0");
    if (rc == 0)
        rc = sio_server_set(srv, "drain.window_ms=0");
    /* Its clients are few and send as fast as they can. */
    if (rc == 0)
        rc = sio_server_set(srv, "rate.connection_events=0");
    if (rc == 0)
        rc = sio_server_set(srv, "rate.address_events=0");
    presence = argc > 1 && strcmp(argv[1], "presence") == 0;
    for (int i = presence ? 2 : 1; i < argc && rc == 0; i++)
        rc = sio_server_set(srv, argv[i]);
    if (rc == 0)
        rc = sio_server_listen(srv);
    if (rc < 0)
        return rc;
    printf("admin on %s\n", sio_server_admin(srv));
    printf("ready on http://127.0.0.1:%u\n", (unsigned)sio_server_port(srv));
    fflush(stdout);
    return sio_server_run(srv);
}

int main(int argc, char **argv)
{
    struct sio_server *srv = sio_server_new();
    struct sio_namespace *ns = sio_of(srv, "/");
    sio_on(ns, "join", on_join, NULL);
    sio_on(ns, "count", on_count, NULL);
    sio_on(ns, "say", on_say, NULL);
    sio_on(ns, "echo", on_echo, NULL);
    sio_on(ns, "settle", on_settle, NULL);
    int rc = serve(srv, argc, argv);
    if (rc < 0)
        fprintf(stderr, "server: %s\n", sio_server_error(srv));
    sio_server_free(srv);
    return rc < 0;
}
