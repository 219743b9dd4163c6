#include "server/io/socket.h"

#include <assert.h>

#include "common/id.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/slab.h"
#include "common/utf8.h"
#include "server/http/http_query.h"
#include "server/io/ack.h"
#include "server/io/answers.h"
#include "server/io/dynamic.h"
#include "server/io/event.h"
#include "server/io/outbound.h"
#include "server/io/pack.h"
#include "server/io/recovery.h"

/* An acknowledgement that the client owes us. */
struct wait {
    struct list link;
    struct timer timer;
    struct sio_socket *socket;
    int64_t id;
    struct question *question; /* NULL: the socket alone was asked */
    struct list of_question;
    sio_answer_fn *fn;
    void *arg;
};

/* ---- life ---------------------------------------------------------------- */

static size_t size_with(size_t id_len)
{
    return offsetof(struct sio_socket, id) + id_len + 1;
}

static struct socket_baggage *baggage(struct sio_socket *s)
{
    if (!s->baggage)
        s->baggage = slab_alloc(sizeof(*s->baggage));
    return s->baggage;
}

struct bytes *socket_auth(const struct sio_socket *s)
{
    return s->baggage ? s->baggage->auth : NULL;
}

struct bytes *socket_data(const struct sio_socket *s)
{
    return s->baggage ? s->baggage->data : NULL;
}

void socket_set_data(struct sio_socket *s, struct bytes *data)
{
    if (!data && !s->baggage)
        return;
    bytes_unref(baggage(s)->data);
    s->baggage->data = data;
}

struct socket_extra *socket_need_extra(struct sio_socket *s)
{
    struct socket_baggage *b = baggage(s);
    if (!b->extra) {
        b->extra = slab_alloc(sizeof(*b->extra));
        list_init(&b->extra->waiting);
        list_init(&b->extra->owed);
    }
    return b->extra;
}

static void extra_free(struct socket_baggage *b)
{
    slab_free(b->extra, sizeof(*b->extra));
    b->extra = NULL;
}

void socket_settle(struct sio_socket *s)
{
    struct socket_baggage *b = s->baggage;
    const struct socket_extra *x = socket_extra(s);
    if (x && list_empty(&x->waiting) && list_empty(&x->owed) && !x->next)
        extra_free(b);
    if (b && !b->extra && !b->auth && !b->data && !b->context && !b->release) {
        slab_free(b, sizeof(*b));
        s->baggage = NULL;
    }
}

static void socket_destroy(void *arg)
{
    struct sio_socket *s = arg;
    struct socket_baggage *b = s->baggage;
    if (b) {
        bytes_unref(b->auth);
        bytes_unref(b->data);
        extra_free(b);
    }
    slab_free(b, sizeof(*b));
    slab_free(s, size_with(s->member.id_len));
}

enum { ID_MAX = 1 << 20 };

/* Random; clients of protocol 3 derive theirs from the session's. */
static void make_id(struct client *c, const struct sio_namespace *ns,
                    struct buf *out)
{
    if (!client_is_old(c)) {
        id_random(buf_space(out, ID_LEN), ID_LEN);
        buf_commit(out, ID_LEN);
        return;
    }
    if (ns->name.len > 1) {
        buf_add(out, ns->name);
        buf_addc(out, '#');
    }
    buf_add(out, session_sid(client_session(c)));
}

struct sio_socket *socket_new(struct client *c, struct sio_namespace *ns,
                              struct str auth, struct recovery_session *wanted)
{
    struct buf id;
    buf_init(&id, ID_MAX);
    if (wanted)
        buf_add(&id, (struct str){wanted->id, ID_LEN});
    else
        make_id(c, ns, &id);
    struct sio_socket *s = slab_alloc(size_with(id.len));
    memcpy(s->id, buf_ptr(&id), id.len);
    s->client = c;
    s->ns = ns;
    if (auth.len)
        baggage(s)->auth = bytes_new(auth);
    client_add(c, s);
    adapter_add(ns->adapter, &s->member, (struct str){s->id, id.len});
    buf_fini(&id);
    recovery_attach(s, wanted);
    return s;
}

