/* The connection is a small machine around http-parser:
 *
 *   idle --first byte--> head --complete--> handler --response--> idle
 *                                   \--body--> on_body --^
 *
 * While a request is open (parked, or its body unread) the parser is paused and
 * later input waits in `pending`. Request, parser and input exist only from a
 * request's first byte to its end (struct work), so an idle connection is the
 * small struct and its stream. */
#include <assert.h>
#include <stdio.h>
#include <time.h>

#include <http_parser.h>

#include "common/mem.h"
#include "common/metrics.h"
#include "common/slab.h"
#include "server/http/busy.h"
#include "server/http/http_query.h"
#include "server/http/quick_head.h"

enum {
    /* Pipelined input that may wait: what one read brings, and some more. */
    PENDING_MAX = LOOP_READ_BYTES + 16 * 1024,
    /* Answers that the peer has not read; no further request is looked at. */
    UNREAD_MAX = 128 * 1024,
    HEADERS_MAX = 128,
    ROUTES_MAX = 32,
    LINGER_MS = 2000,
    UNUSED_MS = 1000,     /* a connection that nobody is about to use */
    RESPONSE_BYTES = 160, /* of a response's head, our own headers in it */
#if defined(__SANITIZE_ADDRESS__)
    SPARES_KEPT = 0, /* who looks for misused memory must see every request */
#else
    SPARES_KEPT = 16, /* of each kind */
#endif
    KEPT_BYTES = 2048, /* of text that a spare request keeps room for */
};

struct http_request {
    union {
        struct http_conn *conn;
        struct http_request *next_spare;
    };
    struct buf head; /* begins with the target; names and values are in it */
    struct buf body;
    struct buf decoded; /* query values with escapes */
    size_t target_len, path_len;
    uint32_t n_headers;
    const struct http_request_ops *ops;
    void *owner;
    bool dispatched;  /* a handler has it */
    bool plain_query; /* with nothing to decode */
    bool wants_body;
    bool last_was_value;
    struct header_line header[HEADERS_MAX]; /* set as far as they are in use */
};

/* What a connection needs while there is a request, or a part of one. */
struct work {
    union {
        struct http_conn *conn;
        struct work *next_spare;
    };
    http_parser parser;
    struct http_request *req;
    struct buf pending;
    struct str rest; /* input behind an upgrade request */
    /* Where a value must go on in the parser's present input: on another line
     * would be folding. */
    const char *value_end;
    bool value_cut; /* the input before ended inside a value */
    bool parsing, body_done, keep_alive;
    unsigned refused; /* status to answer after the parser stopped */
};

struct http_conn {
    struct list link; /* one of the server's lists */
    struct http_server *server;
    struct stream *stream;
    struct work *work; /* NULL between requests */
    struct timer deadline;
    bool closed, close_after;
    bool dirty; /* go_on will run */
    bool owing; /* on the list of those that owe a head */
};

struct route {
    struct str path;
    bool prefix;
    http_handler_fn *fn;
    void *arg;
};

struct http_server {
    struct loop *loop;
    struct http_limits limits;
    struct list
        owing; /* connections whose head is not complete: oldest first */
    struct list conns; /* the others */
    uint32_t n_owing;
    struct route route[ROUTES_MAX];
    size_t n_routes;
    bool draining;
};

static http_parser_settings callbacks;

static struct http_conn *conn_of(http_parser *p)
{
    return container_of(p, struct work, parser)->conn;
}

/* ---- those that owe a head ----------------------------------------------- */

static void owes_nothing(struct http_conn *c)
{
    if (!c->owing)
        return;
    c->owing = false;
    c->server->n_owing--;
    list_remove(&c->link);
    list_insert(&c->server->conns, &c->link);
}

static void owes_head(struct http_conn *c)
{
    if (c->owing)
        return;
    c->owing = true;
    c->server->n_owing++;
    list_remove(&c->link);
    list_insert(&c->server->owing, &c->link);
}

/* ---- life of a connection ------------------------------------------------ */

/* Most requests are answered before the next one comes, on whatever connection:
 * it takes what they leave. */
