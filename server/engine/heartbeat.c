#include "server/engine/heartbeat.h"

#include "server/engine/eio_packet.h"
#include "server/engine/engine.h"

enum { CLOSE_WAIT_MS = 30000 }; /* for the last poll, as the official server */

/* ---- waiting ------------------------------------------------------------- */

/* Times of sessions wrap; waits are shorter than half their range. */
static int32_t left(const struct session *s, struct loop *l)
{
    return (int32_t)(s->due_ms - (uint32_t)loop_now(l));
}

static void on_due(struct timer *t)
{
    struct beat_queue *q = container_of(t, struct beat_queue, timer);
    while (!list_empty(&q->sessions)) {
        struct session *s =
            container_of(q->sessions.next, struct session, beat);
        int32_t ms = left(s, q->loop);
        if (ms > 0) {
            loop_timer(q->loop, t, (uint64_t)ms);
            return;
        }
        list_remove(&s->beat);
        q->fire(s);
    }
}

void heartbeat_wait(struct session *s, enum beat_wait what)
{
    struct beat_queue *q = &s->engine->beats.queue[what];
    s->due_ms = (uint32_t)loop_now(q->loop) + q->ms;
    list_remove(&s->beat);
    list_insert(&q->sessions, &s->beat);
    if (!timer_running(&q->timer))
        loop_timer(q->loop, &q->timer, q->ms);
}

void heartbeat_stop(struct session *s)
{
    list_remove(&s->beat);
}

static void wrong_direction(struct session *s)
{
    session_end(s, REASON_TRANSPORT_ERROR);
}

/* ---- v4 ------------------------------------------------------------------ */

static void on_beat(struct session *s)
{
    s->pong_due = true;
    s->extended = false;
    heartbeat_wait(s, BEAT_PONG);
    session_send(s, s->engine->beats.ping);
}

static void on_no_pong(struct session *s)
{
    session_end(s, REASON_PING_TIMEOUT);
}

static void start4(struct session *s)
{
    heartbeat_wait(s, BEAT_PING);
}

static void on_pong4(struct session *s)
{
    s->pong_due = false;
    heartbeat_wait(s, BEAT_PING);
}

/* Other traffic proves life too, but only once per ping. */
static void on_other4(struct session *s)
{
    if (!s->pong_due || s->extended)
        return;
    s->extended = true;
    heartbeat_wait(s, BEAT_PONG);
}

const struct heartbeat heartbeat4 = {.start = start4,
                                     .on_ping = wrong_direction,
                                     .on_pong = on_pong4,
                                     .on_other = on_other4};

/* ---- v3 ------------------------------------------------------------------ */

static void start3(struct session *s)
{
    heartbeat_wait(s, BEAT_SILENCE);
}

static void on_ping3(struct session *s)
{
    heartbeat_wait(s, BEAT_SILENCE);
    session_send(s, s->engine->beats.pong);
}

static void on_other3(struct session *s)
{
    (void)s;
}

const struct heartbeat heartbeat3 = {.start = start3,
                                     .on_ping = on_ping3,
                                     .on_pong = wrong_direction,
                                     .on_other = on_other3};

/* ---- all of an engine ---------------------------------------------------- */

static void on_no_poll(struct session *s)
{
    session_end(s, REASON_FORCED_CLOSE);
}

static struct bytes *own_packet(enum eio_type type)
{
    char *body;
    struct bytes *frame = ws_frame_new(1, false, &body);
    body[0] = (char)('0' + type);
    return frame;
}

void heartbeats_init(struct heartbeats *h, struct loop *l, uint32_t interval_ms,
                     uint32_t timeout_ms)
{
    struct beat_queue *q = h->queue;
    q[BEAT_PING] = (struct beat_queue){.ms = interval_ms, .fire = on_beat};
    q[BEAT_PONG] = (struct beat_queue){.ms = timeout_ms, .fire = on_no_pong};
    q[BEAT_SILENCE] =
        (struct beat_queue){.ms = interval_ms + timeout_ms, .fire = on_no_pong};
    q[BEAT_CLOSE] =
        (struct beat_queue){.ms = CLOSE_WAIT_MS, .fire = on_no_poll};
    for (unsigned i = 0; i < BEAT_WAITS; i++) {
        q[i].loop = l;
        list_init(&q[i].sessions);
        timer_init(&q[i].timer, on_due);
    }
    h->ping = own_packet(EIO_PING);
    h->pong = own_packet(EIO_PONG);
}

void heartbeats_fini(struct heartbeats *h)
{
    for (unsigned i = 0; i < BEAT_WAITS; i++)
        timer_stop(&h->queue[i].timer);
    bytes_unref(h->ping);
    bytes_unref(h->pong);
}