void socket_connected(struct sio_socket *s)
{
    assert(s->state == SOCKET_ADMITTING);
    struct sio_namespace *ns = s->ns;
    if (!recovery_connect(s))
        return;
    s->state = SOCKET_CONNECTED;
    journal_add_socket(
        session_sid(client_session(s->client)), member_id(&s->member),
        s->recovered ? J_RECOVERED : J_CONNECTED, journal_name(ns->name));
    ns->n_sockets++;
    client_joined(s->client);
    struct buf b;
    buf_init(&b, 128);
    if (!client_is_old(s->client))
        recovery_reply(s, &b);
    socket_send(s, PACKET_CONNECT, PACKET_NO_ACK, buf_str(&b), NULL, 0);
    buf_fini(&b);
    struct handler_walk w;
    struct handler *h = handlers_first(&w, &ns->home->on_connection);
    for (; h && socket_live(s); h = handlers_next(&w))
        h->fn.connection(s, h->arg);
    handlers_leave(&w);
}

static void wait_unlink(struct wait *w)
{
    list_remove(&w->link);
    list_remove(&w->of_question);
    timer_stop(&w->timer);
    w->socket->baggage->extra->n_waiting--;
    socket_settle(w->socket);
}

static void wait_end(struct wait *w, struct sio_event *answer)
{
    wait_unlink(w);
    if (!w->question)
        w->fn(w->socket, answer, w->arg);
    else if (answer)
        question_answered(w->question, answer);
    else
        question_missed(w->question);
    mem_free(w);
}

static void drop_acks(struct sio_socket *s)
{
    struct socket_extra *x;
    while ((x = socket_extra(s)) && !list_empty(&x->waiting))
        wait_end(container_of(x->waiting.next, struct wait, link), NULL);
    if (x)
        acks_expire(&x->owed);
}

void socket_gone(struct sio_socket *s, const char *reason)
{
    if (s->state == SOCKET_GONE || s->ending)
        return;
    bool was_connected = s->state == SOCKET_CONNECTED;
    struct sio_namespace *ns = s->ns;
    s->ending = true;
    /* Off the client first: a handler may end the whole connection. */
    client_remove(s->client, s);
    recovery_end(s);
    if (was_connected && client_session(s->client))
        session_note(client_session(s->client), J_LEFT, journal_name(ns->name));
    if (was_connected)
        namespace_end(&ns->home->on_disconnecting, s, reason);
    s->state = SOCKET_GONE;
    if (socket_extra(s) && socket_extra(s)->next)
        namespace_forget(socket_extra(s)->next);
    struct recovery_session *kept = recovery_keep(s, was_connected, reason);
    adapter_remove(ns->adapter, &s->member);
    drop_acks(s);
    if (was_connected) {
        ns->n_sockets--;
        namespace_end(&ns->home->on_disconnect, s, reason);
    }
    if (kept)
        recovery_save(kept, loop_now(ns->server->loop), socket_data(s));
    sio_set_context(s, NULL, NULL);
    loop_bury(ns->server->loop, socket_destroy, s);
    dynamic_release(ns);
}

void sio_disconnect(struct sio_socket *s, bool close)
{
    if (s->state == SOCKET_GONE)
        return;
    if (close) {
        client_disconnect_all(s->client, 0, "");
        return;
    }
    if (s->ending)
        return;
    socket_send(s, PACKET_DISCONNECT, PACKET_NO_ACK, STR(""), NULL, 0);
    socket_gone(s, "server namespace disconnect");
}

/* ---- sending ------------------------------------------------------------- */

static bool can_send(const struct sio_socket *s)
{
    return s->state != SOCKET_GONE && !s->ending && client_session(s->client);
}

