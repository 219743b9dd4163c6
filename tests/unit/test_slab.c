#include "common/slab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { N = 2000 };

static unsigned char *records[N];

/* Large ones, too. */
static size_t size_of(unsigned i)
{
    return 1 + i % (SLAB_MAX + 40);
}

static void assert_filled(unsigned i, unsigned char with)
{
    for (size_t at = 0; at < size_of(i); at++)
        assert_int_equal(records[i][at], with);
}

static void records_are_zeros_and_overlap_nowhere(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < N; i++) {
            records[i] = slab_alloc(size_of(i));
            assert_int_equal((uintptr_t)records[i] % 8, 0);
            assert_filled(i, 0);
            memset(records[i], (int)(i % 251) + 1, size_of(i));
        }
        for (unsigned i = 0; i < N; i++) {
            assert_filled(i, (unsigned char)(i % 251 + 1));
            slab_free(records[i], size_of(i));
        }
    }
}

#if !defined(__SANITIZE_ADDRESS__)
static void a_free_record_serves_the_next_of_its_size(void **state)
{
    (void)state;
    void *first = slab_alloc(41);
    slab_free(first, 41);
    void *other = slab_alloc(56);
    void *again = slab_alloc(48);
    assert_ptr_equal(again, first);
    assert_ptr_not_equal(other, first);
    slab_free(other, 56);
    slab_free(again, 48);
}
#endif

static void nothing_can_be_freed(void **state)
{
    (void)state;
    slab_free(NULL, 8);
    slab_free(NULL, SLAB_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_zeros_and_overlap_nowhere),
#if !defined(__SANITIZE_ADDRESS__)
        cmocka_unit_test(a_free_record_serves_the_next_of_its_size),
#endif
        cmocka_unit_test(nothing_can_be_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
