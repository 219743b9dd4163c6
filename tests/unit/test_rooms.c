#include "adapter/rooms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/mem.h"

enum { MEMBERS = 24, ROOMS = 8 };

static struct rooms rooms;
static struct member members[MEMBERS];
static char ids[MEMBERS][8];
static char names[ROOMS][8];
static unsigned seen[MEMBERS];

static int setup(void **state)
{
    (void)state;
    rooms_init(&rooms);
    for (unsigned i = 0; i < MEMBERS; i++)
        (void)snprintf(ids[i], sizeof(ids[i]), "id%u", i);
    for (unsigned i = 0; i < ROOMS; i++)
        (void)snprintf(names[i], sizeof(names[i]), "room%u", i);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned i = 0; i < MEMBERS; i++) {
        if (rooms_member(&rooms, str_of(ids[i])))
            rooms_remove(&rooms, &members[i]);
    }
    assert_int_equal(rooms_count(&rooms), 0);
    rooms_fini(&rooms);
    return 0;
}

static void add(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        rooms_add(&rooms, &members[i], str_of(ids[i]));
}

static void count_member(void *arg, struct member *m)
{
    (void)arg;
    seen[m - members]++;
}

/* A list of names ends with NULL. */
static size_t select_by(const char *const *in, const char *const *except)
{
    struct str in_str[8] = {{0}}, except_str[8] = {{0}};
    size_t n_in = 0, n_except = 0;
    for (; in && in[n_in]; n_in++)
        in_str[n_in] = str_of(in[n_in]);
    for (; except && except[n_except]; n_except++)
        except_str[n_except] = str_of(except[n_except]);
    memset(seen, 0, sizeof(seen));
    return rooms_select(&rooms, in_str, n_in, except_str, n_except,
                        count_member, NULL);
}

#define NAMES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void no_rooms_means_everyone(void **state)
{
    (void)state;
    assert_int_equal(select_by(NULL, NULL), 0);
    add(3);
    assert_int_equal(select_by(NULL, NULL), 3);
    assert_int_equal(seen[0] + seen[1] + seen[2], 3);
}

static void overlapping_rooms_deliver_once(void **state)
{
    (void)state;
    add(3);
    rooms_join(&rooms, &members[0], STR("a"));
    rooms_join(&rooms, &members[0], STR("b"));
    rooms_join(&rooms, &members[1], STR("b"));
    assert_int_equal(select_by(NAMES("a", "b", "a", "id0"), NULL), 2);
    assert_int_equal(seen[0], 1);
    assert_int_equal(seen[1], 1);
    assert_int_equal(seen[2], 0);
}

static void members_of_excepted_rooms_are_skipped(void **state)
{
    (void)state;
    add(4);
    for (unsigned i = 0; i < 3; i++)
        rooms_join(&rooms, &members[i], STR("a"));
    rooms_join(&rooms, &members[1], STR("quiet"));
    assert_int_equal(select_by(NAMES("a"), NAMES("quiet", "id2")), 1);
    assert_int_equal(seen[0], 1);
    assert_int_equal(select_by(NULL, NAMES("a")), 1);
    assert_int_equal(seen[3], 1);
}

static void everyone_is_in_the_room_of_its_id(void **state)
{
    (void)state;
    add(3);
    assert_int_equal(select_by(NAMES("id1"), NULL), 1);
    assert_int_equal(seen[1], 1);
    assert_null(rooms_find(&rooms, STR("id1")));
    assert_int_equal(rooms_count(&rooms), 0);
    /* Somebody else may join a room of that name. */
    rooms_join(&rooms, &members[2], STR("id1"));
    assert_int_equal(select_by(NAMES("id1"), NULL), 2);
    assert_int_equal(seen[1] + seen[2], 2);
}

static void unknown_rooms_reach_nobody(void **state)
{
    (void)state;
    add(2);
    assert_int_equal(select_by(NAMES("nowhere"), NULL), 0);
    assert_int_equal(select_by(NAMES(""), NULL), 0);
}

static void joining_twice_is_joining_once(void **state)
{
    (void)state;
    add(1);
    assert_true(rooms_join(&rooms, &members[0], STR("a")));
    assert_false(rooms_join(&rooms, &members[0], STR("a")));
    assert_true(rooms_has(&members[0], STR("a")));
    assert_true(rooms_leave(&rooms, &members[0], STR("a")));
    assert_false(rooms_leave(&rooms, &members[0], STR("a")));
    assert_false(rooms_has(&members[0], STR("a")));
}

