/* Broadcasts and presence (sio.h): what is built on the stack there is packed
 * once here and handed to the adapter. */
#include "common/metrics.h"
#include "common/utf8.h"
#include "server/io/event.h"
#include "server/io/pack.h"
#include "server/io/selection.h"

struct sio_broadcast sio_all(struct sio_namespace *ns)
{
    return (struct sio_broadcast){.ns = ns};
}

struct sio_broadcast sio_others(struct sio_socket *s)
{
    struct sio_broadcast b = {.ns = s->ns};
    sio_except(&b, sio_from_str(s->member.id));
    return b;
}

void sio_to(struct sio_broadcast *b, struct sio_str room)
{
    if (b->n_rooms < SIO_BROADCAST_ROOMS)
        b->rooms[b->n_rooms++] = room;
    else
        b->overflow = true;
}

void sio_except(struct sio_broadcast *b, struct sio_str room)
{
    if (b->n_except < SIO_BROADCAST_ROOMS)
        b->except[b->n_except++] = room;
    else
        b->overflow = true;
}

void sio_local(struct sio_broadcast *b)
{
    b->local = true;
}

void sio_volatile(struct sio_broadcast *b)
{
    b->is_volatile = true;
}

static void send_broadcast(const struct sio_broadcast *b, const struct pack *p)
{
    struct selection_names names;
    struct broadcast to = selection_of(b, &names);
    struct bytes *data = bytes_new(buf_str(&p->json));
    struct packet *packet = packet_new(PACKET_EVENT, b->ns->name, PACKET_NO_ACK,
                                       data, p->bins, p->n_bins);
    bytes_unref(data);
    adapter_broadcast(b->ns->adapter, packet, &to);
    packet_unref(packet);
    metrics_add(M_BROADCASTS, 1);
}

int sio_broadcast(const struct sio_broadcast *b, const char *event,
                  const char *format, ...)
{
    struct sio_server *srv = b->ns->server;
    int rc = selection_check(b);
    if (rc == 0 && parser_reserved(str_of(event)))
        rc = SIO_ERR_ARG;
    if (rc < 0)
        return rc;
    struct pack p;
    struct pack_args args;
    pack_init(&p, srv->settings.max_payload_bytes);
    va_start(args.ap, format);
    rc = pack_array(&p, event, format, &args, &srv->scratch);
    va_end(args.ap);
    if (rc == 0)
        send_broadcast(b, &p);
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
                                  s->member.id, buf_str(&p.json));
    pack_fini(&p);
    return rc == ERR_PROTO ? SIO_ERR_ARG : rc;
}

void sio_presence_clear(struct sio_socket *s, struct sio_str group)
{
    if (s->state != SOCKET_GONE)
        adapter_presence_clear(s->ns->adapter, str_from_sio(group),
                               s->member.id);
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
