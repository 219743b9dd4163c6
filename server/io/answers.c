#include "server/io/answers.h"

#include <assert.h>

#include "common/mem.h"
#include "common/metrics.h"
#include "server/io/broadcast.h"
#include "server/io/dynamic.h"
#include "server/io/survey.h"

/* The answers to one question together are bounded by so many times
 * engine.max_payload_bytes. */
enum { ANSWERS_PAYLOADS = 4 };

static const struct json_limits answers_limits = {64, (1 << 24) - 1};

/* Values of several events, in one text with one list of attachments. */
struct collection {
    struct buf json;
    struct bytes **bins;
    uint32_t n_bins;
};

struct question {
    struct list of_namespace;
    struct list waits; /* of those who have not answered yet */
    struct sio_namespace *ns;
    struct timer timer;
    struct packet *packet; /* while it is being asked */
    bool is_volatile;
    bool elsewhere; /* other servers are asked, too, and have not all said */
    struct adapter_asked *from; /* who gets the answers: another server, */
    sio_answers_fn *fn;         /* or the application */
    void *arg;
    size_t n, missing;
    struct collection answers; /* without the last bracket */
    size_t bytes;              /* of their text and attachments */
};

/* ---- values -------------------------------------------------------------- */

static void collection_fini(struct collection *c)
{
    for (uint32_t i = 0; i < c->n_bins; i++)
        bytes_unref(c->bins[i]);
    mem_free(c->bins);
    buf_fini(&c->json);
}

static int keep_binary(struct buf *out, struct str data, void *arg)
{
    struct collection *c = arg;
    buf_fmt(out, "{\"_placeholder\":true,\"num\":%u}", c->n_bins);
    c->bins = mem_realloc(c->bins, (c->n_bins + 1) * sizeof(struct bytes *));
    c->bins[c->n_bins++] = bytes_new(data);
    return 0;
}

/* Whether it has what would be taken for an attachment that did not come with
 * it: beside the others' it would look like one of theirs. */
static bool pretends(const struct sio_event *answer, struct sio_value v)
{
    int64_t num;
    const struct json *j = answer->tape;
    for (uint32_t n = v.node; n < j->nodes[v.node].next; n++) {
        if (parser_placeholder(j, n, &num) &&
            (num < 0 || num >= answer->n_bins))
            return true;
    }
    return false;
}

/* Adds the first argument. */
static void collect(struct collection *c, const struct sio_event *answer)
{
    struct sio_value v = sio_arg(answer, 0);
    if (sio_type(v) == SIO_NONE || pretends(answer, v))
        buf_add(&c->json, STR("null"));
    else
        (void)pack_copy(&c->json, v, keep_binary, c);
}

static size_t size_of(const struct sio_event *answer)
{
    enum { NUMBER = 16 }; /* a placeholder may get longer */
    size_t n = sio_json(sio_arg(answer, 0)).len + 1;
    for (uint32_t i = 0; i < answer->n_bins; i++)
        n += bytes_body(answer->bins[i]).len + NUMBER;
    return n;
}

void answers_give(struct sio_namespace *ns, const struct answers *a,
                  sio_answers_fn *fn, void *arg)
{
    size_t missing = a->missing;
    struct json *tape = server_tape_get(ns->server);
    int rc = json_parse(tape, a->json, answers_limits);
    if (rc < 0) {
        /* Each was fine, together they have too many values. */
        missing += a->n;
        rc = json_parse(tape, STR("[]"), answers_limits);
    }
    assert(rc == 0);
    struct sio_event e;
    event_init_value(&e, tape);
    e.bins = a->bins;
    e.n_bins = a->n_bins;
    fn(&e, missing, arg);
    event_fini(&e);
    server_tape_put(ns->server);
}

/* ---- the end ------------------------------------------------------------- */

static void count(struct question *q, int by)
{
    uint32_t *n = q->from ? &q->ns->n_foreign : &q->ns->n_questions;
    *n += (uint32_t)by;
}