void socket_send(struct sio_socket *s, enum packet_type type, int64_t ack,
                 struct str data, struct bytes *const *bins, size_t n_bins)
{
    if (!can_send(s))
        return;
    struct parser_out out = {.type = type,
                             .ack = ack,
                             .nsp = s->ns->name,
                             .data = data,
                             .bins = bins,
                             .n_bins = n_bins};
    client_send(s->client, &out);
    metrics_add(M_DELIVERIES, 1);
}

bool socket_deliver(struct sio_socket *s, struct packet *p, bool is_volatile)
{
    struct session *session = client_session(s->client);
    if (!socket_live(s) || !session)
        return false;
    if (is_volatile && !session_writable(session)) {
        metrics_add(M_DROP_VOLATILE, 1);
        return false;
    }
    const struct sio_server *srv = s->ns->server;
    const struct packet_frames *f =
        outbound_frames(p, srv->parser, &srv->fates);
    session_send_packet(session, f->v, f->n, &f->fate);
    metrics_add(M_DELIVERIES, 1);
    return true;
}

/* An event that its client may miss, and get when it comes back. */
static void send_recoverable(struct sio_socket *s, const struct pack *p)
{
    struct bytes *data = bytes_new(buf_str(&p->json));
    struct packet *packet = packet_new(PACKET_EVENT, s->ns->name, PACKET_NO_ACK,
                                       data, p->bins, p->n_bins);
    bytes_unref(data);
    recovery_emit(s, packet);
    packet_unref(packet);
}

/* End `p` with pack_fini. */
static int pack_for(const struct sio_socket *s, struct pack *p,
                    const char *event, const char *format,
                    struct pack_args *args)
{
    struct sio_server *srv = s->ns->server;
    pack_init(p, srv->settings.max_payload_bytes);
    if (!can_send(s))
        return SIO_ERR_STATE;
    if (event && parser_reserved(str_of(event)))
        return SIO_ERR_ARG;
    return pack_array(p, event, format, args, &srv->scratch);
}

static int send_packed(struct sio_socket *s, enum packet_type type, int64_t ack,
                       const char *event, const char *format,
                       struct pack_args *args)
{
    struct pack p;
    int rc = pack_for(s, &p, event, format, args);
    if (rc == 0)
        socket_send(s, type, ack, buf_str(&p.json), p.bins, p.n_bins);
    pack_fini(&p);
    return rc;
}

static int send_event(struct sio_socket *s, const char *event,
                      const char *format, struct pack_args *args)
{
    struct pack p;
    int rc = pack_for(s, &p, event, format, args);
    if (rc == 0 && s->member.session)
        send_recoverable(s, &p);
    else if (rc == 0)
        socket_send(s, PACKET_EVENT, PACKET_NO_ACK, buf_str(&p.json), p.bins,
                    p.n_bins);
    pack_fini(&p);
    return rc;
}

int sio_emit(struct sio_socket *s, const char *event, const char *format, ...)
{
    struct pack_args args;
    va_start(args.ap, format);
    int rc = send_event(s, event, format, &args);
    va_end(args.ap);
    return rc;
}

int sio_emit_volatile(struct sio_socket *s, const char *event,
                      const char *format, ...)
{
    if (!can_send(s))
        return SIO_ERR_STATE;
    if (!session_writable(client_session(s->client))) {
        metrics_add(M_DROP_VOLATILE, 1);
        return 0;
    }
    struct pack_args args;
    va_start(args.ap, format);
    int rc = send_packed(s, PACKET_EVENT, PACKET_NO_ACK, event, format, &args);
    va_end(args.ap);
    return rc;
}

/* ---- acknowledgements ---------------------------------------------------- */

static void on_ack_timeout(struct timer *t)
{
    metrics_add(M_ACK_TIMEOUT, 1);
    wait_end(container_of(t, struct wait, timer), NULL);
}

