#include "adapter/presence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/mem.h"

/* Several nodes in one process on a bus with links that can be cut, in virtual
 * time. */
enum { NODES = 5, LEASE_MS = 8000, STEP_MS = 10, QUEUE_MAX = 100000 };

struct node {
    struct presence *p; /* NULL: dead */
    bool online;
    unsigned incarnation;
    unsigned n_events[4]; /* since the process started */
    unsigned n_peers[3];
    unsigned n_sent;
    char last[64]; /* "group/key=meta" of the last event */
};

static struct node nodes[NODES];
static uint64_t now_ms;
static struct bytes *queue[QUEUE_MAX];
static size_t queued;
static unsigned loss_percent;
/* Messages that hold this text are lost on the bus. */
static const char *lost_text;

static void on_send(void *owner, struct str message)
{
    struct node *n = owner;
    n->n_sent++;
    assert_true(queued < QUEUE_MAX);
    if (n->online)
        queue[queued++] = bytes_new(message);
}

static void on_event(void *owner, struct str nsp, struct str group,
                     struct str key, struct str meta, enum presence_event what)
{
    struct node *n = owner;
    assert_true(str_eq(nsp, STR("/")));
    n->n_events[what]++;
    (void)snprintf(n->last, sizeof(n->last), "%.*s/%.*s=%.*s", STR_ARG(group),
                   STR_ARG(key), STR_ARG(meta));
}

static void on_peer(void *owner, struct str node, struct str name,
                    enum presence_peer what)
{
    struct node *n = owner;
    assert_int_equal(node.len, PRESENCE_NODE_LEN);
    assert_true(name.len == 0 || str_starts(name, STR("node")));
    n->n_peers[what]++;
}

static const struct presence_ops ops = {on_send, on_event, on_peer};

static uint32_t lease_ms = LEASE_MS; /* of nodes that start */

static void start(unsigned i)
{
    struct node *n = &nodes[i];
    char id[PRESENCE_NODE_LEN + 1], name[16];
    assert_null(n->p);
    (void)snprintf(id, sizeof(id), "%08x%08x", i, ++n->incarnation);
    (void)snprintf(name, sizeof(name), "node%u", i);
    memset(n->n_events, 0, sizeof(n->n_events));
    memset(n->n_peers, 0, sizeof(n->n_peers));
    n->p = presence_new((struct str){id, PRESENCE_NODE_LEN}, str_of(name),
                        lease_ms, &ops, n);
}

static void connect_node(unsigned i)
{
    nodes[i].online = true;
    presence_up(nodes[i].p, now_ms);
}

static void disconnect_node(unsigned i)
{
    nodes[i].online = false;
    presence_down(nodes[i].p);
}

static void kill_node(unsigned i)
{
    presence_free(nodes[i].p);
    nodes[i].p = NULL;
    nodes[i].online = false;
}

static bool is_lost(const struct bytes *b)
{
    return lost_text && memmem(b->p, b->len, lost_text, strlen(lost_text));
}

static void run_bus(void)
{
    for (size_t done = 0; done < queued; done++) {
        for (unsigned i = 0; i < NODES; i++) {
            if (!nodes[i].online || is_lost(queue[done]) ||
                (unsigned)rand() % 100 < loss_percent)
                continue;
            assert_int_equal(
                presence_receive(nodes[i].p, bytes_str(queue[done]), now_ms),
                0);
        }
        bytes_unref(queue[done]);
    }
    queued = 0;
}

/* Ticks come when they were asked for. */
static void run(uint64_t ms)
{
    run_bus();
    for (uint64_t end = now_ms + ms; now_ms < end;) {
        now_ms += STEP_MS;
        for (unsigned i = 0; i < NODES; i++) {
            if (nodes[i].p && presence_due(nodes[i].p) <= now_ms)
                presence_tick(nodes[i].p, now_ms);
        }
        run_bus();
    }
}

static void set(unsigned i, const char *group, const char *key,
                const char *meta)
{
    assert_int_equal(presence_set(nodes[i].p, STR("/"), str_of(group),
                                  str_of(key), str_of(meta)),
                     0);
}

static void clear(unsigned i, const char *group, const char *key)
{
    presence_clear(nodes[i].p, STR("/"), str_of(group), str_of(key));
}

static size_t count(unsigned i, const char *group)
{
    return presence_count(nodes[i].p, STR("/"), str_of(group));
}

static int setup(void **state)
{
    (void)state;
    memset(nodes, 0, sizeof(nodes));
    queued = 0;
    now_ms = 1000000;
    loss_percent = 0;
    lost_text = NULL;
    srand(11);
    for (unsigned i = 0; i < 3; i++) {
        start(i);
        connect_node(i);
    }
    run(1000);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    run_bus();
    for (unsigned i = 0; i < NODES; i++)
        presence_free(nodes[i].p);
    return 0;
}