static struct http_request *spare_requests;
static struct work *spare_works;
static unsigned n_spare_requests, n_spare_works;

static struct http_request *request_new(struct http_conn *c)
{
    const struct http_limits *lim = &c->server->limits;
    struct http_request *r = spare_requests;
    struct buf head = {0};
    if (r) {
        spare_requests = r->next_spare;
        n_spare_requests--;
        head = r->head;
    } else {
        r = mem_alloc(sizeof(*r));
    }
    memset(r, 0, offsetof(struct http_request, header));
    r->conn = c;
    r->head = head;
    r->head.max = lim->header_bytes;
    buf_init(&r->decoded, 4 * (size_t)lim->request_line_bytes);
    return r;
}

static void request_free(struct http_request *r)
{
    buf_fini(&r->body);
    buf_fini(&r->decoded);
    if (n_spare_requests == SPARES_KEPT) {
        buf_fini(&r->head);
        mem_free(r);
        return;
    }
    if (r->head.cap > KEPT_BYTES)
        buf_fini(&r->head);
    buf_clear(&r->head);
    r->next_spare = spare_requests;
    spare_requests = r;
    n_spare_requests++;
}

static struct work *work_of(struct http_conn *c)
{
    struct work *w = c->work;
    if (w)
        return w;
    w = spare_works;
    if (w) {
        spare_works = w->next_spare;
        n_spare_works--;
    } else {
        w = mem_alloc(sizeof(*w));
    }
    c->work = w;
    memset(w, 0, sizeof(*w));
    w->conn = c;
    w->body_done = true;
    http_parser_init(&w->parser, HTTP_REQUEST);
    buf_init(&w->pending, PENDING_MAX);
    return w;
}

static void work_free(struct http_conn *c)
{
    struct work *w = c->work;
    if (!w)
        return;
    c->work = NULL;
    buf_fini(&w->pending);
    if (n_spare_works == SPARES_KEPT) {
        mem_free(w);
        return;
    }
    w->next_spare = spare_works;
    spare_works = w;
    n_spare_works++;
}

/* Between requests: the parser would start anew in any case. */
static void rest_if_idle(struct http_conn *c)
{
    const struct work *w = c->work;
    if (w && !w->req && !w->parsing && w->body_done && w->pending.len == 0 &&
        !c->closed)
        work_free(c);
}

static struct http_request *request_of(const struct http_conn *c)
{
    return c->work ? c->work->req : NULL;
}

static void conn_destroy(void *arg)
{
    work_free(arg);
    slab_free(arg, sizeof(struct http_conn));
}

/* The stream has gone elsewhere or is closing; the rest dies after the turn. */
static void conn_end(struct http_conn *c)
{
    if (c->closed)
        return;
    c->closed = true;
    owes_nothing(c);
    list_remove(&c->link);
    timer_stop(&c->deadline);
    struct http_request *r = request_of(c);
    if (r) {
        c->work->req = NULL;
        request_free(r);
    }
    loop_bury(c->server->loop, conn_destroy, c);
}

static void conn_close(struct http_conn *c)
{
    stream_close(c->stream, LINGER_MS);
    conn_end(c);
}

static void conn_refuse(struct http_conn *c, unsigned status)
{
    char line[96];
    int n = snprintf(line, sizeof(line),
                     "HTTP/1.1 %u %s\r\nConnection: close\r\n"
                     "Content-Length: 0\r\n\r\n",
                     status, http_status_text(status));
    struct bytes *b = bytes_new((struct str){line, (size_t)n});
    stream_send(c->stream, b);
    bytes_unref(b);
    metrics_add(status == 431   ? M_HTTP_TOO_LARGE
                : status == 408 ? M_HTTP_TIMEOUT
                                : M_HTTP_BAD_REQUEST,
                1);
    conn_close(c);
}

/* Whoever means to ask does so at once: the one that has owed its head longest
 * goes first. */
