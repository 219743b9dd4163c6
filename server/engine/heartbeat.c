#include "server/engine/heartbeat.h"

#include "server/engine/engine.h"

static void wait_ms(struct session *s, uint32_t ms)
{
    loop_timer(s->engine->loop, &s->beat, ms);
}

static void wrong_direction(struct session *s)
{
    session_end(s, REASON_TRANSPORT_ERROR);
}

/* ---- v4 ------------------------------------------------------------------ */

static void on_beat(struct timer *t)
{
    struct session *s = container_of(t, struct session, beat);
    if (s->pong_due) {
        session_end(s, REASON_PING_TIMEOUT);
        return;
    }
    s->pong_due = true;
    s->extended = false;
    wait_ms(s, s->engine->settings.ping_timeout_ms);
    session_send_text(s, "2");
}

static void start4(struct session *s)
{
    timer_init(&s->beat, on_beat);
    wait_ms(s, s->engine->settings.ping_interval_ms);
}

static void on_pong4(struct session *s)
{
    s->pong_due = false;
    wait_ms(s, s->engine->settings.ping_interval_ms);
}

/* Other traffic proves life too, but only once per ping. */
static void on_other4(struct session *s)
{
    if (!s->pong_due || s->extended)
        return;
    s->extended = true;
    wait_ms(s, s->engine->settings.ping_timeout_ms);
}

const struct heartbeat heartbeat4 = {.start = start4,
                                     .on_ping = wrong_direction,
                                     .on_pong = on_pong4,
                                     .on_other = on_other4};

/* ---- v3 ------------------------------------------------------------------ */

static void on_silence(struct timer *t)
{
    session_end(container_of(t, struct session, beat), REASON_PING_TIMEOUT);
}

static void expect_ping(struct session *s)
{
    const struct engine_settings *set = &s->engine->settings;
    wait_ms(s, set->ping_interval_ms + set->ping_timeout_ms);
}

static void start3(struct session *s)
{
    timer_init(&s->beat, on_silence);
    expect_ping(s);
}

static void on_ping3(struct session *s)
{
    expect_ping(s);
    session_send(s, s->engine->pong);
}

static void on_other3(struct session *s)
{
    (void)s;
}

const struct heartbeat heartbeat3 = {.start = start3,
                                     .on_ping = on_ping3,
                                     .on_pong = wrong_direction,
                                     .on_other = on_other3};
