#include "server/io/namespace.h"

#include <assert.h>

#include "common/mem.h"
#include "common/metrics.h"
#include "server/io/ack.h"
#include "server/io/answers.h"
#include "server/io/event.h"
#include "server/io/host.h"
#include "server/io/pack.h"
#include "server/io/socket.h"

/* A CONNECT on its way through the middlewares. `socket` is NULL when the
 * client has gone while one of them took its time. */
struct sio_next {
    struct sio_socket *socket;
    struct handler_walk walk; /* stands at the middleware that is being asked */
};

/* ---- life ---------------------------------------------------------------- */

static void each_handlers(struct sio_namespace *ns,
                          void (*fn)(struct handlers *hs))
{
    fn(&ns->middlewares);
    fn(&ns->on_connection);
    fn(&ns->on_disconnecting);
    fn(&ns->on_disconnect);
    fn(&ns->on_presence);
    fn(&ns->packet_middlewares);
    fn(&ns->on_error);
    fn(&ns->on_any);
    fn(&ns->on_any_server);
}

struct sio_namespace *namespace_new(struct sio_server *srv, struct str name)
{
    struct sio_namespace *ns = mem_zalloc(sizeof(*ns) + name.len + 1);
    char *copy = (char *)(ns + 1);
    memcpy(copy, name.p, name.len);
    ns->name = (struct str){copy, name.len};
    ns->server = srv;
    each_handlers(ns, handlers_init);
    event_table_init(&ns->events);
    event_table_init(&ns->server_events);
    list_init(&ns->questions);
    list_init(&ns->owed);
    ns->home = ns;
    list_init(&ns->of_server);
    loop_task_init(&ns->task, NULL);
    return ns;
}

void namespace_publish(struct sio_namespace *ns)
{
    list_insert(&ns->server->namespaces, &ns->of_server);
    map_put(&ns->server->by_name, &ns->by_name);
    ns->published = true;
}

void namespace_start(struct sio_namespace *ns)
{
    ns->adapter =
        adapter_new(ns->server->cluster, ns->name, &namespace_host, ns);
}

void namespace_stop(struct sio_namespace *ns)
{
    struct adapter *a = ns->adapter;
    acks_expire(&ns->owed);
    questions_end(ns);
    /* Whoever is told of the end of its questions cannot ask new ones. */
    ns->adapter = NULL;
    adapter_free(a);
    assert(list_empty(&ns->questions));
}

void namespace_free(struct sio_namespace *ns)
{
    if (ns->published)
        map_remove(&ns->server->by_name, &ns->by_name);
    loop_cancel(&ns->task);
    list_remove(&ns->of_server);
    event_table_fini(&ns->events);
    event_table_fini(&ns->server_events);
    each_handlers(ns, handlers_fini);
    mem_free(ns);
}

/* ---- admission ----------------------------------------------------------- */

static void forget_next(struct sio_socket *s)
{
    socket_need_extra(s)->next = NULL;
    socket_settle(s);
}

static void admitted(void *arg, int rc)
{
    (void)rc; /* without the other nodes it is connected all the same */
    struct sio_next *next = arg;
    struct sio_socket *s = next->socket;
    mem_free(next);
    if (!s)
        return;
    forget_next(s);
    socket_connected(s);
}

/* Asks this middleware, or admits when all have been asked and what others send
 * to the socket would arrive. */
static void ask(struct sio_next *next, struct handler *h)
{
    struct sio_socket *s = next->socket;
    if (h)
        h->fn.middleware(s, next, h->arg);
    else if (adapter_hears(s->ns->adapter, &s->member, admitted, next))
        admitted(next, 0);
}

void namespace_admit(struct sio_namespace *ns, struct sio_socket *s)
{
    struct sio_next *next = mem_zalloc(sizeof(*next));
    next->socket = s;
    socket_need_extra(s)->next = next;
    ask(next, handlers_first(&next->walk, &ns->home->middlewares));
}

void namespace_forget(struct sio_next *next)
{
    forget_next(next->socket);
    next->socket = NULL;
    handlers_leave(&next->walk);
}

void sio_admit(struct sio_next *next)
{
    if (!next->socket) {
        mem_free(next);
        return;
    }
    ask(next, handlers_next(&next->walk));
}

