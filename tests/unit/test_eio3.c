#include "server/engine/eio3.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "common/mem.h"

/* The packets of a payload, each behind a '|'; "!" at an error. An exact copy
 * is read, so that a sanitizer sees what lies beyond it. */
static void read_all(struct str payload, bool octets, struct buf *out)
{
    char *copy = mem_alloc(payload.len + 1);
    memcpy(copy, payload.p, payload.len);
    struct str rest = {copy, payload.len}, packet;
    bool binary = false;
    int more;
    while ((more = octets ? eio3_coding.next_octets(&rest, &packet, &binary)
                          : eio3_coding.next(&rest, &packet)) > 0) {
        buf_addc(out, binary ? '#' : '|');
        buf_add(out, packet);
    }
    if (more < 0)
        buf_addc(out, '!');
    mem_free(copy);
}

static void check(struct str payload, bool octets, struct str want)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    read_all(payload, octets, &out);
    if (!str_eq(buf_str(&out), want))
        print_error("got %.*s\n", STR_ARG(buf_str(&out)));
    assert_true(str_eq(buf_str(&out), want));
    buf_fini(&out);
}

static void text(struct str payload, struct str want)
{
    check(payload, false, want);
}

static void octets(struct str payload, struct str want)
{
    check(payload, true, want);
}

static void reads_packets_by_their_length(void **state)
{
    (void)state;
    text(STR("2:40"), STR("|40"));
    text(STR("2:401:21:3"), STR("|40|2|3"));
    text(STR("4:4a:b1:2"), STR("|4a:b|2"));
    text(STR("0002:40"), STR("|40"));
    text(STR("0:2:40"), STR("|40"));
    text(STR("0:"), STR(""));
}

static void counts_utf16_units(void **state)
{
    (void)state;
    text(STR("2:4\xc3\xa9"), STR("|4\xc3\xa9"));
    text(STR("2:4\xe2\x82\xac"), STR("|4\xe2\x82\xac"));
    text(STR("3:4\xf0\x9f\x98\x80"), STR("|4\xf0\x9f\x98\x80"));
    text(STR("2:4\xf0\x9f\x98\x80"), STR("!")); /* half of a pair */
    text(STR("3:4\xc3\xa9"), STR("!"));
}

static void refuses_what_has_no_length(void **state)
{
    (void)state;
    text(STR(""), STR("!"));
    text(STR(":"), STR("!"));
    text(STR("4"), STR("!"));
    text(STR("x:4"), STR("!"));
    text(STR("-1:4"), STR("!"));
    text(STR("1.0:4"), STR("!"));
    text(STR("2:40:"), STR("|40!"));
    text(STR("2:40 "), STR("|40!"));
}

static void refuses_lengths_that_lie(void **state)
{
    (void)state;
    text(STR("3:40"), STR("!"));
    text(STR("18446744073709551618:40"), STR("!"));
    text(STR("4294967298:40"), STR("!"));
    text(STR("99999999999999999999999999999999999999999:40"), STR("!"));
    text(STR("2:40"
             "9:2"),
         STR("|40!"));
}

static void reads_octets_by_their_length(void **state)
{
    (void)state;
    octets(STR(""), STR(""));
    octets(STR("\0\2\xff"
               "40"),
           STR("|40"));
    octets(STR("\1\3\xff\4ab\0\1\xff"
               "2"),
           STR("#\4ab|2"));
    octets(STR("\0\0\2\xff"
               "40"),
           STR("|40"));
    octets(STR("\0\1\1\xff"
               "4abcdefghij"),
           STR("|4abcdefghij"));
    octets(STR("\x37\1\xff\4"), STR("#\4"));
    octets(STR("\1\0\xff\0\0\xff"), STR("#|"));
}

static void refuses_octets_whose_lengths_lie(void **state)
{
    (void)state;
    octets(STR("\0"), STR("!"));
    octets(STR("\0\xff"), STR("!"));
    octets(STR("\0\2"), STR("!"));
    octets(STR("\0\x0c\xff"
               "40"),
           STR("!"));
    octets(STR("\0\3\xff"
               "40"),
           STR("!"));
    octets(STR("\1\x9\x9\x9\x9\x9\x9\x9\x9\x9\x9\x9\x9\x9\x9\x9\x9\x9\x9\x9"
               "\x9\x9\x9\xff"
               "4"),
           STR("!"));
    octets(STR("\0\1\xff\xff"), STR("!")); /* no UTF-8 */
    octets(STR("\1\1\xff\xff"), STR("#\xff"));
    assert_false(eio3_coding.octets_valid(STR("\0\1\xff"
                                              "2\0\2\xff"
                                              "2")));
    assert_true(eio3_coding.octets_valid(STR("\0\1\xff"
                                             "2")));
}

