#include "adapter/adapter.h"

#include "tests/unit/redis_server.h"

#include "common/log.h"
#include "common/mem.h"
#include "common/metrics.h"
#include "common/stream.h"

/* What a node hears, and from when on: two nodes and a real Redis. */
enum {
    MEMBERS = 4, /* of each namespace on each node */
    NSPS = 3,
    LEAVE_MS = 3000,
    CROWD = 1000, /* members with many rooms */
    ROOMS_EACH = 100,
};

/* A room of "/" can be called as one of the others is, and the channels too. */
static const char *const nsps[NSPS] = {"/", "/#x", "/#abc"};

struct space {
    struct adapter *adapter;
    struct member members[MEMBERS];
    char ids[MEMBERS][24];
    char got[MEMBERS][256];
};

static struct node {
    struct cluster *cluster;
    struct space spaces[NSPS];
} node[2];

/* ---- nodes --------------------------------------------------------------- */

static bool on_deliver(void *host, struct member *to, struct packet *p,
                       bool is_volatile)
{
    (void)is_volatile;
    struct space *s = host;
    if (to < s->members || to >= s->members + MEMBERS)
        return true; /* of the crowd */
    char *got = s->got[to - s->members];
    size_t at = strlen(got);
    (void)snprintf(got + at, sizeof(s->got[0]) - at, "%.*s;",
                   STR_ARG(bytes_str(p->data)));
    return true;
}

static const struct adapter_host host_ops = {.deliver = on_deliver};

static void start_node(unsigned i, enum adapter_type type, bool interest)
{
    char err[CONFIG_ERR_MAX] = "";
    struct adapter_settings s = {.type = type,
                                 .redis_url = redis_url,
                                 .prefix = "test",
                                 .node_name = i ? "two" : "one",
                                 .interest = interest,
                                 .publish_queue_bytes = 1000000,
                                 .lease_ms = 2000,
                                 .json_depth = 24,
                                 .max_message_bytes = 100000};
    struct node *n = &node[i];
    memset(n, 0, sizeof(*n));
    n->cluster = cluster_new(loop, &s, err);
    assert_string_equal(err, "");
    for (unsigned k = 0; k < NSPS; k++) {
        struct space *space = &n->spaces[k];
        space->adapter =
            adapter_new(n->cluster, str_of(nsps[k]), &host_ops, space);
        for (unsigned m = 0; m < MEMBERS; m++) {
            /* 20 bytes, but the last, which has fewer. */
            (void)snprintf(space->ids[m], sizeof(space->ids[m]),
                           m == MEMBERS - 1 ? "old-%u-%u-%u"
                                            : "identification-%u-%u-%u",
                           i, k, m);
            adapter_add(space->adapter, &space->members[m],
                        str_of(space->ids[m]));
        }
    }
}

static void stop_node(unsigned i)
{
    struct node *n = &node[i];
    if (!n->cluster)
        return;
    for (unsigned k = 0; k < NSPS; k++) {
        struct space *s = &n->spaces[k];
        for (unsigned m = 0; m < MEMBERS && s->adapter; m++)
            adapter_remove(s->adapter, &s->members[m]);
        adapter_free(s->adapter);
    }
    cluster_free(n->cluster);
    n->cluster = NULL;
}

static bool both_usable(void)
{
    return cluster_usable(node[0].cluster) && cluster_usable(node[1].cluster);
}

static void start(bool interest)
{
    loop = loop_new();
    redis_port = free_port();
    (void)snprintf(redis_url, sizeof(redis_url), "redis://localhost:%u",
                   redis_port);
    start_redis("");
    start_node(0, ADAPTER_REDIS, interest);
    start_node(1, ADAPTER_REDIS, interest);
    WAIT(both_usable(), 8000);
    run(400);
}

static int setup(void **state)
{
    (void)state;
    if (have_redis())
        start(true);
    return 0;
}

static int setup_without_interest(void **state)
{
    (void)state;
    if (have_redis())
        start(false);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (!loop)
        return 0;
    stop_node(0);
    stop_node(1);
    for (unsigned i = 0; i < 200 && stream_count() > 0; i++)
        loop_turn(loop, 5);
    assert_int_equal(stream_count(), 0);
    loop_turn(loop, 5);
    loop_free(loop);
    loop = NULL;
    stop_redis();
    return 0;
}

