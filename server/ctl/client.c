#include "server/ctl/client.h"

#include "common/json_out.h"
#include "common/log.h"
#include "common/mem.h"
#include "server/io/parser.h"

static const struct parser_limits limits = {
    .json = {JSON_DEPTH_MAX, 1000000},
    .event_name_bytes = 1024,
};

/* A question that is open. */
struct asked {
    struct list link;
    struct timer deadline;
    struct ctl_client *client;
    int64_t id;
    ctl_answer_fn *fn;
    void *arg;
};

struct ctl_client {
    const struct ctl_net *net;
    struct ctl_client_settings settings;
    const struct ctl_client_ops *ops;
    void *arg;
    struct ctl_eio *eio; /* NULL once it is closed */
    struct json tape;
    struct buf text; /* of the packet whose attachments are under way */
    struct packet_head head;
    struct bytes *bins[PACKET_BINS_MAX];
    size_t n_bins;
    bool waiting; /* for them */
    struct list asked;
    size_t n_asked;
    int64_t next_id;
    char id[CTL_SID_MAX + 1];
    bool connected, closed;
};

/* ---- life ---------------------------------------------------------------- */

static void drop_bins(struct ctl_client *c)
{
    while (c->n_bins > 0)
        bytes_unref(c->bins[--c->n_bins]);
    c->waiting = false;
}

/* Takes the question off and answers it. */
static void settle(struct asked *a, const struct ctl_values *v)
{
    ctl_answer_fn *fn = a->fn;
    void *arg = a->arg;
    a->client->n_asked--;
    list_remove(&a->link);
    timer_stop(&a->deadline);
    mem_free(a);
    if (fn)
        fn(arg, v);
}

static void settle_all(struct ctl_client *c)
{
    while (!list_empty(&c->asked))
        settle(container_of(c->asked.next, struct asked, link), NULL);
}

static void on_close(void *arg, const struct ctl_fault *why)
{
    struct ctl_client *c = arg;
    if (c->closed)
        return;
    struct ctl_fault fault = *why;
    c->closed = true;
    c->connected = false;
    ctl_eio_free(c->eio);
    c->eio = NULL;
    settle_all(c);
    c->ops->on_close(c->arg, &fault);
}

static void fail(struct ctl_client *c, enum ctl_fault_kind kind,
                 const char *text)
{
    struct ctl_fault why = ctl_fault(kind, "%s", text);
    on_close(c, &why);
}

static void destroy(void *arg)
{
    struct ctl_client *c = arg;
    drop_bins(c);
    json_fini(&c->tape);
    buf_fini(&c->text);
    mem_free(c);
}

/* ---- sending ------------------------------------------------------------- */

static bool send_packet(struct ctl_client *c, const char *type, int64_t id,
                        struct str payload)
{
    struct buf b;
    buf_init(&b, UINT32_MAX);
    buf_add(&b, str_of(type));
    if (c->settings.nsp.len > 1) {
        buf_add(&b, c->settings.nsp);
        buf_addc(&b, ',');
    }
    if (id != PACKET_NO_ACK)
        buf_add_i64(&b, id);
    buf_add(&b, payload);
    bool ok = c->eio && ctl_eio_send(c->eio, buf_str(&b));
    buf_fini(&b);
    return ok;
}

static bool send_event(struct ctl_client *c, struct str event, struct str args,
                       int64_t id)
{
    struct buf b;
    if (!c->connected)
        return false;
    buf_init(&b, UINT32_MAX);
    buf_addc(&b, '[');
    json_out_string(&b, event);
    if (args.len > 0)
        buf_addc(&b, ',');
    buf_add(&b, args);
    buf_addc(&b, ']');
    bool ok = send_packet(c, "2", id, buf_str(&b));
    buf_fini(&b);
    return ok;
}

bool ctl_client_emit(struct ctl_client *c, struct str event, struct str args)
{
    return send_event(c, event, args, PACKET_NO_ACK);
}

static void on_late(struct timer *t)
{
    settle(container_of(t, struct asked, deadline), NULL);
}

bool ctl_client_ask(struct ctl_client *c, struct str event, struct str args,
                    uint32_t timeout_ms, ctl_answer_fn *fn, void *arg)
{
    if (c->n_asked == CTL_ASKED_MAX || !send_event(c, event, args, c->next_id))
        return false;
    struct asked *a = mem_zalloc(sizeof(*a));
    *a = (struct asked){.client = c, .id = c->next_id++, .fn = fn, .arg = arg};
    timer_init(&a->deadline, on_late);
    loop_timer(c->net->loop, &a->deadline, timeout_ms);
    list_insert(&c->asked, &a->link);
    c->n_asked++;
    return true;
}

/* ---- receiving ----------------------------------------------------------- */

static void on_connected(struct ctl_client *c)
{
    uint32_t node = c->head.has_payload && json_type(&c->tape, 0) == JSON_OBJECT
                        ? json_get(&c->tape, 0, STR("sid"))
                        : JSON_NONE;
    if (c->connected || node == JSON_NONE ||
        json_type(&c->tape, node) != JSON_STRING) {
        fail(c, FAULT_PROTO, "the namespace's answer makes no sense");
        return;
    }
    struct buf id;
    buf_init(&id, CTL_SID_MAX);
    json_string(&c->tape, node, &id);
    memcpy(c->id, buf_str(&id).p, id.len);
    c->id[id.len] = '\0';
    buf_fini(&id);
    c->connected = true;
    c->ops->on_connect(c->arg);
}

