#include "common/id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void check_alphabet(void (*make)(char *, size_t), const char *alphabet)
{
    char out[10001];
    out[10000] = '#';
    make(out, 10000);
    assert_int_equal(out[10000], '#');
    out[10000] = '\0';
    assert_int_equal(strspn(out, alphabet), 10000);
    for (const char *p = alphabet; *p; p++)
        assert_non_null(strchr(out, *p));
}

static void random_uses_the_whole_alphabet_and_no_nul(void **state)
{
    (void)state;
    check_alphabet(id_random, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrs"
                              "tuvwxyz0123456789_-");
}

static void hex_is_lower_case(void **state)
{
    (void)state;
    check_alphabet(id_hex, "0123456789abcdef");
}

static void two_ids_differ(void **state)
{
    (void)state;
    char a[ID_LEN];
    char b[ID_LEN];
    id_random(a, sizeof(a));
    id_random(b, sizeof(b));
    assert_memory_not_equal(a, b, ID_LEN);
}

/* Some are drawn ahead, and there are pieces that fit into no such stock. */
static void nothing_is_drawn_twice(void **state)
{
    (void)state;
    enum { PIECES = 400, SIZE = 8 };
    static unsigned char first[PIECES][SIZE];
    unsigned char piece[200];
    for (size_t i = 0; i < PIECES; i++) {
        size_t len = SIZE + i * 7 % (sizeof(piece) - SIZE);
        id_bytes(piece, len);
        memcpy(first[i], piece + len - SIZE, SIZE);
        for (size_t j = 0; j < i; j++)
            assert_memory_not_equal(first[i], first[j], SIZE);
    }
}

static void bytes_fills_any_length(void **state)
{
    (void)state;
    unsigned char out[1000] = {0};
    unsigned seen = 0;
    id_bytes(out, 0);
    assert_int_equal(out[0], 0);
    id_bytes(out, sizeof(out));
    for (size_t i = 0; i < sizeof(out); i++)
        seen += out[i] != 0;
    assert_true(seen > 900);
}

static void below_reaches_every_value_and_no_other(void **state)
{
    (void)state;
    unsigned seen[7] = {0};
    for (unsigned i = 0; i < 7000; i++) {
        uint32_t r = id_below(7);
        assert_true(r < 7);
        seen[r]++;
    }
    for (unsigned i = 0; i < 7; i++)
        assert_in_range(seen[i], 700, 1300);
    assert_int_equal(id_below(1), 0);
    assert_true(id_below(UINT32_MAX) < UINT32_MAX);
}

struct drawn {
    char id[ID_LEN], hex[16];
    unsigned char raw[13];
    uint32_t below[8];
};

static void draw(struct drawn *d)
{
    id_random(d->id, sizeof(d->id));
    id_hex(d->hex, sizeof(d->hex));
    id_bytes(d->raw, sizeof(d->raw));
    for (unsigned i = 0; i < 8; i++)
        d->below[i] = id_below(1000000);
}

/* The last one: there is no way back to real chance. */
static void a_seed_decides_everything(void **state)
{
    (void)state;
    struct drawn a = {0};
    struct drawn again = {0};
    struct drawn other = {0};
    id_seed(7);
    draw(&a);
    id_seed(7);
    draw(&again);
    id_seed(8);
    draw(&other);
    assert_memory_equal(&a, &again, sizeof(a));
    assert_memory_not_equal(a.id, other.id, sizeof(a.id));
    assert_memory_not_equal(a.raw, other.raw, sizeof(a.raw));
    check_alphabet(id_hex, "0123456789abcdef");
    below_reaches_every_value_and_no_other(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_uses_the_whole_alphabet_and_no_nul),
        cmocka_unit_test(hex_is_lower_case),
        cmocka_unit_test(two_ids_differ),
        cmocka_unit_test(nothing_is_drawn_twice),
        cmocka_unit_test(bytes_fills_any_length),
        cmocka_unit_test(below_reaches_every_value_and_no_other),
        cmocka_unit_test(a_seed_decides_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
