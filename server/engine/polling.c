/* HTTP long-polling (protocol A.4, A.5): one parked GET that carries packets
 * down, one POST at a time that carries packets up. */
#include "common/mem.h"
#include "common/metrics.h"
#include "common/utf8.h"
#include "server/engine/eio_packet.h"
#include "server/engine/engine.h"
#include "server/engine/jsonp.h"
#include "server/http/deflate.h"

/* ---- down ---------------------------------------------------------------- */

static const char payload_type[] = "text/plain; charset=UTF-8";
static const char octets_type[] = "application/octet-stream";

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

static enum coding coding_for(const struct session *s, struct http_request *r,
                              size_t len)
{
    const struct engine_settings *set = &s->engine->settings;
    struct str accept;
    return set->http_compression && len >= set->http_compression_bytes &&
                   http_header(r, STR("accept-encoding"), &accept)
               ? coding_accepted(accept)
               : CODING_NONE;
}

static void make_script(const struct session *s, struct str payload,
                        struct buf *out)
{
    struct head head = session_head(s);
    struct str target = head_target(&head);
    buf_init(out, jsonp_script_max(target, payload));
    jsonp_script(target, payload, out);
}

static void send_payload(struct session *s, struct http_request *r,
                         const char *type, struct str body, struct str headers,
                         bool compress)
{
    struct buf script, encoded;
    buf_init(&script, 0);
    if (s->jsonp) {
        make_script(s, body, &script);
        body = buf_str(&script);
    }
    enum coding coding = compress ? coding_for(s, r, body.len) : CODING_NONE;
    if (coding == CODING_NONE || !coding_encode(coding, body, &encoded)) {
        respond_encoded(s, r, type, body, 200, CODING_NONE, headers);
    } else {
        respond_encoded(s, r, type, buf_str(&encoded), 200, coding, headers);
        buf_fini(&encoded);
    }
    buf_fini(&script);
}

void polling_send(struct session *s, struct http_request *r, struct str body,
                  struct str headers)
{
    send_payload(s, r, payload_type, body, headers, true);
}

/* The engine's own packets, each a digit, are never compressed, whatever the
 * threshold. */
static void send_own(struct session *s, struct http_request *r,
                     struct str digits)
{
    struct buf body;
    buf_init(&body, 64);
    for (size_t i = 0; i < digits.len; i++)
        session_coding(s)->add(&body, (struct str){digits.p + i, 1}, false);
    send_payload(s, r, payload_type, buf_str(&body), STR(""), false);
    buf_fini(&body);
}

void polling_release(struct session *s, char packet)
{
    struct http_request *r = session_get(s);
    if (!r)
        return;
    s->extra->get = NULL;
    session_settle(s);
    send_own(s, r, (struct str){&packet, 1});
}

bool polling_keep(struct session *s, struct bytes *frame)
{
    struct session_extra *x = session_extra(s);
    bytesq_push(&x->out, frame);
    if (!x->get)
        bytesq_hold(&x->out);
    s->octets |= frame->binary;
    return x->get != NULL;
}

void polling_forget(struct session *s)
{
    if (s->extra)
        bytesq_fini(&s->extra->out);
    s->octets = false;
}

void polling_flush(struct session *s)
{
    struct http_request *r = session_get(s);
    if (!r || bytesq_empty(&s->extra->out))
        return;
    struct bytesq *out = &s->extra->out;
    const struct eio_coding *coding = session_coding(s);
    bool octets = s->octets && !s->b64 && !s->jsonp && coding->add_octets;
    struct buf body;
    struct bytes *b;
    /* The queue is bounded; base64 makes a third more of it. */
    buf_init(&body, out->bytes * 2 + out->count * 16);
    while ((b = bytesq_take(out))) {
        (octets ? coding->add_octets : coding->add)(&body, bytes_body(b),
                                                    b->binary);
        bytes_unref(b);
    }
    s->octets = false;
    s->extra->get = NULL;
    send_payload(s, r, octets ? octets_type : payload_type, buf_str(&body),
                 STR(""), true);
    buf_fini(&body);
    session_caught_up(s);
}

