#include "server/io/answers.h"

#include <assert.h>

#include "common/mem.h"
#include "common/metrics.h"
#include "server/io/dynamic.h"
#include "server/io/pack.h"
#include "server/io/selection.h"

/* The answers to one question together are bounded by so many times
 * engine.max_payload_bytes. */
enum { ANSWERS_PAYLOADS = 4 };

static const struct json_limits answers_limits = {64, (1 << 24) - 1};

struct question {
    struct list of_namespace;
    struct list waits; /* of those who have not answered yet */
    struct sio_namespace *ns;
    struct timer timer;
    struct packet *packet; /* while it is being asked */
    bool is_volatile;
    sio_answers_fn *fn;
    void *arg;
    size_t missing;
    size_t n;        /* answers */
    struct buf json; /* of the answers, without the last bracket */
    size_t bytes;    /* of text and attachments */
    struct bytes **bins;
    uint32_t n_bins;
};

/* ---- the end ------------------------------------------------------------- */

static void question_free(struct question *q)
{
    for (uint32_t i = 0; i < q->n_bins; i++)
        bytes_unref(q->bins[i]);
    mem_free(q->bins);
    buf_fini(&q->json);
    mem_free(q);
}

static void question_end(struct question *q)
{
    struct sio_namespace *ns = q->ns;
    list_remove(&q->of_namespace);
    ns->n_questions--;
    timer_stop(&q->timer);
    while (!list_empty(&q->waits)) {
        socket_wait_drop(q->waits.next);
        q->missing++;
    }
    buf_addc(&q->json, ']');
    struct json *tape = server_tape_get(ns->server);
    int rc = json_parse(tape, buf_str(&q->json), answers_limits);
    if (rc < 0) {
        /* Each was fine, together they have too many values. */
        q->missing += q->n;
        rc = json_parse(tape, STR("[]"), answers_limits);
    }
    assert(rc == 0);
    struct sio_event e;
    event_init_value(&e, tape);
    e.bins = q->bins;
    e.n_bins = q->n_bins;
    q->fn(&e, q->missing, q->arg);
    event_fini(&e);
    server_tape_put(ns->server);
    question_free(q);
    dynamic_release(ns);
}

static void on_timeout(struct timer *t)
{
    struct question *q = container_of(t, struct question, timer);
    if (!list_empty(&q->waits))
        metrics_add(M_ACK_TIMEOUT, 1);
    question_end(q);
}

void questions_end(struct sio_namespace *ns)
{
    while (!list_empty(&ns->questions))
        question_end(
            container_of(ns->questions.next, struct question, of_namespace));
}

static void end_if_complete(struct question *q)
{
    if (list_empty(&q->waits) && !q->packet)
        question_end(q);
}

/* ---- answers ------------------------------------------------------------- */

static int keep_binary(struct buf *out, struct str data, void *arg)
{
    struct question *q = arg;
    buf_fmt(out, "{\"_placeholder\":true,\"num\":%u}", q->n_bins);
    q->bins = mem_realloc(q->bins, (q->n_bins + 1) * sizeof(struct bytes *));
    q->bins[q->n_bins++] = bytes_new(data);
    return 0;
}

/* Whether it has what would be taken for an attachment, and none came with it:
 * beside the others' it would look like one of theirs. */
static bool pretends(const struct sio_event *answer, struct sio_value v)
{
    int64_t num;
    const struct json *j = answer->tape;
    for (uint32_t n = v.node; n < j->nodes[v.node].next; n++) {
        if (answer->n_bins == 0 && parser_placeholder(j, n, &num))
            return true;
    }
    return false;
}

static size_t size_of(const struct sio_event *answer, struct sio_value v)
{
    enum { NUMBER = 16 }; /* a placeholder may get longer */
    size_t n = sio_json(v).len + 1;
    for (uint32_t i = 0; i < answer->n_bins; i++)
        n += bytes_body(answer->bins[i]).len + NUMBER;
    return n;
}

void question_answered(struct question *q, const struct sio_event *answer)
{
    struct sio_value v = sio_arg(answer, 0);
    size_t size = size_of(answer, v);
    size_t most =
        (size_t)ANSWERS_PAYLOADS * q->ns->server->settings.max_payload_bytes;
    if (size > most - q->bytes) {
        metrics_add(M_LIMIT_ACKS, 1);
        question_missed(q);
        return;
    }
    q->bytes += size;
    q->n++;
    if (q->json.len > 1)
        buf_addc(&q->json, ',');
    if (sio_type(v) == SIO_NONE || pretends(answer, v))
        buf_add(&q->json, STR("null"));
    else
        (void)pack_copy(&q->json, v, keep_binary, q);
    end_if_complete(q);
}

void question_missed(struct question *q)
{
    q->missing++;
    end_if_complete(q);
}

/* ---- asking -------------------------------------------------------------- */

static void ask_one(struct sio_socket *s, void *arg)
{
    struct question *q = arg;
    bool sent = socket_deliver(s, q->packet, q->is_volatile);
    if (!sent || !socket_wait_for(s, q->packet->ack, q, &q->waits))
        q->missing++;
}

static void ask_all(const struct sio_broadcast *b, const struct pack *p,
                    struct question *q, uint32_t timeout_ms)
{
    struct sio_namespace *ns = b->ns;
    struct bytes *data = bytes_new(buf_str(&p->json));
    struct packet *packet =
        packet_new(PACKET_EVENT, ns->name, (int64_t)ns->next_ack++, data,
                   p->bins, p->n_bins);
    bytes_unref(data);
    q->packet = packet;
    selection_each(b, ask_one, q);
    q->packet = NULL;
    packet_unref(packet);
    metrics_add(M_BROADCASTS, 1);
    /* Never inside the call, not even when there is nobody to ask. */
    loop_timer(ns->server->loop, &q->timer,
               list_empty(&q->waits) ? 0 : timeout_ms);
}

int sio_broadcast_ack(const struct sio_broadcast *b, uint32_t timeout_ms,
                      sio_answers_fn *fn, void *arg, const char *event,
                      const char *format, ...)
{
    struct sio_namespace *ns = b->ns;
    struct sio_server *srv = ns->server;
    int rc = srv->stopping ? SIO_ERR_STATE : selection_check(b);
    if (rc == 0 && parser_reserved(str_of(event)))
        rc = SIO_ERR_ARG;
    if (rc < 0)
        return rc;
    if (ns->n_questions >= srv->settings.pending_acks) {
        metrics_add(M_LIMIT_ACKS, 1);
        return SIO_ERR_LIMIT;
    }
    struct pack p;
    struct pack_args args;
    pack_init(&p, srv->settings.max_payload_bytes);
    va_start(args.ap, format);
    rc = pack_array(&p, event, format, &args, &srv->scratch);
    va_end(args.ap);
    if (rc == 0) {
        struct question *q = mem_zalloc(sizeof(*q));
        *q = (struct question){
            .ns = ns, .fn = fn, .arg = arg, .is_volatile = b->is_volatile};
        list_init(&q->waits);
        timer_init(&q->timer, on_timeout);
        buf_init(&q->json, UINT32_MAX);
        buf_addc(&q->json, '[');
        list_insert(&ns->questions, &q->of_namespace);
        ns->n_questions++;
        ask_all(b, &p, q, timeout_ms);
    }
    pack_fini(&p);
    return rc;
}