static void join(unsigned i, unsigned k, unsigned m, const char *room)
{
    struct space *s = &node[i].spaces[k];
    adapter_join(s->adapter, &s->members[m], str_of(room));
}

static void leave(unsigned i, unsigned k, unsigned m, const char *room)
{
    struct space *s = &node[i].spaces[k];
    adapter_leave(s->adapter, &s->members[m], str_of(room));
}

/* To one room, or to everyone. */
static void broadcast(unsigned i, unsigned k, const char *room,
                      const char *data)
{
    struct str name = str_of(room ? room : "");
    struct broadcast b = {.rooms = &name, .n_rooms = room ? 1 : 0};
    struct bytes *text = bytes_new(str_of(data));
    struct packet *p =
        packet_new(PACKET_EVENT, str_of(nsps[k]), PACKET_NO_ACK, text, NULL, 0);
    (void)adapter_broadcast(node[i].spaces[k].adapter, p, &b);
    packet_unref(p);
    bytes_unref(text);
}

static bool got(unsigned i, unsigned k, unsigned m, const char *want)
{
    return strcmp(node[i].spaces[k].got[m], want) == 0;
}

static int64_t subscribers(const char *channel)
{
    return command(STR("PUBSUB"), STR("NUMSUB"), str_of(channel));
}

static int64_t hearers(const char *channel)
{
    return command(STR("PUBLISH"), str_of(channel), STR("x"));
}

static int64_t patterns(void)
{
    return command(STR("PUBSUB"), STR("NUMPAT"), (struct str){NULL, 0});
}

struct waiter {
    int calls, rc;
};

static void on_joined(void *arg, int rc)
{
    struct waiter *w = arg;
    w->calls++;
    w->rc = rc;
}

static void join_then(unsigned i, unsigned k, unsigned m, const char *room,
                      struct waiter *w)
{
    struct space *s = &node[i].spaces[k];
    *w = (struct waiter){0};
    adapter_join_then(s->adapter, &s->members[m], str_of(room), on_joined, w);
    assert_int_equal(w->calls, 0);
}

/* ---- what is subscribed -------------------------------------------------- */

static void
a_room_is_heard_from_its_first_member_until_after_its_last(void **state)
{
    NEEDS_REDIS();
    assert_int_equal(hearers("test#/#r#"), 0);
    join(1, 0, 0, "r");
    WAIT(subscribers("test#/#r#") == 1, 2000);
    join(0, 0, 0, "r");
    join(1, 0, 1, "r");
    WAIT(subscribers("test#/#r#") == 2, 2000);
    leave(1, 0, 0, "r");
    adapter_remove(node[0].spaces[0].adapter, &node[0].spaces[0].members[0]);
    leave(1, 0, 1, "r");
    uint64_t left = clock_ms();
    run(LEAVE_MS / 2);
    assert_int_equal(subscribers("test#/#r#"), 2);
    WAIT(subscribers("test#/#r#") == 0, LEAVE_MS);
    assert_true(clock_ms() - left >= LEAVE_MS - 500);
    adapter_add(node[0].spaces[0].adapter, &node[0].spaces[0].members[0],
                str_of(node[0].spaces[0].ids[0]));
}

static void a_room_that_is_joined_again_was_heard_all_the_time(void **state)
{
    NEEDS_REDIS();
    struct waiter w;
    join_then(1, 0, 0, "r", &w);
    WAIT(w.calls == 1, 2000);
    for (unsigned n = 0; n < 3; n++) {
        leave(1, 0, 0, "r");
        run(LEAVE_MS / 2);
        join(1, 0, 0, "r");
        char data[16];
        (void)snprintf(data, sizeof(data), "[%u]", n);
        broadcast(0, 0, "r", data);
        assert_int_equal(subscribers("test#/#r#"), 1);
    }
    run(LEAVE_MS + 500);
    broadcast(0, 0, "r", "[3]");
    WAIT(got(1, 0, 0, "[0];[1];[2];[3];"), 1000);
}