/* ---- a healthy cluster --------------------------------------------------- */

static void nodes_find_each_other(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(presence_peers(nodes[i].p), 2);
        assert_int_equal(nodes[i].n_peers[PEER_FOUND], 2);
    }
}

static void an_entry_is_known_everywhere_at_once(void **state)
{
    (void)state;
    set(0, "room", "a", "{\"name\":\"Ann\"}");
    run_bus();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(count(i, "room"), 1);
        assert_int_equal(nodes[i].n_events[PRESENCE_ENTER], 1);
        assert_string_equal(nodes[i].last, "room/a={\"name\":\"Ann\"}");
    }
}

static void a_new_meta_is_an_update(void **state)
{
    (void)state;
    set(0, "room", "a", "1");
    set(0, "room", "a", "1");
    set(0, "room", "a", "2");
    run_bus();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(count(i, "room"), 1);
        assert_int_equal(nodes[i].n_events[PRESENCE_ENTER], 1);
        assert_int_equal(nodes[i].n_events[PRESENCE_UPDATE], 1);
        assert_string_equal(nodes[i].last, "room/a=2");
    }
}

static void clearing_is_known_everywhere_at_once(void **state)
{
    (void)state;
    set(0, "room", "a", "");
    set(1, "room", "b", "null");
    clear(0, "room", "a");
    clear(0, "room", "a");
    clear(0, "room", "b");
    run_bus();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(count(i, "room"), 1);
        assert_int_equal(nodes[i].n_events[PRESENCE_LEAVE], 1);
    }
}

static void the_same_key_on_two_nodes_is_two_entries(void **state)
{
    (void)state;
    set(0, "room", "a", "0");
    set(1, "room", "a", "1");
    run_bus();
    assert_int_equal(count(2, "room"), 2);
    clear(0, "room", "a");
    run_bus();
    assert_int_equal(count(2, "room"), 1);
}

static void namespaces_and_groups_are_apart(void **state)
{
    (void)state;
    set(0, "ab", "c", "1");
    set(0, "a", "bc", "1");
    set(0, "", "", "1");
    run_bus();
    assert_int_equal(count(1, "ab"), 1);
    assert_int_equal(count(1, "a"), 1);
    assert_int_equal(count(1, ""), 1);
    assert_int_equal(presence_count(nodes[1].p, STR("/x"), STR("ab")), 0);
}

static void all_entries_of_a_member_go_together(void **state)
{
    (void)state;
    set(0, "x", "a", "1");
    set(0, "y", "a", "1");
    set(0, "y", "b", "1");
    set(1, "y", "a", "1");
    presence_clear_member(nodes[0].p, STR("/"), STR("a"));
    presence_clear_member(nodes[0].p, STR("/"), STR("nobody"));
    run_bus();
    assert_int_equal(count(2, "x"), 0);
    assert_int_equal(count(2, "y"), 2);
    presence_clear_namespace(nodes[0].p, STR("/"));
    run_bus();
    assert_int_equal(count(2, "y"), 1);
}

static bool add_key(void *arg, struct str key, struct str meta)
{
    char *out = arg;
    size_t at = strlen(out);
    (void)snprintf(out + at, 64 - at, "%.*s=%.*s;", STR_ARG(key),
                   STR_ARG(meta));
    return at < 8;
}

static void entries_can_be_walked_until_told_to_stop(void **state)
{
    (void)state;
    char text[64] = "";
    set(0, "room", "a", "1");
    run_bus();
    set(1, "room", "b", "[2]");
    run_bus();
    set(2, "room", "c", "3");
    set(2, "room", "d", "4");
    run_bus();
    presence_each(nodes[1].p, STR("/"), STR("room"), add_key, text);
    assert_string_equal(text, "a=1;b=[2];c=3;");
    text[0] = '\0';
    presence_each(nodes[1].p, STR("/"), STR("none"), add_key, text);
    assert_string_equal(text, "");
}

static void a_newcomer_learns_everything(void **state)
{
    (void)state;
    set(0, "room", "a", "\"gr\xC3\xBC\xC3\x9F\\n\"");
    set(1, "room", "\"b\\", "[1,2]");
    start(3);
    set(3, "room", "d", "true");
    connect_node(3);
    run(1500);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(count(i, "room"), 3);
        assert_int_equal(presence_peers(nodes[i].p), 3);
    }
    assert_int_equal(nodes[3].n_events[PRESENCE_ENTER], 3);
}

