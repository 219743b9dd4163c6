/* HTTP connections: the input is what a client sends. One route answers at
 * once, one reads the body, one lets its request wait for a turn. It comes once
 * in one piece and once in small ones: both must lead to the same requests. */
#include <assert.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http/http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUT_MAX = 8000, BODY_MAX = 1000 };

static struct loop *loop;
static struct http_server *http;
static struct http_request *parked;
static struct buf *seen; /* the requests of this run */

static void note(struct http_request *r)
{
    struct str name, value, v;
    buf_fmt(seen, "[%d ", http_verb(r));
    buf_add(seen, http_target(r));
    for (size_t i = 0; http_header_at(r, i, &name, &value); i++) {
        buf_addc(seen, '\n');
        buf_add(seen, name);
        buf_addc(seen, ':');
        buf_add(seen, value);
    }
    if (http_query(r, STR("q"), &v))
        buf_add(seen, v);
    buf_fmt(seen, " %d %d]", http_is_upgrade(r), http_has_body(r));
}

static void answer(struct http_request *r, unsigned status)
{
    struct http_response resp = {
        .status = status, .type = "text/plain", .body = STR("x")};
    http_respond(r, &resp);
}

static void on_plain(void *arg, struct http_request *r)
{
    (void)arg;
    note(r);
    answer(r, 200);
}

static void on_body(struct http_request *r, void *owner, struct str body)
{
    (void)owner;
    assert(body.len <= BODY_MAX);
    buf_fmt(seen, "(%zu ", body.len);
    buf_add(seen, body);
    buf_addc(seen, ')');
    answer(r, 200);
}

static void on_abort(struct http_request *r, void *owner, enum http_abort why)
{
    (void)owner;
    if (why == HTTP_TOO_LARGE)
        answer(r, 413);
}

static void on_read(void *arg, struct http_request *r)
{
    static const struct http_request_ops ops = {.on_body = on_body,
                                                .on_abort = on_abort};
    (void)arg;
    note(r);
    http_read_body(r, &ops, NULL, BODY_MAX);
}

static void on_gone(struct http_request *r, void *owner, enum http_abort why)
{
    (void)owner, (void)why;
    assert(r == parked);
    parked = NULL;
}

static void on_park(void *arg, struct http_request *r)
{
    static const struct http_request_ops ops = {.on_abort = on_gone};
    (void)arg;
    note(r);
    if (http_has_body(r)) {
        answer(r, 400);
        return;
    }
    assert(!parked);
    parked = r;
    http_park(r, &ops, NULL);
}

static void release(void)
{
    struct http_request *r = parked;
    parked = NULL;
    if (r)
        answer(r, 200);
}

static void start(void)
{
    static const struct http_limits limits = {.header_bytes = 2000,
                                              .request_line_bytes = 500,
                                              .header_count = 20,
                                              .header_timeout_ms = 10000,
                                              .body_timeout_ms = 10000,
                                              .idle_timeout_ms = 10000};
    loop = loop_new();
    http = http_server_new(loop, &limits);
    http_route(http, STR("/r"), true, on_read, NULL);
    http_route(http, STR("/k"), true, on_park, NULL);
    http_route(http, STR("/p"), true, on_plain, NULL);
}

static void put(int peer, const void *p, size_t n)
{
    char sink[65536];
    ssize_t w = send(peer, p, n, MSG_NOSIGNAL);
    (void)w;
    do {
        loop_turn(loop, 0);
        release();
        loop_turn(loop, 0);
        while (recv(peer, sink, sizeof(sink), MSG_DONTWAIT) > 0)
            ;
    } while (parked);
}

/* `step` is the size of the first piece; later ones vary. 0: one piece. */
static void run(struct str in, size_t step, struct buf *out)
{
    int pair[2];
    seen = out;
    int rc = socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair);
    assert(rc == 0);
    http_server_accept(http, stream_new(loop, pair[0]));
    for (size_t n = step; in.len > 0; n = n * 5 % 23 + 1) {
        if (step == 0 || n > in.len)
            n = in.len;
        put(pair[1], in.p, n);
        in = str_from(in, n);
    }
    close(pair[1]);
    for (int i = 0; i < 4; i++)
        loop_turn(loop, 0);
    stream_abort_lingering();
    loop_end_of_turn(loop);
    assert(!parked && stream_count() == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, parts;
    if (size == 0 || size > INPUT_MAX)
        return 0;
    if (!loop)
        start();
    buf_init(&whole, 1 << 20);
    buf_init(&parts, 1 << 20);
    struct str in = {(const char *)data + 1, size - 1};
    run(in, 0, &whole);
    run(in, data[0] % 23 + 1, &parts);
    assert(str_eq(buf_str(&whole), buf_str(&parts)));
    buf_fini(&whole);
    buf_fini(&parts);
    return 0;
}