/* What the client hears: to protocol 3 the data alone, or the message. */
static int pack_refusal(struct pack *p, const struct sio_socket *s,
                        const char *message, const char *data_json)
{
    struct json *scratch = &s->ns->server->scratch;
    bool old = client_is_old(s->client);
    struct sio_str data = sio_z(data_json ? data_json : "null");
    if (old && data_json)
        return pack_format(p, scratch, "j", data);
    if (old)
        return pack_format(p, scratch, "s", message);
    if (data_json)
        return pack_format(p, scratch, "{message:s,data:j}", message, data);
    return pack_format(p, scratch, "{message:s}", message);
}

void sio_refuse(struct sio_next *next, const char *message,
                const char *data_json)
{
    struct sio_socket *s = next->socket;
    if (!s) {
        mem_free(next);
        return;
    }
    struct pack p;
    pack_init(&p, s->ns->server->settings.max_payload_bytes);
    int rc = pack_refusal(&p, s, message, data_json);
    assert(rc == 0 || data_json); /* only the caller's JSON can be wrong */
    metrics_add(M_BAD_CONNECT, 1);
    session_note(client_session(s->client), J_REFUSED,
                 journal_name(s->ns->name));
    socket_send(s, PACKET_CONNECT_ERROR, PACKET_NO_ACK,
                rc == 0 ? buf_str(&p.json) : STR("{\"message\":\"refused\"}"),
                NULL, 0);
    pack_fini(&p);
    forget_next(s);
    handlers_leave(&next->walk);
    mem_free(next);
    socket_gone(s, "refused");
}

/* ---- sio.h --------------------------------------------------------------- */

void sio_use(struct sio_namespace *ns, sio_middleware_fn *fn, void *arg)
{
    handlers_add(&ns->home->middlewares, arg)->fn.middleware = fn;
}

void sio_use_packet(struct sio_namespace *ns, sio_packet_fn *fn, void *arg)
{
    handlers_add(&ns->home->packet_middlewares, arg)->fn.packet = fn;
}

void sio_on_error(struct sio_namespace *ns, sio_error_fn *fn, void *arg)
{
    handlers_add(&ns->home->on_error, arg)->fn.error = fn;
}

void sio_on_connection(struct sio_namespace *ns, sio_connection_fn *fn,
                       void *arg)
{
    handlers_add(&ns->home->on_connection, arg)->fn.connection = fn;
}

void sio_on_disconnecting(struct sio_namespace *ns, sio_disconnect_fn *fn,
                          void *arg)
{
    handlers_add(&ns->home->on_disconnecting, arg)->fn.disconnect = fn;
}

void sio_on_disconnect(struct sio_namespace *ns, sio_disconnect_fn *fn,
                       void *arg)
{
    handlers_add(&ns->home->on_disconnect, arg)->fn.disconnect = fn;
}

void sio_on_presence(struct sio_namespace *ns, sio_presence_fn *fn, void *arg)
{
    handlers_add(&ns->home->on_presence, arg)->fn.presence = fn;
}

/* ---- events -------------------------------------------------------------- */

static void run_event(struct sio_namespace *ns, struct sio_socket *s,
                      struct sio_event *e)
{
    ns = ns->home;
    struct event_handlers *eh = event_table_find(&ns->events, e->name);
    if (!eh)
        return;
    struct handler_walk w;
    struct handler *h = handlers_first(&w, &eh->handlers);
    eh->running++;
    for (; h && socket_live(s); h = handlers_next(&w)) {
        if (h->once)
            handlers_remove(h); /* the walk keeps it until it has returned */
        h->fn.event(s, e, h->arg);
    }
    handlers_leave(&w);
    eh->running--;
    event_table_tidy(&ns->events, eh);
}

static void run_any(struct sio_namespace *ns, struct sio_socket *s,
                    struct sio_event *e)
{
    struct handler_walk w;
    struct handler *h = handlers_first(&w, &ns->home->on_any);
    for (; h && socket_live(s); h = handlers_next(&w))
        h->fn.event(s, e, h->arg);
    handlers_leave(&w);
}

static void refuse_event(struct sio_namespace *ns, struct sio_socket *s,
                         struct sio_event *e, const char *why)
{
    metrics_add(M_EVENTS_REFUSED, 1);
    struct handler_walk w;
    struct handler *h = handlers_first(&w, &ns->home->on_error);
    for (; h; h = handlers_next(&w))
        h->fn.error(s, e, why, h->arg);
}

