#include "server/engine/jsonp.h"

#include "common/json_out.h"
#include "server/http/http_query.h"

size_t jsonp_script_max(struct str target, struct str payload)
{
    return target.len + payload.len * 6 + 32;
}

static void add_index(struct str target, struct buf *out)
{
    struct buf scratch;
    struct str path, index = STR("");
    (void)str_next(&target, '?', &path);
    buf_init(&scratch, target.len + 1);
    if (target.p)
        query_find(target, STR("j"), &scratch, &index);
    for (size_t i = 0; i < index.len; i++) {
        if (index.p[i] >= '0' && index.p[i] <= '9')
            buf_addc(out, index.p[i]);
    }
    buf_fini(&scratch);
}

/* U+2028 and U+2029 are line breaks in older JavaScript, not in JSON. */
static void add_literal(struct str json, struct buf *out)
{
    size_t from = 0;
    for (size_t i = 0; i + 2 < json.len; i++) {
        if (memcmp(json.p + i, "\xe2\x80\xa8", 3) != 0 &&
            memcmp(json.p + i, "\xe2\x80\xa9", 3) != 0)
            continue;
        buf_add(out, (struct str){json.p + from, i - from});
        buf_add(out, json.p[i + 2] == '\xa8' ? STR("\\u2028") : STR("\\u2029"));
        from = i + 3;
    }
    buf_add(out, str_from(json, from));
}

void jsonp_script(struct str target, struct str payload, struct buf *out)
{
    struct buf json;
    buf_init(&json, jsonp_script_max(target, payload));
    json_out_string(&json, payload);
    buf_add(out, STR("___eio["));
    add_index(target, out);
    buf_add(out, STR("]("));
    add_literal(buf_str(&json), out);
    buf_add(out, STR(");"));
    buf_fini(&json);
}

/* Browsers may change line breaks in forms. So "\n" stands for one, and what
 * was a backslash and an n has two backslashes. */
static void unprotect(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.len; i++) {
        struct str rest = str_from(s, i);
        if (rest.len >= 3 && memcmp(rest.p, "\\\\n", 3) == 0) {
            buf_add(out, STR("\\n"));
            i += 2;
        } else if (rest.len >= 2 && memcmp(rest.p, "\\n", 2) == 0) {
            buf_addc(out, '\n');
            i++;
        } else {
            buf_addc(out, s.p[i]);
        }
    }
}

bool jsonp_payload(struct str form, struct buf *out)
{
    struct buf scratch;
    struct str name, value;
    unsigned found = 0;
    buf_init(&scratch, form.len + 1);
    while (query_next(&form, &scratch, &name, &value)) {
        if (!str_eq(name, STR("d")))
            continue;
        if (found++ == 0)
            unprotect(value, out);
    }
    buf_fini(&scratch);
    return found == 1;
}
