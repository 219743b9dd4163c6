#include "adapter/answers.h"

#include "common/json_out.h"
#include "common/mem.h"
#include "common/metrics.h"

struct adapter_asked {
    struct list link;
    struct adapter *adapter; /* NULL: nobody waits any more */
    enum wire_type type;
    uint64_t until_ms; /* who asked waits no longer */
    bool in_call;      /* the host is being asked */
    bool answered;     /* an event is, once */
    bool over;
    struct str uid, id; /* their text follows */
};

/* ---- publishing ---------------------------------------------------------- */

static void out_init(struct adapter *a, struct buf *out)
{
    buf_init(out, a->cluster->max_message_bytes);
}

/* Answers to events always go to everybody, whatever the setting. */
static void respond(struct adapter *a, enum wire_type type, struct str uid,
                    struct buf *out, int rc)
{
    struct cluster *c = a->cluster;
    bool specific = c->specific_responses && type != WIRE_EVENT;
    struct buf channel;
    buf_init(&channel, UINT32_MAX);
    wire_response_channel(c->prefix, a->nsp, specific ? uid : STR(""),
                          &channel);
    requests_publish(a, buf_str(&channel), out, rc);
    buf_fini(&channel);
    buf_fini(out);
}

/* ---- lists --------------------------------------------------------------- */

static void put_name(struct buf *out, struct str name)
{
    if (buf_ptr(out)[out->len - 1] != '[')
        buf_addc(out, ',');
    json_out_string(out, name);
}

static void put_id(void *arg, struct member *m)
{
    put_name(arg, member_id(m));
}

static void put_private_room(struct map_node *n, void *arg)
{
    put_name(arg, member_id(container_of(n, struct member, by_id)));
}

struct room_list {
    const struct rooms *rooms;
    struct buf *out;
};

static void put_room(struct map_node *n, void *arg)
{
    struct room_list *l = arg;
    struct str name = container_of(n, struct room, by_name)->name;
    if (!rooms_member(l->rooms, name))
        put_name(l->out, name);
}

static void put_list(struct adapter *a, const struct wire_request *r,
                     struct buf *out)
{
    const struct broadcast *b = &r->opts;
    struct room_list l = {&a->rooms, out};
    switch (r->type) {
    case WIRE_SOCKETS:
        (void)rooms_select(&a->rooms, b->rooms, b->n_rooms, NULL, 0, put_id,
                           out);
        break;
    case WIRE_ALL_ROOMS:
        map_each(&a->rooms.by_id, put_private_room, out);
        map_each(&a->rooms.by_name, put_room, &l);
        break;
    default:
        if (a->ops->sockets_describe)
            a->ops->sockets_describe(a->host, b, out);
        break;
    }
}

static void answer_list(struct adapter *a, const struct wire_request *r)
{
    struct buf out;
    out_init(a, &out);
    wire_response_begin(r->id, r->type == WIRE_ALL_ROOMS ? "rooms" : "sockets",
                        &out);
    put_list(a, r, &out);
    buf_add(&out, STR("]}"));
    metrics_add(M_ANSWERED, 1);
    respond(a, r->type, r->uid, &out, 0);
}

/* ---- effects ------------------------------------------------------------- */

static void apply(struct adapter *a, const struct wire_request *r,
                  const struct broadcast *b)
{
    const struct adapter_host *ops = a->ops;
    if (r->type == WIRE_JOIN && ops->sockets_join)
        ops->sockets_join(a->host, b, &r->names);
    else if (r->type == WIRE_LEAVE && ops->sockets_leave)
        ops->sockets_leave(a->host, b, &r->names);
    else if (r->type == WIRE_DISCONNECT && ops->sockets_disconnect)
        ops->sockets_disconnect(a->host, b, r->close);
}

/* Older servers ask for one socket, and only who has it answers. */
static void apply_to_one(struct adapter *a, const struct wire_request *r)
{
    struct broadcast b = {.rooms = &r->sid, .n_rooms = 1};
    if (!rooms_member(&a->rooms, r->sid))
        return;
    apply(a, r, &b);
    if (r->id.len == 0)
        return;
    struct buf out;
    out_init(a, &out);
    wire_response_done(r->id, &out);
    metrics_add(M_ANSWERED, 1);
    respond(a, r->type, r->uid, &out, 0);
}

/* ---- what the host answers ----------------------------------------------- */

static void asked_detach(struct adapter_asked *q)
{
    if (!q->adapter)
        return;
    list_remove(&q->link);
    q->adapter->requests.n_asked--;
    q->adapter = NULL;
}

/* Those that nobody waits for make room. */
static bool asked_room(struct adapter *a)
{
    struct requests *rs = &a->requests;
    uint64_t now = loop_now(a->cluster->loop);
    if (rs->n_asked < ASKED_MAX)
        return true;
    for (struct list *n = rs->asked.next, *next; n != &rs->asked; n = next) {
        struct adapter_asked *q = container_of(n, struct adapter_asked, link);
        next = n->next;
        if (q->until_ms <= now)
            asked_detach(q);
    }
    if (rs->n_asked < ASKED_MAX)
        return true;
    metrics_add(M_LIMIT_ASKED, 1);
    return false;
}

