#include "common/mp.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "common/mem.h"

/* Hexadecimal digits to bytes; blanks are skipped. In memory of exactly that
 * size, so that reading past the end is seen. */
static struct str bytes_of(const char *hex)
{
    size_t n = 0;
    char *out = mem_alloc(strlen(hex) / 2);
    for (const char *p = hex; *p; p++) {
        unsigned byte;
        if (*p == ' ')
            continue;
        assert_int_equal(sscanf(p, "%2x", &byte), 1);
        out[n++] = (char)byte;
        p++;
    }
    return (struct str){mem_realloc(out, n), n};
}

static void free_bytes(struct str s)
{
    union {
        const char *in;
        void *out;
    } p = {s.p};
    mem_free(p.out);
}

static void assert_packs(const char *json, const char *hex)
{
    struct json tape;
    struct json_limits limits = {64, 1000};
    struct str want = bytes_of(hex);
    struct buf out;
    json_init(&tape);
    buf_init(&out, 1000);
    assert_int_equal(json_parse(&tape, str_of(json), limits), 0);
    mp_put_json(&out, &tape, 0, NULL, 0);
    assert_false(out.full);
    assert_int_equal(out.len, want.len);
    assert_memory_equal(buf_ptr(&out), want.p, want.len);
    free_bytes(want);
    buf_fini(&out);
    json_fini(&tape);
}

static int unpack(const char *hex, uint32_t depth, struct buf *out,
                  struct mp_bins *bins)
{
    struct str in = bytes_of(hex);
    struct str at = in;
    buf_init(out, 10000);
    int rc = mp_to_json(&at, out, depth, bins);
    if (rc == 0)
        assert_int_equal(at.len, 0);
    free_bytes(in);
    return rc;
}

static void assert_unpacks(const char *hex, const char *json)
{
    struct buf out;
    struct mp_bins bins = {.n = 0};
    assert_int_equal(unpack(hex, 8, &out, &bins), 0);
    buf_addc(&out, '\0');
    assert_string_equal(buf_ptr(&out), json);
    buf_fini(&out);
    mp_bins_fini(&bins);
}

static void assert_refuses(const char *hex, int rc)
{
    struct buf out;
    struct mp_bins bins = {.n = 0};
    assert_int_equal(unpack(hex, 8, &out, &bins), rc);
    buf_fini(&out);
    mp_bins_fini(&bins);
}

static void integers_take_their_shortest_form(void **state)
{
    (void)state;
    assert_packs("0", "00");
    assert_packs("-0", "00");
    assert_packs("127", "7f");
    assert_packs("128", "cc80");
    assert_packs("255", "ccff");
    assert_packs("256", "cd0100");
    assert_packs("65535", "cdffff");
    assert_packs("65536", "ce00010000");
    assert_packs("4294967296", "cf0000000100000000");
    assert_packs("18446744073709551615", "cfffffffffffffffff");
    assert_packs("-1", "ff");
    assert_packs("-32", "e0");
    assert_packs("-33", "d0df");
    assert_packs("-129", "d1ff7f");
    assert_packs("-2147483649", "d3ffffffff7fffffff");
    assert_packs("-9223372036854775808", "d38000000000000000");
}

static void whole_numbers_are_integers_however_they_are_spelled(void **state)
{
    (void)state;
    assert_packs("1.0", "01");
    assert_packs("1e3", "cd03e8");
    assert_packs("9223372036854775808.0", "cf8000000000000000");
}

static void other_numbers_are_doubles(void **state)
{
    (void)state;
    assert_packs("0.5", "cb3fe0000000000000");
    assert_packs("-1.5", "cbbff8000000000000");
    assert_packs("18446744073709551616", "cb43f0000000000000");
    assert_packs("1e300", "cb7e37e43c8800759c");
}

static void numbers_beyond_a_double_are_infinite(void **state)
{
    (void)state;
    assert_packs("1e400", "cb7ff0000000000000");
    assert_packs("-1e400", "cbfff0000000000000");
    /* as the official encoder: a whole number is an integer while it fits */
    assert_packs("-9223372036854776000", "d38000000000000000");
    assert_unpacks("cadf000000", "-9223372036854776000");
    assert_unpacks("cb7ff0000000000000", "null");
}

