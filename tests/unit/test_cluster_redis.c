#include "adapter/adapter.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapter/redis.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/stream.h"

/* Two nodes in one process and a real Redis, which is started, stopped and
 * killed as the test wants. */
enum { MEMBERS = 3, MAX_MESSAGE = 100000, QUEUE_BYTES = 20000 };

struct node {
    struct cluster *cluster;
    struct adapter *adapter;
    struct member members[MEMBERS];
    char ids[MEMBERS][8];
    char got[MEMBERS][4096]; /* the data of all packets, each with a ';' */
    unsigned n_bins, n_volatile;
    unsigned presence[4];
};

static struct loop *loop;
static struct node node[2];
static pid_t redis_pid;
static uint16_t redis_port;
static char redis_url[128];

/* ---- Redis --------------------------------------------------------------- */

static uint16_t free_port(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    (void)close(fd);
    return ntohs(a.sin_port);
}

static void start_redis(const char *password)
{
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", redis_port);
    redis_pid = fork();
    assert_true(redis_pid >= 0);
    if (redis_pid > 0)
        return;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR);
    (void)dup2(null, STDOUT_FILENO);
    (void)execlp("redis-server", "redis-server", "--port", port, "--bind",
                 "127.0.0.1", "--save", "", "--appendonly", "no",
                 "--requirepass", password, (char *)NULL);
    _exit(127);
}

static void stop_redis(void)
{
    if (redis_pid <= 0)
        return;
    (void)kill(redis_pid, SIGKILL);
    (void)waitpid(redis_pid, NULL, 0);
    redis_pid = 0;
}

static bool have_redis(void)
{
    return system("command -v redis-server >/dev/null") == 0;
}

/* ---- the loop ------------------------------------------------------------ */

static uint64_t clock_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void run(uint64_t ms)
{
    for (uint64_t end = clock_ms() + ms; clock_ms() < end;)
        loop_turn(loop, 5);
}

#define WAIT(condition, ms)                       \
    do {                                          \
        uint64_t end_ = clock_ms() + (ms);        \
        while (!(condition) && clock_ms() < end_) \
            loop_turn(loop, 5);                   \
        assert_true(condition);                   \
    } while (0)

/* ---- nodes --------------------------------------------------------------- */

static bool on_deliver(void *host, struct member *to, struct packet *p,
                       bool is_volatile)
{
    struct node *n = host;
    char *got = n->got[to - n->members];
    size_t at = strlen(got);
    (void)snprintf(got + at, sizeof(n->got[0]) - at, "%.*s;",
                   STR_ARG(bytes_str(p->data)));
    n->n_bins += p->n_bins;
    n->n_volatile += is_volatile;
    return true;
}

static void on_presence(void *host, struct str group, struct str key,
                        struct str meta, int event)
{
    (void)group;
    (void)key;
    (void)meta;
    struct node *n = host;
    n->presence[event]++;
}

static const struct adapter_host host_ops = {.deliver = on_deliver,
                                             .presence = on_presence};

static void start_node(unsigned i, const char *nsp)
{
    char err[512] = "";
    struct adapter_settings s = {.type = ADAPTER_REDIS,
                                 .redis_url = redis_url,
                                 .prefix = "test",
                                 .node_name = i ? "two" : "one",
                                 .publish_queue_bytes = QUEUE_BYTES,
                                 .lease_ms = 2000,
                                 .json_depth = 24,
                                 .max_message_bytes = MAX_MESSAGE};
    struct node *n = &node[i];
    memset(n, 0, sizeof(*n));
    n->cluster = cluster_new(loop, &s, err);
    assert_string_equal(err, "");
    assert_string_equal(cluster_kind(n->cluster), "redis");
    n->adapter = adapter_new(n->cluster, str_of(nsp), &host_ops, n);
    for (unsigned m = 0; m < MEMBERS; m++) {
        (void)snprintf(n->ids[m], sizeof(n->ids[m]), "id%u%u", i, m);
        adapter_add(n->adapter, &n->members[m], str_of(n->ids[m]));
    }
}

