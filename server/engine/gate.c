#include "server/engine/gate.h"

#include "common/log.h"
#include "common/metrics.h"
#include "server/engine/engine.h"
#include "server/http/busy.h"

enum { HEADERS_MAX = 16 * 1024, LOGS_PER_MINUTE = 6 };

static const struct {
    const char *name; /* for the log */
    const char *message;
    enum metric count;
} answers[] = {
    [GATE_STOPPING] = {"stopping", "Server is shutting down",
                       M_REFUSED_STOPPING},
    [GATE_DRAINING] = {"draining", "Server is draining", M_REFUSED_DRAINING},
    [GATE_SESSIONS] = {"sessions", "Too many sessions", M_REFUSED_SESSIONS},
    [GATE_HALF_OPEN] = {"half_open", "Too many half-open sessions",
                        M_REFUSED_HALF_OPEN},
    [GATE_RATE] = {"rate", "Too many handshakes", M_REFUSED_RATE},
};

enum gate gate_look(const struct engine *e)
{
    const struct engine_settings *s = &e->settings;
    if (e->closing)
        return GATE_STOPPING;
    if (e->retired)
        return GATE_DRAINING;
    if (e->sessions.count + e->n_waiting >= s->max_sessions)
        return GATE_SESSIONS;
    if (s->max_half_open && engine_half_open(e) >= s->max_half_open)
        return GATE_HALF_OPEN;
    return GATE_OPEN;
}

enum gate gate_enter(struct engine *e)
{
    uint32_t per_second = e->settings.handshakes_per_second;
    uint32_t now = bucket_time(loop_now(e->loop));
    struct bucket_rate rate;
    enum gate g = gate_look(e);
    if (g != GATE_OPEN || !bucket_rate(&rate, per_second, per_second))
        return g;
    if (bucket_wait(&rate, e->handshakes, now))
        return GATE_RATE;
    bucket_take(&rate, &e->handshakes, now);
    return GATE_OPEN;
}

void gate_refuse(struct engine *e, struct http_request *r, enum gate why)
{
    static struct log_gate gate;
    struct buf headers;
    metrics_add(answers[why].count, 1);
    if (log_allow(&gate, loop_now(e->loop), LOGS_PER_MINUTE))
        log_info("handshake_refused", "why=%s", answers[why].name);
    buf_init(&headers, HEADERS_MAX);
    cors_headers(&e->settings.cors, r, &headers);
    busy_respond(r, answers[why].message, buf_str(&headers));
    buf_fini(&headers);
}
