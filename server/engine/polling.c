/* HTTP long-polling (protocol A.4, A.5): one parked GET that carries packets
 * down, one POST at a time that carries packets up. */
#include "common/mem.h"
#include "common/metrics.h"
#include "common/utf8.h"
#include "server/engine/eio_packet.h"
#include "server/engine/engine.h"
#include "server/http/deflate.h"

/* ---- down ---------------------------------------------------------------- */

static const char payload_type[] = "text/plain; charset=UTF-8";

/* `body` is encoded already, as `coding` says. */
static void respond_encoded(struct session *s, struct http_request *r,
                            const char *type, struct str body, unsigned status,
                            enum coding coding, struct str more)
{
    struct buf headers, extra;
    struct str agent;
    buf_init(&headers, 16 * 1024);
    buf_init(&extra, more.len + 64);
    cors_headers(&s->engine->settings.cors, r, &headers);
    buf_add(&headers, coding_header(coding));
    struct http_response resp = {.status = status,
                                 .headers = buf_str(&headers),
                                 .type = type,
                                 .body = body,
                                 .no_store = status == 200};
    /* Old Internet Explorer would sniff the body. */
    if (status == 200 && http_header(r, STR("user-agent"), &agent) &&
        (memmem(agent.p, agent.len, ";MSIE", 5) ||
         memmem(agent.p, agent.len, "Trident/", 8)))
        buf_add(&extra, STR("X-XSS-Protection: 0\r\n"));
    buf_add(&extra, more);
    resp.extra = buf_str(&extra);
    http_respond(r, &resp);
    buf_fini(&extra);
    buf_fini(&headers);
}

static void respond(struct session *s, struct http_request *r, const char *type,
                    struct str body, unsigned status)
{
    respond_encoded(s, r, type, body, status, CODING_NONE, STR(""));
}

void polling_send(struct session *s, struct http_request *r, struct str body,
                  struct str headers)
{
    const struct engine_settings *set = &s->engine->settings;
    enum coding coding = CODING_NONE;
    struct str accept;
    if (set->http_compression && body.len >= set->http_compression_bytes &&
        http_header(r, STR("accept-encoding"), &accept))
        coding = coding_accepted(accept);
    struct buf encoded;
    if (coding == CODING_NONE || !coding_encode(coding, body, &encoded)) {
        respond_encoded(s, r, payload_type, body, 200, CODING_NONE, headers);
        return;
    }
    respond_encoded(s, r, payload_type, buf_str(&encoded), 200, coding,
                    headers);
    buf_fini(&encoded);
}

/* The engine's own packets are never compressed, whatever the threshold. */
static void send_own(struct session *s, struct http_request *r,
                     struct str packets)
{
    respond(s, r, payload_type, packets, 200);
}

void polling_release(struct session *s, const char *packet)
{
    struct http_request *r = s->get;
    if (!r)
        return;
    s->get = NULL;
    send_own(s, r, str_of(packet));
}

void polling_flush(struct session *s)
{
    if (!s->get || bytesq_empty(&s->out))
        return;
    struct buf body;
    struct bytes *b;
    /* The queue is bounded; base64 makes a third more of it. */
    buf_init(&body, s->out.bytes * 2 + s->out.count * 4);
    while ((b = bytesq_take(&s->out))) {
        eio_payload_add(&body, b);
        bytes_unref(b);
    }
    struct http_request *r = s->get;
    s->get = NULL;
    polling_send(s, r, buf_str(&body), STR(""));
    buf_fini(&body);
    timer_stop(&s->slow);
    s->paused = false;
}

static void get_aborted(struct http_request *r, void *owner,
                        enum http_abort why)
{
    (void)r;
    (void)why;
    struct session *s = owner;
    s->get = NULL;
    session_end(s, REASON_TRANSPORT_ERROR);
}

static const struct http_request_ops get_ops = {.on_abort = get_aborted};

static void refuse(struct session *s, struct http_request *r)
{
    respond(s, r, NULL, STR(""), 400);
    session_end(s, REASON_TRANSPORT_ERROR);
}

static void on_get(struct session *s, struct http_request *r)
{
    if (s->get) {
        refuse(s, r); /* two polls at once */
        return;
    }
    if (s->state == SESSION_CLOSING && bytesq_empty(&s->out)) {
        send_own(s, r,
                 STR("6\x1e"
                     "1"));
        session_end(s, REASON_FORCED_CLOSE);
        return;
    }
    s->get = r;
    http_park(r, &get_ops, s);
    polling_flush(s);
}

/* ---- up ------------------------------------------------------------------ */

/* The client's decoder turns bad bytes into U+FFFD rather than refusing them.
 */
static void take_payload(struct session *s, struct str body)
{
    struct buf repaired;
    buf_init(&repaired, body.len * 3 + 1);
    if (!utf8_valid(body)) {
        utf8_repair(body, &repaired);
        body = buf_str(&repaired);
    }
    struct str packet;
    while (s->state != SESSION_CLOSED &&
           str_next(&body, EIO_SEPARATOR, &packet))
        session_on_packet(s, packet);
    buf_fini(&repaired);
}

static void on_post_body(struct http_request *r, void *owner, struct str body)
{
    struct session *s = owner;
    /* Complete, so no longer something that the session's end could cut off:
     * it is answered even when a packet in it ends the session. */
    s->post = NULL;
    s->engine->upload = r;
    take_payload(s, body);
    s->engine->upload = NULL;
    respond(s, r, "text/html", STR("ok"), 200);
}

static void post_aborted(struct http_request *r, void *owner,
                         enum http_abort why)
{
    struct session *s = owner;
    s->post = NULL;
    if (why == HTTP_TOO_LARGE) {
        metrics_add(M_PAYLOAD_TOO_LARGE, 1);
        respond(s, r, NULL, STR(""), 413);
        return; /* the session stays, as in the official server */
    }
    session_end(s, REASON_TRANSPORT_ERROR);
}

static const struct http_request_ops post_ops = {.on_body = on_post_body,
                                                 .on_abort = post_aborted};

void polling_drop_post(struct session *s)
{
    struct http_request *r = s->post;
    s->post = NULL;
    if (r)
        http_drop(r);
}

static void on_post(struct session *s, struct http_request *r)
{
    struct str type;
    if (s->post) {
        refuse(s, r); /* two uploads at once */
        return;
    }
    if (http_header(r, STR("content-type"), &type) &&
        str_eq(type, STR("application/octet-stream"))) {
        refuse(s, r); /* the binary payloads of protocol 3 */
        return;
    }
    s->post = r;
    http_read_body(r, &post_ops, s, s->engine->settings.max_payload_bytes);
}

void polling_request(struct session *s, struct http_request *r)
{
    switch (http_verb(r)) {
    case VERB_GET:
        on_get(s, r);
        break;
    case VERB_POST:
        on_post(s, r);
        break;
    default:
        respond(s, r, NULL, STR(""), 500);
    }
}