static void stop_node(unsigned i)
{
    struct node *n = &node[i];
    if (!n->cluster)
        return;
    for (unsigned m = 0; m < MEMBERS; m++)
        adapter_remove(n->adapter, &n->members[m]);
    adapter_free(n->adapter);
    cluster_free(n->cluster);
    n->cluster = NULL;
}

static void join(unsigned i, unsigned m, const char *room)
{
    adapter_join(node[i].adapter, &node[i].members[m], str_of(room));
}

static size_t broadcast(unsigned i, const char *data, struct broadcast b)
{
    struct bytes *text = bytes_new(str_of(data));
    struct packet *p =
        packet_new(PACKET_EVENT, STR("/"), PACKET_NO_ACK, text, NULL, 0);
    size_t n = adapter_broadcast(node[i].adapter, p, &b);
    packet_unref(p);
    bytes_unref(text);
    return n;
}

static bool got(unsigned i, unsigned m, const char *want)
{
    return strcmp(node[i].got[m], want) == 0;
}

static bool both_usable(void)
{
    return cluster_usable(node[0].cluster) && cluster_usable(node[1].cluster);
}

static void start_with(const char *nsp, const char *password)
{
    loop = loop_new();
    redis_port = free_port();
    if (*password)
        (void)snprintf(redis_url, sizeof(redis_url),
                       "redis://:%s@127.0.0.1:%u/3", password, redis_port);
    else
        (void)snprintf(redis_url, sizeof(redis_url), "redis://localhost:%u",
                       redis_port);
    start_redis(password);
    start_node(0, nsp);
    start_node(1, nsp);
    WAIT(both_usable(), 8000);
    /* The gates have opened and the nodes know each other. */
    run(400);
}