static void text_and_containers_take_their_shortest_form(void **state)
{
    (void)state;
    assert_packs("null", "c0");
    assert_packs("[true,false]", "92c3c2");
    assert_packs("\"\"", "a0");
    assert_packs("\"\\u00e9\\n\"", "a3c3a90a");
    assert_packs("\"0123456789012345678901234567890123456789\"",
                 "d928 30313233343536373839 30313233343536373839"
                 "30313233343536373839 30313233343536373839");
    assert_packs("[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]",
                 "dc0010 00000000000000000000000000000000");
    assert_packs("{\"a\":{\"b\":[]},\"\":{}}", "82a161 81a16290 a080");
}

static void placeholders_become_their_attachments(void **state)
{
    (void)state;
    struct json tape;
    struct json_limits limits = {64, 1000};
    struct bytes *bins[2] = {bytes_new(STR("\1\2")), bytes_new(STR(""))};
    struct buf out;
    struct str want = bytes_of("94 c400 81 a16e c4020102"
                               "82 ac5f706c616365686f6c646572c3 a36e756d02"
                               "81 ac5f706c616365686f6c646572c3");
    json_init(&tape);
    buf_init(&out, 1000);
    assert_int_equal(json_parse(&tape,
                                STR("[{\"_placeholder\":true,\"num\":1},"
                                    "{\"n\":{\"_placeholder\":true,\"num\":0}},"
                                    "{\"_placeholder\":true,\"num\":2},"
                                    "{\"_placeholder\":true}]"),
                                limits),
                     0);
    mp_put_json(&out, &tape, 0, bins, 2);
    assert_int_equal(out.len, want.len);
    assert_memory_equal(buf_ptr(&out), want.p, want.len);
    free_bytes(want);
    buf_fini(&out);
    json_fini(&tape);
    bytes_unref(bins[0]);
    bytes_unref(bins[1]);
}

static void without_attachments_a_placeholder_is_an_object(void **state)
{
    (void)state;
    assert_packs("{\"_placeholder\":true,\"num\":0}",
                 "82 ac5f706c616365686f6c646572c3 a36e756d00");
}

static void numbers_of_any_width_are_read(void **state)
{
    (void)state;
    assert_unpacks("07", "7");
    assert_unpacks("cc02", "2");
    assert_unpacks("cf0000000000000007", "7");
    assert_unpacks("cfffffffffffffffff", "18446744073709551615");
    assert_unpacks("d0df", "-33");
    assert_unpacks("d1fffe", "-2");
    assert_unpacks("d2ffffffff", "-1");
    assert_unpacks("d38000000000000000", "-9223372036854775808");
    assert_unpacks("ca3fc00000", "1.5");
    assert_unpacks("ca40000000", "2");
    assert_unpacks("cb3fb999999999999a", "0.1");
    assert_unpacks("cb7ff8000000000000", "null");
    assert_unpacks("cb7ff0000000000000", "null");
}

static void containers_of_any_width_are_read(void **state)
{
    (void)state;
    assert_unpacks("dc0003 c0c2c3", "[null,false,true]");
    assert_unpacks("dd00000001 90", "[[]]");
    assert_unpacks("de0001 d90161 80", "{\"a\":{}}");
    assert_unpacks("df00000001 da000161 db00000000", "{\"a\":\"\"}");
}

static void timestamps_become_iso_dates(void **state)
{
    (void)state;
    assert_unpacks("d7ff1d5353006553f100", "\"2023-11-14T22:13:20.123Z\"");
    assert_unpacks("d6ff6553f100", "\"2023-11-14T22:13:20.000Z\"");
    assert_unpacks("c70cff 075bcd00 000000006553f100",
                   "\"2023-11-14T22:13:20.123Z\"");
    assert_unpacks("c70cff 3b9ac9ff ffffffffffffffff",
                   "\"1970-01-01T00:00:00.000Z\"");
    assert_unpacks("c70cff 00000000 fffffff1868b8400",
                   "\"0000-01-01T00:00:00.000Z\"");
    assert_unpacks("c70cff 00000000 fffffff1868b83ff",
                   "\"-000001-12-31T23:59:59.000Z\"");
    assert_unpacks("c70cff 00000000 0000003afff44180",
                   "\"+010000-01-01T00:00:00.000Z\"");
    assert_unpacks("c70cff 00000000 7fffffffffffffff", "null");
    assert_unpacks("c70cff 00000000 8000000000000000", "null");
    assert_unpacks("d6ff 389ba680", "\"2000-02-05T04:26:40.000Z\"");
}