static void without_a_cluster_it_works_locally(void **state)
{
    (void)state;
    start(4);
    set(4, "room", "a", "1");
    set(4, "room", "b", "1");
    clear(4, "room", "a");
    assert_int_equal(count(4, "room"), 1);
    assert_int_equal(nodes[4].n_sent, 0);
    assert_int_equal(nodes[4].n_events[PRESENCE_ENTER], 2);
    assert_int_equal(nodes[4].n_events[PRESENCE_LEAVE], 1);
    assert_true(presence_due(nodes[4].p) == UINT64_MAX);
}

static void an_idle_cluster_only_beats(void **state)
{
    (void)state;
    set(0, "room", "a", "1");
    run(LEASE_MS);
    unsigned before = nodes[0].n_sent;
    run(LEASE_MS);
    assert_in_range(nodes[0].n_sent - before, 4, 5);
}

/* ---- leaving ------------------------------------------------------------- */

static void goodbye_takes_effect_at_once(void **state)
{
    (void)state;
    set(0, "room", "a", "1");
    set(1, "room", "b", "1");
    run_bus();
    presence_bye(nodes[0].p);
    run_bus();
    for (unsigned i = 1; i < 3; i++) {
        assert_int_equal(count(i, "room"), 1);
        assert_int_equal(presence_peers(nodes[i].p), 1);
        assert_int_equal(nodes[i].n_events[PRESENCE_LEAVE], 1);
        assert_int_equal(nodes[i].n_peers[PEER_LEFT], 1);
    }
    run(2 * LEASE_MS);
    assert_int_equal(presence_peers(nodes[1].p), 1);
}

static void a_killed_node_is_forgotten_after_its_lease(void **state)
{
    (void)state;
    set(0, "room", "a", "1");
    set(0, "room", "b", "1");
    set(1, "room", "c", "1");
    run_bus();
    kill_node(0);
    run(LEASE_MS * 3 / 4 - 100);
    assert_int_equal(count(1, "room"), 3);
    run(LEASE_MS * 3 / 4);
    for (unsigned i = 1; i < 3; i++) {
        assert_int_equal(count(i, "room"), 1);
        assert_int_equal(nodes[i].n_events[PRESENCE_LOST], 2);
        assert_int_equal(nodes[i].n_peers[PEER_LOST], 1);
    }
}

static void a_restarted_node_replaces_itself_after_the_lease(void **state)
{
    (void)state;
    set(0, "room", "old", "1");
    run_bus();
    kill_node(0);
    start(0);
    set(0, "room", "new", "1");
    connect_node(0);
    run(1500);
    assert_int_equal(count(1, "room"), 2);
    run(LEASE_MS * 3 / 2);
    assert_int_equal(count(1, "room"), 1);
    assert_string_equal(nodes[1].last, "room/old=1");
    assert_int_equal(count(0, "room"), 1);
}

/* ---- losses -------------------------------------------------------------- */

static void a_lost_message_is_noticed_by_the_next(void **state)
{
    (void)state;
    lost_text = "\"type\":\"set\"";
    set(0, "room", "a", "1");
    run_bus();
    lost_text = NULL;
    set(0, "room", "b", "1");
    run(200);
    assert_int_equal(count(1, "room"), 2);
}

static void a_lost_last_message_is_noticed_by_the_beat(void **state)
{
    (void)state;
    lost_text = "\"type\":\"set\"";
    set(0, "room", "a", "1");
    run_bus();
    lost_text = NULL;
    assert_int_equal(count(1, "room"), 0);
    run(LEASE_MS / 4 + 200);
    assert_int_equal(count(1, "room"), 1);
}

static void equal_counts_do_not_hide_a_loss(void **state)
{
    (void)state;
    set(0, "room", "a", "1");
    run_bus();
    lost_text = "\"node\":\"00000000"; /* everything of node 0 */
    set(0, "room", "b", "1");
    clear(0, "room", "a");
    run_bus();
    lost_text = "\"want\"";
    set(0, "room", "c", "1");
    run_bus();
    lost_text = NULL;
    /* Node 1 has a and c where b and c should be. */
    assert_int_equal(count(1, "room"), 2);
    run(LEASE_MS);
    char text[64] = "";
    presence_each(nodes[1].p, STR("/"), STR("room"), add_key, text);
    assert_string_equal(text, "c=1;b=1;");
}

static void what_comes_twice_counts_once(void **state)
{
    (void)state;
    char text[200];
    set(1, "room", "a", "1");
    clear(1, "room", "a");
    run_bus();
    (void)snprintf(text, sizeof(text),
                   "{\"v\":1,\"type\":\"set\",\"node\":\"%08x%08x\","
                   "\"seq\":1,\"entry\":[\"/\",\"room\",\"a\",1]}",
                   1, nodes[1].incarnation);
    assert_int_equal(presence_receive(nodes[0].p, str_of(text), now_ms), 0);
    assert_int_equal(count(0, "room"), 0);
}