static void check_packet(struct str packet, bool octet, enum eio_type type,
                         bool binary, struct str data)
{
    struct buf scratch;
    struct eio_packet p;
    buf_init(&scratch, 100);
    if (octet)
        eio3_coding.decode_binary(packet, &p);
    else
        assert_int_equal(eio3_coding.decode(packet, &scratch, &p), 0);
    assert_int_equal(p.type, type);
    assert_int_equal(p.binary, binary);
    assert_true(str_eq(p.data, data));
    buf_fini(&scratch);
}

static void decodes_packets(void **state)
{
    (void)state;
    struct buf scratch;
    struct eio_packet p;
    check_packet(STR("42[]"), false, EIO_MESSAGE, false, STR("2[]"));
    check_packet(STR("2probe"), false, EIO_PING, false, STR("probe"));
    check_packet(STR("b4AQID"), false, EIO_MESSAGE, true, STR("\1\2\3"));
    check_packet(STR("b2"), false, EIO_PING, true, STR(""));
    check_packet(STR("b"), false, EIO_NOOP, true, STR(""));
    check_packet(STR("bxAQID"), false, EIO_NOOP, true, STR("\1\2\3"));
    check_packet(STR("\4\1\2"), true, EIO_MESSAGE, true, STR("\1\2"));
    check_packet(STR("\4"), true, EIO_MESSAGE, true, STR(""));
    check_packet(STR("\xff\1"), true, EIO_NOOP, true, STR("\1"));
    check_packet(STR(""), true, EIO_NOOP, true, STR(""));
    buf_init(&scratch, 2);
    assert_int_equal(eio3_coding.decode(STR(""), &scratch, &p), ERR_PROTO);
    assert_int_equal(eio3_coding.decode(STR("7"), &scratch, &p), ERR_PROTO);
    assert_int_equal(eio3_coding.decode(STR("b4AQIDBA=="), &scratch, &p),
                     ERR_LIMIT);
    buf_fini(&scratch);
}

static void check_added(struct str body, bool binary, struct str as_text,
                        struct str as_octets)
{
    struct buf out;
    buf_init(&out, 1000);
    eio3_coding.add(&out, body, binary);
    assert_true(str_eq(buf_str(&out), as_text));
    buf_clear(&out);
    eio3_coding.add_octets(&out, body, binary);
    assert_true(str_eq(buf_str(&out), as_octets));
    buf_fini(&out);
}

static void writes_payloads(void **state)
{
    (void)state;
    check_added(STR("3"), false, STR("1:3"),
                STR("\0\1\xff"
                    "3"));
    check_added(STR("4\xc3\xa9\xf0\x9f\x98\x80"), false,
                STR("4:4\xc3\xa9\xf0\x9f\x98\x80"),
                STR("\0\7\xff"
                    "4\xc3\xa9\xf0\x9f\x98\x80"));
    check_added(STR("\1\2\3"), true, STR("6:b4AQID"), STR("\1\4\xff\4\1\2\3"));
    check_added(STR("\1"), true, STR("6:b4AQ=="), STR("\1\2\xff\4\1"));
    check_added(STR(""), true, STR("2:b4"), STR("\1\1\xff\4"));
    check_added(STR("123456789"), true, STR("14:b4MTIzNDU2Nzg5"),
                STR("\1\1\0\xff\4"
                    "123456789"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_packets_by_their_length),
        cmocka_unit_test(counts_utf16_units),
        cmocka_unit_test(refuses_what_has_no_length),
        cmocka_unit_test(refuses_lengths_that_lie),
        cmocka_unit_test(reads_octets_by_their_length),
        cmocka_unit_test(refuses_octets_whose_lengths_lie),
        cmocka_unit_test(decodes_packets),
        cmocka_unit_test(writes_payloads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