static void get_aborted(struct http_request *r, void *owner,
                        enum http_abort why)
{
    (void)r;
    (void)why;
    struct session *s = owner;
    s->extra->get = NULL;
    session_settle(s);
    session_note(s, J_STREAM_ENDED, 0);
    session_end(s, REASON_TRANSPORT_ERROR);
}

static const struct http_request_ops get_ops = {.on_abort = get_aborted};

static void refuse(struct session *s, struct http_request *r)
{
    respond(s, r, NULL, STR(""), 400);
    session_note(s, J_BAD_POLL, 0);
    session_end(s, REASON_TRANSPORT_ERROR);
}

static void on_get(struct session *s, struct http_request *r)
{
    if (session_get(s)) {
        refuse(s, r); /* two polls at once */
        return;
    }
    if (s->state == SESSION_CLOSING && session_kept(s) == 0) {
        send_own(s, r, STR("61"));
        session_end(s, REASON_FORCED_CLOSE);
        return;
    }
    session_extra(s)->get = r;
    http_park(r, &get_ops, s);
    polling_flush(s);
}

/* ---- up ------------------------------------------------------------------ */

static bool is_octets(struct http_request *r)
{
    struct str type;
    return http_header(r, STR("content-type"), &type) &&
           str_eq(type, str_of(octets_type));
}

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
    int more = 0;
    while (s->state != SESSION_CLOSED &&
           (more = session_coding(s)->next(&body, &packet)) > 0)
        session_on_packet(s, packet);
    if (more < 0)
        session_on_garbage(s);
    buf_fini(&repaired);
}

static void take_octets(struct session *s, struct str body)
{
    const struct eio_coding *coding = session_coding(s);
    struct str packet;
    bool binary;
    int more = coding->octets_valid(body) ? 0 : ERR_PROTO;
    while (more >= 0 && s->state != SESSION_CLOSED &&
           (more = coding->next_octets(&body, &packet, &binary)) > 0) {
        if (binary)
            session_on_binary(s, packet);
        else
            session_on_packet(s, packet);
    }
    if (more < 0)
        session_on_garbage(s);
}

static void take_form(struct session *s, struct str body)
{
    struct buf payload;
    buf_init(&payload, body.len);
    if (jsonp_payload(body, &payload))
        take_payload(s, buf_str(&payload));
    buf_fini(&payload);
}

static void on_post_body(struct http_request *r, void *owner, struct str body)
{
    struct session *s = owner;
    /* Complete, so no longer something that the session's end could cut off:
     * it is answered even when a packet in it ends the session. */
    s->extra->post = NULL;
    session_settle(s);
    s->engine->upload = r;
    if (s->jsonp)
        take_form(s, body);
    else if (is_octets(r))
        take_octets(s, body);
    else
        take_payload(s, body);
    s->engine->upload = NULL;
    respond(s, r, "text/html", STR("ok"), 200);
}

static void post_aborted(struct http_request *r, void *owner,
                         enum http_abort why)
{
    struct session *s = owner;
    s->extra->post = NULL;
    session_settle(s);
    if (why == HTTP_TOO_LARGE) {
        session_note(s, J_TOO_LARGE, s->engine->settings.max_payload_bytes);
        engine_too_large(s->engine, r);
        return; /* the session stays, as in the official server */
    }
    session_note(s, J_STREAM_ENDED, 0);
    session_end(s, REASON_TRANSPORT_ERROR);
}

static const struct http_request_ops post_ops = {.on_body = on_post_body,
                                                 .on_abort = post_aborted};

void polling_drop_post(struct session *s)
{
    struct http_request *r = s->extra ? s->extra->post : NULL;
    if (!r)
        return;
    s->extra->post = NULL;
    session_settle(s);
    http_drop(r);
}

static void on_post(struct session *s, struct http_request *r)
{
    if (s->extra && s->extra->post) {
        refuse(s, r); /* two uploads at once */
        return;
    }
    if (is_octets(r) && !session_coding(s)->next_octets) {
        refuse(s, r);
        return;
    }
    session_extra(s)->post = r;
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