static void make_room(struct http_server *s)
{
    if (!s->limits.half_open || s->n_owing < s->limits.half_open)
        return;
    struct http_conn *c = container_of(s->owing.next, struct http_conn, link);
    metrics_add(M_CROWDED_OUT, 1);
    busy_close(c->stream, "Too many half-open connections");
    conn_end(c);
}

static void abort_request(struct http_conn *c)
{
    struct http_request *r = request_of(c);
    if (r && r->dispatched && r->ops)
        r->ops->on_abort(r, r->owner, HTTP_GONE);
}

static void on_deadline(struct timer *t)
{
    struct http_conn *c = container_of(t, struct http_conn, deadline);
    if (!request_of(c) && (!c->work || c->work->pending.len == 0)) {
        conn_close(c);
        return;
    }
    abort_request(c);
    if (!c->closed)
        conn_refuse(c, 408);
}

static void arm(struct http_conn *c, uint32_t ms)
{
    loop_timer(c->server->loop, &c->deadline, ms);
}

/* ---- parser callbacks ---------------------------------------------------- */

static int refuse_in_parser(struct http_conn *c, unsigned status)
{
    c->work->refused = status;
    return -1;
}

static int on_message_begin(http_parser *p)
{
    struct http_conn *c = conn_of(p);
    assert(!c->work->req);
    if (!c->owing) {
        make_room(c->server);
        owes_head(c);
    }
    c->work->req = request_new(c);
    c->work->body_done = false;
    p->upgrade = 0; /* the request before may have asked for it in vain */
    arm(c, c->server->limits.header_timeout_ms);
    return 0;
}

static int on_url(http_parser *p, const char *at, size_t len)
{
    struct http_conn *c = conn_of(p);
    struct http_request *r = c->work->req;
    if (r->target_len + len > c->server->limits.request_line_bytes)
        return refuse_in_parser(c, 431);
    buf_add(&r->head, (struct str){at, len});
    r->target_len += len;
    return r->head.full ? refuse_in_parser(c, 431) : 0;
}

static int on_header_field(http_parser *p, const char *at, size_t len)
{
    struct http_conn *c = conn_of(p);
    struct http_request *r = c->work->req;
    if (r->n_headers == 0 || r->last_was_value) {
        uint32_t max = c->server->limits.header_count;
        if (r->n_headers >= HEADERS_MAX || r->n_headers >= max)
            return refuse_in_parser(c, 431);
        struct header_line *h = &r->header[r->n_headers++];
        *h = (struct header_line){.name_at = (uint32_t)r->head.len};
        r->last_was_value = false;
    }
    r->header[r->n_headers - 1].name_len += (uint32_t)len;
    buf_add(&r->head, (struct str){at, len});
    return r->head.full ? refuse_in_parser(c, 431) : 0;
}

static int on_header_value(http_parser *p, const char *at, size_t len)
{
    struct http_conn *c = conn_of(p);
    struct http_request *r = c->work->req;
    struct header_line *h = &r->header[r->n_headers - 1];
    if (!r->last_was_value) {
        h->value_at = (uint32_t)r->head.len;
        r->last_was_value = true;
    } else if (at != c->work->value_end) {
        return refuse_in_parser(c, 400); /* folded over lines: obsolete */
    }
    c->work->value_end = at + len;
    h->value_len += (uint32_t)len;
    buf_add(&r->head, (struct str){at, len});
    return r->head.full ? refuse_in_parser(c, 431) : 0;
}

static const struct route *route_find(const struct http_request *r)
{
    const struct http_server *s = r->conn->server;
    struct str path = http_path(r);
    for (size_t i = 0; i < s->n_routes; i++) {
        const struct route *rt = &s->route[i];
        if (rt->prefix ? str_starts(http_target(r), rt->path)
                       : str_eq(path, rt->path))
            return rt;
    }
    return NULL;
}

static void not_found(void *arg, struct http_request *r)
{
    (void)arg;
    if (http_is_upgrade(r)) {
        conn_close(r->conn); /* as the official server: without a word */
        return;
    }
    struct http_response resp = {.status = 404,
                                 .type = "text/plain; charset=utf-8",
                                 .body = STR("not found\n"),
                                 .close = http_has_body(r)};
    http_respond(r, &resp);
}

