#include "common/err.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void every_code_has_its_own_sentence(void **state)
{
    (void)state;
    for (int a = ERR_CONFIG; a <= 0; a++) {
        assert_string_not_equal(err_text(a), "unknown error");
        for (int b = a + 1; b <= 0; b++)
            assert_string_not_equal(err_text(a), err_text(b));
    }
    assert_string_equal(err_text(ERR_LIMIT), "a limit was exceeded");
}

static void other_codes_are_unknown(void **state)
{
    (void)state;
    assert_string_equal(err_text(1), "unknown error");
    assert_string_equal(err_text(-1000), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_own_sentence),
        cmocka_unit_test(other_codes_are_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