static bool may_wait(const struct sio_socket *s)
{
    const struct socket_extra *x = socket_extra(s);
    if (!x || x->n_waiting < s->ns->server->settings.pending_acks)
        return true;
    metrics_add(M_LIMIT_ACKS, 1);
    return false;
}

static struct wait *wait_new(struct sio_socket *s, int64_t id)
{
    struct wait *w = mem_zalloc(sizeof(*w));
    w->socket = s;
    w->id = id;
    list_init(&w->of_question);
    timer_init(&w->timer, on_ack_timeout);
    struct socket_extra *x = socket_need_extra(s);
    list_insert(&x->waiting, &w->link);
    x->n_waiting++;
    return w;
}

int sio_emit_ack(struct sio_socket *s, uint32_t timeout_ms, sio_answer_fn *fn,
                 void *arg, const char *event, const char *format, ...)
{
    struct sio_server *srv = s->ns->server;
    if (!may_wait(s))
        return SIO_ERR_LIMIT;
    int64_t id = (int64_t)s->ns->next_ack++;
    struct pack_args args;
    va_start(args.ap, format);
    int rc = send_packed(s, PACKET_EVENT, id, event, format, &args);
    va_end(args.ap);
    if (rc < 0)
        return rc;
    struct wait *w = wait_new(s, id);
    w->fn = fn;
    w->arg = arg;
    loop_timer(srv->loop, &w->timer, timeout_ms);
    return 0;
}

bool socket_wait_for(struct sio_socket *s, int64_t id, struct question *q,
                     struct list *waits)
{
    if (!may_wait(s))
        return false;
    struct wait *w = wait_new(s, id);
    w->question = q;
    list_insert(waits, &w->of_question);
    return true;
}

void socket_wait_drop(struct list *of_question)
{
    struct wait *w = container_of(of_question, struct wait, of_question);
    wait_unlink(w);
    mem_free(w);
}

static struct wait *find_wait(const struct sio_socket *s, int64_t id)
{
    const struct socket_extra *x = socket_extra(s);
    if (!x)
        return NULL;
    const struct list *end = &x->waiting;
    for (struct list *n = end->next; n != end; n = n->next) {
        struct wait *w = container_of(n, struct wait, link);
        if (w->id == id)
            return w;
    }
    return NULL;
}

void socket_on_ack(struct sio_socket *s, const struct packet_head *h,
                   const struct json *tape, struct bytes *const *bins)
{
    struct wait *w = h->ack == PACKET_NO_ACK ? NULL : find_wait(s, h->ack);
    if (!w || !h->has_payload) {
        metrics_add(M_ACK_UNKNOWN, 1);
        return;
    }
    struct sio_event e;
    event_init(&e, s, tape, false);
    e.bins = bins;
    e.n_bins = h->n_bins;
    wait_end(w, &e);
    event_fini(&e);
}

int socket_acknowledge(struct sio_socket *s, int64_t id, const char *format,
                       struct pack_args *args)
{
    return send_packed(s, PACKET_ACK, id, NULL, format, args);
}

/* ---- events -------------------------------------------------------------- */

void socket_on_event(struct sio_socket *s, const struct packet_head *h,
                     const struct json *tape, struct bytes *const *bins)
{
    metrics_add(M_EVENTS_IN, 1);
    /* An event without a name, which nobody handles: "42", and in MessagePack
     * also an empty array. */
    if (!h->has_payload || tape->nodes[0].count == 0)
        return;
    struct sio_event e;
    event_init(&e, s, tape, true);
    e.bins = bins;
    e.n_bins = h->n_bins;
    e.ack = h->ack;
    if (rate_admit(s, &e))
        namespace_event(s->ns, s, &e);
    event_fini(&e);
}

/* ---- rooms and facts ----------------------------------------------------- */

int socket_check_room(const struct sio_namespace *ns, struct str room)
{
    if (!utf8_valid(room))
        return SIO_ERR_ARG;
    if (room.len <= ns->server->settings.room_name_bytes)
        return 0;
    metrics_add(M_LIMIT_NAME, 1);
    return SIO_ERR_LIMIT;
}

