#include "adapter/adapter.h"

#include "adapter/questions.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/stream.h"
#include "tests/unit/redis_server.h"

/* Two nodes in one process that ask each other over a real Redis, and spies. */
enum { MEMBERS = 2, MAX_MESSAGE = 100000, TIMEOUT_MS = 1500, ASKED = 1200 };

struct node {
    struct cluster *cluster;
    struct adapter *adapter;
    struct member members[MEMBERS];
    char ids[MEMBERS][8];
    char log[4096];                    /* what the host was told, each ';' */
    struct adapter_asked *from[ASKED]; /* who wait for an answer */
    unsigned n_from;
    uint32_t timeout_ms;
    size_t describe_bytes; /* of padding in the description of a socket */
};

static struct node node[2];

/* ---- hosting ------------------------------------------------------------- */

static void note(struct node *n, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void note(struct node *n, const char *fmt, ...)
{
    va_list ap;
    size_t at = strlen(n->log);
    va_start(ap, fmt);
    (void)vsnprintf(n->log + at, sizeof(n->log) - at, fmt, ap);
    va_end(ap);
}

static void note_names(struct node *n, const struct str *v, size_t count)
{
    for (size_t i = 0; i < count; i++)
        note(n, "%s%.*s", i ? "," : "", STR_ARG(v[i]));
}

static void note_opts(struct node *n, const char *what,
                      const struct broadcast *b)
{
    note(n, "%s ", what);
    note_names(n, b->rooms, b->n_rooms);
    note(n, "!");
    note_names(n, b->except, b->n_except);
}

static bool on_deliver(void *host, struct member *to, struct packet *p,
                       bool is_volatile)
{
    (void)host;
    (void)to;
    (void)p;
    (void)is_volatile;
    return true;
}

static void on_join(void *host, const struct broadcast *b,
                    const struct room_names *rooms)
{
    note_opts(host, "join", b);
    note(host, " ");
    note_names(host, rooms->v, rooms->n);
    note(host, ";");
}

static void on_leave(void *host, const struct broadcast *b,
                     const struct room_names *rooms)
{
    note_opts(host, "leave", b);
    note(host, " ");
    note_names(host, rooms->v, rooms->n);
    note(host, ";");
}

static void on_disconnect(void *host, const struct broadcast *b, bool close)
{
    note_opts(host, "disconnect", b);
    note(host, " %d;", close);
}

struct describing {
    struct buf *out;
    size_t padding;
};

static void describe_one(void *arg, struct member *m)
{
    const struct describing *d = arg;
    if (d->out->len > 0 && buf_ptr(d->out)[d->out->len - 1] == '}')
        buf_addc(d->out, ',');
    buf_fmt(d->out, "{\"id\":\"%.*s\",\"data\":\"", STR_ARG(member_id(m)));
    for (size_t i = 0; i < d->padding; i++)
        buf_addc(d->out, 'x');
    buf_add(d->out, STR("\"}"));
}

static void on_describe(void *host, const struct broadcast *b, struct buf *out)
{
    const struct node *n = host;
    struct describing d = {out, n->describe_bytes};
    (void)rooms_select(adapter_rooms(n->adapter), b->rooms, b->n_rooms,
                       b->except, b->n_except, describe_one, &d);
}

static void ignore_member(void *arg, struct member *m)
{
    (void)arg;
    (void)m;
}

static size_t on_broadcast_ack(void *host, struct packet *p,
                               const struct broadcast *b, uint32_t timeout_ms,
                               struct adapter_asked *from)
{
    struct node *n = host;
    note(n, "ask %.*s;", STR_ARG(bytes_str(p->data)));
    n->timeout_ms = timeout_ms;
    n->from[n->n_from++] = from;
    return rooms_select(adapter_rooms(n->adapter), b->rooms, b->n_rooms,
                        b->except, b->n_except, ignore_member, NULL);
}

static void on_event(void *host, struct str data, struct adapter_asked *from)
{
    struct node *n = host;
    if (strlen(n->log) < 1000)
        note(n, "event %.*s;", STR_ARG(data));
    if (from)
        n->from[n->n_from++] = from;
}

static const struct adapter_host host_ops = {
    .deliver = on_deliver,
    .sockets_join = on_join,
    .sockets_leave = on_leave,
    .sockets_disconnect = on_disconnect,
    .sockets_describe = on_describe,
    .broadcast_ack = on_broadcast_ack,
    .server_event = on_event,
};

/* ---- nodes --------------------------------------------------------------- */

static struct adapter_settings settings;

static void start_node(unsigned i)
{
    char err[512] = "";
    struct node *n = &node[i];
    memset(n, 0, sizeof(*n));
    n->cluster = cluster_new(loop, &settings, err);
    assert_string_equal(err, "");
    n->adapter = adapter_new(n->cluster, STR("/"), &host_ops, n);
    for (unsigned m = 0; m < MEMBERS; m++) {
        (void)snprintf(n->ids[m], sizeof(n->ids[m]), "id%u%u", i, m);
        adapter_add(n->adapter, &n->members[m], str_of(n->ids[m]));
    }
}

static void let_go(struct node *n)
{
    while (n->n_from > 0)
        adapter_answered(n->from[--n->n_from]);
}

static void stop_node(unsigned i)
{
    struct node *n = &node[i];
    if (!n->cluster)
        return;
    for (unsigned m = 0; m < MEMBERS; m++)
        adapter_remove(n->adapter, &n->members[m]);
    adapter_free(n->adapter);
    /* The host may answer late. */
    if (n->n_from > 0)
        adapter_answer(n->from[0], STR("1"), NULL, 0);
    let_go(n);
    cluster_free(n->cluster);
    n->cluster = NULL;
}

static bool both_usable(void)
{
    return cluster_usable(node[0].cluster) && cluster_usable(node[1].cluster);
}

static void start_with(bool specific)
{
    loop = loop_new();
    redis_port = free_port();
    (void)snprintf(redis_url, sizeof(redis_url), "redis://127.0.0.1:%u",
                   redis_port);
    settings = (struct adapter_settings){.type = ADAPTER_REDIS,
                                         .redis_url = redis_url,
                                         .prefix = "test",
                                         .node_name = "test",
                                         .publish_queue_bytes = 2000000,
                                         .lease_ms = 2000,
                                         .json_depth = 24,
                                         .max_message_bytes = MAX_MESSAGE,
                                         .requests_timeout_ms = TIMEOUT_MS,
                                         .specific_responses = specific};
    start_redis("");
    start_node(0);
    start_node(1);
    WAIT(both_usable(), 8000);
    run(400);
}

static int setup(void **state)
{
    (void)state;
    if (have_redis())
        start_with(false);
    return 0;
}

static int setup_specific(void **state)
{
    (void)state;
    if (have_redis())
        start_with(true);
    return 0;
}

static int setup_memory(void **state)
{
    (void)state;
    loop = loop_new();
    settings = (struct adapter_settings){.type = ADAPTER_MEMORY,
                                         .redis_url = "",
                                         .prefix = "test",
                                         .node_name = "test"};
    start_node(0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (!loop)
        return 0;
    stop_node(0);
    stop_node(1);
    for (unsigned i = 0; i < 100 && stream_count() > 0; i++)
        loop_turn(loop, 5);
    assert_int_equal(stream_count(), 0);
    loop_turn(loop, 5);
    loop_free(loop);
    loop = NULL;
    stop_redis();
    return 0;
}

/* ---- another client of Redis --------------------------------------------- */

struct spy {
    struct redis_url url;
    struct resolver *resolver;
    struct redis *r;
    char heard[8192]; /* payloads, each with a newline */
    unsigned n_heard;
    bool replied;
};

static void on_spied(void *owner, struct str pattern, struct str channel,
                     struct str payload)
{
    (void)pattern;
    (void)channel;
    struct spy *spy = owner;
    size_t at = strlen(spy->heard);
    (void)snprintf(spy->heard + at, sizeof(spy->heard) - at, "%.*s\n",
                   STR_ARG(payload));
    spy->n_heard++;
}

static void on_spy_reply(void *arg, const struct redis_reply *reply)
{
    (void)reply;
    ((struct spy *)arg)->replied = true;
}

static void spy_do(struct spy *spy, const struct str *argv, size_t argc)
{
    spy->replied = false;
    assert_true(redis_command(spy->r, argv, argc, on_spy_reply, spy));
    WAIT(spy->replied, 5000);
}

static void spy_start(struct spy *spy, bool subscribes)
{
    static const struct redis_ops talks = {on_nothing, on_nothing_down, NULL};
    static const struct redis_ops hears = {on_nothing, on_nothing_down,
                                           on_spied};
    char err[CONFIG_ERR_MAX];
    memset(spy, 0, sizeof(*spy));
    assert_int_equal(redis_url_parse(&spy->url, redis_url, err), 0);
    struct redis_settings s = {.url = &spy->url,
                               .role = "test",
                               .client_name = "test",
                               .max_bytes = 1000000};
    spy->resolver = resolver_new(loop);
    spy->r =
        redis_new(loop, spy->resolver, &s, subscribes ? &hears : &talks, spy);
    WAIT(redis_is_up(spy->r), 5000);
}

static void spy_stop(struct spy *spy)
{
    redis_free(spy->r);
    loop_turn(loop, 0);
    resolver_free(spy->resolver);
    redis_url_fini(&spy->url);
}

static void spy_subscribe(struct spy *spy, struct str channel)
{
    struct str argv[] = {STR("SUBSCRIBE"), channel};
    spy_start(spy, true);
    spy_do(spy, argv, 2);
}

static void publish(struct str channel, struct str payload)
{
    struct spy spy;
    struct str argv[] = {STR("PUBLISH"), channel, payload};
    spy_start(&spy, false);
    spy_do(&spy, argv, 3);
    spy_stop(&spy);
}

#define REQUESTS STR("test-request#/#")
#define RESPONSES STR("test-response#/#")

/* ---- answers ------------------------------------------------------------- */

struct result {
    unsigned calls;
    char text[4096];
    size_t len, missing, count;
    uint64_t at_ms;
};

static void on_answers(void *arg, struct str json, size_t missing)
{
    struct result *r = arg;
    r->calls++;
    r->len = json.len;
    r->missing = missing;
    r->at_ms = loop_now(loop);
    (void)snprintf(r->text, sizeof(r->text), "%.*s", STR_ARG(json));
}

static void on_count(void *arg, size_t servers)
{
    struct result *r = arg;
    r->calls++;
    r->count = servers;
}

static void on_answered(void *arg, struct str json, struct bytes *const *bins,
                        size_t n_bins)
{
    struct result *r = arg;
    size_t at = strlen(r->text);
    (void)snprintf(r->text + at, sizeof(r->text) - at, "%.*s", STR_ARG(json));
    at = strlen(r->text);
    for (size_t i = 0; i < n_bins; i++)
        (void)snprintf(r->text + at, sizeof(r->text) - at, "<%.*s>",
                       STR_ARG(bytes_str(bins[i])));
    strcat(r->text, ";");
}

static void on_done(void *arg, size_t missing)
{
    struct result *r = arg;
    r->calls++;
    r->missing = missing;
    r->at_ms = loop_now(loop);
}

static const struct adapter_ask_ops ask_ops = {on_answered, on_done};

static void fetch(unsigned i, const struct broadcast *b, struct result *r)
{
    static const struct broadcast all;
    memset(r, 0, sizeof(*r));
    assert_int_equal(
        adapter_fetch_sockets(node[i].adapter, b ? b : &all, on_answers, r), 0);
    assert_int_equal(r->calls, 0);
}

static void broadcast_ack(unsigned i, const char *data,
                          const struct broadcast *b, uint32_t timeout_ms,
                          struct result *r)
{
    static const struct broadcast all;
    struct bytes *text = bytes_new(str_of(data));
    struct packet *p =
        packet_new(PACKET_EVENT, STR("/"), PACKET_NO_ACK, text, NULL, 0);
    memset(r, 0, sizeof(*r));
    assert_int_equal(adapter_broadcast_ack(node[i].adapter, p, b ? b : &all,
                                           timeout_ms, &ask_ops, r),
                     0);
    assert_int_equal(r->calls, 0);
    packet_unref(p);
    bytes_unref(text);
}

static void emit_ack(unsigned i, const char *data, uint32_t timeout_ms,
                     struct result *r)
{
    memset(r, 0, sizeof(*r));
    assert_int_equal(adapter_server_emit_ack(node[i].adapter, str_of(data),
                                             timeout_ms, on_answers, r),
                     0);
    assert_int_equal(r->calls, 0);
}

static bool logged(unsigned i, const char *want)
{
    return strcmp(node[i].log, want) == 0;
}

#define SOCKET(id) "{\"id\":\"" id "\",\"data\":\"\"}"

/* ---- tests --------------------------------------------------------------- */

static void sockets_of_both_nodes_are_found(void **state)
{
    NEEDS_REDIS();
    struct result r;
    uint64_t start = loop_now(loop);
    fetch(0, NULL, &r);
    WAIT(r.calls == 1, 2000);
    assert_string_equal(r.text,
                        "[" SOCKET("id00") "," SOCKET("id01") "," SOCKET(
                            "id10") "," SOCKET("id"
                                               "11") "]");
    assert_int_equal(r.missing, 0);
    assert_true(r.at_ms - start < 500);
    struct str rooms[] = {STR("id11"), STR("id00")}, except[] = {STR("id00")};
    struct broadcast b = {
        .rooms = rooms, .n_rooms = 2, .except = except, .n_except = 1};
    fetch(0, &b, &r);
    WAIT(r.calls == 1, 2000);
    assert_string_equal(r.text, "[" SOCKET("id11") "]");
    b.local = true;
    fetch(0, &b, &r);
    WAIT(r.calls == 1, 2000);
    assert_string_equal(r.text, "[]");
    assert_int_equal(r.missing, 0);
    run(50);
    assert_int_equal(r.calls, 1);
}

static void rooms_of_both_nodes_are_named_once(void **state)
{
    NEEDS_REDIS();
    struct result r = {0};
    struct spy spy;
    spy_subscribe(&spy, RESPONSES);
    adapter_join(node[0].adapter, &node[0].members[0], STR("both"));
    adapter_join(node[1].adapter, &node[1].members[0], STR("both"));
    adapter_join(node[1].adapter, &node[1].members[0], STR("only \"two\""));
    adapter_join(node[1].adapter, &node[1].members[0], STR("id11"));
    assert_int_equal(adapter_all_rooms(node[0].adapter, on_answers, &r), 0);
    WAIT(r.calls == 1, 2000);
    static const char *const want[] = {"\"id00\"", "\"id01\"",
                                       "\"both\"", "\"id10\"",
                                       "\"id11\"", "\"only \\\"two\\\"\""};
    size_t len = 1;
    for (size_t i = 0; i < 6; i++) {
        assert_non_null(strstr(r.text, want[i]));
        len += strlen(want[i]) + 1;
    }
    assert_int_equal(strlen(r.text), len);
    assert_int_equal(r.missing, 0);
    /* The other node has named its own once as well. */
    const char *own = strstr(spy.heard, "\"id11\"");
    assert_non_null(own);
    assert_null(strstr(own + 1, "\"id11\""));
    spy_stop(&spy);
}

static void servers_are_counted(void **state)
{
    NEEDS_REDIS();
    struct result r = {0};
    assert_int_equal(adapter_server_count(node[0].adapter, on_count, &r), 0);
    assert_int_equal(r.calls, 0);
    WAIT(r.calls == 1, 2000);
    assert_int_equal(r.count, 2);
    stop_node(1);
    run(100);
    assert_int_equal(adapter_server_count(node[0].adapter, on_count, &r), 0);
    WAIT(r.calls == 2, 2000);
    assert_int_equal(r.count, 1);
    /* Who is alone asks nobody. */
    uint64_t asked = metrics_value[M_QUESTIONS];
    fetch(0, NULL, &r);
    WAIT(r.calls == 1, 2000);
    assert_int_equal(r.missing, 0);
    assert_int_equal(metrics_value[M_QUESTIONS], asked);
}

static void joins_leaves_and_ends_are_told_to_the_other_node(void **state)
{
    NEEDS_REDIS();
    struct adapter *a = node[0].adapter;
    struct str rooms[] = {STR("a"), STR("7")}, except[] = {STR("b")};
    struct str names[] = {STR("n"), STR("m")};
    struct broadcast b = {.rooms = rooms,
                          .n_rooms = 2,
                          .number_rooms = 2,
                          .except = except,
                          .n_except = 1};
    struct room_names to = {names, 2, 0};
    adapter_sockets_join(a, &b, &to);
    adapter_sockets_leave(a, &b, &to);
    adapter_sockets_disconnect(a, &b, true);
    adapter_sockets_disconnect(a, &(struct broadcast){0}, false);
    WAIT(logged(1, "join a,7!b n,m;leave a,7!b n,m;disconnect a,7!b 1;"
                   "disconnect ! 0;"),
         2000);
    b.local = true;
    adapter_sockets_join(a, &b, &to);
    run(50);
    assert_true(logged(0, ""));
    assert_null(strstr(node[1].log, "0;join"));
}

static void an_emitter_commands_all_nodes(void **state)
{
    NEEDS_REDIS();
    publish(REQUESTS, STR("{\"type\":2,\"opts\":{\"rooms\":[],\"except\":[]},"
                          "\"rooms\":[\"r9\"]}"));
    publish(REQUESTS, STR("{\"uid\":\"emitter\",\"type\":6,\"data\":[\"e\"]}"));
    for (unsigned i = 0; i < 2; i++)
        WAIT(logged(i, "join ! r9;event [\"e\"];"), 2000);
    assert_int_equal(node[0].n_from + node[1].n_from, 0);
}

static void events_reach_the_other_server_only(void **state)
{
    NEEDS_REDIS();
    struct result r;
    adapter_server_emit(node[0].adapter, STR("[\"e\",1]"));
    WAIT(logged(1, "event [\"e\",1];"), 2000);
    assert_int_equal(node[1].n_from, 0);
    emit_ack(0, "[\"q\"]", 1000, &r);
    WAIT(node[1].n_from == 1, 2000);
    adapter_answer(node[1].from[0], STR("{\"a\":1}"), NULL, 0);
    adapter_answer(node[1].from[0], STR("\"twice\""), NULL, 0);
    let_go(&node[1]);
    WAIT(r.calls == 1, 2000);
    assert_string_equal(r.text, "[{\"a\":1}]");
    assert_int_equal(r.missing, 0);
    emit_ack(0, "[\"q\"]", 1000, &r);
    WAIT(node[1].n_from == 1, 2000);
    adapter_answer(node[1].from[0], STR(""), NULL, 0);
    let_go(&node[1]);
    WAIT(r.calls == 1, 2000);
    assert_string_equal(r.text, "[null]");
    emit_ack(0, "[\"q\"]", 300, &r);
    WAIT(r.calls == 1, 2000);
    assert_string_equal(r.text, "[]");
    assert_int_equal(r.missing, 1);
    assert_true(logged(0, ""));
}

static void receivers_of_a_broadcast_answer(void **state)
{
    NEEDS_REDIS();
    struct result r;
    struct bytes *bin = bytes_new(STR("bin"));
    broadcast_ack(0, "[\"q\"]", NULL, 1000, &r);
    assert_int_equal(adapter_open_questions(node[0].adapter).broadcasts, 1);
    assert_int_equal(adapter_open_questions(node[0].adapter).requests, 0);
    WAIT(node[1].n_from == 1, 2000);
    assert_true(logged(1, "ask [\"q\"];"));
    assert_int_equal(node[1].timeout_ms, 1000);
    run(20);
    assert_int_equal(r.calls, 0);
    adapter_answer(node[1].from[0], STR("{\"_placeholder\":true,\"num\":0}"),
                   &bin, 1);
    adapter_answer(node[1].from[0], STR(""), NULL, 0);
    /* One more than there are. */
    adapter_answer(node[1].from[0], STR("3"), NULL, 0);
    let_go(&node[1]);
    WAIT(r.calls == 1, 2000);
    assert_string_equal(r.text, "{\"_placeholder\":true,\"num\":0}<bin>;;");
    assert_int_equal(r.missing, 0);
    assert_int_equal(adapter_open_questions(node[0].adapter).broadcasts, 0);
    bytes_unref(bin);
    run(50);
    assert_int_equal(r.calls, 1);
    assert_true(logged(0, ""));
}

static void a_broadcast_to_nobody_is_answered_too(void **state)
{
    NEEDS_REDIS();
    struct result r;
    struct str nobody[] = {STR("nobody")};
    struct broadcast b = {.rooms = nobody, .n_rooms = 1};
    uint64_t start = loop_now(loop);
    broadcast_ack(0, "[\"q\"]", &b, 1000, &r);
    WAIT(r.calls == 1, 2000);
    assert_int_equal(r.missing, 0);
    assert_true(r.at_ms - start < 500);
}

static void receivers_that_do_not_answer_are_missing(void **state)
{
    NEEDS_REDIS();
    struct result r;
    uint64_t start = loop_now(loop);
    broadcast_ack(0, "[\"q\"]", NULL, 400, &r);
    WAIT(node[1].n_from == 1, 2000);
    adapter_answer(node[1].from[0], STR("1"), NULL, 0);
    WAIT(r.calls == 1, 2000);
    assert_string_equal(r.text, "1;");
    assert_int_equal(r.missing, 1);
    assert_in_range(r.at_ms - start, 400, 800);
}

static void a_server_that_is_silent_is_missing_at_the_deadline(void **state)
{
    NEEDS_REDIS();
    struct spy spy;
    struct result r;
    spy_subscribe(&spy, REQUESTS);
    uint64_t start = loop_now(loop);
    uint64_t partial = metrics_value[M_QUESTIONS_PARTIAL];
    fetch(0, NULL, &r);
    WAIT(r.calls == 1, 4000);
    assert_int_equal(r.missing, 1);
    assert_non_null(strstr(r.text, "id11"));
    assert_in_range(r.at_ms - start, TIMEOUT_MS, TIMEOUT_MS + 300);
    assert_int_equal(metrics_value[M_QUESTIONS_PARTIAL], partial + 1);
    assert_int_equal(spy.n_heard, 1);
    assert_memory_equal(spy.heard, "{\"uid\":\"", 8);
    assert_non_null(strstr(
        spy.heard, ",\"type\":5,\"opts\":{\"rooms\":[],\"except\":[]}}\n"));
    broadcast_ack(0, "[\"q\"]", NULL, 300, &r);
    WAIT(node[1].n_from == 1, 2000);
    adapter_answer(node[1].from[0], STR("1"), NULL, 0);
    adapter_answer(node[1].from[0], STR("2"), NULL, 0);
    /* One more than it has receivers. */
    uint64_t bad = metrics_value[M_REDIS_BAD];
    uint64_t not_asked = metrics_value[M_REDIS_NOT_ASKED];
    adapter_answer(node[1].from[0], STR("3"), NULL, 0);
    WAIT(metrics_value[M_REDIS_NOT_ASKED] > not_asked, 200);
    assert_int_equal(r.calls, 0);
    WAIT(r.calls == 1, 2000);
    assert_string_equal(r.text, "1;2;");
    assert_int_equal(r.missing, 1);
    assert_int_equal(metrics_value[M_REDIS_BAD], bad);
    spy_stop(&spy);
}

static void who_leaves_is_not_waited_for(void **state)
{
    NEEDS_REDIS();
    struct spy spy;
    struct result r, ack;
    spy_subscribe(&spy, REQUESTS);
    uint64_t start = loop_now(loop);
    fetch(0, NULL, &r);
    broadcast_ack(0, "[\"q\"]", NULL, 5000, &ack);
    WAIT(node[1].n_from == 1, 2000);
    adapter_answer(node[1].from[0], STR("1"), NULL, 0);
    adapter_answer(node[1].from[0], STR("2"), NULL, 0);
    run(100);
    assert_int_equal(r.calls + ack.calls, 0);
    spy_stop(&spy);
    WAIT(r.calls == 1 && ack.calls == 1, 4000);
    assert_int_equal(r.missing, 1);
    assert_non_null(strstr(r.text, "id11"));
    assert_int_equal(ack.missing, 1);
    /* Two counts, a quarter of a second apart. */
    assert_in_range(r.at_ms - start, 400, 1200);
}

static void nobody_is_asked_while_redis_is_away(void **state)
{
    NEEDS_REDIS();
    struct result r, count = {0}, under_way, ack;
    struct spy spy;
    spy_subscribe(&spy, REQUESTS);
    fetch(0, NULL, &under_way);
    uint64_t start = loop_now(loop);
    run(200);
    spy_stop(&spy);
    stop_redis();
    WAIT(!cluster_usable(node[0].cluster), 2000);
    uint64_t away = loop_now(loop);
    fetch(0, NULL, &r);
    broadcast_ack(0, "[\"q\"]", NULL, 300, &ack);
    assert_int_equal(adapter_server_count(node[0].adapter, on_count, &count),
                     0);
    WAIT(r.calls == 1 && count.calls == 1 && ack.calls == 1, 3000);
    assert_string_equal(r.text, "[" SOCKET("id00") "," SOCKET("id01") "]");
    assert_in_range(r.missing, 1, 2);
    assert_in_range(r.at_ms - away, 900, 1400);
    assert_int_equal(count.count, 1);
    assert_in_range(ack.missing, 1, 2);
    WAIT(under_way.calls == 1, 3000);
    assert_in_range(under_way.at_ms - start, TIMEOUT_MS, TIMEOUT_MS + 300);
    assert_int_equal(under_way.missing, 1);
    start_redis("");
    WAIT(both_usable(), 5000);
    fetch(0, NULL, &r);
    WAIT(r.calls == 1, 5000);
    assert_int_equal(r.missing, 0);
    assert_non_null(strstr(r.text, "id11"));
}

static void a_short_absence_of_redis_is_waited_out(void **state)
{
    NEEDS_REDIS();
    struct result r;
    struct spy spy;
    struct str kill[] = {STR("CLIENT"), STR("KILL"), STR("TYPE"),
                         STR("pubsub")};
    spy_start(&spy, false);
    spy_do(&spy, kill, 4);
    spy_stop(&spy);
    WAIT(!cluster_usable(node[0].cluster), 2000);
    fetch(0, NULL, &r);
    WAIT(r.calls == 1, 4000);
    assert_non_null(strstr(r.text, "id01"));
    /* Both were away; the other one may be back a little later. */
    assert_true(r.missing == 0 || r.missing == 1);
}

static void questions_are_bounded(void **state)
{
    NEEDS_REDIS();
    static struct result r, more;
    uint64_t refused = metrics_value[M_LIMIT_QUESTIONS];
    uint64_t full = metrics_value[M_LIMIT_ASKED];
    memset(&r, 0, sizeof(r));
    for (unsigned i = 0; i < QUESTIONS_MAX; i++)
        assert_int_equal(adapter_server_emit_ack(node[0].adapter,
                                                 STR("[\"q\"]"), 2500,
                                                 on_answers, &r),
                         0);
    assert_int_equal(adapter_open_questions(node[0].adapter).requests,
                     QUESTIONS_MAX);
    assert_int_equal(adapter_server_count(node[0].adapter, on_count, &more),
                     ERR_LIMIT);
    assert_int_equal(metrics_value[M_LIMIT_QUESTIONS], refused + 1);
    WAIT(node[1].n_from == QUESTIONS_MAX, 2000);
    /* The other node has as many of ours as it takes of anyone's. */
    publish(REQUESTS, STR("{\"uid\":\"x\",\"requestId\":\"y\",\"type\":6,"
                          "\"data\":[\"e\"]}"));
    WAIT(metrics_value[M_LIMIT_ASKED] == full + 1, 2000);
    assert_int_equal(node[1].n_from, QUESTIONS_MAX);
    /* Until nobody waits for the answers any more. */
    run(TIMEOUT_MS + 100);
    publish(REQUESTS, STR("{\"uid\":\"x\",\"requestId\":\"y\",\"type\":6,"
                          "\"data\":[\"e\"]}"));
    WAIT(node[1].n_from == QUESTIONS_MAX + 1, 2000);
    WAIT(r.calls == QUESTIONS_MAX, 4000);
    assert_int_equal(more.calls, 0);
}

static void an_answer_that_is_too_large_is_missing(void **state)
{
    NEEDS_REDIS();
    struct result r;
    uint64_t lost = metrics_value[M_LOST_UNFIT];
    node[1].describe_bytes = MAX_MESSAGE;
    fetch(0, NULL, &r);
    WAIT(r.calls == 1, 3000);
    assert_int_equal(r.missing, 1);
    assert_true(metrics_value[M_LOST_UNFIT] > lost);
    /* What is asked may be too large as well. */
    char *big = mem_alloc(MAX_MESSAGE + 5);
    memset(big, 'x', MAX_MESSAGE + 4);
    memcpy(big, "[\"", 2);
    memcpy(big + MAX_MESSAGE + 2, "\"]", 3);
    assert_int_equal(adapter_server_emit_ack(node[0].adapter, str_of(big), 100,
                                             on_answers, &r),
                     ERR_LIMIT);
    assert_int_equal(adapter_open_questions(node[0].adapter).requests, 0);
    mem_free(big);
    assert_int_equal(r.calls, 1);
}

static void a_node_that_goes_ends_its_questions(void **state)
{
    NEEDS_REDIS();
    struct result r, ack;
    fetch(0, NULL, &r);
    broadcast_ack(0, "[\"q\"]", NULL, 5000, &ack);
    stop_node(0);
    assert_int_equal(r.calls, 1);
    assert_int_equal(ack.calls, 1);
    assert_true(r.missing >= 1 && ack.missing >= 1);
    fetch(1, NULL, &r);
    loop_turn(loop, 0);
    stop_node(1);
    assert_int_equal(r.calls, 1);
}

static void garbage_is_counted_and_harmless(void **state)
{
    NEEDS_REDIS();
    uint64_t bad = metrics_value[M_REDIS_BAD];
    uint64_t lost = metrics_value[M_REDIS_SUBSCRIBER_LOST];
    uint64_t not_asked = metrics_value[M_REDIS_NOT_ASKED];
    struct result r;
    struct spy spy;
    publish(REQUESTS, STR("garbage"));
    publish(REQUESTS, STR("{\"type\":77}"));
    publish(REQUESTS, STR("{\"type\":4,\"close\":true}"));
    WAIT(metrics_value[M_REDIS_BAD] == bad + 6, 2000);
    /* Nothing is asked: answers are not looked at. */
    publish(RESPONSES, STR("garbage"));
    publish(RESPONSES, STR("{\"requestId\":\"nobody\",\"sockets\":[]}"));
    WAIT(metrics_value[M_REDIS_NOT_ASKED] == not_asked + 4, 2000);
    spy_subscribe(&spy, REQUESTS);
    fetch(0, NULL, &r);
    WAIT(spy.n_heard == 1, 2000);
    bad = metrics_value[M_REDIS_BAD];
    publish(RESPONSES, STR("garbage"));
    publish(RESPONSES, STR("{\"requestId\":\"nobody\",\"sockets\":[]}"));
    /* An answer in the wrong shape is none. */
    char id[7] = "", forged[100];
    (void)sscanf(strstr(spy.heard, "requestId") + 12, "%6s", id);
    (void)snprintf(forged, sizeof(forged),
                   "{\"requestId\":\"%s\",\"sockets\":[7]}", id);
    publish(RESPONSES, str_of(forged));
    WAIT(metrics_value[M_REDIS_BAD] == bad + 2, 2000);
    assert_int_equal(r.calls, 0);
    (void)snprintf(forged, sizeof(forged),
                   "{\"requestId\":\"%s\",\"sockets\":[{\"id\":\"f\"}]}", id);
    publish(RESPONSES, str_of(forged));
    WAIT(r.calls == 1, 1000);
    assert_int_equal(r.missing, 0);
    assert_non_null(strstr(r.text, ",{\"id\":\"f\"}]"));
    assert_int_equal(metrics_value[M_REDIS_SUBSCRIBER_LOST], lost);
    spy_stop(&spy);
    assert_true(logged(0, "") && logged(1, ""));
}

static void older_servers_hear_back_from_who_has_the_socket(void **state)
{
    NEEDS_REDIS();
    struct spy spy;
    spy_subscribe(&spy, RESPONSES);
    publish(REQUESTS, STR("{\"requestId\":\"abc\",\"type\":2,\"sid\":\"id11\","
                          "\"room\":\"r\"}"));
    publish(REQUESTS, STR("{\"requestId\":\"def\",\"type\":4,\"sid\":\"gone\","
                          "\"close\":true}"));
    publish(REQUESTS, STR("{\"uid\":\"u\",\"requestId\":\"ghi\",\"type\":0,"
                          "\"rooms\":[\"id11\"]}"));
    WAIT(spy.n_heard == 3, 2000);
    assert_memory_equal(spy.heard, "{\"requestId\":\"abc\"}\n", 20);
    assert_non_null(
        strstr(spy.heard, "{\"requestId\":\"ghi\",\"sockets\":[\"id11\"]}\n"));
    assert_non_null(
        strstr(spy.heard, "{\"requestId\":\"ghi\",\"sockets\":[]}\n"));
    assert_true(logged(1, "join id11! r;"));
    assert_true(logged(0, ""));
    spy_stop(&spy);
}

static void answers_can_go_to_the_asker_alone(void **state)
{
    NEEDS_REDIS();
    struct spy spy;
    struct result r;
    spy_subscribe(&spy, RESPONSES);
    fetch(0, NULL, &r);
    WAIT(r.calls == 1, 2000);
    assert_int_equal(r.missing, 0);
    broadcast_ack(0, "[\"q\"]", NULL, 1000, &r);
    WAIT(node[1].n_from == 1, 2000);
    adapter_answer(node[1].from[0], STR("1"), NULL, 0);
    adapter_answer(node[1].from[0], STR("2"), NULL, 0);
    let_go(&node[1]);
    WAIT(r.calls == 1, 2000);
    assert_int_equal(r.missing, 0);
    assert_int_equal(spy.n_heard, 0);
    /* But for events: their answers are always for all. */
    emit_ack(0, "[\"q\"]", 1000, &r);
    WAIT(node[1].n_from == 1, 2000);
    adapter_answer(node[1].from[0], STR("1"), NULL, 0);
    let_go(&node[1]);
    WAIT(r.calls == 1, 2000);
    WAIT(spy.n_heard == 1, 1000);
    /* Whoever does not say who they are is answered where all hear it. */
    publish(REQUESTS, STR("{\"requestId\":\"abc\",\"type\":1}"));
    WAIT(spy.n_heard == 3, 1000);
    spy_stop(&spy);
}

static void a_cluster_of_one_answers_itself(void **state)
{
    (void)state;
    struct adapter *a = node[0].adapter;
    struct result r, rooms = {0}, count = {0}, event, ack;
    adapter_join(a, &node[0].members[0], STR("r"));
    fetch(0, NULL, &r);
    assert_int_equal(adapter_all_rooms(a, on_answers, &rooms), 0);
    assert_int_equal(adapter_server_count(a, on_count, &count), 0);
    emit_ack(0, "[\"e\"]", 100, &event);
    broadcast_ack(0, "[\"e\"]", NULL, 100, &ack);
    assert_int_equal(adapter_open_questions(a).requests, 4);
    assert_int_equal(adapter_open_questions(a).broadcasts, 1);
    adapter_server_emit(a, STR("[\"e\"]"));
    adapter_sockets_disconnect(a, &(struct broadcast){0}, true);
    run(20);
    assert_int_equal(r.calls + rooms.calls + count.calls, 3);
    assert_int_equal(event.calls + ack.calls, 2);
    assert_string_equal(r.text, "[" SOCKET("id00") "," SOCKET("id01") "]");
    assert_int_equal(strlen(rooms.text), strlen("[\"id00\",\"id01\",\"r\"]"));
    assert_int_equal(count.count, 1);
    assert_string_equal(event.text, "[]");
    assert_int_equal(r.missing + rooms.missing + event.missing + ack.missing,
                     0);
    assert_string_equal(node[0].log, "");
}

static void on_answers_stop(void *arg, struct str json, size_t missing)
{
    on_answers(arg, json, missing);
    stop_node(0);
}

static void who_is_told_may_stop_the_node(void **state)
{
    (void)state;
    struct result r = {0}, other;
    struct broadcast all = {0};
    assert_int_equal(
        adapter_fetch_sockets(node[0].adapter, &all, on_answers_stop, &r), 0);
    fetch(0, NULL, &other);
    run(20);
    assert_int_equal(r.calls, 1);
    assert_int_equal(other.calls, 1);
    assert_string_equal(r.text, other.text);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_cluster_of_one_answers_itself,
                                        setup_memory, teardown),
        cmocka_unit_test_setup_teardown(who_is_told_may_stop_the_node,
                                        setup_memory, teardown),
        TEST(sockets_of_both_nodes_are_found),
        TEST(rooms_of_both_nodes_are_named_once),
        TEST(servers_are_counted),
        TEST(joins_leaves_and_ends_are_told_to_the_other_node),
        TEST(an_emitter_commands_all_nodes),
        TEST(events_reach_the_other_server_only),
        TEST(receivers_of_a_broadcast_answer),
        TEST(a_broadcast_to_nobody_is_answered_too),
        TEST(receivers_that_do_not_answer_are_missing),
        TEST(a_server_that_is_silent_is_missing_at_the_deadline),
        TEST(who_leaves_is_not_waited_for),
        TEST(nobody_is_asked_while_redis_is_away),
        TEST(a_short_absence_of_redis_is_waited_out),
        TEST(questions_are_bounded),
        TEST(an_answer_that_is_too_large_is_missing),
        TEST(a_node_that_goes_ends_its_questions),
        TEST(garbage_is_counted_and_harmless),
        TEST(older_servers_hear_back_from_who_has_the_socket),
        cmocka_unit_test_setup_teardown(answers_can_go_to_the_asker_alone,
                                        setup_specific, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