static void rooms_of_20_bytes_are_heard_once_by_one_pattern(void **state)
{
    NEEDS_REDIS();
    int64_t before = patterns();
    assert_int_equal(before, NSPS);
    join(1, 0, 0, "room--of--20--bytes-");
    /* Bytes, not characters. */
    join(1, 0, 1,
         "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
         "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9");
    run(100);
    assert_int_equal(subscribers("test#/#room--of--20--bytes-#"), 0);
    assert_int_equal(hearers("test#/#room--of--20--bytes-#"), 2);
    assert_int_equal(hearers("test#/#room--of--21--bytes--#"), 0);
    broadcast(0, 0, "room--of--20--bytes-", "[1]");
    broadcast(0, 0, node[1].spaces[0].ids[0], "[2]");
    broadcast(0, 0,
              "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9"
              "\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9",
              "[3]");
    WAIT(got(1, 0, 1, "[3];"), 1000);
    run(100);
    assert_true(got(1, 0, 0, "[1];[2];"));
    assert_int_equal(patterns(), before);
}

static void ids_of_another_length_are_rooms_too(void **state)
{
    NEEDS_REDIS();
    assert_int_equal(subscribers("test#/#old-1-0-3#"), 1);
    broadcast(0, 0, "old-1-0-3", "[1]");
    broadcast(0, 1, "old-1-1-3", "[2]");
    WAIT(got(1, 0, 3, "[1];") && got(1, 1, 3, "[2];"), 1000);
    /* Somebody may be in a room of that name besides. */
    join(1, 0, 0, "old-1-0-3");
    struct space *s = &node[1].spaces[0];
    adapter_remove(s->adapter, &s->members[3]);
    broadcast(0, 0, "old-1-0-3", "[3]");
    WAIT(got(1, 0, 0, "[3];"), 1000);
    leave(1, 0, 0, "old-1-0-3");
    WAIT(subscribers("test#/#old-1-0-3#") == 0, LEAVE_MS + 1000);
    adapter_add(s->adapter, &s->members[3], str_of(s->ids[3]));
}

static void channels_of_one_name_are_told_apart(void **state)
{
    NEEDS_REDIS();
    /* The room "x" of "/" and everyone of "/#x". */
    join(1, 0, 0, "x");
    run(100);
    assert_int_equal(subscribers("test#/#x#"), 2);
    broadcast(0, 0, "x", "[\"room\"]");
    broadcast(0, 1, NULL, "[\"all\"]");
    WAIT(got(1, 0, 0, "[\"room\"];") && got(1, 1, 0, "[\"all\"];"), 1000);
    leave(1, 0, 0, "x");
    run(LEAVE_MS + 500);
    assert_int_equal(subscribers("test#/#x#"), 2);
    broadcast(0, 1, NULL, "[1]");
    WAIT(got(1, 1, 0, "[\"all\"];[1];"), 1000);
    assert_true(got(1, 0, 0, "[\"room\"];"));
    assert_true(got(1, 0, 1, ""));
    /* A room of 20 bytes in "/", which its pattern matches, and one of 15 in
     * "/#abc", which is subscribed by the same name. */
    join(1, 0, 2, "abc#sixteen-bytes--!");
    join(1, 2, 2, "sixteen-bytes--!");
    run(100);
    assert_int_equal(hearers("test#/#abc#sixteen-bytes--!#"), 3);
    broadcast(0, 0, "abc#sixteen-bytes--!", "[\"/\"]");
    broadcast(0, 2, "sixteen-bytes--!", "[\"/#abc\"]");
    WAIT(got(1, 0, 2, "[\"/\"];") && got(1, 2, 2, "[\"/#abc\"];"), 1000);
    run(100);
    assert_true(got(1, 0, 2, "[\"/\"];"));
    assert_true(got(1, 2, 2, "[\"/#abc\"];"));
}