static int may_join(const struct sio_socket *s, struct str name)
{
    const struct settings *set = &s->ns->server->settings;
    if (s->state == SOCKET_GONE || s->ending)
        return SIO_ERR_STATE;
    int rc = socket_check_room(s->ns, name);
    if (rc < 0)
        return rc;
    if (s->member.n_in >= set->rooms_per_socket) {
        metrics_add(M_LIMIT_ROOMS, 1);
        return SIO_ERR_LIMIT;
    }
    return 0;
}

int sio_join(struct sio_socket *s, struct sio_str room)
{
    int rc = may_join(s, str_from_sio(room));
    if (rc == 0)
        adapter_join(s->ns->adapter, &s->member, str_from_sio(room));
    return rc;
}

int sio_join_then(struct sio_socket *s, struct sio_str room, sio_joined_fn *fn,
                  void *arg)
{
    int rc = may_join(s, str_from_sio(room));
    if (rc < 0)
        return rc;
    if (adapter_joins(&s->member) >= s->ns->server->settings.rooms_per_socket) {
        metrics_add(M_LIMIT_ROOMS, 1);
        return SIO_ERR_LIMIT;
    }
    adapter_join_then(s->ns->adapter, &s->member, str_from_sio(room), fn, arg);
    return 0;
}

void sio_leave(struct sio_socket *s, struct sio_str room)
{
    if (s->state != SOCKET_GONE)
        adapter_leave(s->ns->adapter, &s->member, str_from_sio(room));
}

bool sio_in_room(const struct sio_socket *s, struct sio_str room)
{
    struct str name = str_from_sio(room);
    return s->state != SOCKET_GONE &&
           (str_eq(name, member_id(&s->member)) || rooms_has(&s->member, name));
}

void sio_rooms(const struct sio_socket *s,
               bool (*each)(struct sio_str room, void *arg), void *arg)
{
    if (s->state == SOCKET_GONE ||
        !each(sio_from_str(member_id(&s->member)), arg))
        return;
    for (unsigned i = 0; i < s->member.n_in; i++) {
        if (!each(sio_from_str(member_in(&s->member)[i].room->name), arg))
            return;
    }
}

const char *sio_id(const struct sio_socket *s)
{
    return s->id;
}

struct sio_namespace *sio_namespace_of(const struct sio_socket *s)
{
    return s->ns;
}

int sio_set_data(struct sio_socket *s, const char *format, ...)
{
    struct sio_server *srv = s->ns->server;
    struct pack p;
    struct pack_args args;
    pack_init(&p, srv->settings.max_payload_bytes);
    va_start(args.ap, format);
    int rc = pack_value(&p, format, &args, &srv->scratch);
    va_end(args.ap);
    if (rc == 0 && p.n_bins)
        rc = SIO_ERR_ARG;
    if (rc == 0)
        socket_set_data(s, bytes_new(buf_str(&p.json)));
    pack_fini(&p);
    return rc;
}

struct sio_value sio_data(struct sio_socket *s)
{
    const struct bytes *data = socket_data(s);
    return server_lend(&s->ns->server->data,
                       data ? bytes_str(data) : STR("{}"));
}

void sio_set_context(struct sio_socket *s, void *context,
                     void (*release)(void *))
{
    if (!s->baggage && !context)
        return;
    struct socket_baggage *b = baggage(s);
    void (*old_release)(void *) = b->release;
    void *old = b->context;
    b->context = context;
    b->release = release;
    if (old_release && old != context)
        old_release(old);
}

void *sio_context(const struct sio_socket *s)
{
    return s->baggage ? s->baggage->context : NULL;
}

bool sio_recovered(const struct sio_socket *s)
{
    return s->recovered;
}

const char *sio_transport(const struct sio_socket *s)
{
    return s->state != SOCKET_GONE && client_session(s->client)
               ? session_transport(client_session(s->client))
               : "";
}
