#include <stdio.h>

#include "common/json_out.h"
#include "common/mem.h"
#include "server/ctl/bench.h"

enum { TRIES_MAX = 20, AGAIN_MS = 1000, PAUSE_MS = 100, PAUSE_MAX_MS = 60000 };

struct bench_question {
    struct list link;
    struct bench_client *client;
    uint32_t number;
    uint64_t asked_us;
};

/* ---- hearing ------------------------------------------------------------- */

/* "RUN ROOM NUMBER xxx": ours, and which. */
static bool read_text(const struct bench *b, struct str text, uint64_t *room,
                      uint64_t *number)
{
    struct str part;
    return str_next(&text, ' ', &part) && str_eq(part, str_of(b->run)) &&
           str_next(&text, ' ', &part) && str_to_u64(part, UINT32_MAX, room) &&
           str_next(&text, ' ', &part) && str_to_u64(part, UINT32_MAX, number);
}

static void hear_text(struct bench_client *c, struct str text)
{
    struct bench *b = c->bench;
    uint64_t room, number, since;
    if (!read_text(b, text, &room, &number))
        return; /* somebody else's */
    switch (sequence_hear(b->sequence, c->number, room, number, loop_clock_us(),
                          &since)) {
    case HEARD_STRANGE:
        b->counts.strange++;
        return;
    case HEARD_TWICE:
        b->counts.doubled++;
        return;
    case HEARD_LATE_ORDER:
        b->counts.reordered++;
        break;
    default:
        break;
    }
    b->counts.heard++;
    latency_add(&b->deliveries, since);
    if (since > (uint64_t)b->options.late_ms * 1000)
        b->counts.late++;
}

/* The text, or an object that has it as its message. */
static void hear_value(struct bench_client *c, const struct json *j,
                       uint32_t value)
{
    if (value != JSON_NONE && json_type(j, value) == JSON_OBJECT)
        value = json_get(j, value, STR("message"));
    if (value != JSON_NONE && json_type(j, value) == JSON_STRING)
        hear_text(c, json_string_view(j, value, &c->bench->scratch));
}

static void on_event(void *arg, const struct ctl_values *v)
{
    struct bench_client *c = arg;
    const struct bench_options *o = &c->bench->options;
    uint32_t name = json_at(v->json, 0, 0);
    const char *ours = o->event ? o->heard : "chat message";
    if (ours && name != JSON_NONE && json_type(v->json, name) == JSON_STRING &&
        json_string_eq(v->json, name, str_of(ours)))
        hear_value(c, v->json, json_at(v->json, 0, 1));
}

/* ---- speaking ------------------------------------------------------------ */

/* {"error":"...","retry_after_ms":...}; how long to wait. */
static uint64_t refused(struct bench *b, const struct json *j, uint32_t value,
                        uint32_t error)
{
    int64_t ms = PAUSE_MS;
    uint32_t after = json_get(j, value, STR("retry_after_ms"));
    struct str text = STR("no reason");
    if (json_type(j, error) == JSON_STRING)
        text = json_string_view(j, error, &b->scratch);
    b->counts.refused++;
    reasons_add(&b->refusals, text);
    if (!str_eq(text, STR("rate_limited")))
        return PAUSE_MS;
    b->counts.limited++;
    if (after == JSON_NONE || json_type(j, after) != JSON_NUMBER ||
        !json_i64(j, after, &ms) || ms < 1 || ms > PAUSE_MAX_MS)
        ms = PAUSE_MS;
    if ((uint64_t)ms > b->retry_ms)
        b->retry_ms = (uint64_t)ms;
    return (uint64_t)ms;
}

static void speak_again(struct timer *t)
{
    struct bench_client *c = container_of(t, struct bench_client, again);
    if (c->ready && c->bench->talking && c->bench->options.window)
        (void)bench_speak(c);
}

static void after_answer(struct bench_client *c, uint64_t wait_ms)
{
    if (!c->ready || !c->bench->talking || !c->bench->options.window)
        return;
    if (wait_ms > 0 || !bench_speak(c))
        loop_timer(c->bench->net.loop, &c->again, wait_ms ? wait_ms : PAUSE_MS);
}

static void on_answer(void *arg, const struct ctl_values *v)
{
    struct bench_question *q = arg;
    struct bench_client *c = q->client;
    struct bench *b = c->bench;
    uint64_t wait_ms = 0;
    uint32_t value = v ? json_at(v->json, 0, 0) : JSON_NONE;
    uint32_t error =
        value == JSON_NONE ? JSON_NONE : json_get(v->json, value, STR("error"));
    b->open--;
    if (!v) {
        b->counts.unanswered++;
    } else if (error != JSON_NONE) {
        wait_ms = refused(b, v->json, value, error);
    } else {
        b->counts.taken++;
        latency_add(&b->answers, loop_clock_us() - q->asked_us);
        sequence_taken(b->sequence, c->number % b->options.rooms, q->number);
        if (b->options.event && !b->options.heard)
            hear_value(c, v->json, value);
    }
    list_remove(&q->link);
    mem_free(q);
    after_answer(c, wait_ms);
}

/* The argument, into b->text. */
static void write_argument(struct bench *b, uint32_t room, uint32_t number)
{
    buf_clear(&b->text);
    if (!b->options.event)
        buf_fmt(&b->text, "{\"room\":\"bench-%s-%u\",\"message\":", b->run,
                room);
    size_t before = b->text.len;
    buf_fmt(&b->text, "\"%s %u %u ", b->run, room, number);
    while (b->text.len - before <= b->options.size)
        buf_addc(&b->text, 'x');
    buf_addc(&b->text, '"');
    if (!b->options.event)
        buf_addc(&b->text, '}');
}

