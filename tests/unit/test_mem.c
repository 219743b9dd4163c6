#include "common/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void zalloc_gives_zeros(void **state)
{
    (void)state;
    char *p = mem_zalloc(1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(p[i], 0);
    mem_free(p);
}

static void realloc_keeps_the_content(void **state)
{
    (void)state;
    char *p = mem_realloc(NULL, 4);
    memcpy(p, "abc", 4);
    p = mem_realloc(p, 100000);
    assert_string_equal(p, "abc");
    mem_free(p);
}

static void nothing_is_a_valid_size(void **state)
{
    (void)state;
    void *a = mem_alloc(0);
    void *b = mem_zalloc(0);
    assert_non_null(a);
    assert_non_null(b);
    a = mem_realloc(a, 0);
    assert_non_null(a);
    mem_free(a);
    mem_free(b);
    mem_free(NULL);
}

static void strndup_ends_with_a_nul_and_keeps_inner_ones(void **state)
{
    (void)state;
    char *p = mem_strndup("a\0bc", 3);
    assert_memory_equal(p, "a\0b", 4);
    mem_free(p);
    p = mem_strndup(NULL, 0);
    assert_string_equal(p, "");
    mem_free(p);
}

static void exhaustion_ends_the_process(void **state)
{
    (void)state;
    int err[2];
    assert_int_equal(pipe(err), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)dup2(err[1], STDERR_FILENO);
        volatile size_t huge = PTRDIFF_MAX;
        mem_free(mem_alloc(huge));
        _exit(0);
    }
    (void)close(err[1]);
    char said[4096];
    ssize_t n = read(err[0], said, sizeof(said));
    (void)close(err[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_true(n > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zalloc_gives_zeros),
        cmocka_unit_test(realloc_keeps_the_content),
        cmocka_unit_test(nothing_is_a_valid_size),
        cmocka_unit_test(strndup_ends_with_a_nul_and_keeps_inner_ones),
        cmocka_unit_test(exhaustion_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