static void tell_application(struct question *q)
{
    buf_addc(&q->answers.json, ']');
    struct answers a = {buf_str(&q->answers.json), q->n, q->missing,
                        q->answers.bins, q->answers.n_bins};
    answers_give(q->ns, &a, q->fn, q->arg);
}

static void detach(struct question *q)
{
    list_remove(&q->of_namespace);
    count(q, -1);
    timer_stop(&q->timer);
}

static void question_free(struct question *q)
{
    struct sio_namespace *ns = q->ns;
    collection_fini(&q->answers);
    mem_free(q);
    dynamic_release(ns);
}

static void question_end(struct question *q)
{
    detach(q);
    if (q->from)
        adapter_answered(q->from);
    else
        tell_application(q);
    question_free(q);
}

static void end_if_complete(struct question *q)
{
    if (list_empty(&q->waits) && !q->packet && !q->elsewhere)
        question_end(q);
}

/* Of this node's receivers. */
static void stop_waiting(struct question *q)
{
    while (!list_empty(&q->waits)) {
        socket_wait_drop(q->waits.next);
        q->missing++;
    }
}

static void on_timeout(struct timer *t)
{
    struct question *q = container_of(t, struct question, timer);
    if (!list_empty(&q->waits))
        metrics_add(M_ACK_TIMEOUT, 1);
    stop_waiting(q);
    end_if_complete(q);
}

void questions_end(struct sio_namespace *ns)
{
    struct list *n = ns->questions.next, *next;
    for (; n != &ns->questions; n = next) {
        next = n->next;
        struct question *q = container_of(n, struct question, of_namespace);
        stop_waiting(q);
        end_if_complete(q);
    }
}

/* ---- answers ------------------------------------------------------------- */

/* For the application, which gets all of them at once. */
static void keep(struct question *q, const struct sio_event *answer)
{
    size_t size = size_of(answer);
    size_t most =
        (size_t)ANSWERS_PAYLOADS * q->ns->server->settings.max_payload_bytes;
    if (size > most - q->bytes) {
        metrics_add(M_LIMIT_ACKS, 1);
        q->missing++;
        return;
    }
    q->bytes += size;
    if (q->n++ > 0)
        buf_addc(&q->answers.json, ',');
    collect(&q->answers, answer);
}

static void forward(const struct question *q, const struct sio_event *answer)
{
    struct collection c = {0};
    buf_init(&c.json, UINT32_MAX);
    if (sio_arg_count(answer) > 0)
        collect(&c, answer);
    adapter_answer(q->from, buf_str(&c.json), c.bins, c.n_bins);
    collection_fini(&c);
}

void question_answered(struct question *q, const struct sio_event *answer)
{
    if (q->from)
        forward(q, answer);
    else
        keep(q, answer);
    end_if_complete(q);
}

void question_missed(struct question *q)
{
    q->missing++;
    end_if_complete(q);
}

/* ---- asking -------------------------------------------------------------- */

static struct question *question_new(struct sio_namespace *ns, bool is_volatile,
                                     struct adapter_asked *from)
{
    struct question *q = mem_zalloc(sizeof(*q));
    q->ns = ns;
    q->is_volatile = is_volatile;
    q->from = from;
    list_init(&q->waits);
    timer_init(&q->timer, on_timeout);
    buf_init(&q->answers.json, UINT32_MAX);
    list_insert(&ns->questions, &q->of_namespace);
    count(q, 1);
    return q;
}

struct asking {
    struct question *q;
    size_t asked;
};

static void ask_one(struct sio_socket *s, void *arg)
{
    struct asking *a = arg;
    struct question *q = a->q;
    a->asked++;
    bool sent = socket_deliver(s, q->packet, q->is_volatile);
    if (!sent || !socket_wait_for(s, q->packet->ack, q, &q->waits))
        q->missing++;
}

