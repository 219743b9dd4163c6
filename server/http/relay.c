#include "server/http/relay.h"

#include <assert.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "server/http/answer.h"
#include "server/http/onward.h"
#include "server/http/tunnel.h"
#include "server/http/upstream.h"

enum { SWITCHING = 101, LOGS_PER_MINUTE = 6 };

struct relay {
    struct loop *loop;
    struct relay_settings settings;
    struct upstreams *upstreams;
    relay_refuse_fn *refuse;
    void *arg;
    struct list passages;
    uint32_t n;
    bool closed;
    struct log_gate gate;
};

/* One request on its way. */
struct passage {
    struct list link;
    struct relay *relay;
    struct http_request *request; /* NULL: a tunnel, or over */
    struct upstream *up;
    struct tunnel *tunnel;
    struct bytes *outgoing; /* until there is a connection */
    struct answer answer;
    struct timer timer;  /* for signs of life */
    bool upgrade, begun; /* the answer's head is complete */
    uint64_t left;       /* of its body */
    size_t unsent;       /* to the client, when that was looked at last */
    size_t token_len, address_len;
    char text[]; /* token, address */
};

static struct str token_of(const struct passage *p)
{
    return (struct str){p->text, p->token_len};
}

static struct str address_of(const struct passage *p)
{
    return (struct str){p->text + p->token_len, p->address_len};
}

/* ---- ends ---------------------------------------------------------------- */

/* Request, connection and tunnel are somebody else's, or gone. */
static void passage_free(struct passage *p)
{
    timer_stop(&p->timer);
    list_remove(&p->link);
    p->relay->n--;
    answer_fini(&p->answer);
    bytes_unref(p->outgoing);
    mem_free(p);
}

static void refuse(struct passage *p, enum relay_refusal why)
{
    static const enum metric counter[] = {
        [RELAY_UNREACHABLE] = M_RELAY_REFUSED,
        [RELAY_BUSY] = M_RELAY_BUSY,
        [RELAY_TOO_LARGE] = M_RELAY_TOO_LARGE,
    };
    struct relay *rl = p->relay;
    struct http_request *r = p->request;
    log_debug("relay_refused", "address=%s why=%d", log_safe(address_of(p)),
              (int)why);
    metrics_add(counter[why], 1);
    passage_free(p);
    rl->refuse(rl->arg, r, why);
}

/* The other server may have read the request, and its answer will not come. */
static void fail(struct passage *p, const char *why)
{
    struct relay *rl = p->relay;
    struct http_request *r = p->request;
    metrics_add(M_RELAY_FAILED, 1);
    if (log_allow(&rl->gate, loop_now(rl->loop), LOGS_PER_MINUTE))
        log_warn("relay_failed", "address=%s why=\"%s\"",
                 log_safe(address_of(p)), why);
    upstream_abort(p->up);
    passage_free(p);
    http_drop(r);
}

static void still_alive(struct passage *p)
{
    p->unsent = http_unsent(p->request);
    loop_timer(p->relay->loop, &p->timer, p->relay->settings.answer_ms);
}

static void on_timer(struct timer *t)
{
    struct passage *p = container_of(t, struct passage, timer);
    if (http_unsent(p->request) < p->unsent)
        still_alive(p); /* the client is slow, not gone */
    else
        fail(p, "no answer in time");
}

static void client_left(struct http_request *r, void *owner,
                        enum http_abort why)
{
    (void)r, (void)why;
    struct passage *p = owner;
    metrics_add(M_RELAY_GONE, 1);
    if (p->up)
        upstream_abort(p->up);
    passage_free(p);
}

/* ---- the answer ---------------------------------------------------------- */

static void answered(struct passage *p, bool excess)
{
    struct http_request *r = p->request;
    metrics_add(M_RELAY_ANSWERED, 1);
    if (p->answer.keep_alive && !excess &&
        stream_queued(upstream_stream(p->up)) == 0)
        upstream_keep(p->up);
    else
        upstream_abort(p->up);
    passage_free(p);
    http_passed(r);
}

static void pass(struct passage *p, struct bytes *b)
{
    metrics_add(M_RELAY_TO_CLIENT, b->len);
    http_pass(p->request, b);
    bytes_unref(b);
}

static void pass_body(struct passage *p, struct str data)
{
    struct str mine = data;
    if (mine.len > p->left)
        mine.len = (size_t)p->left;
    if (mine.len > 0)
        pass(p, bytes_new(mine));
    p->left -= mine.len;
    if (p->left == 0) {
        answered(p, mine.len < data.len);
        return;
    }
    if (!http_blocked(p->request))
        return;
    stream_pause(upstream_stream(p->up), true);
    still_alive(p);
}

static void client_took_it(struct http_request *r, void *owner)
{
    (void)r;
    struct passage *p = owner;
    if (!p->begun)
        return; /* that was an answer before */
    still_alive(p);
    stream_pause(upstream_stream(p->up), false);
}

static void tunnel_over(void *arg)
{
    struct passage *p = arg;
    upstream_closed(p->up);
    passage_free(p);
}

static void send_early(struct stream *to, struct str data, enum metric counter)
{
    if (data.len == 0)
        return;
    struct bytes *b = bytes_new(data);
    stream_send(to, b);
    bytes_unref(b);
    metrics_add(counter, data.len);
}

/* From here on it is no request any more. */
static void switch_over(struct passage *p, struct str rest)
{
    struct str early;
    struct stream *server = upstream_stream(p->up);
    timer_stop(&p->timer);
    metrics_add(M_RELAY_TUNNEL, 1);
    struct stream *client = http_take_stream(p->request, &early);
    p->request = NULL;
    send_early(server, early, M_RELAY_TO_NODE);
    send_early(client, rest, M_RELAY_TO_CLIENT);
    struct tunnel_end ends[2] = {{client, M_RELAY_TO_CLIENT},
                                 {server, M_RELAY_TO_NODE}};
    p->tunnel = tunnel_new(ends, p->relay->settings.answer_ms, tunnel_over, p);
}