static void messages_for_other_rooms_do_not_arrive(void **state)
{
    NEEDS_REDIS();
    join(1, 0, 0, "here");
    run(100);
    uint64_t received = metrics_value[M_REDIS_RECEIVED];
    uint64_t discarded = metrics_value[M_REDIS_NO_ROOM];
    for (unsigned n = 0; n < 100; n++)
        broadcast(0, 0, "elsewhere", "[1]");
    broadcast(0, 0, "here", "[2]");
    WAIT(got(1, 0, 0, "[2];"), 1000);
    assert_int_equal(metrics_value[M_REDIS_NO_ROOM], discarded);
    /* And the news of presence. */
    assert_in_range(metrics_value[M_REDIS_RECEIVED] - received, 1, 10);
    broadcast(0, 0, "nobody has this room", "[3]"); /* 20 bytes */
    WAIT(metrics_value[M_REDIS_NO_ROOM] == discarded + 2, 1000);
    cluster_metrics(node[1].cluster);
    /* Presence; a channel, a pattern, an id and three channels of requests and
     * responses for each namespace; a room. */
    assert_int_equal(metrics_value[M_REDIS_SUBSCRIPTIONS], 1 + 6 * NSPS + 1);
}

static void several_rooms_are_heard_on_the_channel_of_everyone(void **state)
{
    NEEDS_REDIS();
    join(1, 0, 0, "a");
    join(1, 0, 0, "b");
    join(1, 0, 1, "room--of--20--bytes-");
    struct str rooms[] = {STR("a"), STR("b"), STR("room--of--20--bytes-")};
    struct broadcast b = {.rooms = rooms, .n_rooms = 3};
    struct bytes *text = bytes_new(STR("[1]"));
    struct packet *p =
        packet_new(PACKET_EVENT, STR("/"), PACKET_NO_ACK, text, NULL, 0);
    run(100);
    (void)adapter_broadcast(node[0].spaces[0].adapter, p, &b);
    packet_unref(p);
    bytes_unref(text);
    WAIT(got(1, 0, 0, "[1];") && got(1, 0, 1, "[1];"), 1000);
    run(50);
    assert_true(got(1, 0, 0, "[1];"));
}

/* ---- Redis goes ---------------------------------------------------------- */

static void rooms_are_heard_again_after_a_restart(void **state)
{
    NEEDS_REDIS();
    join(1, 0, 0, "before");
    run(100);
    stop_redis();
    WAIT(!cluster_usable(node[0].cluster) && !cluster_usable(node[1].cluster),
         2000);
    join(1, 0, 1, "meanwhile");
    leave(1, 0, 0, "before");
    join(1, 0, 0, "before");
    join(1, 0, 2, "gone");
    leave(1, 0, 2, "gone");
    run(LEAVE_MS + 200);
    start_redis("");
    WAIT(both_usable(), 8000);
    assert_int_equal(subscribers("test#/#gone#"), 0);
    assert_int_equal(subscribers("test#/#before#"), 1);
    broadcast(0, 0, "before", "[1]");
    broadcast(0, 0, "meanwhile", "[2]");
    broadcast(0, 0, node[1].spaces[0].ids[2], "[3]");
    broadcast(0, 0, "old-1-0-3", "[4]");
    broadcast(0, 1, NULL, "[5]");
    WAIT(got(1, 0, 0, "[1];") && got(1, 0, 1, "[2];") && got(1, 0, 2, "[3];") &&
             got(1, 0, 3, "[4];") && got(1, 1, 0, "[5];"),
         8000);
}

