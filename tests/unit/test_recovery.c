#include "adapter/recovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/mem.h"
#include "common/metrics.h"

enum { MEMBERS = 8, START_US = 1000000, AWAY = 100 };

static struct recovery *recovery;
static struct recovery_nsp *ns;
static struct rooms rooms;
static struct member members[MEMBERS];
static char ids[MEMBERS][ID_LEN];
static char got[1024];

static void start(struct recovery_settings s)
{
    recovery = recovery_new(&s, START_US);
    ns = recovery_open(recovery, STR("/"));
    rooms_init(&rooms);
}

static const struct recovery_settings roomy = {
    .max_disconnection_ms = AWAY,
    .packets = 100,
    .bytes = 1 << 20,
    .saved_bytes = 1 << 20,
    .missed_bytes = 1000,
};

static int setup(void **state)
{
    (void)state;
    start(roomy);
    return 0;
}

static void go(unsigned i, uint64_t now, bool save, struct str data)
{
    struct member *m = &members[i];
    recovery_leave(m->session);
    struct recovery_session *s = recovery_detach(m);
    rooms_remove(&rooms, m);
    struct bytes *b = data.len ? bytes_new(data) : NULL;
    if (save)
        recovery_save(s, now, b);
    else
        recovery_drop(s);
    bytes_unref(b);
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (members[i].session)
            go(i, 1, false, STR(""));
    }
    if (ns)
        recovery_close(ns);
    rooms_fini(&rooms);
    recovery_free(recovery);
    return 0;
}

static void note(void *arg, struct packet *p)
{
    (void)arg;
    size_t at = strlen(got);
    (void)snprintf(got + at, sizeof(got) - at, "%.*s",
                   STR_ARG(bytes_str(p->data)));
}

static bool welcome(unsigned i)
{
    got[0] = '\0';
    return recovery_welcome(members[i].session, note, NULL);
}

/* A member of its own room and one more; its pid. */
static struct str come(unsigned i, const char *room)
{
    id_random(ids[i], ID_LEN);
    rooms_add(&rooms, &members[i], (struct str){ids[i], ID_LEN});
    recovery_begin(ns, &members[i]);
    if (room)
        rooms_join(&rooms, &members[i], str_of(room));
    assert_true(welcome(i));
    static char pids[MEMBERS][ID_LEN];
    memcpy(pids[i], members[i].session->pid, ID_LEN);
    return (struct str){pids[i], ID_LEN};
}

struct offset {
    char text[PACKET_OFFSET_MAX];
    size_t len;
    uint64_t number;
};

static struct str text_of(const struct offset *o)
{
    return (struct str){o->text, o->len};
}

/* To those of a room, or to all; sent to member `to` when it is not negative.
 */
static struct offset record(uint64_t now, const char *data, const char *room,
                            int to)
{
    struct str name = str_of(room ? room : "");
    struct broadcast b = {.rooms = &name, .n_rooms = room ? 1 : 0};
    struct bytes *text = bytes_new(str_of(data));
    struct packet *p =
        packet_new(PACKET_EVENT, STR("/"), PACKET_NO_ACK, text, NULL, 0);
    struct offset o = {.number = recovery_record(ns, now, p, &b)};
    o.len = packet_offset(p).len;
    memcpy(o.text, packet_offset(p).p, o.len);
    if (to >= 0)
        recovery_sent(members[to].session, o.number);
    packet_unref(p);
    bytes_unref(text);
    return o;
}

static struct recovery_session *found;

static enum recovery_result find(struct str pid, struct str offset,
                                 uint64_t now)
{
    found = NULL;
    return recovery_find(ns, pid, offset, now, &found);
}

/* The session that was found, as a member. */
static void resume(unsigned i)
{
    memcpy(ids[i], found->id, ID_LEN);
    rooms_add(&rooms, &members[i], (struct str){ids[i], ID_LEN});
    struct bytes *data = recovery_resume(found, &members[i]);
    bytes_unref(data);
    for (uint32_t r = 1; r < found->n_rooms; r++)
        rooms_join(&rooms, &members[i], found->rooms[r]);
}

