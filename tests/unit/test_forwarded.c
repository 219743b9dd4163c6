#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/http/forwarded.h"
#include "server/http/http_query.h"

static struct forwarded nets(const char *list)
{
    struct forwarded f;
    struct str bad = STR("");
    assert_int_equal(forwarded_init(&f, str_of(list), &bad), 0);
    return f;
}

static void test_lists(void **state)
{
    (void)state;
    static const char *const wrong[] = {"x",          "1.2.3",     "1.2.3.4/33",
                                        "1.2.3.4/",   "::/129",    "1.2.3.4/x",
                                        "1.2.3.4/-1", "::1\n\n::2"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct forwarded f;
        struct str bad = STR("none");
        assert_int_equal(forwarded_init(&f, str_of(wrong[i]), &bad),
                         ERR_CONFIG);
        assert_false(str_eq(bad, STR("none")));
        forwarded_fini(&f);
    }
    struct forwarded none = nets("");
    assert_false(forwarded_trusts(&none, STR("127.0.0.1")));
    forwarded_fini(&none);
}

static void test_networks(void **state)
{
    (void)state;
    static const struct {
        const char *list, *address;
        bool trusted;
    } cases[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.0.0.0/9", "10.127.255.255", true},
        {"10.0.0.0/9", "10.128.0.0", false},
        {"10.0.0.1", "10.0.0.1", true},
        {"10.0.0.1", "10.0.0.2", false},
        {"10.0.0.1", "::ffff:10.0.0.1", true},
        {"0.0.0.0/0", "1.2.3.4", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "1.2.3.4", true},
        {"fd00::/15", "fd01::1", true},
        {"fd00::/15", "fd02::1", false},
        {"::1\n1.2.3.4", "1.2.3.4", true},
        {"::/0", "nonsense", false},
        {"::/0", "", false},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct forwarded f = nets(cases[i].list);
        assert_int_equal(forwarded_trusts(&f, str_of(cases[i].address)),
                         cases[i].trusted);
        forwarded_fini(&f);
    }
}

static void test_client(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"1.1.1.1", "1.1.1.1"},
        {"1.1.1.1, 2.2.2.2", "2.2.2.2"},
        {"x,1.1.1.1 ,\t10.0.0.1", "1.1.1.1"},
        {"10.0.0.1,10.0.0.2", "10.0.0.1"},
        {"1.1.1.1, x", ""},
        {"1.1.1.1,", ""},
        {",1.1.1.1", "1.1.1.1"},
        {"x,10.0.0.1", "10.0.0.1"},
        {"[::1", ""},
        {"[]", ""},
        {"[::2]:8080,10.0.0.1:5", "::2"},
        {"", ""},
    };
    struct forwarded f = nets("10.0.0.0/8");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct str client = forwarded_client(&f, str_of(cases[i][0]));
        assert_true(str_eq(client, str_of(cases[i][1])));
    }
    forwarded_fini(&f);
}

static void test_query_pairs(void **state)
{
    (void)state;
    static const char *const pairs[] = {"a", "1", "b", "",  "",   "x",
                                        "c", "=", "a", "+", "\"", "%zz"};
    struct str rest = STR("&a=1&&b&=x&c==&a=%2b&%22=%zz&"), name, value;
    struct buf scratch;
    buf_init(&scratch, rest.len);
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i += 2) {
        assert_true(query_next(&rest, &scratch, &name, &value));
        assert_true(str_eq(name, str_of(pairs[i])));
        assert_true(str_eq(value, str_of(pairs[i + 1])));
    }
    assert_false(query_next(&rest, &scratch, &name, &value));
    buf_fini(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_client),
        cmocka_unit_test(test_query_pairs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
