#include "common/sha1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check(struct str in, const char *want)
{
    unsigned char out[20];
    sha1(in, out);
    assert_memory_equal(out, want, sizeof(out));
}

static void digests_the_examples_of_the_standard(void **state)
{
    (void)state;
    check(STR(""), "\xda\x39\xa3\xee\x5e\x6b\x4b\x0d\x32\x55"
                   "\xbf\xef\x95\x60\x18\x90\xaf\xd8\x07\x09");
    check(STR("abc"), "\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e"
                      "\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d");
}

/* RFC 6455, section 1.3. */
static void digests_the_websocket_example(void **state)
{
    (void)state;
    check(STR("dGhlIHNhbXBsZSBub25jZQ==258EAFA5-E914-47DA-95CA-C5AB0DC85B11"),
          "\xb3\x7a\x4f\x2c\xc0\x62\x4f\x16\x90\xf6"
          "\x46\x06\xcf\x38\x59\x45\xb2\xbe\xc4\xea");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests_the_examples_of_the_standard),
        cmocka_unit_test(digests_the_websocket_example),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
