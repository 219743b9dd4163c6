#include "server/io/namespace.h"

#include <assert.h>

#include "common/mem.h"
#include "common/metrics.h"
#include "server/io/event.h"
#include "server/io/pack.h"
#include "server/io/socket.h"

/* A CONNECT on its way through the middlewares. `socket` is NULL when the
 * client has gone while one of them took its time. */
struct sio_next {
    struct sio_socket *socket;
    struct list *at; /* the middleware that is being asked */
};

static struct str events_key(const struct map_node *n)
{
    return const_container_of(n, struct event_handlers, node)->name;
}

/* ---- hosting the adapter ------------------------------------------------- */

static void deliver(void *host, struct member *to, struct packet *p,
                    bool is_volatile)
{
    (void)host;
    socket_deliver(container_of(to, struct sio_socket, member), p, is_volatile);
}

static void presence(void *host, struct str group, struct str key,
                     struct str meta, int what)
{
    struct sio_namespace *ns = host;
    if (list_empty(&ns->on_presence))
        return;
    struct json *tape = server_tape_get(ns->server);
    struct sio_event e;
    if (json_parse(tape, meta, ns->server->parser_limits.json) == 0) {
        event_init_value(&e, tape);
        struct list *n = ns->on_presence.next;
        for (; n != &ns->on_presence; n = n->next) {
            struct handler *h = container_of(n, struct handler, link);
            h->fn.presence(ns, (enum sio_presence)what, sio_from_str(group),
                           sio_from_str(key), sio_arg(&e, 0), h->arg);
        }
        event_fini(&e);
    }
    server_tape_put(ns->server);
}

static const struct adapter_host adapter_host = {.deliver = deliver,
                                                 .presence = presence};

/* ---- life ---------------------------------------------------------------- */

struct sio_namespace *namespace_new(struct sio_server *srv, struct str name)
{
    struct sio_namespace *ns = mem_zalloc(sizeof(*ns) + name.len + 1);
    char *copy = (char *)(ns + 1);
    memcpy(copy, name.p, name.len);
    ns->name = (struct str){copy, name.len};
    ns->server = srv;
    list_init(&ns->middlewares);
    list_init(&ns->on_connection);
    list_init(&ns->on_disconnect);
    list_init(&ns->on_presence);
    map_init(&ns->events, events_key);
    list_insert(&srv->namespaces, &ns->of_server);
    map_put(&srv->by_name, &ns->by_name);
    return ns;
}

void namespace_start(struct sio_namespace *ns)
{
    ns->adapter = adapter_new(ns->server->cluster, ns->name, &adapter_host, ns);
}

static void free_handlers(struct list *handlers)
{
    struct list *n;
    while ((n = list_pop(handlers)))
        mem_free(container_of(n, struct handler, link));
}

static void free_event(struct map_node *n, void *arg)
{
    struct sio_namespace *ns = arg;
    struct event_handlers *eh = container_of(n, struct event_handlers, node);
    map_remove(&ns->events, n);
    free_handlers(&eh->handlers);
    mem_free(eh);
}

void namespace_free(struct sio_namespace *ns)
{
    map_remove(&ns->server->by_name, &ns->by_name);
    list_remove(&ns->of_server);
    map_each(&ns->events, free_event, ns);
    map_fini(&ns->events);
    free_handlers(&ns->middlewares);
    free_handlers(&ns->on_connection);
    free_handlers(&ns->on_disconnect);
    free_handlers(&ns->on_presence);
    mem_free(ns);
}

/* ---- admission ----------------------------------------------------------- */

/* Asks the middleware at `next->at`, or admits when all have been asked. */
static void ask(struct sio_next *next)
{
    struct sio_socket *s = next->socket;
    if (next->at != &s->ns->middlewares) {
        struct handler *h = container_of(next->at, struct handler, link);
        h->fn.middleware(s, next, h->arg);
        return;
    }
    s->next = NULL;
    mem_free(next);
    socket_connected(s);
}

void namespace_admit(struct sio_namespace *ns, struct sio_socket *s)
{
    struct sio_next *next = mem_zalloc(sizeof(*next));
    next->socket = s;
    next->at = ns->middlewares.next;
    s->next = next;
    ask(next);
}

void namespace_forget(struct sio_next *next)
{
    next->socket->next = NULL;
    next->socket = NULL;
}

void sio_admit(struct sio_next *next)
{
    if (!next->socket) {
        mem_free(next);
        return;
    }
    next->at = next->at->next;
    ask(next);
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
    struct sio_server *srv = s->ns->server;
    pack_init(&p, srv->settings.max_payload_bytes);
    struct sio_str data = sio_z(data_json ? data_json : "null");
    int rc = pack_format(&p, &srv->scratch,
                         data_json ? "{message:s,data:j}" : "{message:s}",
                         message, data);
    assert(rc == 0 || data_json); /* only the caller's JSON can be wrong */
    metrics_add(M_BAD_CONNECT, 1);
    socket_send(s, PACKET_CONNECT_ERROR, PACKET_NO_ACK,
                rc == 0 ? buf_str(&p.json) : STR("{\"message\":\"refused\"}"),
                NULL, 0);
    pack_fini(&p);
    s->next = NULL;
    mem_free(next);
    socket_gone(s, "refused");
}

/* ---- sio.h --------------------------------------------------------------- */

static struct handler *add_handler(struct list *to, void *arg)
{
    struct handler *h = mem_zalloc(sizeof(*h));
    h->arg = arg;
    list_insert(to, &h->link);
    return h;
}

void sio_use(struct sio_namespace *ns, sio_middleware_fn *fn, void *arg)
{
    add_handler(&ns->middlewares, arg)->fn.middleware = fn;
}

void sio_on_connection(struct sio_namespace *ns, sio_connection_fn *fn,
                       void *arg)
{
    add_handler(&ns->on_connection, arg)->fn.connection = fn;
}

void sio_on_disconnect(struct sio_namespace *ns, sio_disconnect_fn *fn,
                       void *arg)
{
    add_handler(&ns->on_disconnect, arg)->fn.disconnect = fn;
}

void sio_on_presence(struct sio_namespace *ns, sio_presence_fn *fn, void *arg)
{
    add_handler(&ns->on_presence, arg)->fn.presence = fn;
}

struct event_handlers *namespace_handlers(const struct sio_namespace *ns,
                                          struct str event)
{
    struct map_node *n = map_get(&ns->events, event);
    return n ? container_of(n, struct event_handlers, node) : NULL;
}

void sio_on(struct sio_namespace *ns, const char *event, sio_event_fn *fn,
            void *arg)
{
    struct str name = str_of(event);
    struct event_handlers *eh = namespace_handlers(ns, name);
    if (!eh) {
        eh = mem_zalloc(sizeof(*eh) + name.len);
        memcpy(eh + 1, name.p, name.len);
        eh->name = (struct str){(const char *)(eh + 1), name.len};
        list_init(&eh->handlers);
        map_put(&ns->events, &eh->node);
    }
    add_handler(&eh->handlers, arg)->fn.event = fn;
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