static void dispatch(struct http_conn *c)
{
    struct http_request *r = c->work->req;
    struct str target = http_target(r);
    const char *query = memchr(target.p, '?', target.len);
    r->path_len = query ? (size_t)(query - target.p) : target.len;
    r->plain_query = query_is_plain(str_from(target, r->path_len));
    const struct route *rt = route_find(r);
    r->dispatched = true;
    owes_nothing(c);
    timer_stop(&c->deadline);
    if (rt)
        rt->fn(rt->arg, r);
    else
        not_found(NULL, r);
}

static struct str header_name(const struct http_request *r, size_t i)
{
    const struct header_line *h = &r->header[i];
    return (struct str){r->head.b->p + h->name_at, h->name_len};
}

/* http-parser lets a space stand in or behind a name. */
static bool names_are_tokens(const struct http_request *r)
{
    for (size_t i = 0; i < r->n_headers; i++) {
        struct str name = header_name(r, i);
        if (name.len == 0 || memchr(name.p, ' ', name.len) ||
            memchr(name.p, '\t', name.len))
            return false;
    }
    return true;
}

static bool framing_is_ambiguous(const struct http_request *r)
{
    unsigned lengths = 0, encodings = 0;
    for (uint32_t i = 0; i < r->n_headers; i++) {
        struct str name = header_name(r, i);
        lengths += str_ieq(name, STR("content-length"));
        encodings += str_ieq(name, STR("transfer-encoding"));
    }
    return lengths > 1 || encodings > 1 || (lengths && encodings);
}

static bool lacks_host(const http_parser *p, const struct http_request *r)
{
    struct str host;
    return p->http_minor >= 1 && !http_header(r, STR("host"), &host);
}

static bool head_is_bad(const http_parser *p, const struct http_request *r)
{
    return p->http_major != 1 || lacks_host(p, r) || !names_are_tokens(r) ||
           framing_is_ambiguous(r);
}

static bool announces_body(const http_parser *p)
{
    return (p->flags & F_CHUNKED) ||
           (p->content_length > 0 && p->content_length != UINT64_MAX);
}

static int on_headers_complete(http_parser *p)
{
    struct http_conn *c = conn_of(p);
    struct http_request *r = c->work->req;
    if (head_is_bad(p, r))
        return refuse_in_parser(c, 400);
    c->work->keep_alive = http_should_keep_alive(p) && !c->server->draining;
    struct str up;
    if (!http_header(r, STR("upgrade"), &up) || !http_is_upgrade(r))
        p->upgrade = 0;
    r->wants_body = announces_body(p);
    /* Whether such a body comes before the other protocol or is part of it,
     * nobody can say. */
    if (p->upgrade && r->wants_body)
        return refuse_in_parser(c, 400);
    if (!r->wants_body)
        return 0;
    /* Before the body: the handler says how much of it may come. */
    dispatch(c);
    if (c->closed)
        return -1;
    if (c->work->req && c->work->req->ops && c->work->req->ops->on_body)
        arm(c, c->server->limits.body_timeout_ms);
    return 0;
}

static int on_body(http_parser *p, const char *at, size_t len)
{
    struct http_conn *c = conn_of(p);
    struct http_request *r = c->work->req;
    if (c->closed)
        return -1;
    if (!r || !r->ops || !r->ops->on_body)
        return 0; /* answered already: what is left of the body is skipped */
    buf_add(&r->body, (struct str){at, len});
    if (!r->body.full)
        return 0;
    c->close_after = true;
    r->ops->on_abort(r, r->owner, HTTP_TOO_LARGE);
    return -1;
}