/* CPU time of this process. */
static uint64_t used_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void a_hundred_thousand_rooms_come_back_without_a_long_turn(void **state)
{
    NEEDS_REDIS();
    struct adapter *a = node[1].spaces[0].adapter;
    struct member *crowd = mem_zalloc(CROWD * sizeof(*crowd));
    char(*ids)[24] = mem_zalloc(CROWD * sizeof(*ids));
    char room[32];
    for (unsigned m = 0; m < CROWD; m++) {
        (void)snprintf(ids[m], sizeof(ids[m]), "crowd-%u", m);
        adapter_add(a, &crowd[m], str_of(ids[m]));
        for (unsigned r = 0; r < ROOMS_EACH; r++) {
            (void)snprintf(room, sizeof(room), "crowded-%u-%u", m, r);
            adapter_join(a, &crowd[m], str_of(room));
        }
    }
    join(1, 0, 0, "last");
    WAIT(subscribers("test#/#last#") == 1, 30000);
    stop_redis();
    WAIT(!cluster_usable(node[1].cluster), 2000);
    start_redis("");
    uint64_t longest = 0, from = clock_ms(), end = from + 60000;
    while (!both_usable() && clock_ms() < end) {
        uint64_t before = used_ms();
        loop_turn(loop, 5);
        uint64_t took = used_ms() - before;
        longest = took > longest ? took : longest;
    }
    uint64_t took = clock_ms() - from;
    bool back = both_usable() && subscribers("test#/#crowded-999-99#") == 1;
    broadcast(0, 0, "last", "[1]");
    for (unsigned m = 0; m < CROWD; m++)
        adapter_remove(a, &crowd[m]);
    mem_free(crowd);
    mem_free(ids);
    print_message("# back after %llu ms, longest turn %llu ms\n",
                  (unsigned long long)took, (unsigned long long)longest);
    assert_true(back);
    assert_in_range(longest, 0, 100);
    WAIT(got(1, 0, 0, "[1];"), 8000);
    WAIT(subscribers("test#/#crowded-999-99#") == 0, 20000);
}

/* ---- a join is confirmed ------------------------------------------------- */

static void a_joined_room_misses_nothing(void **state)
{
    NEEDS_REDIS();
    char room[24], data[24];
    for (unsigned n = 0; n < 200; n++) {
        struct waiter w;
        (void)snprintf(room, sizeof(room), "fresh %u", n);
        (void)snprintf(data, sizeof(data), "[%u]", n);
        join_then(1, 0, n % MEMBERS, room, &w);
        WAIT(w.calls == 1, 2000);
        assert_int_equal(w.rc, 0);
        memset(node[1].spaces[0].got, 0, sizeof(node[1].spaces[0].got));
        broadcast(0, 0, room, data);
        (void)snprintf(data, sizeof(data), "[%u];", n);
        WAIT(got(1, 0, n % MEMBERS, data), 1000);
    }
}

static void
a_join_that_needs_nothing_is_confirmed_in_the_next_turn(void **state)
{
    NEEDS_REDIS();
    struct waiter w[3];
    join_then(1, 0, 0, "r", &w[0]);
    WAIT(w[0].calls == 1, 2000);
    /* It is there, it lingers, it needs none. */
    join_then(1, 0, 1, "r", &w[0]);
    leave(1, 0, 0, "r");
    leave(1, 0, 1, "r");
    join_then(1, 0, 0, "r", &w[1]);
    join_then(1, 0, 0, "room--of--20--bytes-", &w[2]);
    for (unsigned n = 0; n < 3; n++)
        WAIT(w[n].calls == 1, 1000);
    run(20);
    for (unsigned n = 0; n < 3; n++) {
        assert_int_equal(w[n].calls, 1);
        assert_int_equal(w[n].rc, 0);
    }
}

static void without_redis_a_join_is_not_confirmed(void **state)
{
    NEEDS_REDIS();
    struct waiter w[4];
    struct space *s = &node[1].spaces[0];
    join(1, 0, 0, "known");
    run(100);
    (void)kill(redis_pid, SIGSTOP);
    join_then(1, 0, 0, "waits", &w[0]);
    run(100);
    assert_int_equal(w[0].calls, 0);
    (void)kill(redis_pid, SIGCONT);
    WAIT(w[0].calls == 1, 1000);
    assert_int_equal(w[0].rc, 0);
    (void)kill(redis_pid, SIGSTOP);
    join_then(1, 0, 0, "late", &w[0]);
    run(1800);
    assert_int_equal(w[0].calls, 0);
    WAIT(w[0].calls == 1, 1000);
    assert_int_equal(w[0].rc, ERR_STATE);
    assert_int_equal(adapter_joins(&s->members[0]), 1);
    join_then(1, 0, 0, "in vain", &w[0]);
    stop_redis();
    WAIT(w[0].calls == 1, 2000);
    assert_int_equal(w[0].rc, ERR_STATE);
    join_then(1, 0, 0, "new", &w[1]);
    join_then(1, 0, 0, "known", &w[2]);
    join_then(1, 0, 0, "room--of--20--bytes-", &w[3]);
    for (unsigned n = 1; n < 4; n++) {
        WAIT(w[n].calls == 1, 1000);
        assert_int_equal(w[n].rc, ERR_STATE);
    }
    /* They hold all the same. */
    start_redis("");
    WAIT(both_usable(), 8000);
    broadcast(0, 0, "new", "[1]");
    WAIT(got(1, 0, 0, "[1];"), 5000);
    assert_int_equal(adapter_joins(&s->members[0]), 0);
}

