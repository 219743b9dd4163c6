#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapter/adapter.h"
#include "server/io/fates.h"

static struct fates fates;

static int setup(void **state)
{
    (void)state;
    struct str bad;
    return fates_init(&fates,
                      STR("typing=latest\ncursor = drop_oldest\n"
                          "a=b=drop_new\nnews=disconnect"),
                      &bad);
}

static int teardown(void **state)
{
    (void)state;
    fates_fini(&fates);
    return 0;
}

static struct fate of_event(const char *data)
{
    struct parser_out p = {.type = PACKET_EVENT,
                           .ack = PACKET_NO_ACK,
                           .nsp = STR("/"),
                           .data = str_of(data)};
    return fate_of(&fates, &p, NULL);
}

static void finds_the_policy_of_an_event_by_its_name(void **state)
{
    (void)state;
    assert_int_equal(of_event("[\"typing\",1]").kind, FATE_LATEST);
    assert_int_equal(of_event("[\"cursor\"]").kind, FATE_DROP_OLDEST);
    assert_int_equal(of_event("[\"a=b\",{}]").kind, FATE_DROP_NEW);
    assert_int_equal(of_event("[\"news\"]").kind, FATE_KEEP);
    assert_int_equal(of_event("[\"typin\"]").kind, FATE_KEEP);
    assert_int_equal(of_event("[\"typing2\"]").kind, FATE_KEEP);
    assert_int_equal(of_event("[17,\"typing\"]").kind, FATE_KEEP);
    assert_int_equal(of_event("[]").kind, FATE_KEEP);
    assert_int_equal(of_event("[\"").kind, FATE_KEEP);
    assert_int_equal(of_event("[\"typing\\").kind, FATE_KEEP);
    assert_int_equal(of_event("").kind, FATE_KEEP);
    assert_int_not_equal(of_event("[\"typing\"]").class,
                         of_event("[\"cursor\"]").class);
}

static void names_may_have_to_be_escaped(void **state)
{
    (void)state;
    assert_int_equal(of_event("[\"\\\"\u00e9\",1]").kind, FATE_KEEP);
    struct fates f;
    struct str bad;
    assert_int_equal(fates_init(&f, STR("say \"hi\" \\=drop_new"), &bad), 0);
    struct parser_out p = {.type = PACKET_EVENT,
                           .ack = PACKET_NO_ACK,
                           .nsp = STR("/"),
                           .data = STR("[\"say \\\"hi\\\" \\\\\",1]")};
    assert_int_equal(fate_of(&f, &p, NULL).kind, FATE_DROP_NEW);
    fates_fini(&f);
}

static void nothing_else_is_ever_dropped(void **state)
{
    (void)state;
    struct parser_out p = {.type = PACKET_EVENT,
                           .ack = 7,
                           .nsp = STR("/"),
                           .data = STR("[\"cursor\"]")};
    assert_int_equal(fate_of(&fates, &p, NULL).kind, FATE_KEEP);
    p.ack = PACKET_NO_ACK;
    p.offset = STR("1-1");
    assert_int_equal(fate_of(&fates, &p, NULL).kind, FATE_KEEP);
    p.offset = STR("");
    p.type = PACKET_ACK;
    assert_int_equal(fate_of(&fates, &p, NULL).kind, FATE_KEEP);
    p.type = PACKET_EVENT;
    assert_int_equal(fate_of(&fates, &p, NULL).kind, FATE_DROP_OLDEST);
}

static uint32_t key(struct str nsp, const struct str *rooms, size_t n)
{
    struct broadcast to = {.rooms = rooms, .n_rooms = n};
    struct parser_out p = {.type = PACKET_EVENT,
                           .ack = PACKET_NO_ACK,
                           .nsp = nsp,
                           .data = STR("[\"typing\"]")};
    return fate_of(&fates, &p, rooms ? &to : NULL).key;
}

static void the_latest_is_of_an_event_a_namespace_and_its_rooms(void **state)
{
    (void)state;
    const struct str ab[] = {STR_INIT("a"), STR_INIT("b")};
    const struct str ba[] = {STR_INIT("b"), STR_INIT("a")};
    assert_int_equal(key(STR("/"), ab, 2), key(STR("/"), ba, 2));
    assert_int_not_equal(key(STR("/"), ab, 1), key(STR("/"), ba, 1));
    assert_int_not_equal(key(STR("/"), ab, 1), key(STR("/"), ab, 2));
    assert_int_not_equal(key(STR("/"), ab, 1), key(STR("/x"), ab, 1));
    assert_int_not_equal(key(STR("/"), ab, 0), key(STR("/"), NULL, 0));
    assert_int_equal(key(STR("/"), NULL, 0), key(STR("/"), NULL, 0));
}

static void says_which_item_is_wrong(void **state)
{
    (void)state;
    const char *const wrong[] = {"typing", "=latest",
                                 "typing=", "typing=oldest",
                                 "x=latest\nx=drop_new"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct fates f;
        struct str bad;
        assert_int_equal(fates_init(&f, str_of(wrong[i]), &bad), ERR_CONFIG);
        assert_true(bad.len > 0);
        fates_fini(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_policy_of_an_event_by_its_name),
        cmocka_unit_test(names_may_have_to_be_escaped),
        cmocka_unit_test(nothing_else_is_ever_dropped),
        cmocka_unit_test(the_latest_is_of_an_event_a_namespace_and_its_rooms),
        cmocka_unit_test(says_which_item_is_wrong),
    };
    return cmocka_run_group_tests_name("fates", tests, setup, teardown);
}
