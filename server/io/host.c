#include "server/io/host.h"

#include "common/json_out.h"
#include "server/io/answers.h"
#include "server/io/bulk.h"
#include "server/io/event.h"
#include "server/io/server_events.h"
#include "server/io/socket.h"

static bool deliver(void *host, struct member *to, struct packet *p,
                    bool is_volatile)
{
    (void)host;
    return socket_deliver(container_of(to, struct sio_socket, member), p,
                          is_volatile);
}

static void presence(void *host, struct str group, struct str key,
                     struct str meta, int what)
{
    struct sio_namespace *ns = host;
    if (list_empty(&ns->home->on_presence.list))
        return;
    struct json *tape = server_tape_get(ns->server);
    struct sio_event e;
    if (json_parse(tape, meta, ns->server->parser_limits.json) == 0) {
        event_init_value(&e, tape);
        struct handler_walk w;
        struct handler *h = handlers_first(&w, &ns->home->on_presence);
        for (; h; h = handlers_next(&w))
            h->fn.presence(ns, (enum sio_presence)what, sio_from_str(group),
                           sio_from_str(key), sio_arg(&e, 0), h->arg);
        event_fini(&e);
    }
    server_tape_put(ns->server);
}

static void sockets_join(void *host, const struct broadcast *b,
                         const struct room_names *rooms)
{
    (void)bulk_join(host, b, rooms); /* failures are counted */
}

static void sockets_leave(void *host, const struct broadcast *b,
                          const struct room_names *rooms)
{
    bulk_leave(host, b, rooms);
}

static void sockets_disconnect(void *host, const struct broadcast *b,
                               bool close)
{
    bulk_disconnect(host, b, close);
}

struct description {
    struct buf *out;
    bool more, more_rooms;
};

static bool describe_room(struct sio_str room, void *arg)
{
    struct description *d = arg;
    if (d->more_rooms)
        buf_addc(d->out, ',');
    d->more_rooms = true;
    json_out_string(d->out, str_from_sio(room));
    return true;
}

static void describe_socket(struct sio_socket *s, void *arg)
{
    struct description *d = arg;
    if (d->out->full)
        return;
    if (d->more)
        buf_addc(d->out, ',');
    d->more = true;
    d->more_rooms = false;
    buf_add(d->out, STR("{\"id\":"));
    json_out_string(d->out, member_id(&s->member));
    buf_add(d->out, STR(",\"handshake\":"));
    struct str handshake = str_from_sio(sio_handshake_json(s));
    buf_add(d->out, handshake.len ? handshake : STR("{}"));
    buf_add(d->out, STR(",\"rooms\":["));
    sio_rooms(s, describe_room, d);
    buf_add(d->out, STR("],\"data\":"));
    const struct bytes *data = socket_data(s);
    buf_add(d->out, data ? bytes_str(data) : STR("{}"));
    buf_addc(d->out, '}');
}

static void sockets_describe(void *host, const struct broadcast *b,
                             struct buf *out)
{
    struct description d = {.out = out};
    selection_each(host, b, describe_socket, &d);
}

static size_t broadcast_ack(void *host, struct packet *p,
                            const struct broadcast *b, uint32_t timeout_ms,
                            struct adapter_asked *from)
{
    return question_of_server(host, p, b, timeout_ms, from);
}

static void server_event(void *host, struct str data,
                         struct adapter_asked *from)
{
    server_events_run(host, data, from);
}

const struct adapter_host namespace_host = {
    .deliver = deliver,
    .presence = presence,
    .sockets_join = sockets_join,
    .sockets_leave = sockets_leave,
    .sockets_disconnect = sockets_disconnect,
    .sockets_describe = sockets_describe,
    .broadcast_ack = broadcast_ack,
    .server_event = server_event,
};