static void begin_answer(struct passage *p, struct str rest)
{
    struct buf head;
    bool switching = p->answer.status == SWITCHING;
    if (switching && !p->upgrade) {
        fail(p, "a switch that nobody asked for");
        return;
    }
    buf_init(&head, ANSWER_HEAD_MAX + 64);
    answer_lines(&p->answer, &head);
    if (!switching)
        buf_add(&head, http_keeps_alive(p->request)
                           ? STR("Connection: keep-alive\r\n")
                           : STR("Connection: close\r\n"));
    buf_add(&head, STR("\r\n"));
    buf_fini(&p->answer.head); /* a tunnel may last for days */
    p->begun = true;
    p->left = p->answer.length;
    pass(p, buf_take(&head));
    if (switching)
        switch_over(p, rest);
    else
        pass_body(p, rest);
}

static void on_data(struct stream *s, void *owner, struct str data)
{
    (void)s;
    struct passage *p = owner;
    still_alive(p);
    if (p->begun) {
        pass_body(p, data);
        return;
    }
    int rc = answer_feed(&p->answer, &data);
    if (rc < 0)
        fail(p, err_text(rc));
    else if (rc > 0)
        begin_answer(p, data);
}

static void on_end(struct stream *s, void *owner, int error)
{
    (void)s, (void)error;
    fail(owner, "the connection ended");
}

/* ---- the request --------------------------------------------------------- */

static void send_request(struct passage *p)
{
    static const struct stream_ops ops = {.on_data = on_data, .on_end = on_end};
    struct stream *s = upstream_stream(p->up);
    stream_set_owner(s, &ops, p);
    metrics_add(M_RELAY_TO_NODE, p->outgoing->len);
    stream_send(s, p->outgoing);
    bytes_unref(p->outgoing);
    p->outgoing = NULL;
    still_alive(p);
}

static void on_open(void *owner)
{
    send_request(owner);
}

static void on_fail(void *owner)
{
    struct passage *p = owner;
    p->up = NULL;
    refuse(p, RELAY_UNREACHABLE);
}

/* The request is here as a whole. */
static void go(struct passage *p, struct str body)
{
    static const struct http_request_ops parked = {.on_abort = client_left,
                                                   .on_drain = client_took_it};
    static const struct upstream_ops ops = {on_open, on_fail};
    struct buf out;
    buf_init(&out, ONWARD_HEAD_MAX + body.len);
    onward_head(p->request, token_of(p), body.len, &out);
    buf_add(&out, body);
    p->outgoing = buf_take(&out);
    http_park(p->request, &parked, p);
    p->up = upstream_open(p->relay->upstreams, address_of(p), &ops, p);
    if (!p->up)
        refuse(p, RELAY_BUSY);
    else if (upstream_stream(p->up))
        send_request(p);
}

static void on_body(struct http_request *r, void *owner, struct str body)
{
    (void)r;
    go(owner, body);
}

static void body_ends(struct http_request *r, void *owner, enum http_abort why)
{
    if (why == HTTP_TOO_LARGE)
        refuse(owner, RELAY_TOO_LARGE);
    else
        client_left(r, owner, why);
}

void relay_request(struct relay *rl, struct http_request *r, struct str address,
                   struct str token)
{
    static const struct http_request_ops reading = {.on_body = on_body,
                                                    .on_abort = body_ends};
    struct passage *p = mem_zalloc(sizeof(*p) + token.len + address.len);
    p->relay = rl;
    p->request = r;
    p->upgrade = http_is_upgrade(r);
    p->token_len = token.len;
    p->address_len = address.len;
    memcpy(p->text, token.p, token.len);
    memcpy(p->text + token.len, address.p, address.len);
    answer_init(&p->answer);
    timer_init(&p->timer, on_timer);
    list_insert(&rl->passages, &p->link);
    rl->n++;
    if (rl->closed || rl->n > rl->settings.requests)
        refuse(p, RELAY_BUSY);
    else if (http_verb(r) == VERB_POST)
        http_read_body(r, &reading, p, rl->settings.body_bytes);
    else
        go(p, STR(""));
}

/* ---- life ---------------------------------------------------------------- */

struct relay *relay_new(struct loop *l, const struct relay_settings *s,
                        relay_refuse_fn *refuse_fn, void *arg)
{
    struct relay *rl = mem_zalloc(sizeof(*rl));
    struct upstream_limits limits = {
        .all = s->requests,
        .each = (s->requests + 1) / 2,
        .connect_ms = s->connect_ms,
        .idle_ms = s->idle_ms,
    };
    rl->loop = l;
    rl->settings = *s;
    rl->refuse = refuse_fn;
    rl->arg = arg;
    list_init(&rl->passages);
    rl->upstreams = upstreams_new(l, &limits);
    return rl;
}

static void cut(struct passage *p)
{
    struct http_request *r = p->request;
    if (p->tunnel) {
        tunnel_close(p->tunnel);
        upstream_closed(p->up);
    } else if (p->up) {
        upstream_abort(p->up);
    }
    passage_free(p);
    if (r)
        http_drop(r);
}

void relay_close(struct relay *rl)
{
    rl->closed = true;
    while (!list_empty(&rl->passages))
        cut(container_of(rl->passages.next, struct passage, link));
}

void relay_free(struct relay *rl)
{
    if (!rl)
        return;
    assert(rl->n == 0);
    upstreams_free(rl->upstreams);
    mem_free(rl);
}

uint32_t relay_count(const struct relay *rl)
{
    return rl->n;
}