static void comes_back_to_its_rooms_data_and_events(void **state)
{
    (void)state;
    struct str pid = come(0, "r");
    struct offset a = record(1, "a", NULL, 0);
    go(0, 10, true, STR("{\"x\":1}"));
    record(11, "b", "r", -1);
    record(12, "c", "q", -1);
    record(13, "d", NULL, -1);
    assert_int_equal(find(pid, text_of(&a), 20), RECOVERY_FOUND);
    assert_true(str_eq(bytes_str(found->data), STR("{\"x\":1}")));
    assert_int_equal(found->n_rooms, 2);
    resume(0);
    assert_true(rooms_has(&members[0], STR("r")));
    assert_true(welcome(0));
    assert_string_equal(got, "bd");
    assert_int_equal(find(pid, text_of(&a), 20), RECOVERY_LIVE);
}

static void the_offset_decides_when_the_last_event_was_lost(void **state)
{
    (void)state;
    struct str pid = come(0, "r");
    struct offset a = record(1, "a", NULL, 0), b = record(2, "b", "r", 0);
    record(3, "c", "r", 0);
    go(0, 10, true, STR(""));
    record(11, "d", NULL, -1);
    assert_int_equal(find(pid, text_of(&b), 20), RECOVERY_FOUND);
    assert_int_equal(find(pid, text_of(&a), 20), RECOVERY_FOUND);
    resume(0);
    assert_true(welcome(0));
    assert_string_equal(got, "bcd");
    assert_int_equal(find(pid, STR("nonsense"), 20), RECOVERY_LIVE);
    go(0, 21, true, STR(""));
    assert_int_equal(find(pid, STR("nonsense"), 22), RECOVERY_UNKNOWN_OFFSET);
    assert_int_equal(find(pid, STR(""), 22), RECOVERY_UNKNOWN_OFFSET);
}

/* What was before its time is not for it, whatever offset it has from then. */
static void an_offset_of_an_earlier_session(void **state)
{
    (void)state;
    struct offset old = record(1, "old", NULL, -1);
    record(1, "before", NULL, -1);
    struct str pid = come(0, NULL);
    record(2, "lost", NULL, 0);
    go(0, 3, true, STR(""));
    assert_int_equal(find(pid, text_of(&old), 4), RECOVERY_FOUND);
    resume(0);
    assert_true(welcome(0));
    assert_string_equal(got, "lost");
}

static void without_any_event_the_offset_does_not_matter(void **state)
{
    (void)state;
    struct str pid = come(0, NULL);
    record(1, "for another", "q", -1);
    go(0, 2, true, STR(""));
    record(3, "a", NULL, -1);
    assert_int_equal(find(pid, STR(""), 4), RECOVERY_FOUND);
    assert_int_equal(find(pid, STR("nonsense"), 4), RECOVERY_FOUND);
    resume(0);
    assert_true(welcome(0));
    assert_string_equal(got, "a");
}

static void the_last_event_may_be_out_of_the_log(void **state)
{
    (void)state;
    struct str pid = come(0, NULL);
    struct offset a = record(1, "a", NULL, 0);
    recovery_expire(recovery, 1000);
    go(0, 1000, true, STR(""));
    record(1001, "b", NULL, -1);
    assert_int_equal(find(pid, text_of(&a), 1002), RECOVERY_FOUND);
    resume(0);
    assert_true(welcome(0));
    assert_string_equal(got, "b");
}

static void pids_are_of_their_namespace(void **state)
{
    (void)state;
    struct str pid = come(0, NULL);
    struct recovery_nsp *other = recovery_open(recovery, STR("/other"));
    go(0, 1, true, STR(""));
    struct recovery_session *s;
    assert_int_equal(recovery_find(other, pid, STR(""), 2, &s),
                     RECOVERY_UNKNOWN_PID);
    struct str id = {ids[0], ID_LEN};
    assert_int_equal(find(id, STR(""), 2), RECOVERY_UNKNOWN_PID);
    assert_int_equal(find(STR(""), STR(""), 2), RECOVERY_UNKNOWN_PID);
    assert_int_equal(find(pid, STR(""), 2), RECOVERY_FOUND);
    recovery_close(other);
}

