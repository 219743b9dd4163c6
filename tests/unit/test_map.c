#include "common/map.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "common/id.h"

struct word {
    struct map_node node;
    unsigned value;
    char text[16];
};

enum { MANY = 5000 };

static struct word words[MANY];

static struct str word_key(const struct map_node *n)
{
    const struct word *w =
        (const struct word *)(const void *)((const char *)n -
                                            offsetof(struct word, node));
    return str_of(w->text);
}

static struct str word_name(unsigned i)
{
    (void)snprintf(words[i].text, sizeof(words[i].text), "word %u", i);
    words[i].value = i;
    return str_of(words[i].text);
}

static void an_empty_map_has_nothing(void **state)
{
    (void)state;
    struct map m;
    map_init(&m, word_key);
    assert_null(m.slots);
    assert_null(map_get(&m, STR("word 1")));
    map_fini(&m);
}

static void the_empty_key_is_a_key(void **state)
{
    (void)state;
    struct map m;
    struct word w = {.text = ""};
    map_init(&m, word_key);
    map_put(&m, &w.node);
    assert_ptr_equal(map_get(&m, STR("")), &w.node);
    map_fini(&m);
}

static void finds_what_was_put_and_nothing_else(void **state)
{
    (void)state;
    struct map m;
    map_init(&m, word_key);
    for (unsigned i = 0; i < MANY; i++) {
        struct str name = word_name(i);
        assert_null(map_get(&m, name));
        map_put(&m, &words[i].node);
    }
    assert_int_equal(m.count, MANY);
    for (unsigned i = 0; i < MANY; i++)
        assert_ptr_equal(map_get(&m, word_name(i)), &words[i].node);
    assert_null(map_get(&m, STR("word 5000")));
    assert_null(map_get(&m, STR("word 1\0")));
    map_fini(&m);
}

/* Against a plain array of flags as the model. */
static void behaves_like_a_set_under_random_changes(void **state)
{
    (void)state;
    static bool in[MANY];
    struct map m;
    size_t count = 0;
    uint32_t r = 12345;
    map_init(&m, word_key);
    for (unsigned step = 0; step < 200000; step++) {
        r = r * 1664525U + 1013904223U;
        unsigned i = (r >> 8) % (step < 100000 ? MANY : 100);
        struct map_node *got = map_get(&m, word_name(i));
        assert_int_equal(got != NULL, in[i]);
        if (got)
            map_remove(&m, got);
        else
            map_put(&m, &words[i].node);
        in[i] = !in[i];
        count = in[i] ? count + 1 : count - 1;
        assert_int_equal(m.count, count);
    }
    map_fini(&m);
}

static void grow_and_shrink(struct map m, unsigned load)
{
    for (unsigned i = 0; i < MANY; i++) {
        (void)word_name(i);
        map_put(&m, &words[i].node);
        assert_true(m.count <= load * m.n_slots);
    }
    assert_true(m.count > load / 2 * m.n_slots);
    size_t peak = m.n_slots;
    for (unsigned i = 0; i < MANY - 1; i++)
        map_remove(&m, &words[i].node);
    /* One step smaller per put. */
    for (unsigned i = 0; i < 100; i++) {
        map_put(&m, &words[i].node);
        map_remove(&m, &words[i].node);
    }
    assert_true(m.n_slots < peak);
    assert_true(m.n_slots >= 16);
    assert_ptr_equal(map_get(&m, word_name(MANY - 1)), &words[MANY - 1].node);
    map_fini(&m);
}

static void load_stays_between_a_quarter_and_two(void **state)
{
    (void)state;
    struct map m;
    map_init(&m, word_key);
    grow_and_shrink(m, 2);
}

static void a_dense_map_has_twice_the_load(void **state)
{
    (void)state;
    struct map m;
    map_init_dense(&m, word_key);
    grow_and_shrink(m, 4);
}

static struct map *removing_from;

static void count_and_remove_odd(struct map_node *n, void *arg)
{
    struct word *w = container_of(n, struct word, node);
    unsigned *visits = arg;
    visits[w->value]++;
    if (w->value % 2)
        map_remove(removing_from, n);
}

static void each_visits_all_once_and_may_remove(void **state)
{
    (void)state;
    struct map m;
    unsigned visits[1000] = {0};
    map_init(&m, word_key);
    removing_from = &m;
    for (unsigned i = 0; i < 1000; i++) {
        (void)word_name(i);
        map_put(&m, &words[i].node);
    }
    map_each(&m, count_and_remove_odd, visits);
    assert_int_equal(m.count, 500);
    for (unsigned i = 0; i < 1000; i++) {
        assert_int_equal(visits[i], 1);
        assert_int_equal(map_get(&m, word_name(i)) == NULL, i % 2);
    }
    map_fini(&m);
}

static void first_leads_through_all_that_are_left(void **state)
{
    (void)state;
    struct map m;
    map_init(&m, word_key);
    size_t slot = 0;
    assert_null(map_first(&m, &slot));
    for (unsigned i = 0; i < 100; i++) {
        (void)word_name(i);
        map_put(&m, &words[i].node);
    }
    for (size_t left = 100; left > 0; left--) {
        size_t before = slot;
        struct map_node *n = map_first(&m, &slot);
        assert_non_null(n);
        assert_true(slot >= before && slot < m.n_slots);
        map_remove(&m, n);
        assert_int_equal(m.count, left - 1);
    }
    assert_null(map_first(&m, &slot));
    map_put(&m, &words[0].node);
    slot = m.n_slots - 1; /* it goes round */
    assert_ptr_equal(map_first(&m, &slot), &words[0].node);
    map_fini(&m);
}

static void fini_leaves_a_usable_empty_map(void **state)
{
    (void)state;
    struct map m;
    map_init(&m, word_key);
    (void)word_name(1);
    map_put(&m, &words[1].node);
    map_fini(&m);
    assert_null(map_get(&m, STR("word 1")));
    map_put(&m, &words[1].node);
    assert_non_null(map_get(&m, STR("word 1")));
    map_fini(&m);
}

static void note_order(struct map_node *n, void *arg)
{
    unsigned **next = arg;
    *(*next)++ = container_of(n, struct word, node)->value;
}

static void put_in_order(unsigned order[100])
{
    struct map m;
    map_init(&m, word_key);
    for (unsigned i = 0; i < 100; i++) {
        (void)word_name(i);
        map_put(&m, &words[i].node);
    }
    unsigned *next = order;
    map_each(&m, note_order, &next);
    map_fini(&m);
}

static void a_seed_decides_the_order_of_a_map(void **state)
{
    (void)state;
    unsigned a[100];
    unsigned again[100];
    unsigned other[100];
    id_seed(1);
    map_reseed();
    put_in_order(a);
    id_seed(2);
    map_reseed();
    put_in_order(other);
    id_seed(1);
    map_reseed();
    put_in_order(again);
    assert_memory_equal(a, again, sizeof(a));
    assert_memory_not_equal(a, other, sizeof(a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_has_nothing),
        cmocka_unit_test(the_empty_key_is_a_key),
        cmocka_unit_test(finds_what_was_put_and_nothing_else),
        cmocka_unit_test(behaves_like_a_set_under_random_changes),
        cmocka_unit_test(load_stays_between_a_quarter_and_two),
        cmocka_unit_test(a_dense_map_has_twice_the_load),
        cmocka_unit_test(each_visits_all_once_and_may_remove),
        cmocka_unit_test(first_leads_through_all_that_are_left),
        cmocka_unit_test(fini_leaves_a_usable_empty_map),
        cmocka_unit_test(a_seed_decides_the_order_of_a_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
