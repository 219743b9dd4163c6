#include "adapter/packet_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/mem.h"
#include "common/metrics.h"

enum { FIRST = 1000, AGE = 100, TEXT_MAX = 4096 };

static struct packet_log packets;
static struct packet_log_nsp ns;
static char got[TEXT_MAX];

static void start(uint32_t n, size_t bytes)
{
    struct packet_log_limits limits = {AGE, n, bytes};
    packet_log_init(&packets, &limits, FIRST);
    packet_log_nsp_init(&ns, &packets);
}

static int setup(void **state)
{
    (void)state;
    start(100, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    packet_log_nsp_fini(&ns);
    packet_log_fini(&packets);
    return 0;
}

/* Room names in one text, separated by blanks. */
struct names {
    struct str v[8];
    size_t n;
};

static struct names split(const char *text)
{
    struct names names = {.n = 0};
    while (text && *text) {
        size_t len = strcspn(text, " ");
        names.v[names.n++] = (struct str){text, len};
        text += len + (text[len] == ' ');
    }
    return names;
}

static uint64_t add_to(struct packet_log_nsp *to, uint64_t now,
                       const char *data, const char *rooms, const char *except)
{
    struct names r = split(rooms), e = split(except);
    struct broadcast b = {
        .rooms = r.v, .n_rooms = r.n, .except = e.v, .n_except = e.n};
    struct bytes *text = bytes_new(str_of(data));
    struct packet *p =
        packet_new(PACKET_EVENT, STR("/"), PACKET_NO_ACK, text, NULL, 0);
    bytes_unref(text);
    uint64_t offset = packet_log_add(to, now, p, &b);
    assert_int_equal(packet_log_offset(packet_offset(p)), offset);
    packet_unref(p);
    return offset;
}

static uint64_t add(uint64_t now, const char *data)
{
    return add_to(&ns, now, data, NULL, NULL);
}

static void note(void *arg, uint64_t offset, struct packet *p)
{
    uint64_t *last = arg;
    size_t at = strlen(got);
    assert_true(offset > *last);
    *last = offset;
    (void)snprintf(got + at, sizeof(got) - at, "%.*s",
                   STR_ARG(bytes_str(p->data)));
}

static const char *after(uint64_t offset, const char *rooms)
{
    struct names r = split(rooms);
    got[0] = '\0';
    packet_log_after(&ns, offset, r.v, r.n, note, &offset);
    return got;
}

static void offsets_rise_as_numbers_and_as_text(void **state)
{
    (void)state;
    struct broadcast all = {0};
    char last[PACKET_OFFSET_MAX + 1] = "";
    uint64_t number = 0;
    packets.offset = UINT64_C(1) << 50;
    for (int i = 0; i < 10000; i++) {
        struct packet *p =
            packet_new(PACKET_EVENT, STR("/"), PACKET_NO_ACK, NULL, NULL, 0);
        uint64_t offset = packet_log_add(&ns, 1, p, &all);
        char text[PACKET_OFFSET_MAX + 1] = "";
        memcpy(text, packet_offset(p).p, packet_offset(p).len);
        assert_true(offset > number && strcmp(text, last) > 0);
        assert_int_equal(strlen(text), 9);
        number = offset;
        memcpy(last, text, sizeof(last));
        packet_unref(p);
    }
}

static void text_that_is_no_offset(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "", "é", "a b", "a.b", "12345678901", "\"", "----------"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(packet_log_offset(str_of(rows[i])), 0);
    assert_int_equal(packet_log_offset(STR("0")), 1);
}

static void what_came_after_an_offset(void **state)
{
    (void)state;
    uint64_t a = add(1, "a");
    uint64_t b = add(1, "b");
    (void)add(2, "c");
    assert_string_equal(after(a, "me"), "bc");
    assert_string_equal(after(b, "me"), "c");
    assert_string_equal(after(FIRST, "me"), "abc");
    assert_string_equal(after(UINT64_MAX, "me"), "");
    assert_true(packet_log_has(&ns, a) && packet_log_has(&ns, b));
    assert_false(packet_log_has(&ns, FIRST));
    assert_false(packet_log_has(&ns, b + 2));
    assert_false(packet_log_has(&ns, UINT64_MAX));
}

/* As the official adapter: in one of the rooms, and in none excepted. */
static void rooms_and_exceptions_decide(void **state)
{
    (void)state;
    static const struct {
        const char *rooms, *except, *member;
        bool gets;
    } rows[] = {
        {NULL, NULL, "me", true},      {"r", NULL, "me", false},
        {"r", NULL, "me r", true},     {"q r", NULL, "me r", true},
        {"me", NULL, "me", true},      {"you", NULL, "me r", false},
        {NULL, "r", "me r", false},    {NULL, "r", "me", true},
        {NULL, "me", "me r", false},   {"r", "r", "me r", false},
        {"r", "q", "me r", true},      {"r", "q", "me q r", false},
        {"r r r", NULL, "me r", true}, {"rr", NULL, "me r", false},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t before = packets.offset;
        (void)add_to(&ns, 1, "x", rows[i].rooms, rows[i].except);
        assert_string_equal(after(before, rows[i].member),
                            rows[i].gets ? "x" : "");
    }
}

static void events_grow_too_old(void **state)
{
    (void)state;
    uint64_t before = metrics_value[M_RECOVERY_DROPPED_PACKETS];
    uint64_t a = add(1000, "a");
    uint64_t b = add(1050, "b");
    packet_log_expire(&packets, 1000 + AGE);
    assert_string_equal(after(FIRST, "me"), "ab");
    packet_log_expire(&packets, 1001 + AGE);
    assert_string_equal(after(FIRST, "me"), "b");
    assert_int_equal(ns.dropped, a);
    (void)add(1051 + AGE, "c"); /* adding looks, too */
    assert_string_equal(after(FIRST, "me"), "c");
    assert_int_equal(ns.dropped, b);
    assert_int_equal(metrics_value[M_RECOVERY_DROPPED_PACKETS], before);
}

static void events_beyond_the_count_push_out_the_oldest(void **state)
{
    (void)teardown(state);
    start(3, 1 << 20);
    uint64_t before = metrics_value[M_RECOVERY_DROPPED_PACKETS];
    char text[2] = "a";
    for (int i = 0; i < 50; i++, text[0] = (char)('a' + i % 26))
        (void)add(1, text);
    assert_string_equal(after(FIRST, "me"), "vwx");
    assert_int_equal(packets.n, 3);
    assert_int_equal(ns.dropped, FIRST + 47);
    assert_int_equal(metrics_value[M_RECOVERY_DROPPED_PACKETS], before + 47);
}

static void events_beyond_the_memory_push_out_the_oldest(void **state)
{
    (void)teardown(state);
    start(100, 4000);
    char large[1001] = "";
    memset(large, 'x', 1000);
    for (int i = 0; i < 10; i++) {
        (void)add(1, large);
        assert_true(packets.bytes <= 4000);
    }
    assert_int_equal(strlen(after(FIRST, "me")), 1000);
    /* Larger than all there may be: it is not kept. */
    static char huge[5000];
    memset(huge, 'x', sizeof(huge) - 1);
    uint64_t offset = add(1, huge);
    assert_int_equal(packets.n, 0);
    assert_int_equal(packets.bytes, 0);
    assert_int_equal(ns.dropped, offset);
}

static void namespaces_share_the_bounds_and_not_the_events(void **state)
{
    (void)teardown(state);
    start(4, 1 << 20);
    struct packet_log_nsp other;
    packet_log_nsp_init(&other, &packets);
    uint64_t a = add(1, "a");
    for (int i = 0; i < 4; i++)
        (void)add_to(&other, 1, "x", NULL, NULL);
    assert_string_equal(after(FIRST, "me"), "");
    assert_int_equal(ns.dropped, a);
    assert_int_equal(other.dropped, 0);
    assert_false(packet_log_has(&ns, packets.offset));
    (void)add(1, "b");
    assert_string_equal(after(FIRST, "me"), "b");
    packet_log_nsp_fini(&other);
    assert_int_equal(packets.n, 1);
}

/* The ring against an array, over many turns. */
static void many_events_in_order(void **state)
{
    (void)teardown(state);
    start(37, 1 << 20);
    uint64_t seed = 42;
    for (uint64_t now = 1; now < 3000; now++) {
        char text[24];
        seed = seed * 6364136223846793005 + 1442695040888963407;
        (void)snprintf(text, sizeof(text), "%u;", (unsigned)now);
        (void)add(now, text);
        unsigned back = (unsigned)(seed >> 33) % 36;
        if (back >= now)
            continue;
        char want[TEXT_MAX] = "";
        for (uint64_t i = now - back; i <= now; i++) {
            size_t at = strlen(want);
            (void)snprintf(want + at, sizeof(want) - at, "%u;", (unsigned)i);
        }
        assert_string_equal(after(packets.offset - back - 1, "me"), want);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(offsets_rise_as_numbers_and_as_text),
        T(text_that_is_no_offset),
        T(what_came_after_an_offset),
        T(rooms_and_exceptions_decide),
        T(events_grow_too_old),
        T(events_beyond_the_count_push_out_the_oldest),
        T(events_beyond_the_memory_push_out_the_oldest),
        T(namespaces_share_the_bounds_and_not_the_events),
        T(many_events_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
