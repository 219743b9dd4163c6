/* Broadcasts and presence (sio.h): what is built on the stack there is packed
 * once here and handed to the adapter. */
#include "server/io/broadcast.h"

#include "common/metrics.h"
#include "common/utf8.h"
#include "server/io/event.h"
#include "server/io/selection.h"

struct sio_broadcast sio_all(struct sio_namespace *ns)
{
    return (struct sio_broadcast){.ns = ns};
}

struct sio_broadcast sio_others(struct sio_socket *s)
{
    struct sio_broadcast b = {.ns = s->ns};
    sio_except(&b, sio_from_str(member_id(&s->member)));
    return b;
}

static bool same_name(union sio_room a, union sio_room b, bool number)
{
    return number ? a.number == b.number
                  : str_eq(str_from_sio(a.name), str_from_sio(b.name));
}

/* A room that was named before is not named twice: several rooms have another
 * channel than one. */
static void add_room(union sio_room *rooms, uint8_t *n, uint16_t *numbers,
                     union sio_room room, bool number, bool *overflow)
{
    for (uint8_t i = 0; i < *n; i++) {
        if ((*numbers >> i & 1) == number && same_name(rooms[i], room, number))
            return;
    }
    if (*n == SIO_BROADCAST_ROOMS) {
        *overflow = true;
        return;
    }
    if (number)
        *numbers |= (uint16_t)(1u << *n);
    rooms[(*n)++] = room;
}

static void add_to(struct sio_broadcast *b, union sio_room room, bool number)
{
    add_room(b->rooms, &b->n_rooms, &b->number_rooms, room, number,
             &b->overflow);
}

static void add_except(struct sio_broadcast *b, union sio_room room,
                       bool number)
{
    add_room(b->except, &b->n_except, &b->number_except, room, number,
             &b->overflow);
}

void sio_to(struct sio_broadcast *b, struct sio_str room)
{
    add_to(b, (union sio_room){.name = room}, false);
}

void sio_except(struct sio_broadcast *b, struct sio_str room)
{
    add_except(b, (union sio_room){.name = room}, false);
}

void sio_to_number(struct sio_broadcast *b, int64_t room)
{
    add_to(b, (union sio_room){.number = room}, true);
}

void sio_except_number(struct sio_broadcast *b, int64_t room)
{
    add_except(b, (union sio_room){.number = room}, true);
}

void sio_local(struct sio_broadcast *b)
{
    b->local = true;
}

void sio_volatile(struct sio_broadcast *b)
{
    b->is_volatile = true;
}

int broadcast_pack(const struct sio_broadcast *b, struct pack *p,
                   const char *event, const char *format,
                   struct pack_args *args)
{
    struct sio_server *srv = b->ns->server;
    pack_init(p, srv->settings.max_payload_bytes);
    int rc = selection_check(b);
    if (rc == 0 && parser_reserved(str_of(event)))
        rc = SIO_ERR_ARG;
    return rc < 0 ? rc : pack_array(p, event, format, args, &srv->scratch);
}

struct packet *broadcast_packet(const struct sio_namespace *ns, int64_t ack,
                                const struct pack *p)
{
    struct bytes *data = bytes_new(buf_str(&p->json));
    struct packet *packet =
        packet_new(PACKET_EVENT, ns->name, ack, data, p->bins, p->n_bins);
    bytes_unref(data);
    return packet;
}

int sio_broadcast(const struct sio_broadcast *b, const char *event,
                  const char *format, ...)
{
    struct pack p;
    struct pack_args args;
    va_start(args.ap, format);
    int rc = broadcast_pack(b, &p, event, format, &args);
    va_end(args.ap);
    if (rc == 0) {
        struct selection_names names;
        struct broadcast to = selection_of(b, &names);
        struct packet *packet = broadcast_packet(b->ns, PACKET_NO_ACK, &p);
        adapter_broadcast(b->ns->adapter, packet, &to);
        packet_unref(packet);
        metrics_add(M_BROADCASTS, 1);
    }
    pack_fini(&p);
    return rc;
}

/* ---- presence ------------------------------------------------------------ */

enum { PRESENCE_META_MAX = 4096, PRESENCE_GROUP_MAX = 256 };

int sio_presence_set(struct sio_socket *s, struct sio_str group,
                     const char *format, ...)
{
    struct sio_server *srv = s->ns->server;
    if (s->state == SOCKET_GONE)
        return SIO_ERR_STATE;
    if (group.len > PRESENCE_GROUP_MAX)
        return SIO_ERR_LIMIT;
    if (!utf8_valid(str_from_sio(group)))
        return SIO_ERR_ARG;
    struct pack p;
    struct pack_args args;
    pack_init(&p, PRESENCE_META_MAX);
    va_start(args.ap, format);
    int rc = pack_value(&p, format, &args, &srv->scratch);
    va_end(args.ap);
    if (rc == 0 && p.n_bins)
        rc = SIO_ERR_ARG;
    if (rc == 0)
        rc = adapter_presence_set(s->ns->adapter, str_from_sio(group),
                                  member_id(&s->member), buf_str(&p.json));
    pack_fini(&p);
    return rc == ERR_PROTO ? SIO_ERR_ARG : rc;
}

void sio_presence_clear(struct sio_socket *s, struct sio_str group)
{
    if (s->state != SOCKET_GONE)
        adapter_presence_clear(s->ns->adapter, str_from_sio(group),
                               member_id(&s->member));
}

size_t sio_presence_count(struct sio_namespace *ns, struct sio_str group)
{
    return ns->adapter
               ? adapter_presence_count(ns->adapter, str_from_sio(group))
               : 0;
}

struct presence_walk {
    bool (*each)(struct sio_str id, struct sio_str data, void *arg);
    void *arg;
};

static bool walk_one(void *arg, struct str key, struct str meta)
{
    struct presence_walk *w = arg;
    return w->each(sio_from_str(key), sio_from_str(meta), w->arg);
}

void sio_presence_each(struct sio_namespace *ns, struct sio_str group,
                       bool (*each)(struct sio_str id, struct sio_str data,
                                    void *arg),
                       void *arg)
{
    struct presence_walk w = {each, arg};
    if (ns->adapter)
        adapter_presence_each(ns->adapter, str_from_sio(group), walk_one, &w);
}