static int on_message_complete(http_parser *p)
{
    struct http_conn *c = conn_of(p);
    c->work->body_done = true;
    if (c->closed)
        return -1;
    struct http_request *r = c->work->req;
    if (p->upgrade)
        return 0; /* dispatched by feed, which knows where the head ends */
    if (r && !r->dispatched) {
        dispatch(c);
    } else if (r && r->ops && r->ops->on_body) {
        timer_stop(&c->deadline);
        const struct http_request_ops *ops = r->ops;
        r->ops = NULL;
        ops->on_body(r, r->owner, buf_str(&r->body));
    }
    if (c->closed)
        return -1;
    if (c->work->req || stream_queued(c->stream) >= UNREAD_MAX)
        http_parser_pause(p, 1);
    if (!c->work->req)
        arm(c, c->server->limits.idle_timeout_ms);
    return 0;
}

/* ---- input --------------------------------------------------------------- */

static void keep_pending(struct http_conn *c, struct str data)
{
    buf_add(&c->work->pending, data);
    if (c->work->pending.full) {
        /* More than a well-behaved peer pipelines. */
        abort_request(c);
        if (!c->closed)
            conn_refuse(c, 400);
    }
}

static void go_on(void *arg);

/* At the end of the turn. */
static void go_on_later(struct http_conn *c)
{
    if (!c->dirty)
        loop_call(c->server->loop, go_on, c);
    c->dirty = true;
}

/* The request before is still open, or its answers are not being read. */
static bool must_wait(struct http_conn *c)
{
    if (c->work->req)
        return c->work->req->dispatched && c->work->body_done;
    if (stream_queued(c->stream) < UNREAD_MAX)
        return false;
    stream_pause(c->stream, true);
    go_on_later(c);
    return true;
}

static void refuse_input(struct http_conn *c)
{
    abort_request(c);
    if (!c->closed)
        conn_refuse(c, c->work->refused ? c->work->refused : 400);
}

/* The same as http-parser's callbacks would come to, in their order. */
static void take_quick(struct http_conn *c, const struct quick_head *h,
                       struct str head, const char *body)
{
    struct work *w = c->work;
    struct http_request *r = w->req = request_new(c);
    buf_add(&r->head, head);
    r->target_len = h->target_len;
    r->n_headers = h->n_lines;
    memcpy(r->header, h->line, h->n_lines * sizeof(h->line[0]));
    r->wants_body = h->post;
    w->parser.method = h->post ? HTTP_POST : HTTP_GET;
    w->parser.content_length = h->post ? h->body_len : UINT64_MAX;
    w->parser.upgrade = 0;
    w->keep_alive = !c->server->draining;
    w->body_done = false;
    if (h->post)
        dispatch(c);
    if (h->post && on_body(&w->parser, body, h->body_len) < 0) {
        if (!c->closed)
            refuse_input(c);
        return;
    }
    (void)on_message_complete(&w->parser);
}

/* A whole request that http-parser need not see; what follows it. */
static struct str feed_quick(struct http_conn *c, struct str data)
{
    const struct http_limits *lim = &c->server->limits;
    struct quick_head h;
    if (c->work->req || !c->work->body_done)
        return data; /* http-parser is in the middle of one */
    size_t size = quick_head(data, &h);
    if (size == 0 || size > lim->header_bytes ||
        h.n_lines > lim->header_count || h.target_len > lim->request_line_bytes)
        return data;
    struct str head = {data.p + h.target_at, size - h.target_at};
    take_quick(c, &h, head, data.p + size);
    return str_from(data, size + h.body_len);
}

static void feed(struct http_conn *c, struct str data)
{
    struct work *w = work_of(c);
    w->parsing = true;
    while (data.len > 0 && !c->closed) {
        if (must_wait(c)) {
            keep_pending(c, data);
            break;
        }
        struct str rest = feed_quick(c, data);
        if (rest.p != data.p) {
            data = rest;
            continue;
        }
        http_parser_pause(&w->parser, 0);
        w->value_end = w->value_cut ? data.p : NULL;
        size_t n =
            http_parser_execute(&w->parser, &callbacks, data.p, data.len);
        if (c->closed)
            break;
        enum http_errno e = HTTP_PARSER_ERRNO(&w->parser);
        if (e != HPE_OK && e != HPE_PAUSED) {
            refuse_input(c);
            break;
        }
        w->value_cut = w->value_end == data.p + n;
        data = str_from(data, n);
        if (w->parser.upgrade && w->req && !w->req->dispatched) {
            w->rest = data;
            dispatch(c);
            w->rest = STR(""); /* a request that is parked keeps it pending */
        }
    }
    w->parsing = false;
    rest_if_idle(c);
}