static void on_refused(struct ctl_client *c)
{
    struct buf message;
    buf_init(&message, 1024);
    uint32_t node = JSON_NONE;
    if (c->head.has_payload && json_type(&c->tape, 0) == JSON_OBJECT)
        node = json_get(&c->tape, 0, STR("message"));
    if (node != JSON_NONE && json_type(&c->tape, node) == JSON_STRING)
        json_string(&c->tape, node, &message);
    struct ctl_fault why =
        ctl_fault(FAULT_ENDED, "the namespace %s refused: %s",
                  log_safe(c->settings.nsp), log_safe(buf_str(&message)));
    buf_fini(&message);
    on_close(c, &why);
}

static void on_answer(struct ctl_client *c, const struct ctl_values *v)
{
    for (struct list *n = c->asked.next; n != &c->asked; n = n->next) {
        struct asked *a = container_of(n, struct asked, link);
        if (a->id != c->head.ack)
            continue;
        settle(a, v);
        return;
    }
}

/* The packet is whole. */
static void on_packet(struct ctl_client *c)
{
    struct ctl_values v = {&c->tape, c->bins, c->n_bins};
    switch (c->head.type) {
    case PACKET_CONNECT:
        on_connected(c);
        break;
    case PACKET_CONNECT_ERROR:
        on_refused(c);
        break;
    case PACKET_DISCONNECT:
        fail(c, FAULT_ENDED, "the server closed the namespace");
        break;
    case PACKET_EVENT:
        if (c->connected)
            c->ops->on_event(c->arg, &v);
        break;
    case PACKET_ACK:
        on_answer(c, &v);
        break;
    default:
        break;
    }
}

static bool is_ours(const struct ctl_client *c)
{
    return str_eq(c->head.nsp, c->settings.nsp);
}

static void on_text(struct ctl_client *c, struct str data)
{
    if (c->waiting) {
        fail(c, FAULT_PROTO, "attachments are missing");
        return;
    }
    /* The head and the tape point into it for as long as they are needed. */
    buf_clear(&c->text);
    buf_add(&c->text, data);
    int rc = parser_decode(buf_str(&c->text), &limits, &c->tape, &c->head);
    if (rc < 0) {
        fail(c, rc == ERR_LIMIT ? FAULT_LIMIT : FAULT_PROTO,
             "a packet of Socket.IO makes no sense");
        return;
    }
    c->waiting = c->head.n_bins > 0;
    if (!c->waiting && is_ours(c))
        on_packet(c);
}

static void on_binary(struct ctl_client *c, struct str data)
{
    if (!c->waiting) {
        fail(c, FAULT_PROTO, "an attachment belongs to nothing");
        return;
    }
    c->bins[c->n_bins++] = bytes_new(data);
    if (c->n_bins < c->head.n_bins)
        return;
    c->waiting = false;
    if (parser_check_bins(&c->tape, c->head.n_bins) < 0)
        fail(c, FAULT_PROTO, "a placeholder names no attachment");
    else if (is_ours(c))
        on_packet(c);
    drop_bins(c);
}

static void on_message(void *arg, struct str data, bool binary)
{
    struct ctl_client *c = arg;
    if (binary)
        on_binary(c, data);
    else
        on_text(c, data);
}

static void on_open(void *arg)
{
    struct ctl_client *c = arg;
    (void)send_packet(c, "0", PACKET_NO_ACK, c->settings.auth);
}

static void on_ping(void *arg)
{
    struct ctl_client *c = arg;
    if (c->ops->on_ping)
        c->ops->on_ping(c->arg);
}

static void on_upgrade(void *arg, const struct ctl_fault *why)
{
    struct ctl_client *c = arg;
    if (c->ops->on_upgrade)
        c->ops->on_upgrade(c->arg, why);
}

static const struct ctl_eio_ops eio_ops = {.on_open = on_open,
                                           .on_message = on_message,
                                           .on_ping = on_ping,
                                           .on_upgrade = on_upgrade,
                                           .on_close = on_close};

/* ---- from outside -------------------------------------------------------- */

struct ctl_client *ctl_client_new(const struct ctl_net *net,
                                  const struct ctl_client_settings *s,
                                  const struct ctl_client_ops *ops, void *arg)
{
    struct ctl_client *c = mem_zalloc(sizeof(*c));
    c->net = net;
    c->settings = *s;
    c->ops = ops;
    c->arg = arg;
    list_init(&c->asked);
    json_init(&c->tape);
    buf_init(&c->text, s->eio.max_bytes);
    c->eio = ctl_eio_new(net, &c->settings.eio, &eio_ops, c);
    return c;
}

void ctl_client_free(struct ctl_client *c)
{
    if (!c)
        return;
    c->closed = true;
    c->connected = false;
    for (struct list *n = c->asked.next; n != &c->asked; n = n->next)
        container_of(n, struct asked, link)->fn = NULL;
    settle_all(c);
    ctl_eio_free(c->eio);
    c->eio = NULL;
    loop_bury(c->net->loop, destroy, c);
}

struct str ctl_client_id(const struct ctl_client *c)
{
    return str_of(c->id);
}

struct ctl_eio *ctl_client_eio(struct ctl_client *c)
{
    return c->eio;
}