/* Asks the packet middlewares until one refuses. */
static bool event_passes(struct sio_namespace *ns, struct sio_socket *s,
                         struct sio_event *e)
{
    const char *why = NULL;
    struct handler_walk w;
    struct handler *h = handlers_first(&w, &ns->home->packet_middlewares);
    for (; h && !why && socket_live(s); h = handlers_next(&w))
        why = h->fn.packet(s, e, h->arg);
    handlers_leave(&w);
    if (why)
        refuse_event(ns, s, e, why);
    return !why;
}

void namespace_event(struct sio_namespace *ns, struct sio_socket *s,
                     struct sio_event *e)
{
    run_any(ns, s, e);
    if (event_passes(ns, s, e) && socket_live(s))
        run_event(ns, s, e);
}

void namespace_end(struct handlers *hs, struct sio_socket *s,
                   const char *reason)
{
    struct handler_walk w;
    struct handler *h = handlers_first(&w, hs);
    for (; h; h = handlers_next(&w))
        h->fn.disconnect(s, reason, h->arg);
}

void sio_on(struct sio_namespace *ns, const char *event, sio_event_fn *fn,
            void *arg)
{
    struct event_handlers *eh =
        event_table_need(&ns->home->events, str_of(event));
    handlers_add(&eh->handlers, arg)->fn.event = fn;
}

void sio_once(struct sio_namespace *ns, const char *event, sio_event_fn *fn,
              void *arg)
{
    struct event_handlers *eh =
        event_table_need(&ns->home->events, str_of(event));
    struct handler *h = handlers_add(&eh->handlers, arg);
    h->fn.event = fn;
    h->once = true;
}

void sio_prepend(struct sio_namespace *ns, const char *event, sio_event_fn *fn,
                 void *arg)
{
    struct event_handlers *eh =
        event_table_need(&ns->home->events, str_of(event));
    handlers_prepend(&eh->handlers, arg)->fn.event = fn;
}

void sio_on_any(struct sio_namespace *ns, sio_event_fn *fn, void *arg)
{
    handlers_add(&ns->home->on_any, arg)->fn.event = fn;
}

/* The last that was added of the pair; all when `fn` is NULL. */
static void remove_event_fn(struct handlers *hs, sio_event_fn *fn,
                            const void *arg)
{
    struct list *n = hs->list.prev, *before;
    for (; n != &hs->list; n = before) {
        before = n->prev;
        struct handler *h = container_of(n, struct handler, link);
        if (h->off || (fn && (h->fn.event != fn || h->arg != arg)))
            continue;
        handlers_remove(h);
        if (fn)
            return;
    }
}

void sio_off(struct sio_namespace *ns, const char *event, sio_event_fn *fn,
             void *arg)
{
    ns = ns->home;
    struct event_handlers *eh = event_table_find(&ns->events, str_of(event));
    if (!eh)
        return;
    remove_event_fn(&eh->handlers, fn, arg);
    event_table_tidy(&ns->events, eh);
}

void sio_off_any(struct sio_namespace *ns, sio_event_fn *fn, void *arg)
{
    remove_event_fn(&ns->home->on_any, fn, arg);
}

/* ---- facts --------------------------------------------------------------- */

void sio_namespaces(struct sio_server *srv,
                    bool (*each)(struct sio_namespace *ns, void *arg),
                    void *arg)
{
    struct list *n = srv->namespaces.next;
    for (; n != &srv->namespaces; n = n->next) {
        if (!each(container_of(n, struct sio_namespace, of_server), arg))
            return;
    }
}

const char *sio_namespace_name(const struct sio_namespace *ns)
{
    return ns->name.p;
}

struct sio_server *sio_server_of(const struct sio_namespace *ns)
{
    return ns->server;
}

struct sio_socket *sio_find(struct sio_namespace *ns, struct sio_str id)
{
    if (!ns->adapter)
        return NULL;
    struct member *m =
        rooms_member(adapter_rooms(ns->adapter), str_from_sio(id));
    struct sio_socket *s =
        m ? container_of(m, struct sio_socket, member) : NULL;
    return s && s->state == SOCKET_CONNECTED ? s : NULL;
}

size_t sio_socket_count(const struct sio_namespace *ns)
{
    return ns->n_sockets;
}

size_t sio_room_size(struct sio_namespace *ns, struct sio_str room)
{
    if (!ns->adapter)
        return 0;
    struct room *r = rooms_find(adapter_rooms(ns->adapter), str_from_sio(room));
    return r ? r->n : 0;
}
