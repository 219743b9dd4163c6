#include "adapter/requests.h"

#include "adapter/answers.h"
#include "common/metrics.h"

enum { LOGS_PER_MINUTE = 6, ANSWER_MESSAGES = 4 };

/* ---- publishing ---------------------------------------------------------- */

void requests_publish(struct adapter *a, struct str channel, struct buf *out,
                      int rc)
{
    struct cluster *c = a->cluster;
    if (rc == 0 && out->full)
        rc = ERR_LIMIT;
    if (rc == 0) {
        redis_pubsub_publish(c->pubsub, channel, buf_str(out), PUBLISH_KEPT);
        return;
    }
    metrics_add(M_REDIS_OUTGOING, 1);
    metrics_add(M_LOST_UNFIT, 1);
    if (log_allow(&c->bad_gate, loop_now(c->loop), LOGS_PER_MINUTE))
        log_warn("redis_publish_lost", "why=%s channel=%s",
                 log_safe(str_of(err_text(rc))), log_safe(channel));
}

static struct str own_uid(const struct adapter *a)
{
    return (struct str){a->uid, sizeof(a->uid)};
}

static int encode(struct adapter *a, struct wire_request *r, struct buf *out)
{
    r->uid = own_uid(a);
    buf_init(out, a->cluster->max_message_bytes);
    return wire_request_encode(&a->cluster->tape, r, out);
}

static void publish(struct adapter *a, struct wire_request *r)
{
    struct buf out;
    int rc = encode(a, r, &out);
    requests_publish(a, buf_str(&a->requests.requests.name), &out, rc);
    buf_fini(&out);
}

static bool has_others(const struct adapter *a, const struct broadcast *b)
{
    return a->cluster->pubsub && !(b && b->local);
}

void adapter_sockets_join(struct adapter *a, const struct broadcast *b,
                          const struct room_names *rooms)
{
    struct wire_request r = {.type = WIRE_JOIN, .opts = *b, .names = *rooms};
    if (has_others(a, b))
        publish(a, &r);
}

void adapter_sockets_leave(struct adapter *a, const struct broadcast *b,
                           const struct room_names *rooms)
{
    struct wire_request r = {.type = WIRE_LEAVE, .opts = *b, .names = *rooms};
    if (has_others(a, b))
        publish(a, &r);
}

void adapter_sockets_disconnect(struct adapter *a, const struct broadcast *b,
                                bool close)
{
    struct wire_request r = {
        .type = WIRE_DISCONNECT, .opts = *b, .close = close};
    if (has_others(a, b))
        publish(a, &r);
}

void adapter_server_emit(struct adapter *a, struct str data)
{
    struct wire_request r = {.type = WIRE_EVENT, .data = data};
    if (has_others(a, NULL))
        publish(a, &r);
}

/* ---- asking -------------------------------------------------------------- */

static uint32_t timeout_or_default(const struct adapter *a, uint32_t ms)
{
    return ms ? ms : a->cluster->requests_timeout_ms;
}

/* Takes the question either way. */
static int ask(struct adapter *a, struct question *q, struct wire_request *r)
{
    struct buf out;
    r->id = question_id(q);
    int rc = encode(a, r, &out);
    if (rc == 0)
        question_ask(q, buf_take(&out), timeout_or_default(a, r->timeout_ms));
    else
        question_cancel(q);
    buf_fini(&out);
    return rc;
}

static void add_own_sockets(struct adapter *a, const struct broadcast *b,
                            struct question *q)
{
    struct buf own;
    if (!a->ops->sockets_describe)
        return;
    buf_init(&own, UINT32_MAX);
    a->ops->sockets_describe(a->host, b, &own);
    if (own.len > 0)
        question_add(q, buf_str(&own));
    buf_fini(&own);
}

