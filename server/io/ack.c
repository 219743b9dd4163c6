#include "server/io/ack.h"

#include "common/mem.h"
#include "server/io/event.h"
#include "server/io/pack.h"
#include "server/io/socket.h"

/* One that the application has taken to give later, on the list of whoever owes
 * it: the socket, or for another server the namespace. */
struct sio_ack {
    struct list link;
    struct sio_socket *socket;   /* NULL: for a server, or too late */
    struct adapter_asked *asked; /* NULL: for a client, or too late */
    struct sio_namespace *ns;    /* with `asked` */
    int64_t id;                  /* with `socket` */
};

void acks_expire(struct list *owed)
{
    struct list *n;
    while ((n = list_pop(owed))) {
        struct sio_ack *a = container_of(n, struct sio_ack, link);
        if (a->asked)
            adapter_answered(a->asked);
        a->asked = NULL;
        a->socket = NULL;
    }
}

/* Servers take one value. */
static int answer_server(const struct sio_namespace *ns,
                         struct adapter_asked *from, const char *format,
                         struct pack_args *args)
{
    struct json *tape = &ns->server->scratch;
    struct pack p;
    pack_init_text(&p, ns->server->settings.max_payload_bytes);
    int rc = pack_array(&p, NULL, format, args, tape);
    if (rc == 0) {
        uint32_t first = json_first(tape, 0);
        adapter_answer(from,
                       first == JSON_NONE ? STR("") : json_text(tape, first),
                       NULL, 0);
        adapter_answered(from);
    }
    pack_fini(&p);
    return rc;
}

int sio_reply(struct sio_event *e, const char *format, ...)
{
    if (!sio_wants_ack(e))
        return 0;
    struct pack_args args;
    va_start(args.ap, format);
    int rc = e->asked ? answer_server(e->ns, e->asked, format, &args)
                      : socket_acknowledge(e->socket, e->ack, format, &args);
    va_end(args.ap);
    if (rc == 0) {
        e->ack = PACKET_NO_ACK;
        e->asked = NULL;
    }
    return rc;
}

struct sio_ack *sio_ack_take(struct sio_event *e)
{
    if (!sio_wants_ack(e))
        return NULL;
    struct sio_ack *a = mem_zalloc(sizeof(*a));
    list_init(&a->link);
    if (e->asked) {
        a->asked = e->asked;
        a->ns = e->ns;
        list_insert(&e->ns->owed, &a->link);
    } else if (e->socket->state != SOCKET_GONE) {
        a->socket = e->socket;
        a->id = e->ack;
        list_insert(&socket_need_extra(e->socket)->owed, &a->link);
    }
    e->ack = PACKET_NO_ACK;
    e->asked = NULL;
    return a;
}

void sio_ack_drop(struct sio_ack *a)
{
    if (!a)
        return;
    if (a->asked)
        adapter_answered(a->asked);
    list_remove(&a->link);
    if (a->socket)
        socket_settle(a->socket);
    mem_free(a);
}

int sio_ack_send(struct sio_ack *a, const char *format, ...)
{
    int rc = SIO_ERR_STATE;
    struct pack_args args;
    va_start(args.ap, format);
    if (a->socket)
        rc = socket_acknowledge(a->socket, a->id, format, &args);
    else if (a->asked)
        rc = answer_server(a->ns, a->asked, format, &args);
    va_end(args.ap);
    if (rc == 0)
        a->asked = NULL; /* has its answer */
    sio_ack_drop(a);
    return rc;
}