static void extensions_of_the_official_encoder_are_known(void **state)
{
    (void)state;
    assert_unpacks("d40000", "null");
    assert_unpacks("d700 0000018bcfe5687b", "\"2023-11-14T22:13:20.123Z\"");
}

/* As a double has it: 999.999999 ms after the second are a whole one. */
static void timestamps_are_rounded_as_the_official_decoder_does(void **state)
{
    (void)state;
    assert_unpacks("d7ffee6b27fc6553f100", "\"2023-11-14T22:13:21.000Z\"");
    assert_unpacks("d7ffffffffff6553f100", "\"2432-03-05T17:38:09.073Z\"");
    assert_unpacks("c70cff 000f423f 000000006553f100",
                   "\"2023-11-14T22:13:20.001Z\"");
    assert_unpacks("c70cff 000f423f ffffffffffffffff",
                   "\"1969-12-31T23:59:59.001Z\"");
    assert_unpacks("c70cff ffffffff 0000000000000000",
                   "\"1970-01-01T00:00:04.294Z\"");
    assert_unpacks("c70cff 00000000 000007dba8218000",
                   "\"+275760-09-13T00:00:00.000Z\"");
    assert_unpacks("c70cff 000f4240 000007dba8218000", "null");
}

static void undefined_members_are_left_out(void **state)
{
    (void)state;
    assert_unpacks("83 a161 d40000 a162 01 a163 d40000", "{\"b\":1}");
    assert_unpacks("81 a161 91 d40000", "{\"a\":[null]}");
    assert_unpacks("81 a161 d40100", "{\"a\":[1,{\"_placeholder\":true,"
                                     "\"num\":0}]}");
    assert_refuses("81 a161 d400", ERR_PROTO);
}

static void fixed_extensions_of_type_0_are_not_all_old_ones(void **state)
{
    (void)state;
    assert_unpacks("d5000102", "[0,{\"_placeholder\":true,\"num\":0}]");
    assert_unpacks("d60001020304", "[0,{\"_placeholder\":true,\"num\":0}]");
}

static void binary_is_set_aside(void **state)
{
    (void)state;
    struct buf out;
    struct mp_bins bins = {.n = 0};
    assert_int_equal(
        unpack("94 c4020102 c7020003 04 d5052122 c500015a", 8, &out, &bins), 0);
    buf_addc(&out, '\0');
    assert_string_equal(buf_ptr(&out), "[{\"_placeholder\":true,\"num\":0},"
                                       "{\"_placeholder\":true,\"num\":1},"
                                       "[5,{\"_placeholder\":true,\"num\":2}],"
                                       "{\"_placeholder\":true,\"num\":3}]");
    assert_int_equal(bins.n, 4);
    assert_true(str_eq(bytes_str(bins.v[0]), STR("\1\2")));
    assert_true(str_eq(bytes_str(bins.v[1]), STR("\3\4")));
    assert_true(str_eq(bytes_str(bins.v[2]), STR("!\"")));
    assert_true(str_eq(bytes_str(bins.v[3]), STR("Z")));
    mp_bins_fini(&bins);
    buf_fini(&out);
}

static void too_much_binary_is_refused(void **state)
{
    (void)state;
    assert_refuses("9b c400c400c400c400c400c400c400c400c400c400c400",
                   ERR_LIMIT);
    struct buf out;
    assert_int_equal(unpack("c400", 8, &out, NULL), ERR_PROTO);
    buf_fini(&out);
}

static void what_looks_like_a_placeholder_excludes_binary(void **state)
{
    (void)state;
    assert_refuses("92 81 ac5f706c616365686f6c646572c3 c400", ERR_PROTO);
    assert_refuses("92 81 c40c5f706c616365686f6c646572c3 c400", ERR_PROTO);
    assert_unpacks("92 81 ac5f706c616365686f6c64657201 c400",
                   "[{\"_placeholder\":1},{\"_placeholder\":true,\"num\":0}]");
    assert_unpacks("92 81 ac5f706c616365686f6c646572c3 c0",
                   "[{\"_placeholder\":true},null]");
}

