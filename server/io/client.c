#include "server/io/client.h"

#include <assert.h>

#include "common/json_out.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "server/http/http_query.h"
#include "server/io/dynamic.h"
#include "server/io/handshake.h"
#include "server/io/outbound.h"
#include "server/io/recovery.h"
#include "server/io/socket.h"

/* The official words for a state error; a packet that cannot be decoded leaves
 * the session's own "forced close". */
static const char forced_close[] = "forced server close";

static void on_connect_timeout(struct timer *t);

static void partial_free(struct client_partial *p)
{
    if (!p)
        return;
    bytes_unref(p->text);
    for (uint32_t i = 0; i < p->have; i++)
        bytes_unref(p->bins[i]);
    mem_free(p);
}

struct client_extra *client_extra(struct client *c)
{
    if (!c->extra) {
        c->extra = mem_zalloc(sizeof(*c->extra));
        c->extra->client = c;
        timer_init(&c->extra->connect, on_connect_timeout);
    }
    return c->extra;
}

void client_settle(struct client *c)
{
    struct client_extra *x = c->extra;
    if (!x || timer_running(&x->connect) || x->address || x->partial ||
        rate_remembers(c))
        return;
    c->extra = NULL;
    mem_free(x);
}

static void note(struct client *c, enum journal_code code, uint32_t detail)
{
    if (client_session(c))
        session_note(client_session(c), code, detail);
}

/* Closes the connection; `state_error`: with that for the reason, which is
 * otherwise the session's to give. */
static void fail(struct client *c, bool state_error)
{
    c->forced = state_error;
    if (client_session(c))
        session_close(client_session(c));
}

static void bad_packet(struct client *c, int rc)
{
    metrics_add(rc == ERR_LIMIT ? M_LIMIT_JSON : M_BAD_PACKET, 1);
    note(c, rc == ERR_LIMIT ? J_BAD_LIMIT : J_BAD_SOCKET, 0);
    fail(c, false);
}

static void on_connect_timeout(struct timer *t)
{
    struct client *c = container_of(t, struct client_extra, connect)->client;
    note(c, J_NEVER_CONNECTED, 0);
    fail(c, true);
}

void client_joined(struct client *c)
{
    if (client_session(c))
        session_establish(client_session(c));
    if (!c->extra)
        return;
    timer_stop(&c->extra->connect);
    client_settle(c);
}

/* ---- its sockets: few, as the limit of namespaces says ------------------- */

void client_add(struct client *c, struct sio_socket *s)
{
    struct sio_socket **at = &c->sockets;
    while (*at)
        at = &(*at)->next_socket;
    *at = s;
}

void client_remove(struct client *c, struct sio_socket *s)
{
    struct sio_socket **at = &c->sockets;
    while (*at != s)
        at = &(*at)->next_socket;
    *at = s->next_socket;
    s->next_socket = NULL;
}

static uint32_t count_sockets(const struct client *c)
{
    uint32_t n = 0;
    for (const struct sio_socket *s = c->sockets; s; s = s->next_socket)
        n++;
    return n;
}

static struct sio_socket *find_socket(const struct client *c, struct str nsp)
{
    struct sio_socket *s = c->sockets;
    while (s && !str_eq(s->ns->name, nsp))
        s = s->next_socket;
    return s;
}

void client_send(struct client *c, const struct parser_out *p)
{
    struct bytes *frames[OUTBOUND_FRAMES_MAX];
    struct sio_server *srv = client_server(c);
    uint32_t n = (uint32_t)outbound_encode(srv->parser, p, frames);
    struct fate fate = {0};
    if (srv->fates.n)
        fate = fates_find(&srv->fates, p, NULL);
    session_send_packet(session_around(c), frames, n, &fate);
    for (uint32_t i = 0; i < n; i++)
        bytes_unref(frames[i]);
}

bool client_is_old(struct client *c)
{
    return client_session(c) && session_revision(client_session(c)) == 3;
}

/* ---- packets by type ----------------------------------------------------- */

static void refuse_connect(struct client *c, struct str nsp, struct str data)
{
    metrics_add(M_BAD_CONNECT, 1);
    struct parser_out out = {.type = PACKET_CONNECT_ERROR,
                             .ack = PACKET_NO_ACK,
                             .nsp = nsp,
                             .data = data};
    client_send(c, &out);
}

static const char unknown[] = "{\"message\":\"Invalid namespace\"}";
static const char too_many[] = "{\"message\":\"Too many namespaces\"}";