/* Asks those of this node; returns how many they are. */
static size_t ask_here(struct question *q, struct packet *p,
                       const struct broadcast *to, uint32_t timeout_ms)
{
    struct asking a = {q, 0};
    q->packet = p;
    selection_each(q->ns, to, ask_one, &a);
    q->packet = NULL;
    /* Never inside the call, not even when there is nobody to ask. */
    bool nobody = list_empty(&q->waits) && !q->elsewhere;
    loop_timer(q->ns->server->loop, &q->timer, nobody ? 0 : timeout_ms);
    return a.asked;
}

static int64_t next_ack(struct sio_namespace *ns)
{
    return (int64_t)ns->next_ack++;
}

size_t question_of_server(struct sio_namespace *ns, const struct packet *p,
                          const struct broadcast *to, uint32_t timeout_ms,
                          struct adapter_asked *from)
{
    /* Too many: the event is for the clients all the same. */
    if (ns->n_foreign >= ns->server->settings.pending_acks) {
        metrics_add(M_LIMIT_ACKS, 1);
        timeout_ms = 0;
    }
    struct question *q = question_new(ns, to->is_volatile, from);
    struct packet *mine = packet_new(PACKET_EVENT, ns->name, next_ack(ns),
                                     p->data, p->bins, p->n_bins);
    size_t asked = ask_here(q, mine, to, timeout_ms);
    packet_unref(mine);
    return asked;
}

static void on_answer(void *arg, struct str json, struct bytes *const *bins,
                      size_t n_bins)
{
    struct question *q = arg;
    struct json *tape = server_tape_get(q->ns->server);
    if (json_parse(tape, json.len ? json : STR("null"), answers_limits) == 0) {
        struct sio_event e;
        event_init_value(&e, tape);
        e.bins = bins;
        e.n_bins = (uint32_t)n_bins;
        keep(q, &e);
        event_fini(&e);
    } else {
        q->missing++;
    }
    server_tape_put(q->ns->server);
}

static void on_all_answered(void *arg, size_t missing)
{
    struct question *q = arg;
    q->elsewhere = false;
    q->missing += missing;
    end_if_complete(q);
}

static int ask_all(const struct sio_broadcast *b, const struct pack *p,
                   struct question *q, uint32_t timeout_ms)
{
    static const struct adapter_ask_ops ops = {on_answer, on_all_answered};
    struct sio_namespace *ns = b->ns;
    struct selection_names names;
    struct broadcast to = selection_of(b, &names);
    struct packet *packet = broadcast_packet(ns, next_ack(ns), p);
    int rc = 0;
    if (!to.local)
        rc = adapter_broadcast_ack(ns->adapter, packet, &to,
                                   survey_ms(timeout_ms), &ops, q);
    if (rc == 0) {
        q->elsewhere = !to.local;
        (void)ask_here(q, packet, &to, timeout_ms);
        metrics_add(M_BROADCASTS, 1);
    }
    packet_unref(packet);
    return rc;
}

int sio_broadcast_ack(const struct sio_broadcast *b, uint32_t timeout_ms,
                      sio_answers_fn *fn, void *arg, const char *event,
                      const char *format, ...)
{
    struct sio_namespace *ns = b->ns;
    struct sio_server *srv = ns->server;
    if (srv->stopping)
        return SIO_ERR_STATE;
    struct pack p;
    struct pack_args args;
    va_start(args.ap, format);
    int rc = broadcast_pack(b, &p, event, format, &args);
    va_end(args.ap);
    if (rc == 0 && ns->n_questions >= srv->settings.pending_acks) {
        metrics_add(M_LIMIT_ACKS, 1);
        rc = SIO_ERR_LIMIT;
    }
    if (rc == 0) {
        struct question *q = question_new(ns, b->is_volatile, NULL);
        q->fn = fn;
        q->arg = arg;
        buf_addc(&q->answers.json, '[');
        rc = ask_all(b, &p, q, timeout_ms);
        if (rc < 0) {
            detach(q);
            question_free(q);
        }
    }
    pack_fini(&p);
    return rc == ERR_PROTO ? SIO_ERR_ARG : rc; /* a room's name */
}