static void keys_become_text(void **state)
{
    (void)state;
    assert_unpacks("86 0701 ff02 c003 c304 cb3ff8000000000000 05 c4017806",
                   "{\"7\":1,\"-1\":2,\"null\":3,\"true\":4,\"1.5\":5,"
                   "\"x\":6}");
    assert_unpacks("81 cb7ff8000000000000 c0", "{\"NaN\":null}");
    assert_unpacks("81 cbfff0000000000000 c0", "{\"-Infinity\":null}");
    assert_refuses("81 90 c0", ERR_PROTO);
    assert_refuses("81 d40000 c0", ERR_PROTO);
}

static void the_prototype_key_is_left_out(void **state)
{
    (void)state;
    assert_unpacks("83 a16101 a95f5f70726f746f5f5f 8161c3 a16202",
                   "{\"a\":1,\"b\":2}");
    assert_unpacks("81 a95f5f70726f746f5f5f 90", "{}");
    assert_unpacks("81 c4095f5f70726f746f5f5f 90", "{}");
}

static void the_prototype_key_is_never_written(void **state)
{
    (void)state;
    assert_packs("{\"a\":1,\"__proto__\":{\"b\":[1]},\"c\":2}",
                 "82 a16101 a16302");
    assert_packs("[{\"\\u005f_proto__\":1,\"__proto__\":2},3]", "92 80 03");
    assert_packs("{\"__proto__\":{\"__proto__\":[]}}", "80");
    assert_packs("[{\"a\":{\"__proto__\":1},\"b\":[{\"__proto__\":[]}]},4]",
                 "92 82 a161 80 a162 91 80 04");
    /* where it is no key */
    assert_packs("[\"__proto__\",{\"a\":\"__proto__\",\"b\":[\"__proto__\"]}]",
                 "92 a95f5f70726f746f5f5f 82 a161 a95f5f70726f746f5f5f"
                 "a162 91 a95f5f70726f746f5f5f");
}

static void text_that_is_not_utf8_is_repaired(void **state)
{
    (void)state;
    assert_unpacks("a361ff62", "\"a\xEF\xBF\xBD"
                               "b\"");
    assert_unpacks("a2220a", "\"\\\"\\n\"");
}

static void depth_is_bounded(void **state)
{
    (void)state;
    assert_unpacks("9191919191919190", "[[[[[[[[]]]]]]]]");
    assert_refuses("919191919191919190", ERR_LIMIT);
    /* An attachment is an object, too. */
    assert_refuses("9191919191919191c400", ERR_LIMIT);
    assert_refuses("91919191919191d50500 00", ERR_LIMIT);
}

static void output_is_bounded(void **state)
{
    (void)state;
    struct str at = STR("\x94\xc0\xc0\xc0\xc0");
    struct buf out;
    buf_init(&out, 15);
    assert_int_equal(mp_to_json(&at, &out, 8, NULL), ERR_LIMIT);
    buf_fini(&out);
}

static void impossible_counts_are_refused_at_once(void **state)
{
    (void)state;
    assert_refuses("ddffffffff", ERR_PROTO);
    assert_refuses("dfffffffff 0000", ERR_PROTO);
    assert_refuses("dbffffffff 00", ERR_PROTO);
    assert_refuses("c6ffffffff 00", ERR_PROTO);
    assert_refuses("c9ffffffff 0500", ERR_PROTO);
    assert_refuses("c1", ERR_PROTO);
    assert_refuses("9200", ERR_PROTO);
}

static void skipping_is_not_deep(void **state)
{
    (void)state;
    enum { DEEP = 100000 };
    char *p = mem_alloc(DEEP + 1);
    memset(p, 0x91, DEEP);
    p[DEEP] = 7;
    struct str at = {p, DEEP + 1};
    assert_int_equal(mp_skip(&at), 0);
    assert_int_equal(at.len, 0);
    at = (struct str){p, DEEP};
    assert_int_equal(mp_skip(&at), ERR_PROTO);
    mem_free(p);
}