static void a_lost_answer_is_asked_for_again(void **state)
{
    (void)state;
    set(0, "room", "a", "1");
    run_bus();
    lost_text = "\"full\"";
    start(3);
    connect_node(3);
    run(1000);
    assert_int_equal(count(3, "room"), 0);
    lost_text = NULL;
    run(LEASE_MS);
    assert_int_equal(count(3, "room"), 1);
}

/* ---- without Redis ------------------------------------------------------- */

static void nobody_is_forgotten_while_the_bus_is_away(void **state)
{
    (void)state;
    set(0, "room", "a", "1");
    set(1, "room", "b", "1");
    run_bus();
    for (unsigned i = 0; i < 3; i++)
        disconnect_node(i);
    run(LEASE_MS * 10);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(count(i, "room"), 2);
        connect_node(i);
        run(1000);
    }
    run(LEASE_MS * 2);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(count(i, "room"), 2);
        assert_int_equal(nodes[i].n_events[PRESENCE_LOST], 0);
    }
}

static void changes_meanwhile_are_learned_afterwards(void **state)
{
    (void)state;
    set(0, "room", "a", "1");
    set(1, "room", "b", "1");
    run_bus();
    for (unsigned i = 0; i < 3; i++)
        disconnect_node(i);
    clear(0, "room", "a");
    set(0, "room", "c", "1");
    set(2, "room", "d", "1");
    for (unsigned i = 0; i < 3; i++)
        connect_node(i);
    run(1500);
    for (unsigned i = 0; i < 3; i++) {
        char text[64] = "";
        assert_int_equal(count(i, "room"), 3);
        presence_each(nodes[i].p, STR("/"), STR("room"), add_key, text);
        assert_null(strstr(text, "a="));
    }
}

static void nothing_is_asked_when_nothing_changed(void **state)
{
    (void)state;
    set(0, "room", "a", "1");
    set(1, "room", "b", "1");
    run_bus();
    for (unsigned i = 0; i < 3; i++)
        disconnect_node(i);
    run(LEASE_MS);
    unsigned before = nodes[0].n_sent;
    for (unsigned i = 0; i < 3; i++)
        connect_node(i);
    run(1000);
    /* Its hello and one beat for the others'. */
    assert_in_range(nodes[0].n_sent - before, 1, 2);
}

static void who_died_meanwhile_gets_a_whole_lease_and_goes(void **state)
{
    (void)state;
    set(0, "room", "a", "1");
    run_bus();
    for (unsigned i = 0; i < 3; i++)
        disconnect_node(i);
    kill_node(0);
    run(LEASE_MS * 3);
    connect_node(1);
    connect_node(2);
    run(LEASE_MS * 3 / 4);
    assert_int_equal(count(1, "room"), 1);
    run(LEASE_MS);
    assert_int_equal(count(1, "room"), 0);
}

static void who_comes_back_later_is_not_taken_for_dead(void **state)
{
    (void)state;
    for (unsigned i = 0; i < NODES; i++)
        kill_node(i);
    lease_ms = 400;
    for (unsigned i = 0; i < 2; i++) {
        start(i);
        connect_node(i);
    }
    lease_ms = LEASE_MS;
    set(0, "room", "a", "1");
    run(1000);
    assert_int_equal(count(1, "room"), 1);
    unsigned lost = nodes[1].n_peers[PEER_LOST];
    disconnect_node(0);
    disconnect_node(1);
    run(10000);
    connect_node(1);
    run(3500);
    assert_int_equal(count(1, "room"), 1);
    connect_node(0);
    run(1000);
    assert_int_equal(count(1, "room"), 1);
    assert_int_equal(nodes[1].n_peers[PEER_LOST], lost);
    /* From then on the lease counts. */
    kill_node(0);
    run(600);
    assert_int_equal(count(1, "room"), 0);
}

static void a_bus_that_hangs_proves_nothing(void **state)
{
    (void)state;
    set(0, "room", "a", "1");
    run_bus();
    /* Connections look well, but nothing comes through. */
    loss_percent = 100;
    run(LEASE_MS * 5);
    assert_int_equal(count(1, "room"), 1);
    loss_percent = 0;
    run(LEASE_MS * 3);
    assert_int_equal(count(1, "room"), 1);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(nodes[i].n_peers[PEER_LOST], 0);
}

/* ---- size ---------------------------------------------------------------- */