static void sessions_grow_too_old(void **state)
{
    (void)state;
    struct str pid = come(0, NULL);
    go(0, 1000, true, STR(""));
    assert_int_equal(find(pid, STR(""), 1000 + AWAY), RECOVERY_FOUND);
    assert_int_equal(find(pid, STR(""), 1001 + AWAY), RECOVERY_EXPIRED);
    recovery_expire(recovery, 1001 + AWAY);
    assert_int_equal(find(pid, STR(""), 1001 + AWAY), RECOVERY_UNKNOWN_PID);
}

static void the_oldest_sessions_give_way(void **state)
{
    (void)teardown(state);
    struct recovery_settings s = roomy;
    s.saved_bytes = 1500;
    start(s);
    struct str pid[3];
    static char data[400];
    memset(data, ' ', sizeof(data));
    uint64_t before = metrics_value[M_RECOVERY_DROPPED_SESSIONS];
    for (unsigned i = 0; i < 3; i++)
        pid[i] = come(i, "a room");
    for (unsigned i = 0; i < 3; i++)
        go(i, i, true, (struct str){data, sizeof(data)});
    assert_int_equal(find(pid[0], STR(""), 3), RECOVERY_UNKNOWN_PID);
    assert_int_equal(find(pid[1], STR(""), 3), RECOVERY_FOUND);
    assert_int_equal(find(pid[2], STR(""), 3), RECOVERY_FOUND);
    assert_int_equal(metrics_value[M_RECOVERY_DROPPED_SESSIONS], before + 1);
    static char large[2000];
    memset(large, ' ', sizeof(large));
    pid[0] = come(0, NULL);
    go(0, 4, true, (struct str){large, sizeof(large)}); /* pushes out itself */
    assert_int_equal(find(pid[0], STR(""), 4), RECOVERY_UNKNOWN_PID);
}

static void a_gap_that_the_log_cannot_fill(void **state)
{
    (void)teardown(state);
    struct recovery_settings s = roomy;
    s.packets = 3;
    start(s);
    struct str pid = come(0, NULL);
    struct offset a = record(1, "a", NULL, 0);
    go(0, 2, true, STR(""));
    for (int i = 0; i < 3; i++)
        record(3, "x", NULL, -1);
    assert_int_equal(find(pid, text_of(&a), 4), RECOVERY_FOUND);
    record(3, "y", "not its room", -1);
    assert_int_equal(find(pid, text_of(&a), 4), RECOVERY_TRIMMED);
}

static void more_than_may_be_sent_at_once(void **state)
{
    (void)state;
    struct str pid = come(0, NULL);
    static char large[501];
    memset(large, 'x', 500);
    go(0, 2, true, STR(""));
    record(3, large, NULL, -1);
    record(3, large, NULL, -1);
    record(3, large, "not its room", -1);
    assert_int_equal(find(pid, STR(""), 4), RECOVERY_FOUND);
    record(3, "x", NULL, -1);
    assert_int_equal(find(pid, STR(""), 4), RECOVERY_TOO_MUCH);
}

/* A middleware takes its time: what happens meanwhile is missed, too. */
static void welcomed_later(void **state)
{
    (void)state;
    struct str pid = come(0, NULL);
    go(0, 1, true, STR(""));
    record(2, "a", NULL, -1);
    assert_int_equal(find(pid, STR(""), 3), RECOVERY_FOUND);
    resume(0);
    record(4, "b", NULL, -1);
    assert_true(welcome(0));
    assert_string_equal(got, "ab");
}

static void never_welcomed_is_as_before(void **state)
{
    (void)state;
    struct str first = come(0, "r"), second = come(1, NULL);
    struct offset a = record(1, "a", NULL, 0);
    go(0, 1, true, STR("{}"));
    record(2, "b", "r", -1);
    go(1, 50, true, STR(""));
    assert_int_equal(find(first, text_of(&a), 60), RECOVERY_FOUND);
    resume(0);
    record(61, "c", NULL, -1);
    go(0, 70, true, STR("{}"));
    assert_int_equal(find(first, text_of(&a), 71), RECOVERY_FOUND);
    /* It is as old as it was: the other one stays longer. */
    recovery_expire(recovery, 2 + AWAY);
    assert_int_equal(find(first, text_of(&a), 2 + AWAY), RECOVERY_UNKNOWN_PID);
    assert_int_equal(find(second, STR(""), 2 + AWAY), RECOVERY_FOUND);
}