/* Random JSON comes back as it went. */
static void gen(struct buf *b, unsigned depth)
{
    unsigned n = (unsigned)rand() % 4;
    switch (rand() % (depth > 4 ? 5 : 7)) {
    case 0:
        buf_add(b, STR("null"));
        break;
    case 1:
        buf_add(b, rand() % 2 ? STR("true") : STR("false"));
        break;
    case 2:
        buf_add_i64(b, (int64_t)((uint64_t)rand() << (rand() % 33)) *
                           (rand() % 2 ? 1 : -1));
        break;
    case 3:
        buf_fmt(b, "%d.5", rand() - rand());
        break;
    case 4:
        buf_addc(b, '"');
        for (unsigned i = 0; i < n * 13; i++)
            buf_addc(b, (char)('a' + rand() % 26));
        buf_addc(b, '"');
        break;
    case 5:
        buf_addc(b, '[');
        for (unsigned i = 0; i < n; i++) {
            gen(b, depth + 1);
            buf_addc(b, i + 1 < n ? ',' : ' ');
        }
        b->len -= n > 0;
        buf_addc(b, ']');
        break;
    default:
        buf_addc(b, '{');
        for (unsigned i = 0; i < n; i++) {
            buf_fmt(b, "\"k%u\":", i);
            gen(b, depth + 1);
            buf_addc(b, i + 1 < n ? ',' : ' ');
        }
        b->len -= n > 0;
        buf_addc(b, '}');
        break;
    }
}

static void what_is_packed_unpacks_to_the_same_text(void **state)
{
    (void)state;
    struct json_limits limits = {64, 100000};
    struct json tape;
    struct buf text, packed, back;
    json_init(&tape);
    buf_init(&text, 1U << 20);
    buf_init(&packed, 1U << 20);
    buf_init(&back, 1U << 20);
    srand(7);
    for (unsigned round = 0; round < 2000; round++) {
        buf_clear(&text);
        buf_clear(&packed);
        buf_clear(&back);
        gen(&text, 0);
        assert_int_equal(json_parse(&tape, buf_str(&text), limits), 0);
        mp_put_json(&packed, &tape, 0, NULL, 0);
        struct str at = buf_str(&packed);
        assert_int_equal(mp_to_json(&at, &back, 32, NULL), 0);
        assert_int_equal(at.len, 0);
        assert_int_equal(back.len, text.len);
        assert_memory_equal(buf_ptr(&back), buf_ptr(&text), text.len);
    }
    buf_fini(&text);
    buf_fini(&packed);
    buf_fini(&back);
    json_fini(&tape);
}

/* With nothing written when it is false. */
static bool packs_text(struct str json, struct buf *out)
{
    buf_clear(out);
    buf_add(out, STR("before"));
    bool packed = mp_put_text(out, json);
    assert_true(str_starts(buf_str(out), STR("before")));
    assert_true(packed || out->len == 6);
    return packed;
}

static void assert_packs_as_with_a_tape(struct str json, struct buf *out)
{
    struct json_limits limits = {64, 1000000};
    struct json tape;
    struct buf want;
    json_init(&tape);
    buf_init(&want, 1U << 20);
    assert_int_equal(json_parse(&tape, json, limits), 0);
    mp_put_json(&want, &tape, 0, NULL, 0);
    assert_true(str_eq(str_from(buf_str(out), 6), buf_str(&want)));
    buf_fini(&want);
    json_fini(&tape);
}

static void simple_text_is_packed_as_with_a_tape(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[]",
        "{}",
        "[[],{},[[]]]",
        "0",
        "-0",
        "127",
        "128",
        "-33",
        "999999999999999999",
        "-999999999999999999",
        "\"\"",
        "[\"say\",{\"room\":\"r\",\"n\":1,\"b\":[true,false,null]}]",
        "[\"\xC3\xA4 \xF0\x9F\x98\x80\"]",
        "[\"0123456789012345678901234567890\"]",
        "[\"01234567890123456789012345678901\"]",
        "{\"__proto_\":{\"\":1},\"a\":1,\"a\":2}",
        "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]",
        "[[[[[[[[]]]]]]]]",
    };
    struct buf out, text;
    buf_init(&out, 1U << 20);
    buf_init(&text, 1U << 20);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_true(packs_text(str_of(texts[i]), &out));
        assert_packs_as_with_a_tape(str_of(texts[i]), &out);
    }
    /* Around the lengths at which the heads of texts change. */
    for (size_t n = 250; n < 260; n++) {
        buf_clear(&text);
        buf_addc(&text, '"');
        for (size_t i = 0; i < n; i++)
            buf_addc(&text, 'x');
        buf_addc(&text, '"');
        assert_true(packs_text(buf_str(&text), &out));
        assert_int_equal(out.len, 6 + (n < 256 ? 2U : 3U) + n);
        assert_packs_as_with_a_tape(buf_str(&text), &out);
    }
    unsigned packed = 0;
    srand(8);
    for (unsigned round = 0; round < 4000; round++) {
        buf_clear(&text);
        gen(&text, 0);
        if (!packs_text(buf_str(&text), &out))
            continue;
        packed++;
        assert_packs_as_with_a_tape(buf_str(&text), &out);
    }
    assert_true(packed > 1000);
    buf_fini(&text);
    buf_fini(&out);
}