static void large_states_come_in_parts_while_they_change(void **state)
{
    (void)state;
    char key[32], meta[128];
    enum { MANY = 5000 };
    memset(meta, 'm', sizeof(meta));
    meta[0] = meta[100] = '"';
    meta[101] = '\0';
    for (unsigned k = 0; k < MANY; k++) {
        (void)snprintf(key, sizeof(key), "key%u", k);
        set(0, "room", key, meta);
    }
    run_bus();
    start(3);
    connect_node(3);
    run(350);
    for (unsigned k = 0; k < MANY; k += 3) {
        (void)snprintf(key, sizeof(key), "key%u", k);
        clear(0, "room", key);
        (void)snprintf(key, sizeof(key), "new%u", k);
        set(0, "room", key, "1");
        if (k % 50 == 0)
            run(STEP_MS);
    }
    run(2000);
    assert_int_equal(count(0, "room"), MANY);
    assert_int_equal(count(3, "room"), MANY);
    assert_int_equal(count(1, "room"), MANY);
    for (unsigned k = 0; k < MANY; k++) {
        (void)snprintf(key, sizeof(key), "key%u", k);
        clear(0, "room", key);
        (void)snprintf(key, sizeof(key), "new%u", k);
        clear(0, "room", key);
    }
    run(1000);
    assert_int_equal(count(3, "room"), 0);
}

static void entries_may_go_while_they_are_told(void **state)
{
    (void)state;
    char text[200];
    for (unsigned k = 0; k < 5000; k++) {
        (void)snprintf(text, sizeof(text), "key%u", k);
        set(0, "room", text, "\"some text that takes its place\"");
    }
    run_bus();
    (void)snprintf(text, sizeof(text),
                   "{\"v\":1,\"type\":\"want\",\"node\":\"%08x%08x\","
                   "\"of\":\"%08x%08x\"}",
                   1, nodes[1].incarnation, 0, nodes[0].incarnation);
    assert_int_equal(presence_receive(nodes[0].p, str_of(text), now_ms), 0);
    run(2 * STEP_MS);
    presence_clear_namespace(nodes[0].p, STR("/"));
    run(1000);
    assert_int_equal(count(1, "room"), 0);
}

static void many_questions_get_few_answers(void **state)
{
    (void)state;
    set(1, "room", "a", "1");
    run(2000);
    unsigned before = nodes[1].n_sent;
    for (unsigned k = 0; k < 300; k++) {
        char text[200];
        (void)snprintf(text, sizeof(text),
                       "{\"v\":1,\"type\":\"want\",\"node\":"
                       "\"%08x%08x\",\"of\":\"%08x%08x\"}",
                       0, nodes[0].incarnation, 1, nodes[1].incarnation);
        assert_int_equal(presence_receive(nodes[1].p, str_of(text), now_ms), 0);
        (void)snprintf(text, sizeof(text),
                       "{\"v\":1,\"type\":\"hello\",\"node\":"
                       "\"%08x%08x\",\"seq\":0,\"count\":0}",
                       0, nodes[0].incarnation);
        assert_int_equal(presence_receive(nodes[1].p, str_of(text), now_ms), 0);
        run(STEP_MS);
    }
    /* 3 s: an answer a second and four beats a second. */
    assert_in_range(nodes[1].n_sent - before, 3, 18);
}

static void own_entries_are_bounded(void **state)
{
    (void)state;
    struct presence *p = nodes[0].p;
    char *big = mem_zalloc(PRESENCE_META_MAX + 2);
    memset(big, '1', PRESENCE_META_MAX + 1);
    assert_int_equal(
        presence_set(p, STR("/"), (struct str){big, 257}, STR("k"), STR("1")),
        ERR_LIMIT);
    assert_int_equal(
        presence_set(p, STR("/"), STR("g"), (struct str){big, 257}, STR("1")),
        ERR_LIMIT);
    assert_int_equal(presence_set(p, STR("/"), STR("g"), STR("k"),
                                  (struct str){big, PRESENCE_META_MAX + 1}),
                     ERR_LIMIT);
    assert_int_equal(presence_set(p, STR("/"), STR("g"), STR("k"),
                                  (struct str){big, PRESENCE_META_MAX}),
                     0);
    assert_int_equal(presence_set(p, STR("/"), STR("g"), STR("k"), STR("{")),
                     ERR_PROTO);
    assert_int_equal(presence_set(p, STR("/"), STR("\xff"), STR("k"), STR("1")),
                     ERR_PROTO);
    run_bus();
    assert_int_equal(count(1, "g"), 1);
    mem_free(big);
}

static void peers_are_bounded(void **state)
{
    (void)state;
    char text[200];
    for (unsigned k = 0; k < PRESENCE_PEERS_MAX + 10; k++) {
        (void)snprintf(text, sizeof(text),
                       "{\"v\":1,\"type\":\"beat\",\"node\":\"%016x\","
                       "\"seq\":0,\"count\":0,\"name\":\"node\"}",
                       k + 100);
        int rc = presence_receive(nodes[0].p, str_of(text), now_ms);
        assert_int_equal(rc, k < PRESENCE_PEERS_MAX - 2 ? 0 : ERR_LIMIT);
    }
    assert_int_equal(presence_peers(nodes[0].p), PRESENCE_PEERS_MAX);
    run(LEASE_MS * 2);
    assert_int_equal(presence_peers(nodes[0].p), 2);
}