/* Asks for a dynamic namespace; the CONNECT's auth is on the tape. */
static struct sio_namespace *make_namespace(struct client *c,
                                            const struct packet_head *h,
                                            const struct json *tape, bool *full)
{
    struct sio_event e;
    struct json *none = server_tape_get(client_server(c));
    int rc = json_parse(none, STR("{}"), client_server(c)->parser_limits.json);
    assert(rc == 0);
    event_init_value(&e, h->has_payload ? tape : none);
    struct sio_namespace *ns =
        dynamic_match(client_server(c), h->nsp, sio_arg(&e, 0), full);
    event_fini(&e);
    server_tape_put(client_server(c));
    return ns;
}

static void on_connect(struct client *c, const struct packet_head *h,
                       const struct json *tape, struct sio_socket *s)
{
    if (s) {
        metrics_add(M_BAD_PACKET, 1);
        note(c, J_BAD_STATE, 0);
        fail(c, true); /* connected already */
        return;
    }
    struct sio_namespace *ns = server_namespace(client_server(c), h->nsp);
    bool dynamic = !ns && !list_empty(&client_server(c)->parents);
    bool full = (ns || dynamic) &&
                count_sockets(c) >=
                    client_server(c)->settings.namespaces_per_connection;
    if (dynamic && !full)
        ns = make_namespace(c, h, tape, &full);
    if (!client_session(c))
        return; /* whoever was asked has stopped the server */
    if (full) {
        metrics_add(M_LIMIT_NAMESPACES, 1);
        note(c, J_MANY_NAMESPACES, 0);
        refuse_connect(c, h->nsp, str_of(too_many));
        return;
    }
    if (!ns) {
        note(c, J_NO_NAMESPACE, 0);
        refuse_connect(c, h->nsp, str_of(unknown));
        return;
    }
    struct recovery_session *wanted = recovery_wanted(c, ns, h, tape);
    if (!client_session(c))
        return; /* so may those who had to leave for it */
    struct sio_socket *joined = socket_new(c, ns, h->payload, wanted);
    if (wanted && client_server(c)->settings.recovery_skip_middlewares)
        socket_connected(joined);
    else
        namespace_admit(ns, joined);
}

/* ---- clients of protocol 3 ------------------------------------------------
 */

/* They name a namespace with a query, which is what they authenticate with. */
static void auth_of(struct str query, struct buf *json)
{
    struct buf scratch;
    struct str name, value;
    char before = '{';
    buf_init(&scratch, query.len);
    while (query_next(&query, &scratch, &name, &value)) {
        buf_addc(json, before);
        json_out_string(json, name);
        buf_addc(json, ':');
        json_out_string(json, value);
        before = ',';
    }
    if (json->len)
        buf_addc(json, '}');
    buf_fini(&scratch);
}

/* The packet as a client of protocol 5 would have sent it. */
static int modernize(struct client *c, struct packet_head *h, struct json *tape,
                     struct buf *auth)
{
    struct str query = h->nsp, path;
    (void)str_next(&query, '?', &path);
    h->nsp = path;
    if (h->type != PACKET_CONNECT)
        return 0;
    auth_of(query.p ? query : STR(""), auth);
    h->payload = buf_str(auth);
    h->has_payload = auth->len > 0;
    return h->has_payload ? json_parse(tape, h->payload,
                                       client_server(c)->parser_limits.json)
                          : 0;
}

/* Clients of protocol 3 are connected to "/" without asking. */
static void on_open(void *owner)
{
    struct client *c = owner;
    struct packet_head h = {
        .type = PACKET_CONNECT, .ack = PACKET_NO_ACK, .nsp = STR("/")};
    if (client_is_old(c))
        on_connect(c, &h, NULL, NULL);
}

/* ---- packets of either ---------------------------------------------------
 */

/* Any packet for a namespace that is not connected, or not yet. */
static bool not_connected(struct client *c, const struct sio_socket *s)
{
    if (s && s->state == SOCKET_CONNECTED)
        return false;
    metrics_add(M_BAD_PACKET, 1);
    note(c, J_BAD_STATE, 0);
    fail(c, true);
    return true;
}

static void dispatch(struct client *c, const struct packet_head *h,
                     const struct json *tape, struct bytes *const *bins)
{
    struct sio_socket *s = find_socket(c, h->nsp);
    if (h->type == PACKET_CONNECT) {
        on_connect(c, h, tape, s);
    } else if (not_connected(c, s)) {
        return;
    } else if (h->type == PACKET_EVENT) {
        socket_on_event(s, h, tape, bins);
    } else if (h->type == PACKET_ACK) {
        socket_on_ack(s, h, tape, bins);
    } else if (h->type == PACKET_DISCONNECT) {
        socket_gone(s, "client namespace disconnect");
    } else {
        bad_packet(c, ERR_PROTO); /* CONNECT_ERROR is the server's to send */
    }
}

