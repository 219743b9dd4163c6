#include "server/ctl/http.h"

#include "common/mem.h"

struct ctl_http {
    const struct ctl_net *net;
    const struct ctl_url *url;
    struct ctl_conn *conn;
    bool open;             /* conn may be sent to */
    struct bytes *request; /* until it is sent */
    struct ctl_answer_reader reader;
    struct str rest;
    ctl_http_fn *fn; /* NULL: nothing is under way */
    void *arg;
    struct timer deadline;
    uint32_t timeout_ms;
    unsigned connections;
    bool gone; /* it was freed, and its memory lives to the end of the turn */
};

static void drop_conn(struct ctl_http *h)
{
    ctl_conn_free(h->conn);
    h->conn = NULL;
    h->open = false;
}

static void finish(struct ctl_http *h, const struct ctl_answer *a,
                   const struct ctl_fault *why)
{
    ctl_http_fn *fn = h->fn;
    timer_stop(&h->deadline);
    bytes_unref(h->request);
    h->request = NULL;
    h->fn = NULL;
    fn(h->arg, a, why);
}

static void fail(struct ctl_http *h, struct ctl_fault why)
{
    drop_conn(h);
    if (h->fn)
        finish(h, NULL, &why);
}

static void on_deadline(struct timer *t)
{
    struct ctl_http *h = container_of(t, struct ctl_http, deadline);
    fail(h, ctl_fault(FAULT_TIMEOUT, "no answer within %.1f s",
                      h->timeout_ms / 1000.0));
}

static void send_request(struct ctl_http *h)
{
    if (!h->open || !h->request)
        return;
    ctl_conn_send(h->conn, h->request);
    bytes_unref(h->request);
    h->request = NULL;
}

static void on_open(void *arg)
{
    struct ctl_http *h = arg;
    h->open = true;
    send_request(h);
}

static void on_answer(struct ctl_http *h, struct str rest)
{
    h->rest = rest;
    bool keep = h->reader.answer.keep && rest.len == 0;
    unsigned status = h->reader.answer.status;
    if (!keep && status != 101)
        drop_conn(h);
    finish(h, &h->reader.answer, NULL);
    if (h->gone)
        return;
    h->rest = (struct str){0};
    /* Nobody wanted the other protocol. */
    if (status == 101 && h->conn && !h->fn)
        drop_conn(h);
}

static void on_data(void *arg, struct str data)
{
    struct ctl_http *h = arg;
    if (!h->fn) {
        drop_conn(h); /* an answer to nothing */
        return;
    }
    int rc = ctl_answer_take(&h->reader, &data);
    if (rc > 0)
        on_answer(h, data);
    else if (rc == ERR_LIMIT)
        fail(h, ctl_fault(FAULT_LIMIT, "the answer is too large"));
    else if (rc < 0)
        fail(h, ctl_fault(FAULT_PROTO, "the answer is not HTTP/1.1"));
}

static void on_end(void *arg, const struct ctl_fault *why)
{
    struct ctl_http *h = arg;
    struct ctl_fault fault = *why;
    bool cut = h->fn && ctl_answer_begun(&h->reader);
    drop_conn(h);
    if (!h->fn)
        return;
    if (cut && why->kind == FAULT_CLOSED && ctl_answer_end(&h->reader) > 0)
        on_answer(h, STR(""));
    else if (cut && why->kind == FAULT_CLOSED)
        fail(h, ctl_fault(FAULT_PROTO, "the answer was cut off"));
    else
        fail(h, fault);
}

static const struct ctl_conn_ops conn_ops = {on_open, on_data, on_end};

struct ctl_http *ctl_http_new(const struct ctl_net *net,
                              const struct ctl_url *url, size_t max_body)
{
    struct ctl_http *h = mem_zalloc(sizeof(*h));
    h->net = net;
    h->url = url;
    ctl_answer_init(&h->reader, max_body);
    timer_init(&h->deadline, on_deadline);
    return h;
}

static void destroy(void *arg)
{
    struct ctl_http *h = arg;
    ctl_answer_fini(&h->reader);
    mem_free(h);
}

void ctl_http_free(struct ctl_http *h)
{
    if (!h)
        return;
    timer_stop(&h->deadline);
    drop_conn(h);
    bytes_unref(h->request);
    h->request = NULL;
    h->fn = NULL;
    h->gone = true;
    loop_bury(h->net->loop, destroy, h);
}

static struct bytes *request_text(const struct ctl_http *h,
                                  const struct ctl_request *r)
{
    struct buf b;
    buf_init(&b, UINT32_MAX);
    buf_fmt(&b, "%s ", r->verb);
    buf_add(&b, r->target);
    buf_fmt(&b, " HTTP/1.1\r\nHost: %s\r\n", h->url->authority);
    buf_add(&b, r->headers);
    if (r->body.p)
        buf_fmt(&b, "Content-Length: %zu\r\n", r->body.len);
    buf_add(&b, STR("\r\n"));
    if (r->body.p)
        buf_add(&b, r->body);
    return buf_take(&b);
}

void ctl_http_send(struct ctl_http *h, const struct ctl_request *r,
                   ctl_http_fn *fn, void *arg)
{
    assert(!h->fn);
    ctl_answer_reset(&h->reader, strcmp(r->verb, "HEAD") == 0);
    h->request = request_text(h, r);
    h->fn = fn;
    h->arg = arg;
    h->timeout_ms = r->timeout_ms;
    loop_timer(h->net->loop, &h->deadline, r->timeout_ms);
    if (!h->conn) {
        h->connections++;
        h->conn = ctl_conn_new(h->net, h->url, &conn_ops, h);
    }
    send_request(h);
}

bool ctl_http_busy(const struct ctl_http *h)
{
    return h->fn != NULL;
}

unsigned ctl_http_connections(const struct ctl_http *h)
{
    return h->connections;
}

struct ctl_conn *ctl_http_take(struct ctl_http *h, struct str *rest)
{
    struct ctl_conn *c = h->conn;
    h->conn = NULL;
    h->open = false;
    *rest = h->rest;
    return c;
}
