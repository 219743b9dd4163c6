/* Lines are "name: value", or "name" alone when the value is among the
 * connection's own; no name contains a colon. The first line is the target,
 * empty when that is the connection's own. Own values are lines, too. */
#include "server/engine/head.h"

#include "common/mem.h"

struct head_lines {
    struct map_node by_text;
    uint32_t refs;
    uint32_t len;
    char text[];
};

static struct str lines_key(const struct map_node *n)
{
    const struct head_lines *l =
        const_container_of(n, struct head_lines, by_text);
    return (struct str){l->text, l->len};
}

void heads_init(struct map *heads)
{
    map_init(heads, lines_key);
}

/* ---- taking apart -------------------------------------------------------- */

/* Values that differ from connection to connection. */
static bool is_own(struct str name)
{
    static const struct str names[] = {
        STR_INIT("sec-websocket-key"), STR_INIT("cookie"),
        STR_INIT("authorization"),     STR_INIT("x-forwarded-for"),
        STR_INIT("x-real-ip"),         STR_INIT("forwarded"),
        STR_INIT("x-request-id"),      STR_INIT("traceparent"),
        STR_INIT("cf-connecting-ip"),  STR_INIT("cf-ray"),
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (str_ieq(name, names[i]))
            return true;
    }
    return false;
}

/* All its parameters are the protocol's, and none differs each time. */
static bool target_is_common(struct str target)
{
    struct str path, part;
    (void)str_next(&target, '?', &path);
    while (str_next(&target, '&', &part)) {
        if (!str_starts(part, STR("EIO=")) &&
            !str_starts(part, STR("transport=")))
            return false;
    }
    return true;
}

static void add_line(struct buf *out, struct str line)
{
    buf_add(out, line);
    buf_addc(out, '\n');
}

static void take_apart(const struct http_request *r, struct buf *lines,
                       struct buf *own)
{
    struct str target = http_target(r), name, value;
    if (target_is_common(target)) {
        add_line(lines, target);
    } else {
        add_line(lines, STR(""));
        add_line(own, target);
    }
    for (size_t i = 0; http_header_at(r, i, &name, &value); i++) {
        buf_add(lines, name);
        if (is_own(name)) {
            buf_addc(lines, '\n');
            add_line(own, value);
        } else {
            buf_add(lines, STR(": "));
            add_line(lines, value);
        }
    }
}

struct head_lines *head_take(struct map *heads, const struct http_request *r,
                             struct buf *own)
{
    struct buf b;
    buf_init(&b, HEAD_OWN_MAX);
    take_apart(r, &b, own);
    struct map_node *n = map_get(heads, buf_str(&b));
    struct head_lines *l;
    if (n) {
        l = container_of(n, struct head_lines, by_text);
    } else {
        l = mem_alloc(sizeof(*l) + b.len);
        l->refs = 0;
        l->len = (uint32_t)b.len;
        memcpy(l->text, buf_ptr(&b), b.len);
        map_put(heads, &l->by_text);
    }
    l->refs++;
    buf_fini(&b);
    return l;
}

void head_drop(struct map *heads, struct head_lines *lines)
{
    if (--lines->refs > 0)
        return;
    map_remove(heads, &lines->by_text);
    mem_free(lines);
}

/* ---- reading ------------------------------------------------------------- */

struct head head_of(const struct head_lines *lines, struct str own)
{
    return (struct head){{lines->text, lines->len}, own};
}

struct str head_target(struct head *h)
{
    struct str target = STR("");
    (void)str_next(&h->lines, '\n', &target);
    if (target.len == 0)
        (void)str_next(&h->own, '\n', &target);
    return target;
}

bool head_next(struct head *h, struct str *name, struct str *value)
{
    struct str line;
    if (!str_next(&h->lines, '\n', &line) || line.len == 0)
        return false;
    (void)str_next(&line, ':', name);
    if (!line.p)
        return str_next(&h->own, '\n', value);
    *value = str_trim(line);
    return true;
}