static void never_welcomed_misses_nothing(void **state)
{
    (void)state;
    struct str pid = come(0, "r");
    struct offset a = record(1, "a", NULL, 0);
    record(1, "lost", "r", 0);
    go(0, 2, true, STR(""));
    assert_int_equal(find(pid, text_of(&a), 3), RECOVERY_FOUND);
    resume(0);
    record(4, "b", NULL, -1);
    go(0, 5, true, STR(""));
    record(6, "c", "r", -1);
    assert_int_equal(find(pid, text_of(&a), 7), RECOVERY_FOUND);
    resume(0);
    assert_true(welcome(0));
    assert_string_equal(got, "lostbc");
}

static void never_welcomed_has_left_when_it_left_first(void **state)
{
    (void)state;
    struct str pid = come(0, "r");
    go(0, 1, true, STR(""));
    record(2, "a", "r", -1);
    assert_int_equal(find(pid, STR(""), 3), RECOVERY_FOUND);
    resume(0);
    record(4, "b", "r", -1);
    go(0, 5, true, STR(""));
    record(6, "c", "r", -1);
    assert_int_equal(find(pid, STR(""), 7), RECOVERY_FOUND);
    resume(0);
    assert_true(welcome(0));
    assert_string_equal(got, "abc");
}

static void the_log_went_on_too_far_before_the_welcome(void **state)
{
    (void)teardown(state);
    struct recovery_settings s = roomy;
    s.packets = 2;
    start(s);
    struct str pid = come(0, NULL);
    go(0, 1, true, STR(""));
    record(2, "a", NULL, -1);
    assert_int_equal(find(pid, STR(""), 3), RECOVERY_FOUND);
    resume(0);
    record(4, "b", NULL, -1);
    record(4, "c", NULL, -1);
    assert_false(welcome(0));
    assert_string_equal(got, "");
}

/* A dynamic namespace goes with its last member and is made again. */
static void a_namespace_waits_for_its_sessions(void **state)
{
    (void)state;
    struct str pid = come(0, NULL);
    struct offset a = record(1, "a", NULL, 0);
    go(0, 1, true, STR(""));
    record(2, "b", NULL, -1);
    recovery_close(ns);
    ns = recovery_open(recovery, STR("/"));
    assert_int_equal(find(pid, text_of(&a), 3), RECOVERY_FOUND);
    resume(0);
    assert_true(welcome(0));
    assert_string_equal(got, "b");
    go(0, 4, true, STR(""));
    recovery_close(ns);
    ns = NULL;
    recovery_expire(recovery, 5 + AWAY);
    metrics_set(M_RECOVERY_PACKETS, 99);
    recovery_metrics(recovery);
    assert_int_equal(metrics_value[M_RECOVERY_PACKETS], 0);
    assert_int_equal(metrics_value[M_RECOVERY_SESSIONS], 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(comes_back_to_its_rooms_data_and_events),
        T(the_offset_decides_when_the_last_event_was_lost),
        T(an_offset_of_an_earlier_session),
        T(without_any_event_the_offset_does_not_matter),
        T(the_last_event_may_be_out_of_the_log),
        T(pids_are_of_their_namespace),
        T(sessions_grow_too_old),
        T(the_oldest_sessions_give_way),
        T(a_gap_that_the_log_cannot_fill),
        T(more_than_may_be_sent_at_once),
        T(welcomed_later),
        T(never_welcomed_is_as_before),
        T(never_welcomed_misses_nothing),
        T(never_welcomed_has_left_when_it_left_first),
        T(the_log_went_on_too_far_before_the_welcome),
        T(a_namespace_waits_for_its_sessions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