int adapter_fetch_sockets(struct adapter *a, const struct broadcast *b,
                          adapter_answers_fn *fn, void *arg)
{
    struct question *q;
    union question_fn f = {.answers = fn};
    struct wire_request r = {.type = WIRE_FETCH, .opts = *b};
    int rc = question_open(&a->requests.questions, ASK_SOCKETS, f, arg, &q);
    if (rc < 0)
        return rc;
    add_own_sockets(a, b, q);
    if (has_others(a, b))
        return ask(a, q, &r);
    question_end(q);
    return 0;
}

static void add_room(struct map_node *n, void *arg)
{
    question_add_name(arg, container_of(n, struct room, by_name)->name);
}

static void add_member(struct map_node *n, void *arg)
{
    question_add_name(arg, member_id(container_of(n, struct member, by_id)));
}

int adapter_all_rooms(struct adapter *a, adapter_answers_fn *fn, void *arg)
{
    struct question *q;
    union question_fn f = {.answers = fn};
    struct wire_request r = {.type = WIRE_ALL_ROOMS};
    int rc = question_open(&a->requests.questions, ASK_ROOMS, f, arg, &q);
    if (rc < 0)
        return rc;
    map_each(&a->rooms.by_id, add_member, q);
    map_each(&a->rooms.by_name, add_room, q);
    if (has_others(a, NULL))
        return ask(a, q, &r);
    question_end(q);
    return 0;
}

int adapter_server_count(struct adapter *a, adapter_count_fn *fn, void *arg)
{
    struct question *q;
    union question_fn f = {.count = fn};
    int rc = question_open(&a->requests.questions, ASK_COUNT, f, arg, &q);
    if (rc < 0)
        return rc;
    if (has_others(a, NULL))
        question_ask(q, NULL, timeout_or_default(a, 0));
    else
        question_end(q);
    return 0;
}

int adapter_server_emit_ack(struct adapter *a, struct str data,
                            uint32_t timeout_ms, adapter_answers_fn *fn,
                            void *arg)
{
    struct question *q;
    union question_fn f = {.answers = fn};
    struct wire_request r = {
        .type = WIRE_EVENT, .data = data, .timeout_ms = timeout_ms};
    int rc = question_open(&a->requests.questions, ASK_EVENT, f, arg, &q);
    if (rc < 0)
        return rc;
    if (has_others(a, NULL))
        return ask(a, q, &r);
    question_end(q);
    return 0;
}

/* Published at once, to keep its place among the other broadcasts; whether
 * there is anybody is asked behind it. */
static int ask_receivers(struct adapter *a, struct question *q,
                         struct wire_request *r)
{
    struct buf out;
    r->id = question_id(q);
    int rc = encode(a, r, &out);
    if (rc == 0) {
        metrics_add(M_QUESTIONS, 1);
        redis_pubsub_publish(a->cluster->pubsub,
                             buf_str(&a->requests.requests.name), buf_str(&out),
                             r->opts.is_volatile ? PUBLISH_VOLATILE
                                                 : PUBLISH_KEPT);
        question_ask(q, NULL, r->timeout_ms);
    } else {
        question_cancel(q);
    }
    buf_fini(&out);
    return rc;
}

int adapter_broadcast_ack(struct adapter *a, struct packet *p,
                          const struct broadcast *b, uint32_t timeout_ms,
                          const struct adapter_ask_ops *ops, void *arg)
{
    struct question *q;
    union question_fn f = {.ask = ops};
    int rc = question_open(&a->requests.questions, ASK_BROADCAST, f, arg, &q);
    if (rc < 0)
        return rc;
    if (!has_others(a, b)) {
        question_end(q);
        return 0;
    }
    struct wire_request r = {.type = WIRE_BROADCAST,
                             .opts = *b,
                             .timeout_ms = timeout_or_default(a, timeout_ms),
                             .packet = p};
    return ask_receivers(a, q, &r);
}

struct adapter_open adapter_open_questions(const struct adapter *a)
{
    const struct questions *qs = &a->requests.questions;
    return (struct adapter_open){qs->n - qs->n_broadcasts, qs->n_broadcasts};
}