static void a_peer_that_has_too_much_is_asked_ever_less(void **state)
{
    (void)state;
    char text[200];
    unsigned before = nodes[0].n_sent;
    for (unsigned k = 0; k < 120; k++) {
        (void)snprintf(text, sizeof(text),
                       "{\"v\":1,\"type\":\"beat\",\"node\":\"%016x\","
                       "\"seq\":5,\"count\":3,\"name\":\"node\"}",
                       77);
        assert_int_equal(presence_receive(nodes[0].p, str_of(text), now_ms), 0);
        run(1000);
    }
    /* 61 beats of its own, and a question after 1, 2, 4, 8, 16, 30, 30... s */
    assert_in_range(nodes[0].n_sent - before, 60 + 5, 62 + 10);
}

static void malformed_messages_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{",
        "[]",
        "7",
        "{\"v\":1}",
        "{\"v\":1,\"type\":\"bye\",\"node\":\"short\"}",
        "{\"v\":1,\"type\":\"bye\",\"node\":\"0123456789ABCDEF\"}",
        "{\"type\":\"bye\",\"node\":\"0123456789abcdef\"}",
        "{\"v\":\"1\",\"type\":\"bye\",\"node\":\"0123456789abcdef\"}",
        "{\"v\":1,\"type\":\"beat\",\"node\":\"0123456789abcdef\"}",
        "{\"v\":1,\"type\":\"beat\",\"node\":\"0123456789abcdef\","
        "\"seq\":-1,\"count\":0}",
        "{\"v\":1,\"type\":\"set\",\"node\":\"0123456789abcdef\",\"seq\":1}",
        "{\"v\":1,\"type\":\"set\",\"node\":\"0123456789abcdef\",\"seq\":1,"
        "\"entry\":{}}",
        "{\"v\":1,\"type\":\"want\",\"node\":\"0123456789abcdef\",\"of\":7}",
        "{\"v\":1,\"type\":\"full\",\"node\":\"0123456789abcdef\",\"seq\":1,"
        "\"count\":1,\"part\":0,\"last\":true}",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        if (presence_receive(nodes[0].p, str_of(bad[i]), now_ms) == 0)
            fail_msg("accepted: %s", bad[i]);
    }
    assert_int_equal(presence_peers(nodes[0].p), 2);
}

static void malformed_entries_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "[]",
        "[\"/\",\"g\",\"k\"]",
        "[1,2,3,4]",
        "[\"/\",\"g\",null,1]",
    };
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[300];
        (void)snprintf(text, sizeof(text),
                       "{\"v\":1,\"type\":\"set\",\"node\":\"%08x%08x\","
                       "\"seq\":%u,\"entry\":%s}",
                       1, nodes[1].incarnation, i + 1, bad[i]);
        assert_int_equal(presence_receive(nodes[0].p, str_of(text), now_ms),
                         ERR_PROTO);
    }
    /* That was no message of node 1: the truth comes out. */
    run(LEASE_MS);
    set(1, "room", "a", "1");
    run_bus();
    assert_int_equal(count(0, "room"), 1);
}

/* ---- relaying ------------------------------------------------------------ */

#define TOKEN "0123456789abcdefghij-_"

static void announce(unsigned i, const char *tag, const char *address)
{
    struct presence_relay r = {.address_len = strlen(address)};
    memcpy(r.tag, tag, sizeof(r.tag));
    memcpy(r.token, TOKEN, sizeof(r.token));
    memcpy(r.address, address, r.address_len);
    presence_announce(nodes[i].p, &r);
}

static bool reaches(unsigned i, const char *tag, const char *address)
{
    const struct presence_relay *r = presence_relay_of(nodes[i].p, str_of(tag));
    return r && memcmp(r->token, TOKEN, sizeof(r->token)) == 0 &&
           str_eq((struct str){r->address, r->address_len}, str_of(address));
}

static void nodes_know_where_to_reach_each_other(void **state)
{
    (void)state;
    announce(1, "tag-_1", "10.0.0.1:3000");
    announce(2, "tag-_2", "[fd00::1]:3000");
    run(LEASE_MS / 4 + STEP_MS);
    assert_true(reaches(0, "tag-_1", "10.0.0.1:3000"));
    assert_true(reaches(0, "tag-_2", "[fd00::1]:3000"));
    assert_null(presence_relay_of(nodes[1].p, STR("tag-_1")));
    assert_null(presence_relay_of(nodes[0].p, STR("tag-_3")));
    assert_null(presence_relay_of(nodes[0].p, STR("")));
    /* Also what is new of one that is known. */
    announce(2, "tag-_2", "node-2.example:80");
    run(LEASE_MS / 4 + STEP_MS);
    assert_true(reaches(0, "tag-_2", "node-2.example:80"));
    announce(2, "tag-_9", "node-2.example:80");
    run(LEASE_MS / 4 + STEP_MS);
    assert_null(presence_relay_of(nodes[0].p, STR("tag-_2")));
    assert_true(reaches(0, "tag-_9", "node-2.example:80"));
}