static struct adapter_asked *
asked_new(struct adapter *a, const struct wire_request *r, uint32_t ms)
{
    struct adapter_asked *q = mem_zalloc(sizeof(*q) + r->uid.len + r->id.len);
    char *copy = (char *)(q + 1);
    memcpy(copy, r->uid.p, r->uid.len);
    memcpy(copy + r->uid.len, r->id.p, r->id.len);
    q->uid = (struct str){copy, r->uid.len};
    q->id = (struct str){copy + r->uid.len, r->id.len};
    q->adapter = a;
    q->type = r->type;
    q->until_ms = loop_now(a->cluster->loop) + ms;
    list_insert(&a->requests.asked, &q->link);
    a->requests.n_asked++;
    return q;
}

static void ask_event(struct adapter *a, const struct wire_request *r)
{
    struct adapter_asked *q = NULL;
    if (!a->ops->server_event || (r->id.len > 0 && !asked_room(a)))
        return;
    if (r->id.len > 0)
        q = asked_new(a, r, a->cluster->requests_timeout_ms);
    a->ops->server_event(a->host, r->data, q);
}

static size_t ask_clients(struct adapter *a, const struct wire_request *r)
{
    uint32_t ms =
        r->timeout_ms ? r->timeout_ms : a->cluster->requests_timeout_ms;
    if (ms > ASKED_MAX_MS)
        ms = ASKED_MAX_MS;
    if (!a->ops->broadcast_ack || !asked_room(a))
        return 0;
    /* Official servers do not look at the flags either. */
    struct broadcast b = r->opts;
    b.is_volatile = false;
    struct adapter_asked *q = asked_new(a, r, ms);
    q->in_call = true;
    size_t clients = a->ops->broadcast_ack(a->host, r->packet, &b, ms, q);
    q->in_call = false;
    if (q->over)
        adapter_answered(q);
    return clients;
}

static void answer_broadcast(struct adapter *a, const struct wire_request *r)
{
    struct buf out;
    size_t clients = ask_clients(a, r);
    out_init(a, &out);
    wire_response_count(r->id, clients, &out);
    metrics_add(M_ANSWERED, 1);
    respond(a, r->type, r->uid, &out, 0);
}

void adapter_answer(struct adapter_asked *q, struct str json,
                    struct bytes *const *bins, size_t n_bins)
{
    struct adapter *a = q->adapter;
    struct buf out;
    int rc;
    if (!a || (q->type == WIRE_EVENT && q->answered))
        return;
    q->answered = true;
    out_init(a, &out);
    if (q->type == WIRE_EVENT) {
        metrics_add(M_ANSWERED, 1);
        rc = wire_response_event(&a->cluster->tape, q->id, json, bins, n_bins,
                                 &out);
    } else {
        rc = wire_response_ack(&a->cluster->tape, q->id, json, bins, n_bins,
                               &out);
    }
    respond(a, q->type, q->uid, &out, rc);
}

void adapter_answered(struct adapter_asked *q)
{
    if (q->in_call) {
        q->over = true;
        return;
    }
    asked_detach(q);
    mem_free(q);
}

void answers_forget(struct adapter *a)
{
    struct list *asked = &a->requests.asked;
    while (!list_empty(asked))
        asked_detach(container_of(asked->next, struct adapter_asked, link));
}

/* ---- what comes in ------------------------------------------------------- */

static void handle(struct adapter *a, const struct wire_request *r)
{
    switch (r->type) {
    case WIRE_SOCKETS:
    case WIRE_ALL_ROOMS:
    case WIRE_FETCH:
        answer_list(a, r);
        break;
    case WIRE_EVENT:
        ask_event(a, r);
        break;
    case WIRE_BROADCAST:
        answer_broadcast(a, r);
        break;
    default:
        if (r->sid.len > 0)
            apply_to_one(a, r);
        else
            apply(a, r, &r->opts);
        break;
    }
}

static bool is_own(const struct adapter *a, struct str uid)
{
    return str_eq(uid, (struct str){a->uid, sizeof(a->uid)});
}

void answers_receive(struct adapter *a, struct str channel, struct str payload)
{
    struct cluster *c = a->cluster;
    struct wire_request r;
    if (is_own(a, wire_request_uid(payload))) {
        metrics_add(M_REDIS_OWN, 1);
        return;
    }
    int rc = wire_request_decode(payload, a->nsp, &c->limits, &c->space, &r);
    if (rc == 0 && is_own(a, r.uid)) {
        metrics_add(M_REDIS_OWN, 1);
    } else if (rc == 0) {
        metrics_add(M_CLUSTER_RECEIVED, 1);
        handle(a, &r);
    } else if (rc == ERR_STATE) {
        metrics_add(M_REDIS_NO_ROOM, 1);
    } else {
        cluster_bad_message(c, channel, rc);
    }
    wire_request_fini(&r);
    wire_space_trim(&c->space);
}