static void on_data(struct stream *s, void *owner, struct str data)
{
    (void)s;
    feed(owner, data);
}

static void on_end(struct stream *s, void *owner, int error)
{
    (void)s;
    struct http_conn *c = owner;
    abort_request(c);
    if (c->closed)
        return;
    if (error)
        stream_abort(c->stream);
    else
        stream_close(c->stream, LINGER_MS);
    conn_end(c);
}

/* The kernel has taken all answers: on to the requests that waited. */
static void on_drain(struct stream *s, void *owner)
{
    (void)s;
    struct http_conn *c = owner;
    struct http_request *r = request_of(c);
    go_on_later(c);
    if (r && r->dispatched && r->ops && r->ops->on_drain)
        r->ops->on_drain(r, r->owner);
}

static const struct stream_ops conn_stream_ops = {
    .on_data = on_data, .on_end = on_end, .on_drain = on_drain};

static void go_on(void *arg)
{
    struct http_conn *c = arg;
    c->dirty = false;
    if (c->closed || stream_blocked(c->stream))
        return; /* on_drain comes back here */
    stream_pause(c->stream, false);
    if (!c->work)
        return;
    struct buf waiting = c->work->pending;
    buf_init(&c->work->pending, PENDING_MAX);
    feed(c, buf_str(&waiting));
    buf_fini(&waiting);
}

/* ---- server -------------------------------------------------------------- */

struct http_server *http_server_new(struct loop *l,
                                    const struct http_limits *limits)
{
    callbacks = (http_parser_settings){
        .on_message_begin = on_message_begin,
        .on_url = on_url,
        .on_header_field = on_header_field,
        .on_header_value = on_header_value,
        .on_headers_complete = on_headers_complete,
        .on_body = on_body,
        .on_message_complete = on_message_complete,
    };
    struct http_server *s = mem_zalloc(sizeof(*s));
    s->loop = l;
    s->limits = *limits;
    list_init(&s->owing);
    list_init(&s->conns);
    return s;
}

void http_server_limit(struct http_server *s, const struct http_limits *limits)
{
    s->limits = *limits;
}

void http_server_free(struct http_server *s)
{
    list_splice(&s->conns, &s->owing);
    while (!list_empty(&s->conns)) {
        struct http_conn *c =
            container_of(s->conns.next, struct http_conn, link);
        abort_request(c);
        if (!c->closed) {
            stream_abort(c->stream);
            conn_end(c);
        }
    }
    mem_free(s);
}

/* How long it has been between requests; 0 when it is not. */
static uint64_t unused_ms(const struct http_conn *c)
{
    const struct http_server *s = c->server;
    if (c->work || !timer_running(&c->deadline))
        return 0;
    uint64_t left = c->deadline.due_ms - loop_now(s->loop);
    return left < s->limits.idle_timeout_ms ? s->limits.idle_timeout_ms - left
                                            : 0;
}

void http_server_retire(struct http_server *s)
{
    s->draining = true;
    struct list *n = s->conns.next;
    while (n != &s->conns) {
        struct http_conn *c = container_of(n, struct http_conn, link);
        n = n->next;
        if (unused_ms(c) >= UNUSED_MS)
            conn_close(c);
    }
}

static void drain(struct list *conns)
{
    struct list *n = conns->next;
    while (n != conns) {
        struct http_conn *c = container_of(n, struct http_conn, link);
        n = n->next;
        c->close_after = true;
        if (!request_of(c))
            conn_close(c);
    }
}

void http_server_drain(struct http_server *s)
{
    s->draining = true;
    drain(&s->owing);
    drain(&s->conns);
}

uint32_t http_half_open(const struct http_server *s)
{
    return s->n_owing;
}

