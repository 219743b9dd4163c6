/* /debug/why?sid=S&n=: a connection, by its Engine.IO sid, the head of that, or
 * the id of a socket of it: what it does now, and what the journal has of it.
 */
#include "common/journal.h"
#include "common/json_out.h"
#include "server/admin/pages.h"
#include "server/engine/look.h"
#include "server/io/socket.h"

enum { EVENTS_BY_DEFAULT = 100, EVENTS_MAX = 10000 };

/* ---- what it does now ---------------------------------------------------- */

static struct session *by_socket(const struct sio_server *srv, struct str id)
{
    const struct list *at = srv->namespaces.next;
    for (; at != &srv->namespaces; at = at->next) {
        const struct sio_namespace *ns =
            const_container_of(at, struct sio_namespace, of_server);
        struct member *m = rooms_member(adapter_rooms(ns->adapter), id);
        if (m)
            return client_session(
                container_of(m, struct sio_socket, member)->client);
    }
    return NULL;
}

static struct session *find(const struct sio_server *srv, struct str id)
{
    struct session *s = by_socket(srv, id);
    return s ? s : engine_find(srv->engine, id);
}

static void add_sockets(struct buf *out, const struct client *c)
{
    char before = '[';
    for (const struct sio_socket *s = c->sockets; s; s = s->next_socket) {
        buf_addc(out, before);
        buf_addc(out, '{');
        page_text(out, "namespace", s->ns->name);
        buf_addc(out, ',');
        page_text(out, "id", member_id(&s->member));
        buf_fmt(out, ",\"connected\":%s,\"rooms\":%u}",
                s->state == SOCKET_CONNECTED ? "true" : "false",
                s->member.n_in);
        before = ',';
    }
    buf_add(out, c->sockets ? STR("]") : STR("[]"));
}

/* The server pings clients of protocol 4, and hears of those of protocol 3. */
static void add_heartbeat(struct buf *out, const struct session *s,
                          const struct session_view *v)
{
    bool old = session_revision(s) == 3;
    buf_fmt(out,
            "\"heartbeat\":{\"awaits\":\"%s\",\"since_ms\":%u,\"left_ms\":%u}",
            old              ? "ping"
            : v->awaits_pong ? "pong"
                             : "time of next ping",
            v->asked_ms, v->left_ms);
}

static const char *yes_no(bool yes)
{
    return yes ? "true" : "false";
}

static void add_live(struct buf *out, struct session *s)
{
    const struct client *c = session_owner(s);
    struct session_view v = session_look(s);
    buf_fmt(out, ",\"now\":{\"transport\":\"%s\",\"protocol\":%u,",
            session_transport(s), session_revision(s));
    page_text(out, "address", str_of(session_address(s)));
    buf_fmt(out,
            ",\"queued_bytes\":%zu,\"slow\":%s,\"closing\":%s,"
            "\"upgrading\":%s,\"polling_now\":%s,",
            v.queued_bytes, yes_no(v.slow), yes_no(v.closing),
            yes_no(v.upgrading), yes_no(v.polled));
    add_heartbeat(out, s, &v);
    buf_add(out, STR(",\"sockets\":"));
    add_sockets(out, c);
    buf_addc(out, '}');
}

/* ---- what has happened --------------------------------------------------- */

/* Of what the journal has; the latest record decides. */
struct story {
    struct buf *events;
    int64_t first_ms, last_ms;
    bool ended;
    struct journal_record end;
};

static void add_event(void *arg, const struct journal_record *r)
{
    struct story *story = arg;
    struct buf *out = story->events, sentence;
    if (!story->first_ms)
        story->first_ms = r->at_ms;
    story->last_ms = r->at_ms;
    if (journal_is_end(r)) {
        story->ended = true;
        story->end = *r;
    }
    buf_init(&sentence, 1024);
    journal_sentence(r, &sentence);
    buf_add(out, out->len ? STR(",{\"at\":") : STR("{\"at\":"));
    page_time(out, r->at_ms);
    buf_fmt(out, ",\"event\":\"%s\",", journal_event(r));
    page_text(out, "text", buf_str(&sentence));
    buf_addc(out, '}');
    buf_fini(&sentence);
}

static void add_reach(struct buf *out)
{
    buf_fmt(out, "\"journal\":{\"records\":%u,\"since\":", journal_count());
    if (journal_count())
        page_time(out, journal_since());
    else
        buf_add(out, STR("null"));
    buf_addc(out, '}');
}

static void add_end(struct buf *out, const struct story *story)
{
    struct buf sentence;
    buf_init(&sentence, 256);
    journal_sentence(&story->end, &sentence);
    buf_add(out, STR(",\"ended\":"));
    page_time(out, story->end.at_ms);
    buf_addc(out, ',');
    page_text(out, "why", buf_str(&sentence));
    buf_fini(&sentence);
}

static void write_answer(struct buf *out, struct session *s, uint32_t n,
                         const struct story *story)
{
    buf_fmt(out, "{\"known\":%s,\"state\":\"%s\",", yes_no(s || n > 0),
            s              ? "connected"
            : story->ended ? "ended"
                           : "unknown");
    add_reach(out);
    if (s) {
        buf_addc(out, ',');
        page_text(out, "sid", page_sid(session_sid(s)));
        add_live(out, s);
    } else if (story->ended) {
        add_end(out, story);
    }
    buf_fmt(out, ",\"events_in_all\":%u,\"events\":[", n);
    buf_add(out, buf_str(story->events));
    buf_add(out, STR("]}\n"));
}

unsigned page_why(struct sio_server *srv, struct http_request *r,
                  struct buf *out)
{
    struct str id;
    uint32_t most = page_number(r, EVENTS_BY_DEFAULT, EVENTS_MAX);
    if (most == 0 || !http_query(r, STR("sid"), &id) || id.len == 0) {
        buf_fmt(out,
                "ask with ?sid= and an Engine.IO sid, its first %u characters, "
                "or the id of a socket; &n= for the latest 1 to %u events\n",
                (unsigned)JOURNAL_HEAD, (unsigned)EVENTS_MAX);
        return 400;
    }
    struct session *s = find(srv, id);
    struct buf events;
    buf_init(&events, out->max / 2);
    struct story story = {.events = &events};
    uint32_t n = journal_of(s ? session_sid(s) : id, most, add_event, &story);
    write_answer(out, s, n, &story);
    buf_fini(&events);
    return 200;
}
