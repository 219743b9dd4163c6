#include "server/ctl/line.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/log.h"
#include "server/io/pack.h"

static int fail(struct ctl_line_reader *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int fail(struct ctl_line_reader *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(r->error, sizeof(r->error), fmt, ap);
    va_end(ap);
    return ERR_PROTO;
}

/* ---- values -------------------------------------------------------------- */

/* With a NUL behind it. There is room for all strings of the line. */
static struct str take_string(struct ctl_line_reader *r, uint32_t node)
{
    size_t start = r->names.len;
    json_string(&r->tape, node, &r->names);
    struct str s = str_from(buf_str(&r->names), start);
    buf_addc(&r->names, '\0');
    return s;
}

/* For what is handed on as a C string. */
static int take_text(struct ctl_line_reader *r, const char *key, uint32_t node,
                     const char **out)
{
    if (json_type(&r->tape, node) != JSON_STRING)
        return fail(r, "%s is no string", key);
    struct str s = take_string(r, node);
    if (memchr(s.p, '\0', s.len))
        return fail(r, "%s holds a NUL character", key);
    *out = s.p;
    return 0;
}

static int take_bool(struct ctl_line_reader *r, const char *key, uint32_t node,
                     bool *out)
{
    enum json_type type = json_type(&r->tape, node);
    if (type != JSON_TRUE && type != JSON_FALSE)
        return fail(r, "%s is neither true nor false", key);
    *out = type == JSON_TRUE;
    return 0;
}

/* To or except. */
struct add_room {
    void (*name)(struct sio_emission *e, struct sio_str room);
    void (*number)(struct sio_emission *e, int64_t room);
};

static int take_room(struct ctl_line_reader *r, const char *key, uint32_t node,
                     struct sio_emission *to, const struct add_room *add)
{
    int64_t number;
    if (json_type(&r->tape, node) == JSON_STRING) {
        struct str name = take_string(r, node);
        add->name(to, (struct sio_str){name.p, name.len});
    } else if (json_type(&r->tape, node) == JSON_NUMBER &&
               json_i64(&r->tape, node, &number)) {
        add->number(to, number);
    } else {
        return fail(
            r, "%s names a room that is neither a string nor a whole number",
            key);
    }
    return to->overflow ? fail(r, "%s names more than 64 rooms", key) : 0;
}

static int take_rooms(struct ctl_line_reader *r, const char *key, uint32_t node,
                      struct sio_emission *to, const struct add_room *add)
{
    if (json_type(&r->tape, node) != JSON_ARRAY)
        return take_room(r, key, node, to, add);
    uint32_t item = json_first(&r->tape, node);
    int rc = 0;
    for (; rc == 0 && item != JSON_NONE; item = json_next(&r->tape, node, item))
        rc = take_room(r, key, item, to, add);
    return rc;
}

/* ---- keys ---------------------------------------------------------------- */

static int take_event(struct ctl_line_reader *r, uint32_t node,
                      struct ctl_line *out)
{
    return take_text(r, "event", node, &out->event);
}

static int take_args(struct ctl_line_reader *r, uint32_t node,
                     struct ctl_line *out)
{
    if (json_type(&r->tape, node) != JSON_ARRAY)
        return fail(r, "args is no array");
    struct str text = json_text(&r->tape, node);
    if (json_first(&r->tape, node) != JSON_NONE)
        out->args = (struct sio_str){text.p + 1, text.len - 2};
    return 0;
}

static int take_to(struct ctl_line_reader *r, uint32_t node,
                   struct ctl_line *out)
{
    static const struct add_room add = {sio_emission_to,
                                        sio_emission_to_number};
    return take_rooms(r, "to", node, &out->to, &add);
}

static int take_except(struct ctl_line_reader *r, uint32_t node,
                       struct ctl_line *out)
{
    static const struct add_room add = {sio_emission_except,
                                        sio_emission_except_number};
    return take_rooms(r, "except", node, &out->to, &add);
}

static int take_namespace(struct ctl_line_reader *r, uint32_t node,
                          struct ctl_line *out)
{
    return take_text(r, "namespace", node, &out->to.nsp);
}

static int take_volatile(struct ctl_line_reader *r, uint32_t node,
                         struct ctl_line *out)
{
    return take_bool(r, "volatile", node, &out->to.is_volatile);
}

static int take_compress(struct ctl_line_reader *r, uint32_t node,
                         struct ctl_line *out)
{
    bool on = false;
    int rc = take_bool(r, "compress", node, &on);
    sio_emission_compress(&out->to, on);
    return rc;
}

static const struct key {
    const char *name;
    int (*take)(struct ctl_line_reader *r, uint32_t node, struct ctl_line *out);
} keys[] = {
    {"event", take_event},
    {"args", take_args},
    {"to", take_to},
    {"except", take_except},
    {"namespace", take_namespace},
    {"volatile", take_volatile},
    {"compress", take_compress},
};

enum { KEYS = sizeof(keys) / sizeof(keys[0]) };

static int take_member(struct ctl_line_reader *r, uint32_t key, uint32_t value,
                       uint32_t *seen, struct ctl_line *out)
{
    unsigned i = 0;
    while (i < KEYS && !json_string_eq(&r->tape, key, str_of(keys[i].name)))
        i++;
    if (i == KEYS)
        return fail(r,
                    "unknown key %s; there are event, args, to, except, "
                    "namespace, volatile and compress",
                    log_safe(take_string(r, key)));
    if (*seen & 1U << i)
        return fail(r, "%s comes twice", keys[i].name);
    *seen |= 1U << i;
    return keys[i].take(r, value, out);
}

int ctl_line_read(struct ctl_line_reader *r, struct str text,
                  struct ctl_line *out)
{
    if (json_parse(&r->tape, text, pack_limits) < 0)
        return fail(r, "no JSON, from byte %u on", r->tape.err_at + 1);
    if (json_type(&r->tape, 0) != JSON_OBJECT)
        return fail(r, "no object; it begins with { and ends with }");
    /* All at once, so that no name moves. Escapes only shrink, and each string
     * has two quotes to make room for its NUL. */
    buf_clear(&r->names);
    (void)buf_space(&r->names, text.len);
    out->event = NULL;
    out->args = (struct sio_str){"", 0};
    out->to = sio_emission_of(r->emitter, "/");
    uint32_t seen = 0;
    uint32_t key = json_first(&r->tape, 0);
    while (key != JSON_NONE) {
        uint32_t value = json_next(&r->tape, 0, key);
        int rc = take_member(r, key, value, &seen, out);
        if (rc < 0)
            return rc;
        key = json_next(&r->tape, 0, value);
    }
    return out->event ? 0 : fail(r, "no event");
}

void ctl_line_reader_init(struct ctl_line_reader *r,
                          struct sio_emitter *emitter)
{
    *r = (struct ctl_line_reader){.emitter = emitter};
    json_init(&r->tape);
    buf_init(&r->names, CTL_LINE_MAX);
}

void ctl_line_reader_fini(struct ctl_line_reader *r)
{
    json_fini(&r->tape);
    buf_fini(&r->names);
}