/* ---- counting ------------------------------------------------------------ */

static bool reachable(void *owner)
{
    const struct adapter *a = owner;
    const struct requests *rs = &a->requests;
    const struct redis_pubsub *ps = a->cluster->pubsub;
    return redis_pubsub_sends(ps) &&
           redis_pubsub_hears(ps, buf_str(&rs->requests.name)) &&
           redis_pubsub_hears(ps, buf_str(&rs->responses.name)) &&
           redis_pubsub_hears(ps, buf_str(&rs->own_responses.name));
}

static void on_count(void *arg, int64_t subscribers)
{
    struct adapter *a = arg;
    a->requests.count = NULL;
    questions_counted(&a->requests.questions, subscribers);
}

static bool count(void *owner)
{
    struct adapter *a = owner;
    a->requests.count = redis_pubsub_count(
        a->cluster->pubsub, buf_str(&a->requests.requests.name), on_count, a);
    return a->requests.count != NULL;
}

static void publish_question(void *owner, struct str request)
{
    struct adapter *a = owner;
    metrics_add(M_QUESTIONS, 1);
    redis_pubsub_publish(a->cluster->pubsub,
                         buf_str(&a->requests.requests.name), request,
                         PUBLISH_KEPT);
}

static const struct questions_ops questions_ops = {
    .reachable = reachable,
    .count = count,
    .publish = publish_question,
};

/* ---- what the others answer ---------------------------------------------- */

static int hear_sockets(struct question *q, const struct json *tape,
                        uint32_t array)
{
    if (array == JSON_NONE)
        return ERR_PROTO;
    uint32_t at = json_first(tape, array);
    for (; at != JSON_NONE; at = json_next(tape, array, at)) {
        uint32_t id = json_get(tape, at, STR("id"));
        if (id == JSON_NONE || json_type(tape, id) != JSON_STRING)
            return ERR_PROTO;
    }
    struct str text = json_text(tape, array);
    if (tape->nodes[array].count > 0 && question_takes(q, text.len, 0))
        question_add(q, (struct str){text.p + 1, text.len - 2});
    question_heard(q);
    return 0;
}

static int hear_rooms(struct question *q, struct wire_space *s, uint32_t array)
{
    if (array == JSON_NONE)
        return ERR_PROTO;
    size_t n = s->tape.nodes[array].count;
    bool takes = question_takes(q, json_text(&s->tape, array).len, n);
    uint32_t at = takes ? json_first(&s->tape, array) : JSON_NONE;
    for (; at != JSON_NONE; at = json_next(&s->tape, array, at)) {
        struct str name;
        bool number;
        /* The requestId, which was read first, is of no more use. */
        buf_clear(&s->scratch);
        int rc = wire_name(s, at, &name, &number);
        if (rc < 0)
            return rc;
        question_add_name(q, name);
    }
    question_heard(q);
    return 0;
}

static int hear_value(struct question *q, struct str value)
{
    /* To JavaScript the answer of no value is undefined. */
    if (value.len == 0)
        value = STR("null");
    if (question_takes(q, value.len, 0))
        question_add(q, value);
    question_heard(q);
    return 0;
}

static int hear_receivers(struct question *q, const struct wire_response *r)
{
    if (r->type == WIRE_CLIENT_COUNT) {
        q->receivers += r->clients;
        question_heard(q);
        return 0;
    }
    if (r->type != WIRE_ACK)
        return ERR_PROTO;
    /* More than were announced: a server's number may have been lost. */
    if (!question_ack(q)) {
        metrics_add(M_REDIS_NOT_ASKED, 1);
        return 0;
    }
    size_t bytes = r->value.len;
    for (size_t i = 0; i < r->bins.n; i++)
        bytes += r->bins.v[i]->len;
    if (question_takes(q, bytes, 0))
        q->fn.ask->answered(q->arg, r->value, r->bins.v, r->bins.n);
    question_check(q);
    return 0;
}