void http_server_accept(struct http_server *s, struct stream *st)
{
    struct http_conn *c = slab_alloc(sizeof(*c));
    c->server = s;
    c->stream = st;
    timer_init(&c->deadline, on_deadline);
    list_init(&c->link);
    make_room(s);
    owes_head(c);
    stream_set_owner(st, &conn_stream_ops, c);
    arm(c, s->limits.header_timeout_ms);
}

void http_route(struct http_server *s, struct str path, bool prefix,
                http_handler_fn *fn, void *arg)
{
    assert(s->n_routes < ROUTES_MAX);
    s->route[s->n_routes++] = (struct route){path, prefix, fn, arg};
}

/* ---- request accessors --------------------------------------------------- */

enum http_verb http_verb(const struct http_request *r)
{
    switch (r->conn->work->parser.method) {
    case HTTP_GET:
        return VERB_GET;
    case HTTP_HEAD:
        return VERB_HEAD;
    case HTTP_POST:
        return VERB_POST;
    case HTTP_OPTIONS:
        return VERB_OPTIONS;
    default:
        return VERB_OTHER;
    }
}

struct str http_target(const struct http_request *r)
{
    return (struct str){buf_str(&r->head).p, r->target_len};
}

struct str http_path(const struct http_request *r)
{
    return (struct str){buf_str(&r->head).p, r->path_len};
}

bool http_header_at(const struct http_request *r, size_t i, struct str *name,
                    struct str *value)
{
    if (i >= r->n_headers)
        return false;
    const struct header_line *h = &r->header[i];
    const char *p = buf_str(&r->head).p;
    *name = (struct str){p + h->name_at, h->name_len};
    *value = str_trim((struct str){p + h->value_at, h->value_len});
    return true;
}

bool http_header(const struct http_request *r, struct str name, struct str *out)
{
    struct str ignored;
    for (size_t i = 0; i < r->n_headers; i++) {
        if (str_ieq(header_name(r, i), name))
            return http_header_at(r, i, &ignored, out);
    }
    return false;
}

bool http_query(struct http_request *r, struct str name, struct str *out)
{
    struct str query = str_from(http_target(r), r->path_len + 1);
    if (r->plain_query)
        return query_find_plain(query, name, out);
    /* All room at once: values that were lent must not move. */
    if (!r->decoded.b)
        buf_space(&r->decoded, r->decoded.max);
    return query_find(query, name, &r->decoded, out);
}

void http_peer(const struct http_request *r, char out[STREAM_ADDR_MAX])
{
    stream_peer(r->conn->stream, out);
}

bool http_is_upgrade(const struct http_request *r)
{
    struct str v;
    return http_header(r, STR("connection"), &v) &&
           str_list_has(v, STR("upgrade")) &&
           http_header(r, STR("upgrade"), &v);
}

bool http_has_body(const struct http_request *r)
{
    return r->wants_body;
}

bool http_secure(const struct http_request *r)
{
    return stream_secure(r->conn->stream);
}

struct loop *http_loop(const struct http_request *r)
{
    return r->conn->server->loop;
}

/* ---- ending a request ---------------------------------------------------- */

void http_read_body(struct http_request *r, const struct http_request_ops *ops,
                    void *owner, size_t max)
{
    r->ops = ops;
    r->owner = owner;
    buf_init(&r->body, max);
    if (!r->wants_body) {
        r->ops = NULL;
        ops->on_body(r, owner, STR(""));
        return;
    }
    http_parser *p = &r->conn->work->parser;
    if (p->content_length != UINT64_MAX && p->content_length > max) {
        r->conn->close_after = true;
        ops->on_abort(r, owner, HTTP_TOO_LARGE);
        return;
    }
    struct str expect;
    if (http_header(r, STR("expect"), &expect) &&
        str_ieq(expect, STR("100-continue"))) {
        struct bytes *b = bytes_new(STR("HTTP/1.1 100 Continue\r\n\r\n"));
        stream_send(r->conn->stream, b);
        bytes_unref(b);
    }
}

void http_park(struct http_request *r, const struct http_request_ops *ops,
               void *owner)
{
    r->ops = ops;
    r->owner = owner;
}