static void who_is_gone_is_not_reached(void **state)
{
    (void)state;
    announce(1, "tag-_1", "10.0.0.1:3000");
    announce(2, "tag-_2", "10.0.0.2:3000");
    run(LEASE_MS / 4 + STEP_MS);
    kill_node(1);
    presence_bye(nodes[2].p);
    run_bus();
    assert_true(reaches(0, "tag-_1", "10.0.0.1:3000"));
    assert_null(presence_relay_of(nodes[0].p, STR("tag-_2")));
    run(2 * LEASE_MS);
    assert_null(presence_relay_of(nodes[0].p, STR("tag-_1")));
}

static void a_tag_belongs_to_who_said_it_first(void **state)
{
    (void)state;
    announce(1, "tag-_1", "10.0.0.1:3000");
    run(LEASE_MS / 4 + STEP_MS);
    announce(2, "tag-_1", "10.0.0.2:3000");
    run(LEASE_MS);
    assert_true(reaches(0, "tag-_1", "10.0.0.1:3000"));
    kill_node(1);
    run(2 * LEASE_MS);
    assert_true(reaches(0, "tag-_1", "10.0.0.2:3000"));
}

static void what_is_no_address_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *tag, *token, *address;
    } bad[] = {
        {"tag-_", TOKEN, "a:1"},       {"tag-_77", TOKEN, "a:1"},
        {"tag- 7", TOKEN, "a:1"},      {"tag-_7", "short", "a:1"},
        {"tag-_7", TOKEN, ""},         {"tag-_7", TOKEN, "a"},
        {"tag-_7", TOKEN, ":1"},       {"tag-_7", TOKEN, "a:"},
        {"tag-_7", TOKEN, "a:0"},      {"tag-_7", TOKEN, "a:65536"},
        {"tag-_7", TOKEN, "a:1x"},     {"tag-_7", TOKEN, "a b:1"},
        {"tag-_7", TOKEN, "a/b:1"},    {"tag-_7", TOKEN, "::1:1"},
        {"tag-_7", TOKEN, "[]:1"},     {"tag-_7", TOKEN, "[:1"},
        {"tag-_7", TOKEN, "[a.b]x:1"}, {"tag-_7", TOKEN, "a@b:1"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[300];
        (void)snprintf(text, sizeof(text),
                       "{\"v\":1,\"type\":\"beat\",\"node\":\"%016x\","
                       "\"seq\":0,\"count\":0,\"name\":\"node\",\"tag\":"
                       "\"%s\",\"token\":\"%s\",\"relay\":\"%s\"}",
                       77, bad[i].tag, bad[i].token, bad[i].address);
        /* The node itself is as good as any. */
        assert_int_equal(presence_receive(nodes[0].p, str_of(text), now_ms), 0);
        if (presence_relay_of(nodes[0].p, str_of(bad[i].tag)))
            fail_msg("accepted: %s", text);
    }
    assert_int_equal(presence_peers(nodes[0].p), 3);
}

static void later_versions_are_ignored(void **state)
{
    (void)state;
    assert_int_equal(
        presence_receive(
            nodes[0].p, STR("{\"v\":2,\"node\":\"0123456789abcdef\"}"), now_ms),
        0);
    assert_int_equal(presence_receive(nodes[0].p,
                                      STR("{\"v\":1,\"type\":\"dance\","
                                          "\"node\":\"0123456789abcdef\"}"),
                                      now_ms),
                     0);
    assert_int_equal(presence_peers(nodes[0].p), 2);
}

/* ---- chaos --------------------------------------------------------------- */

static void any_change(void)
{
    char group[16], key[16], meta[16];
    unsigned i = (unsigned)rand() % NODES;
    if (!nodes[i].p)
        return;
    (void)snprintf(group, sizeof(group), "g%d", rand() % 3);
    (void)snprintf(key, sizeof(key), "k%d", rand() % 20);
    (void)snprintf(meta, sizeof(meta), "%d", rand() % 3);
    if (rand() % 3 == 0)
        clear(i, group, key);
    else
        set(i, group, key, meta);
}

