#include "adapter/redis_url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct redis_url url;
static char err[CONFIG_ERR_MAX];

static void parse(const char *text)
{
    assert_int_equal(redis_url_parse(&url, text, err), 0);
}

static void assert_refused(const char *text, const char *why)
{
    assert_int_equal(redis_url_parse(&url, text, err), ERR_CONFIG);
    if (!strstr(err, why))
        fail_msg("%s: \"%s\" does not say \"%s\"", text, err, why);
    assert_null(url.host);
    assert_null(url.password);
}

static void a_host_is_enough(void **state)
{
    (void)state;
    parse("redis://cache.example");
    assert_string_equal(url.host, "cache.example");
    assert_int_equal(url.port, 6379);
    assert_int_equal(url.db, 0);
    assert_null(url.user);
    assert_null(url.password);
    redis_url_fini(&url);
}

static void every_part_is_read(void **state)
{
    (void)state;
    parse("redis://me:pass@h:1234/15");
    assert_string_equal(url.host, "h");
    assert_int_equal(url.port, 1234);
    assert_int_equal(url.db, 15);
    assert_string_equal(url.user, "me");
    assert_string_equal(url.password, "pass");
    redis_url_fini(&url);
}

static void a_password_alone_has_no_user(void **state)
{
    (void)state;
    parse("redis://:s:e@x@h/");
    assert_null(url.user);
    assert_string_equal(url.password, "s:e@x");
    assert_string_equal(url.host, "h");
    redis_url_fini(&url);
    parse("redis://:@h");
    assert_null(url.user);
    assert_null(url.password);
    redis_url_fini(&url);
}

static void escapes_are_decoded(void **state)
{
    (void)state;
    parse("redis://a%3Ab:%2f%40%25@h");
    assert_string_equal(url.user, "a:b");
    assert_string_equal(url.password, "/@%");
    redis_url_fini(&url);
    parse("redis://u:p%41@h");
    assert_string_equal(url.password, "pA");
    redis_url_fini(&url);
}

static void addresses_stand_in_brackets(void **state)
{
    (void)state;
    parse("redis://[::1]:7000");
    assert_string_equal(url.host, "::1");
    assert_int_equal(url.port, 7000);
    redis_url_fini(&url);
    parse("redis://[fe80::1]");
    assert_string_equal(url.host, "fe80::1");
    assert_int_equal(url.port, 6379);
    redis_url_fini(&url);
}

static void a_socket_has_a_path_and_no_port(void **state)
{
    (void)state;
    parse("unix:///run/redis.sock");
    assert_true(redis_url_is_socket(&url));
    assert_string_equal(url.host, "/run/redis.sock");
    assert_int_equal(url.port, 0);
    assert_int_equal(url.db, 0);
    redis_url_fini(&url);
    parse("unix://me:p%2F@/a%3Fb?db=7");
    assert_string_equal(url.host, "/a?b");
    assert_string_equal(url.user, "me");
    assert_string_equal(url.password, "p/");
    assert_int_equal(url.db, 7);
    redis_url_fini(&url);
    parse("redis://h");
    assert_false(redis_url_is_socket(&url));
    redis_url_fini(&url);
}

static void broken_sockets_are_refused(void **state)
{
    (void)state;
    char longest[7 + 108 + 1] = "unix:///";
    memset(longest + 8, 'x', sizeof(longest) - 9);
    assert_refused(longest, "longer");
    longest[sizeof(longest) - 2] = '\0';
    parse(longest);
    redis_url_fini(&url);
    assert_refused("unix://", "missing");
    assert_refused("unix:///", "missing");
    assert_refused("unix:/run/s", "unix://");
    assert_refused("unix://run/s", "slash");
    assert_refused("unix://user@/s", "password");
    assert_refused("unix:///s%", "escape");
    assert_refused("unix:///s#x", "#");
    assert_refused("unix:///s%20x", "space");
    assert_refused("unix:///s?x=1", "?db=N");
    assert_refused("unix:///s?db=", "database");
    assert_refused("unix:///s?db=65536", "database");
}

static void other_schemes_are_refused_by_name(void **state)
{
    (void)state;
    assert_refused("rediss://h", "TLS");
    assert_refused("http://h", "redis://");
    assert_refused("localhost:6379", "redis://");
    assert_refused("", "redis://");
}

static void broken_parts_are_refused(void **state)
{
    (void)state;
    assert_refused("redis://", "host is missing");
    assert_refused("redis:///1", "host is missing");
    assert_refused("redis://:6379", "host is missing");
    assert_refused("redis://h:0", "port");
    assert_refused("redis://h:65536", "port");
    assert_refused("redis://h:12x", "port");
    assert_refused("redis://h:", "port");
    assert_refused("redis://[::1", "bracket");
    assert_refused("redis://[::1]7", "port");
    assert_refused("redis://h/x", "database");
    assert_refused("redis://h/1/2", "database");
    assert_refused("redis://h/0?a=b", "?");
    assert_refused("redis://user@h", "password");
    assert_refused("redis://u:p%4@h", "escape");
    assert_refused("redis://u:p%@h", "escape");
    assert_refused("redis://u:%00@h", "escape");
    assert_refused("redis://u%zz:p@h", "escape");
    assert_refused("redis://a b", "character");
}

static void the_password_is_never_repeated(void **state)
{
    (void)state;
    assert_refused("redis://u:hunter2@h:99999", "port");
    assert_null(strstr(err, "hunter2"));
    assert_refused("redis://u:hunter2%@h", "escape");
    assert_null(strstr(err, "hunter2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_host_is_enough),
        cmocka_unit_test(every_part_is_read),
        cmocka_unit_test(a_password_alone_has_no_user),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(addresses_stand_in_brackets),
        cmocka_unit_test(a_socket_has_a_path_and_no_port),
        cmocka_unit_test(broken_sockets_are_refused),
        cmocka_unit_test(other_schemes_are_refused_by_name),
        cmocka_unit_test(broken_parts_are_refused),
        cmocka_unit_test(the_password_is_never_repeated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