/* The request is over and its connection goes on with the next one. */
static void request_done(struct http_conn *c, bool close)
{
    struct http_request *r = c->work->req;
    bool body_left = r->wants_body && !c->work->body_done;
    c->work->req = NULL;
    request_free(r);
    if (close || body_left) {
        /* An unread body is not worth reading: close, gently. */
        conn_close(c);
        return;
    }
    arm(c, c->server->limits.idle_timeout_ms);
    if (!c->work->parsing && c->work->pending.len > 0)
        go_on_later(c);
    rest_if_idle(c);
}

static struct str http_date(void)
{
    static char text[40];
    static time_t last;
    time_t now = time(NULL);
    if (now != last) {
        struct tm tm;
        gmtime_r(&now, &tm);
        strftime(text, sizeof(text), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n",
                 &tm);
        last = now;
    }
    return str_of(text);
}

void http_respond(struct http_request *r, const struct http_response *resp)
{
    struct http_conn *c = r->conn;
    bool head = http_verb(r) == VERB_HEAD;
    bool body_left = r->wants_body && !c->work->body_done;
    bool close =
        resp->close || c->close_after || !c->work->keep_alive || body_left;
    struct buf out;
    struct str type = resp->type ? str_of(resp->type) : STR("");
    size_t more = resp->headers.len + type.len + resp->extra.len +
                  (head ? 0 : resp->body.len);
    buf_init(&out, more + 512);
    buf_space(&out, more + RESPONSE_BYTES);
    buf_add(&out, STR("HTTP/1.1 "));
    buf_add_u64(&out, resp->status);
    buf_addc(&out, ' ');
    buf_add(&out, str_of(http_status_text(resp->status)));
    buf_add(&out, STR("\r\n"));
    buf_add(&out, resp->headers);
    if (resp->type) {
        buf_add(&out, STR("Content-Type: "));
        buf_add(&out, type);
        buf_add(&out, STR("\r\n"));
    }
    if (resp->status != 304) {
        buf_add(&out, STR("Content-Length: "));
        buf_add_u64(&out, resp->body.len);
        buf_add(&out, STR("\r\n"));
    }
    if (resp->no_store)
        buf_add(&out, STR("cache-control: no-store\r\n"));
    buf_add(&out, resp->extra);
    buf_add(&out, http_date());
    buf_add(&out, close ? STR("Connection: close\r\n\r\n")
                        : STR("Connection: keep-alive\r\n\r\n"));
    if (!head)
        buf_add(&out, resp->body);
    assert(!out.full);
    struct bytes *b = buf_take(&out);
    stream_send(c->stream, b);
    bytes_unref(b);
    request_done(c, close);
}

void http_respond_raw(struct http_request *r, struct str bytes)
{
    struct http_conn *c = r->conn;
    struct bytes *b = bytes_new(bytes);
    stream_send(c->stream, b);
    bytes_unref(b);
    request_done(c, true);
}

void http_pass(struct http_request *r, struct bytes *b)
{
    stream_send(r->conn->stream, b);
}

bool http_blocked(const struct http_request *r)
{
    return stream_blocked(r->conn->stream);
}

size_t http_unsent(const struct http_request *r)
{
    return stream_queued(r->conn->stream);
}

bool http_keeps_alive(const struct http_request *r)
{
    const struct http_conn *c = r->conn;
    return c->work->keep_alive && !c->close_after && !c->work->parser.upgrade &&
           (!r->wants_body || c->work->body_done);
}

void http_passed(struct http_request *r)
{
    request_done(r->conn, !http_keeps_alive(r));
}

void http_drop(struct http_request *r)
{
    struct http_conn *c = r->conn;
    stream_abort(c->stream);
    conn_end(c);
}

struct stream *http_take_stream(struct http_request *r, struct str *rest)
{
    struct http_conn *c = r->conn;
    struct stream *s = c->stream;
    *rest = c->work->rest.len ? c->work->rest : buf_str(&c->work->pending);
    conn_end(c);
    return s;
}