static void any_accident(void)
{
    unsigned i = (unsigned)rand() % NODES;
    if (!nodes[i].p) {
        start(i);
        connect_node(i);
    } else if (nodes[i].online && rand() % 2) {
        disconnect_node(i);
    } else if (nodes[i].online && rand() % 2) {
        presence_bye(nodes[i].p);
        kill_node(i);
    } else if (!nodes[i].online) {
        connect_node(i);
    } else {
        kill_node(i);
    }
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

struct listing {
    char line[NODES * 60][16];
    unsigned n;
};

static bool list_entry(void *arg, struct str key, struct str meta)
{
    struct listing *l = arg;
    (void)snprintf(l->line[l->n++], sizeof(l->line[0]), "%.*s=%.*s",
                   STR_ARG(key), STR_ARG(meta));
    return true;
}

static void list_group(unsigned i, const char *group, struct listing *l)
{
    memset(l, 0, sizeof(*l));
    presence_each(nodes[i].p, STR("/"), str_of(group), list_entry, l);
    qsort(l->line, l->n, sizeof(l->line[0]), by_text);
}

static void views_are_equal_after_any_story(void **state)
{
    (void)state;
    static struct listing first, other;
    for (unsigned round = 0; round < 60; round++) {
        loss_percent = round % 3 * 15;
        for (unsigned step = 0; step < 60; step++) {
            any_change();
            if (rand() % 12 == 0)
                any_accident();
            run((uint64_t)(rand() % 400));
        }
        loss_percent = 0;
        for (unsigned i = 0; i < NODES; i++) {
            if (!nodes[i].p)
                start(i);
            if (!nodes[i].online)
                connect_node(i);
        }
        /* The last question may have been put off for this long. */
        run(30000 + LEASE_MS * 2);
        for (unsigned g = 0; g < 3; g++) {
            char group[8];
            (void)snprintf(group, sizeof(group), "g%u", g);
            list_group(0, group, &first);
            for (unsigned i = 0; i < NODES; i++) {
                list_group(i, group, &other);
                assert_memory_equal(&first, &other, sizeof(first));
            }
        }
    }
}

static void events_add_up_to_the_view(void **state)
{
    (void)state;
    loss_percent = 20;
    for (unsigned step = 0; step < 3000; step++) {
        any_change();
        if (rand() % 40 == 0)
            any_accident();
        run((uint64_t)(rand() % 200));
        for (unsigned i = 0; i < NODES; i++) {
            if (!nodes[i].p)
                continue;
            const unsigned *n = nodes[i].n_events;
            assert_int_equal(n[PRESENCE_ENTER] - n[PRESENCE_LEAVE] -
                                 n[PRESENCE_LOST],
                             count(i, "g0") + count(i, "g1") + count(i, "g2"));
        }
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nodes_find_each_other),
        TEST(an_entry_is_known_everywhere_at_once),
        TEST(a_new_meta_is_an_update),
        TEST(clearing_is_known_everywhere_at_once),
        TEST(the_same_key_on_two_nodes_is_two_entries),
        TEST(namespaces_and_groups_are_apart),
        TEST(all_entries_of_a_member_go_together),
        TEST(entries_can_be_walked_until_told_to_stop),
        TEST(a_newcomer_learns_everything),
        TEST(without_a_cluster_it_works_locally),
        TEST(an_idle_cluster_only_beats),
        TEST(goodbye_takes_effect_at_once),
        TEST(a_killed_node_is_forgotten_after_its_lease),
        TEST(a_restarted_node_replaces_itself_after_the_lease),
        TEST(a_lost_message_is_noticed_by_the_next),
        TEST(a_lost_last_message_is_noticed_by_the_beat),
        TEST(equal_counts_do_not_hide_a_loss),
        TEST(what_comes_twice_counts_once),
        TEST(a_lost_answer_is_asked_for_again),
        TEST(nobody_is_forgotten_while_the_bus_is_away),
        TEST(changes_meanwhile_are_learned_afterwards),
        TEST(nothing_is_asked_when_nothing_changed),
        TEST(who_died_meanwhile_gets_a_whole_lease_and_goes),
        TEST(who_comes_back_later_is_not_taken_for_dead),
        TEST(a_bus_that_hangs_proves_nothing),
        TEST(large_states_come_in_parts_while_they_change),
        TEST(entries_may_go_while_they_are_told),
        TEST(many_questions_get_few_answers),
        TEST(own_entries_are_bounded),
        TEST(peers_are_bounded),
        TEST(a_peer_that_has_too_much_is_asked_ever_less),
        TEST(malformed_messages_are_refused),
        TEST(malformed_entries_are_refused),
        TEST(nodes_know_where_to_reach_each_other),
        TEST(who_is_gone_is_not_reached),
        TEST(a_tag_belongs_to_who_said_it_first),
        TEST(what_is_no_address_is_none),
        TEST(later_versions_are_ignored),
        TEST(views_are_equal_after_any_story),
        TEST(events_add_up_to_the_view),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