static int hear(struct question *q, struct wire_space *s,
                const struct wire_response *r)
{
    switch (q->kind) {
    case ASK_SOCKETS:
        return hear_sockets(q, &s->tape, r->sockets);
    case ASK_ROOMS:
        return hear_rooms(q, s, r->rooms);
    case ASK_EVENT:
        return r->type == WIRE_EVENT ? hear_value(q, r->value) : ERR_PROTO;
    case ASK_BROADCAST:
        return hear_receivers(q, r);
    default:
        return ERR_PROTO;
    }
}

/* Most answers are for others: those are told apart before anything else of
 * them is read. */
static void receive_response(struct adapter *a, struct str channel,
                             struct str payload)
{
    struct cluster *c = a->cluster;
    struct questions *qs = &a->requests.questions;
    struct str id = wire_response_id(payload);
    if (qs->by_id.count == 0 || (id.len > 0 && !questions_find(qs, id))) {
        metrics_add(M_REDIS_NOT_ASKED, 1);
        return;
    }
    struct wire_response r;
    int rc = wire_response_decode(payload, &c->limits, &c->space, &r);
    struct question *q = rc == 0 ? questions_find(qs, r.id) : NULL;
    if (q)
        rc = hear(q, &c->space, &r);
    else if (rc == 0)
        metrics_add(M_REDIS_NOT_ASKED, 1);
    if (rc < 0)
        cluster_bad_message(c, channel, rc);
    else
        metrics_add(M_CLUSTER_RECEIVED, q != NULL);
    wire_response_fini(&r);
    wire_space_trim(&c->space);
}

/* ---- life ---------------------------------------------------------------- */

static void subscribe(struct adapter *a, struct request_channel *ch,
                      void (*receive)(struct adapter *, struct str, struct str))
{
    ch->receive = receive;
    ch->adapter = a;
    map_put(&a->cluster->by_channel, &ch->by_name);
    redis_pubsub_subscribe(a->cluster->pubsub, buf_str(&ch->name),
                           REDIS_CHANNEL);
}

static void unsubscribe(struct adapter *a, struct request_channel *ch)
{
    if (a->cluster->pubsub) {
        redis_pubsub_unsubscribe(a->cluster->pubsub, buf_str(&ch->name),
                                 REDIS_CHANNEL);
        map_remove(&a->cluster->by_channel, &ch->by_name);
    }
    buf_fini(&ch->name);
}

void requests_init(struct adapter *a)
{
    struct cluster *c = a->cluster;
    struct requests *rs = &a->requests;
    questions_init(&rs->questions, c->loop, &questions_ops, a,
                   (size_t)c->max_message_bytes * ANSWER_MESSAGES);
    list_init(&rs->asked);
    buf_init(&rs->requests.name, UINT32_MAX);
    buf_init(&rs->responses.name, UINT32_MAX);
    buf_init(&rs->own_responses.name, UINT32_MAX);
    if (!c->pubsub)
        return;
    wire_request_channel(c->prefix, a->nsp, &rs->requests.name);
    wire_response_channel(c->prefix, a->nsp, STR(""), &rs->responses.name);
    wire_response_channel(c->prefix, a->nsp, own_uid(a),
                          &rs->own_responses.name);
    /* By its requests a server is counted: they come last. */
    subscribe(a, &rs->responses, receive_response);
    subscribe(a, &rs->own_responses, receive_response);
    subscribe(a, &rs->requests, answers_receive);
}

void requests_fini(struct adapter *a)
{
    struct requests *rs = &a->requests;
    questions_fini(&rs->questions);
    answers_forget(a);
    if (rs->count)
        redis_count_cancel(rs->count);
    unsubscribe(a, &rs->requests);
    unsubscribe(a, &rs->responses);
    unsubscribe(a, &rs->own_responses);
}