static void other_text_takes_a_tape(void **state)
{
    (void)state;
    static const char *const texts[] = {
        /* no JSON */
        "",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1]]",
        "[1}",
        "{\"a\":1]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{1:2}",
        "[tru]",
        "[truex]",
        "nul",
        "[-]",
        "[01]",
        "[-01]",
        "[+1]",
        "\"",
        "\"a",
        "[\"\x01\"]",
        "[\"\xC3\"]",
        "{\"\xFF\":1}",
        /* not simple */
        " []",
        "[ 1]",
        "[1] ",
        "[1.5]",
        "[1e3]",
        "[1000000000000000000]",
        "[\"a\\n\"]",
        "{\"\\u0061\":1}",
        "{\"__proto__\":1}",
        "{\"\\u005f_proto__\":1}",
        "[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]",
        "[[[[[[[[[]]]]]]]]]",
    };
    struct buf out;
    buf_init(&out, 1000);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_false(packs_text(str_of(texts[i]), &out));
    buf_fini(&out);
}

static void packing_text_is_bounded(void **state)
{
    (void)state;
    struct str text = STR("[\"a\",{\"b\":[1,true,\"cdef\"]}]");
    struct buf out;
    size_t fits = 0;
    for (size_t max = 6; max < 40; max++) {
        buf_init(&out, max);
        bool packed = packs_text(text, &out);
        assert_int_equal(packed, !out.full);
        if (packed && !fits)
            fits = max;
        buf_fini(&out);
    }
    assert_int_equal(fits, 6 + 1 + 2 + 1 + 2 + 1 + 1 + 1 + 5);
}

static void a_container_is_no_key_even_before_what_is_left_out(void **state)
{
    (void)state;
    /* {[undefined]: ...}, whose head alone could be taken for the key. */
    struct str in = STR("\x81\x91\xd4\x00\x00\x01");
    struct mp_bins bins = {.n = 0};
    struct buf out;
    buf_init(&out, 100);
    assert_int_equal(mp_to_json(&in, &out, 8, &bins), ERR_PROTO);
    mp_bins_fini(&bins);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_container_is_no_key_even_before_what_is_left_out),
        cmocka_unit_test(integers_take_their_shortest_form),
        cmocka_unit_test(whole_numbers_are_integers_however_they_are_spelled),
        cmocka_unit_test(other_numbers_are_doubles),
        cmocka_unit_test(numbers_beyond_a_double_are_infinite),
        cmocka_unit_test(text_and_containers_take_their_shortest_form),
        cmocka_unit_test(placeholders_become_their_attachments),
        cmocka_unit_test(without_attachments_a_placeholder_is_an_object),
        cmocka_unit_test(numbers_of_any_width_are_read),
        cmocka_unit_test(containers_of_any_width_are_read),
        cmocka_unit_test(timestamps_become_iso_dates),
        cmocka_unit_test(timestamps_are_rounded_as_the_official_decoder_does),
        cmocka_unit_test(extensions_of_the_official_encoder_are_known),
        cmocka_unit_test(fixed_extensions_of_type_0_are_not_all_old_ones),
        cmocka_unit_test(undefined_members_are_left_out),
        cmocka_unit_test(binary_is_set_aside),
        cmocka_unit_test(too_much_binary_is_refused),
        cmocka_unit_test(what_looks_like_a_placeholder_excludes_binary),
        cmocka_unit_test(keys_become_text),
        cmocka_unit_test(the_prototype_key_is_left_out),
        cmocka_unit_test(the_prototype_key_is_never_written),
        cmocka_unit_test(text_that_is_not_utf8_is_repaired),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(output_is_bounded),
        cmocka_unit_test(impossible_counts_are_refused_at_once),
        cmocka_unit_test(skipping_is_not_deep),
        cmocka_unit_test(what_is_packed_unpacks_to_the_same_text),
        cmocka_unit_test(simple_text_is_packed_as_with_a_tape),
        cmocka_unit_test(other_text_takes_a_tape),
        cmocka_unit_test(packing_text_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