static void a_room_lives_as_long_as_it_has_members(void **state)
{
    (void)state;
    add(2);
    rooms_join(&rooms, &members[0], STR("a"));
    rooms_join(&rooms, &members[1], STR("a"));
    rooms_leave(&rooms, &members[0], STR("a"));
    assert_non_null(rooms_find(&rooms, STR("a")));
    rooms_remove(&rooms, &members[1]);
    assert_null(rooms_find(&rooms, STR("a")));
}

static char story[256];

static void on_created(void *arg, struct str room)
{
    (void)arg;
    size_t at = strlen(story);
    (void)snprintf(story + at, sizeof(story) - at, "+%.*s", STR_ARG(room));
}

static void on_emptied(void *arg, struct str room)
{
    (void)arg;
    size_t at = strlen(story);
    (void)snprintf(story + at, sizeof(story) - at, "-%.*s", STR_ARG(room));
}

static void the_watch_hears_of_first_and_last_members(void **state)
{
    (void)state;
    static const struct rooms_watch watch = {on_created, on_emptied};
    rooms.watch = &watch;
    add(2);
    rooms_join(&rooms, &members[0], STR("a"));
    rooms_join(&rooms, &members[1], STR("a"));
    rooms_join(&rooms, &members[0], STR("b"));
    rooms_join(&rooms, &members[0], STR("c"));
    rooms_leave(&rooms, &members[0], STR("a"));
    rooms_remove(&rooms, &members[1]);
    /* In the order they were joined. */
    rooms_remove(&rooms, &members[0]);
    assert_string_equal(story, "+a+b+c-a-b-c");
}

static void running_numbers_may_wrap(void **state)
{
    (void)state;
    add(3);
    rooms_join(&rooms, &members[0], STR("a"));
    rooms.selection = UINT32_MAX - 1;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(select_by(NULL, NAMES("a")), 2);
        assert_int_equal(select_by(NAMES("a"), NULL), 1);
    }
}

/* ---- against a model ----------------------------------------------------- */

static bool present[MEMBERS];
static bool in_room[MEMBERS][ROOMS];

static bool model_in(unsigned m, const char *name)
{
    for (unsigned r = 0; r < ROOMS; r++) {
        if (strcmp(names[r], name) == 0)
            return in_room[m][r];
    }
    return strcmp(ids[m], name) == 0;
}

static bool model_selects(unsigned m, const char *const *in,
                          const char *const *except)
{
    bool chosen = !in[0];
    for (; *in; in++)
        chosen |= model_in(m, *in);
    for (; *except; except++)
        chosen &= !model_in(m, *except);
    return present[m] && chosen;
}

static const char *any_name(void)
{
    return rand() % 4 ? names[rand() % ROOMS] : ids[rand() % MEMBERS];
}

static void check_selection(void)
{
    const char *in[5] = {NULL}, *except[5] = {NULL};
    for (int i = rand() % 5; i > 0; i--)
        in[i - 1] = any_name();
    for (int i = rand() % 3; i > 0; i--)
        except[i - 1] = any_name();
    size_t n = select_by(in, except);
    for (unsigned m = 0; m < MEMBERS; m++) {
        bool want = model_selects(m, in, except);
        assert_int_equal(seen[m], want);
        n -= want;
    }
    assert_int_equal(n, 0);
}

static void toggle(unsigned m)
{
    if (present[m])
        rooms_remove(&rooms, &members[m]);
    else
        rooms_add(&rooms, &members[m], str_of(ids[m]));
    present[m] = !present[m];
    memset(in_room[m], 0, sizeof(in_room[m]));
}

static void random_changes_agree_with_a_model(void **state)
{
    (void)state;
    srand(42);
    for (unsigned step = 0; step < 50000; step++) {
        unsigned m = (unsigned)rand() % MEMBERS;
        unsigned r = (unsigned)rand() % ROOMS;
        if (rand() % 8 == 0) {
            toggle(m);
        } else if (present[m] && rand() % 2) {
            assert_int_equal(rooms_join(&rooms, &members[m], str_of(names[r])),
                             !in_room[m][r]);
            in_room[m][r] = true;
        } else if (present[m]) {
            assert_int_equal(rooms_leave(&rooms, &members[m], str_of(names[r])),
                             in_room[m][r]);
            in_room[m][r] = false;
        }
        check_selection();
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(no_rooms_means_everyone),
        TEST(overlapping_rooms_deliver_once),
        TEST(members_of_excepted_rooms_are_skipped),
        TEST(everyone_is_in_the_room_of_its_id),
        TEST(unknown_rooms_reach_nobody),
        TEST(joining_twice_is_joining_once),
        TEST(a_room_lives_as_long_as_it_has_members),
        TEST(the_watch_hears_of_first_and_last_members),
        TEST(running_numbers_may_wrap),
        TEST(random_changes_agree_with_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