static void who_has_gone_is_not_joined(void **state)
{
    NEEDS_REDIS();
    struct waiter w[3], last;
    struct space *s = &node[1].spaces[0];
    join_then(1, 0, 0, "a", &w[0]);
    join_then(1, 0, 0, "b", &w[1]);
    join_then(1, 0, 0, "room--of--20--bytes-", &w[2]);
    assert_int_equal(adapter_joins(&s->members[0]), 3);
    adapter_remove(s->adapter, &s->members[0]);
    for (unsigned n = 0; n < 3; n++) {
        WAIT(w[n].calls == 1, 1000);
        assert_int_equal(w[n].rc, ERR_STATE);
    }
    adapter_add(s->adapter, &s->members[0], str_of(s->ids[0]));
    /* And the node ends. */
    join_then(1, 0, 0, "c", &last);
    stop_node(1);
    assert_int_equal(last.calls, 1);
    assert_int_equal(last.rc, ERR_STATE);
}

static void without_interest_one_pattern_hears_all(void **state)
{
    NEEDS_REDIS();
    assert_int_equal(subscribers("test#/#"), 0);
    assert_int_equal(patterns(), NSPS);
    assert_int_equal(hearers("test#/#anything#"), 2);
    struct waiter w;
    join_then(1, 0, 0, "r", &w);
    WAIT(w.calls == 1, 1000);
    assert_int_equal(w.rc, 0);
    assert_int_equal(subscribers("test#/#r#"), 0);
    broadcast(0, 0, "r", "[1]");
    broadcast(0, 0, "old-1-0-3", "[2]");
    WAIT(got(1, 0, 0, "[1];") && got(1, 0, 3, "[2];"), 1000);
    stop_redis();
    WAIT(!cluster_usable(node[1].cluster), 2000);
    join_then(1, 0, 0, "s", &w);
    WAIT(w.calls == 1, 1000);
    assert_int_equal(w.rc, ERR_STATE);
}

static void alone_every_join_is_confirmed(void **state)
{
    (void)state;
    struct waiter w;
    loop = loop_new();
    start_node(0, ADAPTER_MEMORY, true);
    join_then(0, 0, 0, "r", &w);
    WAIT(w.calls == 1, 1000);
    assert_int_equal(w.rc, 0);
    join_then(0, 0, 0, "s", &w);
    cluster_end_joins(node[0].cluster);
    assert_int_equal(w.calls, 1);
    assert_int_equal(w.rc, ERR_STATE);
    run(10);
    assert_int_equal(w.calls, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    log_set_level(getenv("VERBOSE") ? LOG_DEBUG : LOG_ERROR);
    const struct CMUnitTest tests[] = {
        TEST(a_room_is_heard_from_its_first_member_until_after_its_last),
        TEST(a_room_that_is_joined_again_was_heard_all_the_time),
        TEST(rooms_of_20_bytes_are_heard_once_by_one_pattern),
        TEST(ids_of_another_length_are_rooms_too),
        TEST(channels_of_one_name_are_told_apart),
        TEST(messages_for_other_rooms_do_not_arrive),
        TEST(several_rooms_are_heard_on_the_channel_of_everyone),
        TEST(rooms_are_heard_again_after_a_restart),
        TEST(a_hundred_thousand_rooms_come_back_without_a_long_turn),
        TEST(a_joined_room_misses_nothing),
        TEST(a_join_that_needs_nothing_is_confirmed_in_the_next_turn),
        TEST(without_redis_a_join_is_not_confirmed),
        TEST(who_has_gone_is_not_joined),
        cmocka_unit_test_setup_teardown(without_interest_one_pattern_hears_all,
                                        setup_without_interest, teardown),
        cmocka_unit_test_teardown(alone_every_join_is_confirmed, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
