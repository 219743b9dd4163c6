#include "server/io/recovery.h"

#include "common/metrics.h"
#include "server/io/outbound.h"

/* The ends after which a client may come back: the official list. */
static const struct str recoverable[] = {
    STR_INIT("transport error"),      STR_INIT("transport close"),
    STR_INIT("forced close"),         STR_INIT("ping timeout"),
    STR_INIT("server shutting down"), STR_INIT("forced server close"),
};

static uint64_t now_of(const struct sio_namespace *ns)
{
    return loop_now(ns->server->loop);
}

/* ---- coming back --------------------------------------------------------- */

static enum recovery_result find(struct sio_namespace *ns, struct str pid,
                                 struct str offset,
                                 struct recovery_session **out)
{
    return recovery_find(adapter_recovery(ns->adapter), pid, offset, now_of(ns),
                         out);
}

/* The client's old connection is dead, which we have not noticed yet: it ends
 * as if we had. */
static void end_old(const struct recovery_session *session)
{
    struct sio_socket *old =
        container_of(session->member, struct sio_socket, member);
    metrics_add(M_RECOVERY_TAKEOVERS, 1);
    session_end(client_session(old->client), REASON_TRANSPORT_CLOSE);
}

static void count(enum recovery_result rc)
{
    static const enum metric counters[] = {
        [RECOVERY_UNKNOWN_PID] = M_RECOVERY_NO_PID,
        [RECOVERY_UNKNOWN_OFFSET] = M_RECOVERY_NO_OFFSET,
        [RECOVERY_EXPIRED] = M_RECOVERY_EXPIRED,
        [RECOVERY_TRIMMED] = M_RECOVERY_TRIMMED,
        [RECOVERY_TOO_MUCH] = M_RECOVERY_TOO_MUCH,
    };
    if (rc != RECOVERY_FOUND)
        metrics_add(counters[rc], 1);
}

struct recovery_session *recovery_wanted(struct client *c,
                                         struct sio_namespace *ns,
                                         const struct packet_head *h,
                                         const struct json *tape)
{
    struct sio_str pid, offset = SIO_STR("");
    struct recovery_session *found = NULL;
    struct sio_event e;
    if (!adapter_recovery(ns->adapter) || !h->has_payload || client_is_old(c))
        return NULL;
    event_init_value(&e, tape);
    if (sio_str(sio_get(sio_arg(&e, 0), "pid"), &pid)) {
        (void)sio_str(sio_get(sio_arg(&e, 0), "offset"), &offset);
        struct str p = str_from_sio(pid), o = str_from_sio(offset);
        enum recovery_result rc = find(ns, p, o, &found);
        if (rc == RECOVERY_LIVE) {
            end_old(found);
            rc = find(ns, p, o, &found);
        }
        count(rc);
        if (rc != RECOVERY_FOUND || !client_session(c))
            found = NULL;
    }
    event_fini(&e);
    return found;
}

void recovery_attach(struct sio_socket *s, struct recovery_session *wanted)
{
    struct recovery_nsp *ns = adapter_recovery(s->ns->adapter);
    if (wanted) {
        socket_set_data(s, recovery_resume(wanted, &s->member));
        for (uint32_t i = 1; i < wanted->n_rooms; i++)
            adapter_join(s->ns->adapter, &s->member, wanted->rooms[i]);
        s->recovered = true;
    } else if (ns && !client_is_old(s->client)) {
        recovery_begin(ns, &s->member);
    }
}

static void send_frames(struct sio_socket *s, struct packet *p)
{
    const struct sio_server *srv = s->ns->server;
    const struct packet_frames *f =
        outbound_frames(p, srv->parser, &srv->fates);
    session_send_packet(client_session(s->client), f->v, f->n, &f->fate);
    metrics_add(M_DELIVERIES, 1);
}

static void send_missed(void *arg, struct packet *p)
{
    send_frames(arg, p);
    metrics_add(M_RECOVERY_REPLAYED, 1);
}

bool recovery_connect(struct sio_socket *s)
{
    if (!s->member.session)
        return true;
    if (!recovery_welcome(s->member.session, send_missed, s)) {
        metrics_add(M_RECOVERY_TRIMMED, 1);
        session_end(client_session(s->client), REASON_FORCED_CLOSE);
        return false;
    }
    if (s->recovered)
        metrics_add(M_RECOVERED, 1);
    return true;
}

void recovery_reply(const struct sio_socket *s, struct buf *out)
{
    char pid[ID_LEN];
    buf_add(out, STR("{\"sid\":\""));
    buf_add(out, member_id(&s->member));
    buf_addc(out, '"');
    if (s->ns->server->settings.recovery_enabled) {
        /* Without sessions a pid is of no use, and sent all the same: so does
         * the official server with an adapter that does not keep them. */
        if (s->member.session)
            memcpy(pid, s->member.session->pid, sizeof(pid));
        else
            id_random(pid, sizeof(pid));
        buf_add(out, STR(",\"pid\":\""));
        buf_add(out, (struct str){pid, ID_LEN});
        buf_addc(out, '"');
    }
    buf_addc(out, '}');
}

/* ---- the end ------------------------------------------------------------- */

void recovery_end(struct sio_socket *s)
{
    if (s->member.session)
        recovery_leave(s->member.session);
}

static bool may_come_back(const char *reason)
{
    for (size_t i = 0; i < sizeof(recoverable) / sizeof(recoverable[0]); i++) {
        if (str_eq(str_of(reason), recoverable[i]))
            return true;
    }
    return false;
}

struct recovery_session *recovery_keep(struct sio_socket *s, bool connected,
                                       const char *reason)
{
    if (!s->member.session)
        return NULL;
    struct recovery_session *session = recovery_detach(&s->member);
    /* Who came back and was not let in yet, or was refused, may try again. */
    if (connected ? may_come_back(reason) : s->recovered)
        return session;
    recovery_drop(session);
    return NULL;
}

/* ---- sending ------------------------------------------------------------- */

void recovery_emit(struct sio_socket *s, struct packet *p)
{
    struct str id = member_id(&s->member);
    struct broadcast to = {.rooms = &id, .n_rooms = 1};
    uint64_t offset = recovery_record(adapter_recovery(s->ns->adapter),
                                      now_of(s->ns), p, &to);
    /* Not before what it has missed, and then it is a part of that. */
    if (s->state == SOCKET_ADMITTING && s->recovered)
        return;
    send_frames(s, p);
    recovery_sent(s->member.session, offset);
}
