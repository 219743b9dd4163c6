#include "adapter/publish_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/id.h"

static struct publish_queue q;
static uint32_t dropped;

static int teardown(void **state)
{
    (void)state;
    publish_queue_fini(&q);
    dropped = 0;
    return 0;
}

static bool push(const char *text, enum publish_kind kind)
{
    struct bytes *b = bytes_new(str_of(text));
    bool in = publish_queue_push(&q, b, kind, &dropped);
    assert_int_equal(b->refs, in ? 2 : 1);
    bytes_unref(b);
    return in;
}

static void take(const char *want, enum publish_kind kind)
{
    const struct bytes *first = publish_queue_first(&q);
    assert_non_null(first);
    struct publish_entry e = publish_queue_take(&q);
    assert_ptr_equal(e.command, first);
    assert_true(str_eq(bytes_str(e.command), str_of(want)));
    assert_int_equal(e.kind, kind);
    bytes_unref(e.command);
}

static void is_empty(void)
{
    assert_null(publish_queue_first(&q));
    assert_int_equal(publish_queue_count(&q), 0);
    assert_int_equal(q.bytes, 0);
    assert_int_equal(q.volatile_bytes, 0);
}

static void gives_back_in_order_with_the_kind(void **state)
{
    (void)state;
    publish_queue_init(&q, 100);
    assert_true(push("a", PUBLISH_KEPT));
    assert_true(push("b", PUBLISH_VOLATILE));
    assert_true(push("c", PUBLISH_REPEATED));
    assert_int_equal(publish_queue_count(&q), 3);
    take("a", PUBLISH_KEPT);
    take("b", PUBLISH_VOLATILE);
    take("c", PUBLISH_REPEATED);
    is_empty();
    assert_int_equal(dropped, 0);
}

static void the_oldest_volatile_make_room(void **state)
{
    (void)state;
    publish_queue_init(&q, 10);
    push("v1", PUBLISH_VOLATILE);
    push("k1", PUBLISH_KEPT);
    push("v2", PUBLISH_VOLATILE);
    push("v3", PUBLISH_VOLATILE);
    push("k2", PUBLISH_KEPT);
    assert_true(push("new", PUBLISH_KEPT));
    assert_int_equal(dropped, 2);
    assert_int_equal(q.bytes, 9);
    assert_true(push("v4", PUBLISH_VOLATILE));
    assert_int_equal(dropped, 3);
    take("k1", PUBLISH_KEPT);
    take("k2", PUBLISH_KEPT);
    take("new", PUBLISH_KEPT);
    take("v4", PUBLISH_VOLATILE);
    is_empty();
}

static void what_has_no_room_is_refused_and_drops_nothing(void **state)
{
    (void)state;
    publish_queue_init(&q, 10);
    push("kkkkkk", PUBLISH_KEPT);
    push("vv", PUBLISH_VOLATILE);
    assert_false(push("xxxxx", PUBLISH_KEPT));
    assert_false(push("xxxxx", PUBLISH_VOLATILE));
    assert_false(push("longer than all of it", PUBLISH_KEPT));
    assert_int_equal(dropped, 0);
    assert_int_equal(publish_queue_count(&q), 2);
    assert_true(push("xxxx", PUBLISH_KEPT));
    assert_int_equal(dropped, 1);
}

static void volatile_ones_can_be_dropped_alone(void **state)
{
    (void)state;
    publish_queue_init(&q, 100);
    assert_int_equal(publish_queue_drop_volatile(&q), 0);
    push("v1", PUBLISH_VOLATILE);
    push("k", PUBLISH_KEPT);
    push("v2", PUBLISH_VOLATILE);
    assert_int_equal(publish_queue_drop_volatile(&q), 2);
    take("k", PUBLISH_KEPT);
    is_empty();
    push("v3", PUBLISH_VOLATILE);
    take("v3", PUBLISH_VOLATILE);
    is_empty();
}

/* One that is kept in front, and many that come and go behind it. */
static void holes_cost_no_memory(void **state)
{
    (void)state;
    publish_queue_init(&q, 20);
    push("first", PUBLISH_KEPT);
    for (unsigned i = 0; i < 100000; i++)
        assert_true(push("volatile", PUBLISH_VOLATILE));
    assert_int_equal(dropped, 99999);
    assert_true(q.cap <= 64);
    take("first", PUBLISH_KEPT);
    take("volatile", PUBLISH_VOLATILE);
    is_empty();
}

/* Against a plain array. */
static void chance_finds_no_difference_to_a_model(void **state)
{
    (void)state;
    enum { MAX = 200, BOUND = 300 };
    struct {
        char text[16];
        enum publish_kind kind;
    } model[MAX];
    size_t n = 0, bytes = 0, refused = 0;
    publish_queue_init(&q, BOUND);
    for (unsigned i = 0; i < 20000; i++) {
        if (n > 0 && id_below(5) < 2) {
            take(model[0].text, model[0].kind);
            bytes -= strlen(model[0].text);
            memmove(&model[0], &model[1], --n * sizeof(model[0]));
        }
        char text[16] = {0};
        memset(text, 'a' + (int)(i % 26), 1 + id_below(14));
        enum publish_kind kind = id_below(PUBLISH_KINDS);
        size_t kept = 0;
        for (size_t k = 0; k < n; k++) {
            if (model[k].kind != PUBLISH_VOLATILE)
                kept += strlen(model[k].text);
        }
        bool fits = kept + strlen(text) <= BOUND;
        refused += !fits;
        assert_int_equal(push(text, kind), fits);
        for (size_t k = 0; fits && bytes + strlen(text) > BOUND;) {
            if (model[k].kind != PUBLISH_VOLATILE) {
                k++;
                continue;
            }
            bytes -= strlen(model[k].text);
            memmove(&model[k], &model[k + 1], (--n - k) * sizeof(model[0]));
        }
        if (fits) {
            memcpy(model[n].text, text, sizeof(text));
            model[n++].kind = kind;
            bytes += strlen(text);
        }
        assert_int_equal(publish_queue_count(&q), n);
        assert_int_equal(q.bytes, bytes);
    }
    assert_true(refused > 0 && dropped > 0);
    for (size_t k = 0; k < n; k++)
        take(model[k].text, model[k].kind);
    is_empty();
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_back_in_order_with_the_kind),
        TEST(the_oldest_volatile_make_room),
        TEST(what_has_no_room_is_refused_and_drops_nothing),
        TEST(volatile_ones_can_be_dropped_alone),
        TEST(holes_cost_no_memory),
        TEST(chance_finds_no_difference_to_a_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
