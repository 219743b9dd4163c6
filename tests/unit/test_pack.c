#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/io/event.h"
#include "server/io/pack.h"

static struct json tape, given;

static int pack(struct pack *p, const char *event, const char *format, ...)
{
    struct pack_args args;
    va_start(args.ap, format);
    int rc = pack_array(p, event, format, &args, &tape);
    va_end(args.ap);
    return rc;
}

static void is(const struct pack *p, const char *text)
{
    struct str s = buf_str(&p->json);
    assert_int_equal(s.len, strlen(text));
    assert_memory_equal(s.p, text, s.len);
}

static const struct sio_str three = {"\x00\x7f\xff", 3};

static void binary_data_goes_beside_the_text(void **state)
{
    (void)state;
    struct pack p;
    pack_init(&p, 1000);
    assert_int_equal(pack(&p, "e", "B,i,{b:B}", three, 7, three), 0);
    is(&p, "[\"e\",{\"_placeholder\":true,\"num\":0},7,"
           "{\"b\":{\"_placeholder\":true,\"num\":1}}]");
    assert_int_equal(p.n_bins, 2);
    pack_fini(&p);
}

static void
where_only_text_goes_binary_data_is_what_a_buffer_becomes(void **state)
{
    (void)state;
    struct pack p;
    pack_init_text(&p, 1000);
    assert_int_equal(pack(&p, "e", "B,[B]", three, (struct sio_str){"", 0}), 0);
    is(&p, "[\"e\",{\"type\":\"Buffer\",\"data\":[0,127,255]},"
           "[{\"type\":\"Buffer\",\"data\":[]}]]");
    assert_int_equal(p.n_bins, 0);
    pack_fini(&p);
}

static void attachments_of_an_event_become_text_too(void **state)
{
    (void)state;
    struct bytes *bins[] = {bytes_new((struct str){"ab", 2})};
    struct sio_event e;
    assert_int_equal(json_parse(&given,
                                STR("[[1,{\"_placeholder\":true,\"num\":0}]]"),
                                pack_limits),
                     0);
    event_init(&e, NULL, &given, false);
    e.bins = bins;
    e.n_bins = 1;
    struct pack p;
    pack_init_text(&p, 1000);
    assert_int_equal(pack(&p, NULL, "v", sio_arg(&e, 0)), 0);
    is(&p, "[[1,{\"type\":\"Buffer\",\"data\":[97,98]}]]");
    pack_fini(&p);
    event_fini(&e);
    bytes_unref(bins[0]);
}

static void text_of_binary_data_counts_as_what_it_is(void **state)
{
    (void)state;
    static const char data[100];
    struct pack p;
    pack_init(&p, 150);
    assert_int_equal(pack(&p, "e", "B", (struct sio_str){data, 100}), 0);
    pack_fini(&p);
    pack_init_text(&p, 150);
    assert_int_equal(pack(&p, "e", "B", (struct sio_str){data, 100}),
                     SIO_ERR_LIMIT);
    pack_fini(&p);
}

static void a_format_that_makes_no_json_is_refused(void **state)
{
    (void)state;
    static const char *const formats[] = {"in",  "i,",  ",i",  "i,,i", " ",
                                          "i n", "[in", "{i}", "i]"};
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        struct pack p;
        pack_init(&p, 1000);
        assert_int_equal(pack(&p, "e", formats[i], 1, 2, 3), SIO_ERR_ARG);
        pack_fini(&p);
    }
}

static void text_of_the_application_is_checked(void **state)
{
    (void)state;
    static const char *const texts[] = {"1,2]", "nul", "\"\xff\"", "[", "1 2"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct pack p;
        struct sio_str text = {texts[i], strlen(texts[i])};
        pack_init(&p, 1000);
        assert_int_equal(pack(&p, "e", "i,j,i", 1, text, 2), SIO_ERR_ARG);
        pack_fini(&p);
    }
}

static void values_are_a_list_whatever_they_hold(void **state)
{
    (void)state;
    struct pack p;
    pack_init(&p, 1000);
    assert_int_equal(pack(&p, "a\"b", " s, n,f ", "\xff\n", 1.5), 0);
    is(&p, "[\"a\\\"b\",\"\xef\xbf\xbd\\n\",null,1.5]");
    assert_int_equal(json_parse(&given, buf_str(&p.json), pack_limits), 0);
    pack_fini(&p);
}

/* An event's argument lies inside its array already; a text of its own may be
 * as deep as is allowed. */
static void nothing_gets_deeper_than_is_allowed(void **state)
{
    (void)state;
    char deep[2 * JSON_DEPTH_MAX];
    memset(deep, '[', JSON_DEPTH_MAX);
    memset(deep + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    struct sio_event e;
    assert_int_equal(
        json_parse(&given, (struct str){deep, sizeof(deep)}, pack_limits), 0);
    event_init(&e, NULL, &given, false);
    struct pack p;
    pack_init(&p, 1000);
    assert_int_equal(pack(&p, NULL, "v", sio_arg(&e, 0)), 0);
    pack_fini(&p);
    event_init_value(&e, &given);
    pack_init(&p, 1000);
    assert_int_equal(pack(&p, NULL, "v", sio_arg(&e, 0)), SIO_ERR_ARG);
    pack_fini(&p);
}

static int done(void **state)
{
    (void)state;
    json_fini(&tape);
    json_fini(&given);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binary_data_goes_beside_the_text),
        cmocka_unit_test(
            where_only_text_goes_binary_data_is_what_a_buffer_becomes),
        cmocka_unit_test(attachments_of_an_event_become_text_too),
        cmocka_unit_test(text_of_binary_data_counts_as_what_it_is),
        cmocka_unit_test(a_format_that_makes_no_json_is_refused),
        cmocka_unit_test(text_of_the_application_is_checked),
        cmocka_unit_test(values_are_a_list_whatever_they_hold),
        cmocka_unit_test(nothing_gets_deeper_than_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