static void route(struct client *c, struct packet_head *h, struct json *tape,
                  struct bytes *const *bins)
{
    if (!client_is_old(c)) {
        dispatch(c, h, tape, bins);
        return;
    }
    struct buf auth;
    buf_init(&auth, h->nsp.len * 8 + 16); /* escapes are six for one */
    int rc = modernize(c, h, tape, &auth);
    if (rc < 0)
        bad_packet(c, rc);
    else
        dispatch(c, h, tape, bins);
    buf_fini(&auth);
}

/* ---- decoding and reassembly --------------------------------------------- */

static void begin_partial(struct client *c, struct str text, uint32_t want)
{
    struct client_partial *p = mem_zalloc(sizeof(*p));
    p->want = want;
    p->text = bytes_new(text);
    p->bytes = text.len;
    client_extra(c)->partial = p;
}

static void on_packet(struct client *c, struct str message,
                      parser_decode_fn *decode)
{
    struct parser_in in = {0};
    struct sio_server *srv = client_server(c);
    struct json *tape = server_tape_get(srv);
    int rc = decode(message, &srv->parser_limits, tape, &in);
    if (rc < 0)
        bad_packet(c, rc);
    else if (in.head.n_bins > in.bins.n)
        begin_partial(c, message, in.head.n_bins);
    else
        route(c, &in.head, tape, in.bins.v);
    parser_in_fini(&in);
    server_tape_put(srv);
}

static struct client_partial *partial_of(const struct client *c)
{
    return c->extra ? c->extra->partial : NULL;
}

static void on_text(struct client *c, struct str text)
{
    if (partial_of(c))
        bad_packet(c, ERR_PROTO); /* text where an attachment was due */
    else
        on_packet(c, text, client_server(c)->parser->text);
}

/* Only the text form has them. The text is parsed again now that all is here,
 * rather than keeping a tape per waiting connection. */
static void finish_partial(struct client *c)
{
    struct client_partial *p = c->extra->partial;
    struct sio_server *srv = client_server(c);
    struct packet_head h;
    c->extra->partial = NULL;
    client_settle(c);
    struct json *tape = server_tape_get(srv);
    int rc = parser_decode(bytes_str(p->text), &srv->parser_limits, tape, &h);
    if (rc == 0 && h.has_payload)
        rc = parser_check_bins(tape, p->have);
    if (rc < 0)
        bad_packet(c, rc);
    else
        route(c, &h, tape, p->bins);
    server_tape_put(srv);
    partial_free(p);
}

static void on_binary(struct client *c, struct str data)
{
    struct client_partial *p = partial_of(c);
    if (!p) {
        on_packet(c, data, client_server(c)->parser->binary);
        return;
    }
    p->bytes += data.len;
    if (p->bytes > client_server(c)->settings.max_payload_bytes) {
        metrics_add(M_PAYLOAD_TOO_LARGE, 1);
        note(c, J_TOO_LARGE, client_server(c)->settings.max_payload_bytes);
        fail(c, false);
        return;
    }
    p->bins[p->have++] = bytes_new(data);
    if (p->have == p->want)
        finish_partial(c);
}

static void on_message(void *owner, struct str data, bool binary)
{
    struct client *c = owner;
    if (binary)
        on_binary(c, data);
    else
        on_text(c, data);
}

/* ---- life ---------------------------------------------------------------- */

static void extra_free(struct client *c)
{
    struct client_extra *x = c->extra;
    if (!x)
        return;
    c->extra = NULL;
    timer_stop(&x->connect);
    partial_free(x->partial);
    bytes_unref(x->address);
    mem_free(x);
}

static void on_close(void *owner, enum session_reason why)
{
    struct client *c = owner;
    const char *reason = c->forced ? forced_close : session_reason_text(why);
    c->ended = true;
    if (c->extra)
        timer_stop(&c->extra->connect);
    while (c->sockets)
        socket_gone(c->sockets, reason);
    extra_free(c);
}

const struct session_ops client_ops = {.room = sizeof(struct client),
                                       .on_open = on_open,
                                       .on_message = on_message,
                                       .on_close = on_close};

void client_new(void *server, struct session *s)
{
    struct client *c = session_owner(s);
    (void)server;
    handshake_begin(c);
    loop_timer(client_server(c)->loop, &client_extra(c)->connect,
               client_server(c)->settings.connect_timeout_ms);
}

void client_disconnect_all(struct client *c, unsigned code, const char *reason)
{
    while (c->sockets) {
        struct sio_socket *s = c->sockets;
        if (s->state == SOCKET_CONNECTED)
            socket_send(s, PACKET_DISCONNECT, PACKET_NO_ACK, STR(""), NULL, 0);
        socket_gone(s, "server namespace disconnect");
    }
    if (client_session(c))
        session_close_because(client_session(c), code, reason);
}
