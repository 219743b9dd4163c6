/* What a server does between start and end: it turns the loop, listens to
 * signals and stops. */
#include <assert.h>
#include <signal.h>

#include "common/log.h"
#include "common/notify.h"
#include "server/io/relaying.h"
#include "server/io/server.h"

enum { STOP_WAIT_MS = 3000 }; /* for close frames and responses to go out */

void sio_server_stop(struct sio_server *srv)
{
    if (srv->stopping)
        return;
    srv->stopping = true;
    notify("STOPPING=1");
    drain_end(&srv->drain);
    listener_free(srv->listener);
    srv->listener = NULL;
    if (!srv->engine)
        return;
    engine_close(srv->engine);
    http_server_drain(srv->http);
    relaying_close(srv);
}

/* Whoever repeats it, or is at the keyboard, does not want to wait. */
static void on_signal(evutil_socket_t sig, short what, void *arg)
{
    (void)what;
    struct sio_server *srv = arg;
    bool wait = sig == SIGTERM && !srv->signalled;
    log_info("signal", "name=%s", sig == SIGTERM ? "SIGTERM" : "SIGINT");
    srv->signalled = true;
    if (wait)
        sio_server_drain(srv);
    else
        sio_server_stop(srv);
}

static void on_hangup(evutil_socket_t sig, short what, void *arg)
{
    (void)sig, (void)what;
    notify_reloading();
    (void)sio_server_reload(arg); /* it has said what is wrong */
    notify("READY=1");
}

void server_let_go(struct sio_server *srv, uint64_t wait_ms)
{
    uint64_t until = loop_now(srv->loop) + wait_ms;
    for (;;) {
        uint64_t now = loop_now(srv->loop);
        if (stream_lingering() == 0 || now >= until)
            return;
        loop_turn(srv->loop, until - now);
    }
}

/* libevent puts the old dispositions back; a second signal that came while the
 * program cleans up would then end it in the middle. */
static void stop_listening_to_signals(const struct sio_server *srv,
                                      struct event *term, struct event *intr)
{
    sigset_t both, old;
    sigemptyset(&both);
    sigaddset(&both, SIGTERM);
    sigaddset(&both, SIGINT);
    sigprocmask(SIG_BLOCK, &both, &old);
    event_free(term);
    event_free(intr);
    if (srv->signalled) {
        signal(SIGTERM, SIG_IGN);
        signal(SIGINT, SIG_IGN);
    }
    sigprocmask(SIG_SETMASK, &old, NULL);
}

/* The loop turns: what systemd's watchdog wants to know. */
static void feed_watchdog(void *arg)
{
    struct sio_server *srv = arg;
    uint64_t ms = notify_watchdog_ms();
    if (ms == 0 || ms > UINT32_MAX)
        return;
    notify("WATCHDOG=1");
    sio_after(srv, (uint32_t)ms, feed_watchdog, srv);
}

int sio_server_run(struct sio_server *srv)
{
    if (!srv->listener && !srv->stopping) {
        int rc = sio_server_listen(srv);
        if (rc < 0)
            return rc;
    }
    struct event *term = evsignal_new(srv->loop->base, SIGTERM, on_signal, srv);
    struct event *intr = evsignal_new(srv->loop->base, SIGINT, on_signal, srv);
    struct event *hangup =
        evsignal_new(srv->loop->base, SIGHUP, on_hangup, srv);
    assert(term && intr && hangup);
    evsignal_add(term, NULL);
    evsignal_add(intr, NULL);
    evsignal_add(hangup, NULL);
    signal(SIGPIPE, SIG_IGN);
    notify("READY=1");
    feed_watchdog(srv);
    while (!srv->stopping)
        loop_turn(srv->loop, UINT64_MAX);
    server_let_go(srv, STOP_WAIT_MS);
    stop_listening_to_signals(srv, term, intr);
    event_free(hangup);
    return 0;
}
