#include "common/resolver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct loop *loop;
static struct resolver *resolver;
static unsigned calls;
static char address[64];
static uint16_t port;
static bool failed;

static int setup(void **state)
{
    (void)state;
    loop = loop_new();
    resolver = resolver_new(loop);
    calls = 0;
    failed = false;
    address[0] = '\0';
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    resolver_free(resolver);
    /* What was given up is still to come back. */
    for (unsigned i = 0; i < 5; i++)
        loop_turn(loop, 1);
    loop_free(loop);
    return 0;
}

static void on_done(void *arg, const struct sockaddr *addr, socklen_t len,
                    const char *why)
{
    assert_ptr_equal(arg, &calls);
    calls++;
    failed = !addr;
    if (failed) {
        assert_true(strlen(why) > 0);
        return;
    }
    assert_null(why);
    struct sockaddr_in6 a = {0};
    assert_true(len <= sizeof(a));
    memcpy(&a, addr, len);
    const void *bits = &a.sin6_addr;
    if (addr->sa_family == AF_INET)
        bits = (const char *)&a + offsetof(struct sockaddr_in, sin_addr);
    assert_non_null(inet_ntop(addr->sa_family, bits, address, sizeof(address)));
    port = ntohs(a.sin6_port); /* at the same place in both */
}

static struct resolver_query *find(const char *host)
{
    return resolver_find(resolver, host, 6379, on_done, &calls);
}

static void turn_until_called(unsigned max_ms)
{
    for (unsigned ms = 0; calls == 0 && ms < max_ms; ms += 10)
        loop_turn(loop, 10);
    assert_int_equal(calls, 1);
}

static void addresses_are_answered_at_once(void **state)
{
    (void)state;
    assert_null(find("192.0.2.7"));
    assert_int_equal(calls, 1);
    assert_string_equal(address, "192.0.2.7");
    assert_int_equal(port, 6379);
    assert_null(find("2001:db8::1"));
    assert_int_equal(calls, 2);
    assert_string_equal(address, "2001:db8::1");
    assert_int_equal(port, 6379);
}

static void localhost_is_this_machine(void **state)
{
    (void)state;
    assert_null(find("localhost"));
    assert_int_equal(calls, 1);
    assert_string_equal(address, "127.0.0.1");
    assert_null(find("LocalHost"));
    assert_int_equal(calls, 2);
}

/* A name of the machine's hosts file, whichever there is. */
static bool name_in_hosts(char name[64])
{
    char line[256];
    bool found = false;
    FILE *f = fopen("/etc/hosts", "r");
    while (f && !found && fgets(line, sizeof(line), f)) {
        char addr[64];
        found = sscanf(line, "%63[0-9.] %63[a-zA-Z0-9.-]", addr, name) == 2 &&
                strcmp(name, "localhost") != 0;
    }
    if (f)
        (void)fclose(f);
    return found;
}

static void the_hosts_file_is_read(void **state)
{
    (void)state;
    char name[64];
    if (!name_in_hosts(name))
        skip();
    (void)find(name);
    turn_until_called(1000);
    assert_false(failed);
}

static void a_name_nobody_knows_ends_with_a_reason(void **state)
{
    (void)state;
    if (find("nowhere.invalid"))
        assert_int_equal(calls, 0);
    turn_until_called(8000);
    assert_true(failed);
}

static void a_cancelled_query_stays_silent(void **state)
{
    (void)state;
    struct resolver_query *q = find("nowhere.invalid");
    if (!q)
        skip();
    resolver_cancel(q);
    for (unsigned i = 0; i < 20; i++)
        loop_turn(loop, 10);
    assert_int_equal(calls, 0);
}

static void a_query_may_be_cancelled_right_before_the_end(void **state)
{
    (void)state;
    struct resolver_query *q = find("nowhere.invalid");
    if (q)
        resolver_cancel(q);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_are_answered_at_once),
        TEST(localhost_is_this_machine),
        TEST(the_hosts_file_is_read),
        TEST(a_name_nobody_knows_ends_with_a_reason),
        TEST(a_cancelled_query_stays_silent),
        TEST(a_query_may_be_cancelled_right_before_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