static int setup(void **state)
{
    (void)state;
    if (have_redis())
        start_with("/", "");
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

#define NEEDS_REDIS() \
    do {              \
        (void)state;  \
        if (!loop)    \
            skip();   \
    } while (0)

/* ---- another publisher --------------------------------------------------- */

static int64_t reply_integer;

static void on_reply(void *arg, const struct redis_reply *reply)
{
    (void)arg;
    reply_integer = -1;
    if (reply && reply->type == REPLY_INTEGER)
        reply_integer = reply->integer;
    if (reply && reply->type == REPLY_ARRAY && reply->n == 2)
        reply_integer = reply->items[1].integer;
}

static void on_nothing(void *owner)
{
    (void)owner;
}

static void on_nothing_down(void *owner, const char *reason)
{
    (void)owner;
    (void)reason;
}

static int64_t command(struct str a, struct str b, struct str c)
{
    static const struct redis_ops ops = {on_nothing, on_nothing_down, NULL};
    char err[CONFIG_ERR_MAX];
    struct redis_url url;
    assert_int_equal(redis_url_parse(&url, redis_url, err), 0);
    struct redis_settings s = {
        .url = &url, .role = "test", .client_name = "test", .max_bytes = 1000};
    struct resolver *resolver = resolver_new(loop);
    struct redis *r = redis_new(loop, resolver, &s, &ops, NULL);
    WAIT(redis_is_up(r), 5000);
    struct str argv[] = {a, b, c};
    reply_integer = -2;
    assert_true(redis_command(r, argv, 3, on_reply, NULL));
    WAIT(reply_integer != -2, 5000);
    redis_free(r);
    loop_turn(loop, 0);
    resolver_free(resolver);
    redis_url_fini(&url);
    return reply_integer;
}

/* ---- tests --------------------------------------------------------------- */

static void a_broadcast_reaches_both_nodes_once(void **state)
{
    NEEDS_REDIS();
    assert_int_equal(broadcast(0, "[\"a\",1]", (struct broadcast){0}), MEMBERS);
    WAIT(got(1, 0, "[\"a\",1];"), 2000);
    run(100);
    for (unsigned m = 0; m < MEMBERS; m++) {
        assert_true(got(0, m, "[\"a\",1];"));
        assert_true(got(1, m, "[\"a\",1];"));
    }
}

static void rooms_and_exceptions_hold_across_nodes(void **state)
{
    NEEDS_REDIS();
    struct str rooms[] = {STR("r"), STR("s")};
    struct str except[] = {STR("id01"), STR("quiet")};
    join(0, 0, "r");
    join(0, 1, "r");
    join(1, 0, "r");
    join(1, 0, "s");
    join(1, 1, "s");
    join(1, 2, "s");
    join(1, 2, "quiet");
    struct broadcast b = {
        .rooms = rooms, .n_rooms = 2, .except = except, .n_except = 2};
    assert_int_equal(broadcast(0, "[\"a\"]", b), 1);
    WAIT(got(1, 1, "[\"a\"];"), 2000);
    assert_true(got(0, 0, "[\"a\"];"));
    assert_true(got(0, 1, ""));
    assert_true(got(1, 0, "[\"a\"];"));
    assert_true(got(1, 2, ""));
}

static void a_single_room_and_a_private_one_have_their_channels(void **state)
{
    NEEDS_REDIS();
    struct str room[] = {STR("only#two")};
    struct str id[] = {STR("id12")};
    struct str nobody[] = {STR("nobody")};
    uint64_t no_room = metrics_value[M_REDIS_NO_ROOM];
    join(1, 0, "only#two");
    struct broadcast b = {.rooms = room, .n_rooms = 1};
    assert_int_equal(broadcast(0, "[\"room\"]", b), 0);
    b.rooms = nobody;
    assert_int_equal(broadcast(0, "[\"nobody\"]", b), 0);
    b.rooms = id;
    b.is_volatile = true;
    assert_int_equal(broadcast(0, "[\"private\"]", b), 0);
    WAIT(got(1, 2, "[\"private\"];"), 2000);
    assert_true(got(1, 0, "[\"room\"];"));
    assert_true(got(1, 1, ""));
    assert_int_equal(node[1].n_volatile, 1);
    /* Node one hears its own three, node two the one for nobody. */
    WAIT(metrics_value[M_REDIS_NO_ROOM] == no_room + 4, 1000);
}

static void local_broadcasts_stay(void **state)
{
    NEEDS_REDIS();
    uint64_t received = metrics_value[M_REDIS_RECEIVED];
    struct broadcast b = {.local = true};
    assert_int_equal(broadcast(0, "[\"a\"]", b), MEMBERS);
    run(50);
    assert_true(got(1, 0, ""));
    assert_true(metrics_value[M_REDIS_RECEIVED] <= received + 2);
}

static void order_is_kept_under_load(void **state)
{
    NEEDS_REDIS();
    char want[4096] = "";
    for (unsigned k = 0; k < 300; k++) {
        char data[32];
        (void)snprintf(data, sizeof(data), "[\"n\",%u]", k);
        broadcast(0, data, (struct broadcast){0});
        size_t at = strlen(want);
        (void)snprintf(want + at, sizeof(want) - at, "%s;", data);
    }
    WAIT(strlen(node[1].got[0]) >= strlen(want), 3000);
    assert_string_equal(node[1].got[0], want);
}

static void an_emitter_is_heard_by_all(void **state)
{
    NEEDS_REDIS();
    static const char emit[] =
        "\x93\xa7"
        "emitter\x83\xa4type\x02\xa4"
        "data\x93\xa5hello\x01\xc4\x02\xff\xfe\xa3nsp\xa1/\x83\xa5rooms\x90"
        "\xa5"
        "flags\x80\xa6"
        "except\x90";
    struct str payload = {emit, sizeof(emit) - 1};
    assert_int_equal(command(STR("PUBLISH"), STR("test#/#"), payload), 2);
    const char *want = "[\"hello\",1,{\"_placeholder\":true,\"num\":0}];";
    WAIT(got(0, 0, want) && got(1, 0, want), 2000);
    assert_int_equal(node[0].n_bins, MEMBERS);
}

static void garbage_is_counted_and_harmless(void **state)
{
    NEEDS_REDIS();
    uint64_t bad = metrics_value[M_REDIS_BAD];
    uint64_t lost = metrics_value[M_REDIS_RECONNECTS];
    (void)command(STR("PUBLISH"), STR("test#/#"), STR("garbage"));
    (void)command(STR("PUBLISH"), STR("test#/#nobody#"), STR("garbage"));
    (void)command(STR("PUBLISH"), STR("test-presence#"), STR("garbage"));
    WAIT(metrics_value[M_REDIS_BAD] == bad + 4, 2000);
    broadcast(0, "[\"a\"]", (struct broadcast){0});
    WAIT(got(1, 0, "[\"a\"];"), 2000);
    assert_int_equal(metrics_value[M_REDIS_RECONNECTS], lost);
}

static void an_oversized_message_costs_a_connection_only(void **state)
{
    NEEDS_REDIS();
    uint64_t bad = metrics_value[M_REDIS_BAD];
    char *big = mem_zalloc(MAX_MESSAGE * 5);
    struct str payload = {big, MAX_MESSAGE * 5};
    (void)command(STR("PUBLISH"), STR("test#/#"), payload);
    WAIT(!both_usable(), 2000);
    WAIT(both_usable(), 5000);
    assert_true(metrics_value[M_REDIS_BAD] >= bad + 2);
    mem_free(big);
    broadcast(0, "[\"a\"]", (struct broadcast){0});
    WAIT(got(1, 0, "[\"a\"];"), 5000);
}

static void what_is_too_large_is_not_published(void **state)
{
    NEEDS_REDIS();
    uint64_t lost = metrics_value[M_REDIS_LOST];
    char *big = mem_alloc(MAX_MESSAGE + 10);
    memset(big, 'x', MAX_MESSAGE + 9);
    memcpy(big, "[\"", 2);
    memcpy(big + MAX_MESSAGE + 7, "\"]", 3);
    assert_int_equal(broadcast(0, big, (struct broadcast){0}), MEMBERS);
    assert_int_equal(metrics_value[M_REDIS_LOST], lost + 1);
    mem_free(big);
}

static void subscriptions_are_those_of_the_adapter(void **state)
{
    NEEDS_REDIS();
    /* By which official servers know whose answers to wait for. */
    assert_int_equal(
        command(STR("PUBSUB"), STR("NUMSUB"), STR("test-request#/#")), 2);
    assert_int_equal(
        command(STR("PUBSUB"), STR("NUMSUB"), STR("test-presence#")), 2);
    stop_node(1);
    run(300);
    assert_int_equal(
        command(STR("PUBSUB"), STR("NUMSUB"), STR("test-presence#")), 1);
}

static void a_namespace_is_no_pattern(void **state)
{
    NEEDS_REDIS();
    struct adapter *any =
        adapter_new(node[0].cluster, STR("/a*"), &host_ops, &node[0]);
    struct adapter *a =
        adapter_new(node[0].cluster, STR("/a"), &host_ops, &node[0]);
    run(100);
    uint64_t received = metrics_value[M_REDIS_RECEIVED];
    assert_int_equal(command(STR("PUBLISH"), STR("test#/axx#"), STR("x")), 0);
    assert_int_equal(command(STR("PUBLISH"), STR("test#/a*#x#"), STR("x")), 1);
    /* A room of /a as well as everybody of /a#b, who is not here. */
    assert_int_equal(command(STR("PUBLISH"), STR("test#/a#b#"), STR("x")), 1);
    WAIT(metrics_value[M_REDIS_RECEIVED] >= received + 2, 1000);
    adapter_free(any);
    adapter_free(a);
    run(100);
    assert_int_equal(command(STR("PUBLISH"), STR("test#/a*#x#"), STR("x")), 0);
}

static void presence_is_shared_and_follows_members(void **state)
{
    NEEDS_REDIS();
    struct adapter *one = node[0].adapter, *two = node[1].adapter;
    assert_int_equal(
        adapter_presence_set(one, STR("g"), STR("id00"), STR("{}")), 0);
    assert_int_equal(
        adapter_presence_set(one, STR("g"), STR("id01"), STR("{}")), 0);
    WAIT(adapter_presence_count(two, STR("g")) == 2, 2000);
    assert_int_equal(node[1].presence[PRESENCE_ENTER], 2);
    adapter_remove(one, &node[0].members[0]);
    WAIT(adapter_presence_count(two, STR("g")) == 1, 2000);
    adapter_add(one, &node[0].members[0], str_of(node[0].ids[0]));
    cluster_metrics(node[0].cluster);
    assert_int_equal(metrics_value[M_PRESENCE_PEERS], 1);
    assert_int_equal(metrics_value[M_REDIS_UP], 1);
    stop_node(0);
    WAIT(adapter_presence_count(two, STR("g")) == 0, 2000);
    assert_int_equal(node[1].presence[PRESENCE_LEAVE], 2);
    assert_int_equal(node[1].presence[PRESENCE_LOST], 0);
    cluster_metrics(node[1].cluster);
    assert_int_equal(metrics_value[M_PRESENCE_PEERS], 0);
}

static void redis_may_come_and_go(void **state)
{
    NEEDS_REDIS();
    uint64_t lost = metrics_value[M_REDIS_LOST];
    (void)adapter_presence_set(node[0].adapter, STR("g"), STR("id00"), STR(""));
    WAIT(adapter_presence_count(node[1].adapter, STR("g")) == 1, 2000);
    stop_redis();
    WAIT(!cluster_usable(node[0].cluster) && !cluster_usable(node[1].cluster),
         2000);
    /* Local delivery goes on; what the other node misses waits. */
    struct broadcast volatile_one = {.is_volatile = true};
    assert_int_equal(broadcast(0, "[\"q\",0]", (struct broadcast){0}), MEMBERS);
    assert_int_equal(broadcast(0, "[\"v\"]", volatile_one), MEMBERS);
    assert_int_equal(broadcast(0, "[\"q\",1]", (struct broadcast){0}), MEMBERS);
    run(3000);
    assert_int_equal(adapter_presence_count(node[1].adapter, STR("g")), 1);
    cluster_metrics(node[0].cluster);
    assert_true(metrics_value[M_REDIS_QUEUED] > 0);
    assert_int_equal(metrics_value[M_REDIS_UP], 0);
    assert_int_equal(metrics_value[M_REDIS_LOST], lost + 1);
    start_redis("");
    WAIT(both_usable(), 5000);
    broadcast(0, "[\"q\",2]", (struct broadcast){0});
    WAIT(got(1, 0, "[\"q\",0];[\"q\",1];[\"q\",2];"), 5000);
    assert_true(got(0, 0, "[\"q\",0];[\"v\"];[\"q\",1];[\"q\",2];"));
    run(3000);
    assert_int_equal(adapter_presence_count(node[1].adapter, STR("g")), 1);
    assert_int_equal(node[1].presence[PRESENCE_LOST], 0);
    assert_true(got(1, 0, "[\"q\",0];[\"q\",1];[\"q\",2];"));
}

static void the_queue_is_bounded(void **state)
{
    NEEDS_REDIS();
    uint64_t lost = metrics_value[M_REDIS_LOST];
    stop_redis();
    WAIT(!cluster_usable(node[0].cluster), 2000);
    char data[1000];
    memset(data, 'x', sizeof(data));
    memcpy(data, "[\"", 2);
    memcpy(data + sizeof(data) - 3, "\"]", 3);
    for (unsigned k = 0; k < 50; k++)
        broadcast(0, data, (struct broadcast){0});
    cluster_metrics(node[0].cluster);
    assert_in_range(metrics_value[M_REDIS_QUEUED], QUEUE_BYTES - 1200,
                    QUEUE_BYTES);
    assert_in_range(metrics_value[M_REDIS_LOST] - lost, 30, 35);
}

static int setup_password(void **state)
{
    (void)state;
    if (have_redis())
        start_with("/chat", "s3cret");
    return 0;
}

static void a_password_and_a_database_are_used(void **state)
{
    NEEDS_REDIS();
    assert_int_equal(
        command(STR("PUBSUB"), STR("NUMSUB"), STR("test-presence#")), 2);
    char err[512];
    struct adapter_settings s = {.type = ADAPTER_REDIS,
                                 .redis_url = redis_url,
                                 .prefix = "test",
                                 .node_name = "stranger",
                                 .publish_queue_bytes = QUEUE_BYTES,
                                 .lease_ms = 2000,
                                 .json_depth = 24,
                                 .max_message_bytes = MAX_MESSAGE};
    redis_url[strlen("redis://:")] = 'X';
    struct cluster *c = cluster_new(loop, &s, err);
    run(500);
    assert_false(cluster_usable(c));
    cluster_free(c);
    redis_url[strlen("redis://:")] = 's';
}

static void the_memory_adapter_needs_nothing(void **state)
{
    (void)state;
    char err[512];
    struct adapter_settings s = {.type = ADAPTER_MEMORY,
                                 .redis_url = "",
                                 .prefix = "x",
                                 .node_name = "alone",
                                 .lease_ms = 1000,
                                 .json_depth = 24,
                                 .max_message_bytes = MAX_MESSAGE};
    struct node *n = &node[0];
    memset(n, 0, sizeof(*n));
    loop = loop_new();
    n->cluster = cluster_new(loop, &s, err);
    n->adapter = adapter_new(n->cluster, STR("/"), &host_ops, n);
    adapter_add(n->adapter, &n->members[0], STR("me"));
    assert_true(cluster_usable(n->cluster));
    assert_string_equal(cluster_kind(n->cluster), "memory");
    assert_int_equal(broadcast(0, "[\"a\"]", (struct broadcast){0}), 1);
    assert_true(got(0, 0, "[\"a\"];"));
    assert_int_equal(
        adapter_presence_set(n->adapter, STR("g"), STR("me"), STR("1")), 0);
    assert_int_equal(adapter_presence_count(n->adapter, STR("g")), 1);
    join(0, 0, "r");
    cluster_metrics(n->cluster);
    assert_int_equal(metrics_value[M_ROOMS], 1);
    adapter_remove(n->adapter, &n->members[0]);
    assert_int_equal(adapter_presence_count(n->adapter, STR("g")), 0);
    assert_int_equal(n->presence[PRESENCE_LEAVE], 1);
    adapter_free(n->adapter);
    cluster_free(n->cluster);
    n->cluster = NULL;
    s.type = ADAPTER_REDIS;
    s.redis_url = "rediss://h";
    assert_null(cluster_new(loop, &s, err));
    assert_non_null(strstr(err, "rediss://"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    log_set_level(getenv("VERBOSE") ? LOG_DEBUG : LOG_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(a_broadcast_reaches_both_nodes_once),
        TEST(rooms_and_exceptions_hold_across_nodes),
        TEST(a_single_room_and_a_private_one_have_their_channels),
        TEST(local_broadcasts_stay),
        TEST(order_is_kept_under_load),
        TEST(an_emitter_is_heard_by_all),
        TEST(garbage_is_counted_and_harmless),
        TEST(an_oversized_message_costs_a_connection_only),
        TEST(what_is_too_large_is_not_published),
        TEST(subscriptions_are_those_of_the_adapter),
        TEST(a_namespace_is_no_pattern),
        TEST(presence_is_shared_and_follows_members),
        TEST(redis_may_come_and_go),
        TEST(the_queue_is_bounded),
        cmocka_unit_test_setup_teardown(a_password_and_a_database_are_used,
                                        setup_password, teardown),
        cmocka_unit_test_teardown(the_memory_adapter_needs_nothing, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
