/* The tape against jansson: both accept, or both refuse, or the difference is
 * one we know and want. What both accept means the same to both, and every
 * span of the tape is JSON by itself. */
#include "common/json.h"

#include <stdlib.h>

/* Some names exist on both sides; jansson's get out of the way. Its
 * json_string() must not be used here: the linker would find ours. */
#define json_type jansson_type
#define json_string jansson_string
#define JSON_OBJECT JANSSON_OBJECT
#define JSON_ARRAY JANSSON_ARRAY
#define JSON_STRING JANSSON_STRING
#define JSON_TRUE JANSSON_TRUE
#define JSON_FALSE JANSSON_FALSE
#define JSON_NULL JANSSON_NULL
#include <jansson.h>
#undef json_type
#undef json_string
#undef JSON_OBJECT
#undef JSON_ARRAY
#undef JSON_STRING
#undef JSON_TRUE
#undef JSON_FALSE
#undef JSON_NULL

#include "common/json_out.h"

/* The checks below are quadratic. */
enum { NODES_CHECKED = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct json_limits wide = {.depth = 64, .nodes = 1 << 16};

static void expect(bool ok)
{
    if (!ok)
        abort();
}

/* jansson keeps numbers as C has them, strings as UTF-8, and keys as C text;
 * what does not fit it refuses. */
static bool refuses_on_purpose(const json_error_t *e)
{
    enum json_error_code code = json_error_code(e);
    return code == json_error_numeric_overflow ||
           code == json_error_null_byte_in_key ||
           strstr(e->text, "invalid Unicode") != NULL;
}

static void compare_string(const struct json *j, uint32_t node,
                           const json_t *theirs)
{
    struct str want = {json_string_value(theirs), json_string_length(theirs)};
    struct buf out;
    buf_init(&out, SIZE_MAX);
    json_string(j, node, &out);
    expect(str_eq(buf_str(&out), want));
    expect(json_string_eq(j, node, want));
    expect(str_eq(json_string_view(j, node, &out), want));
    buf_clear(&out);
    json_out_string(&out, want);
    struct json again;
    json_init(&again);
    expect(json_parse(&again, buf_str(&out), wide) == 0);
    expect(json_string_eq(&again, 0, want));
    json_fini(&again);
    buf_fini(&out);
}

static void compare_number(const struct json *j, uint32_t node,
                           const json_t *theirs)
{
    int64_t whole;
    double d;
    if (json_typeof(theirs) == JSON_INTEGER) {
        expect(json_i64(j, node, &whole));
        expect(whole == json_integer_value(theirs));
    }
    expect(json_double(j, node, &d));
    expect(d == json_number_value(theirs));
    struct buf out;
    buf_init(&out, 64);
    json_out_double(&out, d);
    struct json again;
    json_init(&again);
    double back;
    expect(json_parse(&again, buf_str(&out), wide) == 0);
    expect(json_double(&again, 0, &back) && back == d);
    json_fini(&again);
    buf_fini(&out);
}

static void compare(const struct json *j, uint32_t node, const json_t *theirs);

static void compare_array(const struct json *j, uint32_t node,
                          const json_t *theirs)
{
    uint32_t i = 0;
    for (uint32_t at = json_first(j, node); at != JSON_NONE;
         at = json_next(j, node, at)) {
        expect(json_at(j, node, i) == at);
        compare(j, at, json_array_get(theirs, i++));
    }
    expect(i == json_array_size(theirs));
    expect(json_at(j, node, i) == JSON_NONE);
}

static void compare_object(const struct json *j, uint32_t node,
                           const json_t *theirs)
{
    struct buf key;
    uint32_t members = 0;
    buf_init(&key, SIZE_MAX);
    for (uint32_t at = json_first(j, node); at != JSON_NONE;
         at = json_next(j, node, at)) {
        buf_clear(&key);
        json_string(j, at, &key);
        uint32_t value = json_get(j, node, buf_str(&key));
        expect(value != JSON_NONE);
        buf_addc(&key, '\0');
        compare(j, value, json_object_get(theirs, buf_ptr(&key)));
        at = json_next(j, node, at);
        members++;
    }
    expect(members == j->nodes[node].count);
    expect(members >= json_object_size(theirs));
    buf_fini(&key);
}

static bool same_kind(enum json_type ours, jansson_type theirs)
{
    static const jansson_type same[] = {
        [JSON_NULL] = JANSSON_NULL,   [JSON_FALSE] = JANSSON_FALSE,
        [JSON_TRUE] = JANSSON_TRUE,   [JSON_STRING] = JANSSON_STRING,
        [JSON_ARRAY] = JANSSON_ARRAY, [JSON_OBJECT] = JANSSON_OBJECT,
    };
    if (ours == JSON_NUMBER)
        return theirs == JSON_INTEGER || theirs == JSON_REAL;
    return same[ours] == theirs;
}

static void compare(const struct json *j, uint32_t node, const json_t *theirs)
{
    expect(theirs != NULL);
    expect(same_kind(json_type(j, node), json_typeof(theirs)));
    switch (json_type(j, node)) {
    case JSON_NUMBER:
        compare_number(j, node, theirs);
        break;
    case JSON_STRING:
        compare_string(j, node, theirs);
        break;
    case JSON_ARRAY:
        compare_array(j, node, theirs);
        break;
    case JSON_OBJECT:
        compare_object(j, node, theirs);
        break;
    default:
        break;
    }
}

static void spans_parse_alone(const struct json *j)
{
    struct json part;
    json_init(&part);
    for (uint32_t i = 0; i < j->n; i++) {
        const struct json_node *n = &j->nodes[i];
        expect(n->next > i && n->next <= j->n);
        expect(json_parse(&part, json_text(j, i), wide) == 0);
        expect(part.n == n->next - i);
        expect(part.nodes[0].start == 0);
        expect(part.nodes[0].end == n->end - n->start);
    }
    json_fini(&part);
}

static void tight_limits_only_refuse(struct str text, int rc)
{
    struct json j;
    json_init(&j);
    struct json_limits tight = {.depth = 2, .nodes = 5};
    int tight_rc = json_parse(&j, text, tight);
    expect(tight_rc == rc || tight_rc == ERR_LIMIT);
    expect(j.n <= tight.nodes);
    json_fini(&j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct json j;
    json_error_t why;
    json_init(&j);
    int rc = json_parse(&j, text, wide);
    expect(rc == 0 || rc == ERR_PROTO || rc == ERR_LIMIT);
    expect(rc == 0 || j.err_at <= size);
    tight_limits_only_refuse(text, rc);
    json_t *theirs =
        json_loadb(text.p, size, JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    /* jansson takes a raw NUL for the end of the text. */
    if (rc == ERR_PROTO && !(size > 0 && memchr(data, '\0', size)))
        expect(theirs == NULL);
    if (rc == 0)
        expect(theirs != NULL || refuses_on_purpose(&why));
    if (rc == 0 && j.n <= NODES_CHECKED) {
        spans_parse_alone(&j);
        if (theirs)
            compare(&j, 0, theirs);
    }
    json_decref(theirs);
    json_fini(&j);
    return 0;
}