bool bench_speak(struct bench_client *c)
{
    struct bench *b = c->bench;
    uint32_t number;
    uint64_t now = loop_clock_us();
    if (!c->ready || !sequence_say(b->sequence, c->number, now, &number))
        return false;
    write_argument(b, c->number % b->options.rooms, number);
    struct bench_question *q = mem_zalloc(sizeof(*q));
    const char *event = b->options.event ? b->options.event : "chat message";
    *q =
        (struct bench_question){.client = c, .number = number, .asked_us = now};
    if (!ctl_client_ask(c->client, str_of(event), buf_str(&b->text),
                        BENCH_ANSWER_MS, on_answer, q)) {
        mem_free(q);
        b->counts.held++;
        return false;
    }
    list_insert(&c->open, &q->link);
    b->open++;
    b->counts.said++;
    return true;
}

/* ---- coming in ----------------------------------------------------------- */

static void fail(struct bench_client *c, const char *why)
{
    struct bench *b = c->bench;
    if (c->over)
        return;
    c->over = true;
    c->ready = false;
    b->counts.pending--;
    b->counts.failed++;
    reasons_add(&b->failures, str_of(why));
}

static void become_ready(struct bench_client *c)
{
    struct bench *b = c->bench;
    if (c->over || c->ready)
        return;
    c->ready = true;
    b->counts.pending--;
    b->counts.connected++;
    sequence_enter(b->sequence, c->number);
}

static void on_joined(void *arg, const struct ctl_values *v)
{
    struct bench_client *c = arg;
    uint32_t value = v ? json_at(v->json, 0, 0) : JSON_NONE;
    uint32_t ok =
        value == JSON_NONE ? JSON_NONE : json_get(v->json, value, STR("ok"));
    uint32_t error =
        value == JSON_NONE ? JSON_NONE : json_get(v->json, value, STR("error"));
    if (ok != JSON_NONE && json_type(v->json, ok) == JSON_TRUE)
        become_ready(c);
    else if (error != JSON_NONE && json_type(v->json, error) == JSON_STRING) {
        char why[REASON_TEXT];
        struct str text = json_string_view(v->json, error, &c->bench->scratch);
        (void)snprintf(why, sizeof(why), "\"join room\" was refused: %.*s",
                       STR_ARG(text));
        fail(c, why);
    } else {
        fail(c, "\"join room\" was not answered as confab's chat does: name an "
                "event of the application with --event");
    }
}

static void come_in(struct bench_client *c)
{
    struct bench *b = c->bench;
    char room[64];
    if (!c->connected || !c->upgraded)
        return;
    if (b->options.event) {
        become_ready(c);
        return;
    }
    (void)snprintf(room, sizeof(room), "\"bench-%s-%u\"", b->run,
                   c->number % b->options.rooms);
    if (!ctl_client_ask(c->client, STR("join room"), str_of(room),
                        BENCH_ANSWER_MS, on_joined, c))
        fail(c, "the connection takes nothing");
}

static void on_connect(void *arg)
{
    struct bench_client *c = arg;
    c->connected = true;
    come_in(c);
}

static void on_upgrade(void *arg, const struct ctl_fault *why)
{
    struct bench_client *c = arg;
    char text[REASON_TEXT];
    if (why) {
        (void)snprintf(text, sizeof(text), "no upgrade: %.*s", REASON_TEXT - 16,
                       why->text);
        fail(c, text);
        return;
    }
    c->upgraded = true;
    come_in(c);
}

static void connect_again(struct timer *t)
{
    struct bench_client *c = container_of(t, struct bench_client, again);
    bench_connect(c);
}

/* A server that has too many handshakes at the moment says so. */
static bool is_busy(const struct ctl_fault *why)
{
    return why->kind == FAULT_STATUS &&
           (why->status == 503 || why->status == 429);
}

static void on_close(void *arg, const struct ctl_fault *why)
{
    struct bench_client *c = arg;
    struct bench *b = c->bench;
    if (c->over)
        return;
    if (!c->ready && is_busy(why) && ++c->tries < TRIES_MAX) {
        ctl_client_free(c->client);
        c->client = NULL;
        timer_init(&c->again, connect_again);
        loop_timer(b->net.loop, &c->again, AGAIN_MS);
    } else if (!c->ready) {
        fail(c, why->text);
    } else {
        c->over = true;
        c->ready = false;
        b->counts.ended++;
        reasons_add(&b->ends, str_of(why->text));
        sequence_leave(b->sequence, c->number);
    }
}

static const struct ctl_client_ops ops = {.on_connect = on_connect,
                                          .on_event = on_event,
                                          .on_upgrade = on_upgrade,
                                          .on_close = on_close};

void bench_connect(struct bench_client *c)
{
    struct bench *b = c->bench;
    if (c->tries == 0) {
        b->counts.pending++;
        list_init(&c->open);
    }
    timer_init(&c->again, speak_again);
    c->connected = false;
    c->upgraded = !(b->options.polling && b->options.websocket);
    c->client = ctl_client_new(&b->net, &b->settings, &ops, c);
}

void bench_client_free(struct bench_client *c)
{
    struct list *n;
    if (!c->open.next)
        return; /* it never connected */
    timer_stop(&c->again);
    ctl_client_free(c->client);
    while ((n = list_pop(&c->open)))
        mem_free(container_of(n, struct bench_question, link));
}
