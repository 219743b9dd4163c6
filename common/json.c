#include "common/json.h"

#include <assert.h>

#include "common/json_scan.h"
#include "common/mem.h"
#include "common/utf8.h"

/* One pass, no recursion. A scanner function takes the position of the first
 * byte of its token and returns the position behind it, or NULL when the text
 * is not JSON; `at` then says where. Positions never pass `end`: a look ahead
 * goes through peek(), which shows a NUL there, a byte that is legal nowhere
 * outside of strings and so needs no case of its own. */

enum { NODES_MAX = (1 << 24) - 1, FIRST_NODES = 32 };

struct level {
    uint32_t node;  /* the open array or object */
    uint32_t count; /* its children so far */
    bool object;
};

struct parser {
    struct json *j;
    const char *start, *end;
    const char *at; /* where it failed */
    int rc;
    struct json_node *nodes;
    uint32_t n, room, max_nodes;
    uint32_t depth, max_depth;
    struct level *level; /* JSON_DEPTH_MAX of them */
};

void json_init(struct json *j)
{
    *j = (struct json){.text = STR("")};
}

void json_fini(struct json *j)
{
    mem_free(j->nodes);
    json_init(j);
}

static inline char peek(const struct parser *ps, const char *p)
{
    return p < ps->end ? *p : '\0';
}

static const char *fail(struct parser *ps, int rc, const char *at)
{
    ps->rc = rc;
    ps->at = at;
    return NULL;
}

static inline const char *skip_space(const struct parser *ps, const char *p)
{
    for (; p < ps->end; p++) {
        char c = *p;
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            break;
    }
    return p;
}

/* Sets `room`, the number of nodes up to which push() need not ask. */
static bool make_room(struct parser *ps)
{
    struct json *j = ps->j;
    if (ps->n >= ps->max_nodes)
        return false;
    if (ps->n >= j->cap) {
        j->cap = j->cap ? j->cap * 2 : FIRST_NODES;
        j->nodes = mem_realloc(j->nodes, j->cap * sizeof(*j->nodes));
    }
    ps->nodes = j->nodes;
    ps->room = j->cap < ps->max_nodes ? j->cap : ps->max_nodes;
    return true;
}

static inline bool push(struct parser *ps, enum json_type type, bool escaped,
                        const char *from, const char *to)
{
    if (ps->n >= ps->room && !make_room(ps)) {
        fail(ps, ERR_LIMIT, from);
        return false;
    }
    struct json_node *node = &ps->nodes[ps->n++];
    *node = (struct json_node){
        .start = (uint32_t)(from - ps->start),
        .end = (uint32_t)(to - ps->start),
        .next = ps->n,
        .type = (uint32_t)type & 127,
        .escaped = escaped,
    };
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_escape_name(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return true;
    default:
        return false;
    }
}

static const char *scan_escape(struct parser *ps, const char *p)
{
    char c = peek(ps, p + 1);
    if (is_escape_name(c))
        return p + 2;
    if (c != 'u')
        return fail(ps, ERR_PROTO, p);
    for (int i = 2; i < 6; i++) {
        if (hex_digit(peek(ps, p + i)) < 0)
            return fail(ps, ERR_PROTO, p + i);
    }
    return p + 6;
}

/* First byte at which the text stops being UTF-8. */
static const char *bad_utf8(const char *p, const char *end)
{
    uint32_t state = 0;
    while (p < end && utf8_feed(&state, (struct str){p, 1}))
        p++;
    return p;
}

static inline const char *scan_string(struct parser *ps, const char *p)
{
    const char *from = p;
    uint64_t seen = 0;
    bool escaped = false;
    p++;
    for (;;) {
        p = json_plain_run(p, ps->end, &seen);
        char c = peek(ps, p);
        if (c == '"')
            break;
        if (c != '\\')
            return fail(ps, ERR_PROTO, p);
        escaped = true;
        p = scan_escape(ps, p);
        if (!p)
            return NULL;
    }
    /* `seen` may include bytes behind the quote; that only costs a check. */
    if ((seen & JSON_EACH_BYTE(0x80)) &&
        !utf8_valid((struct str){from, (size_t)(p - from)}))
        return fail(ps, ERR_PROTO, bad_utf8(from, p));
    p++;
    return push(ps, JSON_STRING, escaped, from, p) ? p : NULL;
}

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline const char *scan_digits(struct parser *ps, const char *p)
{
    if (!is_digit(peek(ps, p)))
        return fail(ps, ERR_PROTO, p);
    do {
        p++;
    } while (is_digit(peek(ps, p)));
    return p;
}

static const char *scan_number(struct parser *ps, const char *p)
{
    const char *from = p;
    if (*p == '-')
        p++;
    /* A leading zero stands alone; a digit behind it ends the number here and
     * is then refused as what follows the value. */
    p = peek(ps, p) == '0' ? p + 1 : scan_digits(ps, p);
    if (p && peek(ps, p) == '.')
        p = scan_digits(ps, p + 1);
    if (p && (peek(ps, p) | 0x20) == 'e') {
        p++;
        if (peek(ps, p) == '+' || peek(ps, p) == '-')
            p++;
        p = scan_digits(ps, p);
    }
    if (!p)
        return NULL;
    return push(ps, JSON_NUMBER, false, from, p) ? p : NULL;
}

static const char *scan_word(struct parser *ps, const char *p, struct str word,
                             enum json_type type)
{
    struct str rest = {p, (size_t)(ps->end - p)};
    if (!str_starts(rest, word))
        return fail(ps, ERR_PROTO, p);
    return push(ps, type, false, p, p + word.len) ? p + word.len : NULL;
}

/* `p` is at the first byte of a key. Returns the place of the value. */
static inline const char *scan_key(struct parser *ps, const char *p)
{
    if (peek(ps, p) != '"')
        return fail(ps, ERR_PROTO, p);
    p = scan_string(ps, p);
    if (!p)
        return NULL;
    p = skip_space(ps, p);
    if (peek(ps, p) != ':')
        return fail(ps, ERR_PROTO, p);
    return skip_space(ps, p + 1);
}

static inline const char *scan_open(struct parser *ps, const char *p)
{
    if (ps->depth >= ps->max_depth)
        return fail(ps, ERR_LIMIT, p);
    bool object = *p == '{';
    struct level *l = &ps->level[ps->depth];
    *l = (struct level){.node = ps->n, .object = object};
    if (!push(ps, object ? JSON_OBJECT : JSON_ARRAY, false, p, p + 1))
        return NULL;
    ps->depth++;
    return p + 1;
}

static inline const char *close_level(struct parser *ps, const char *p)
{
    struct level *l = &ps->level[--ps->depth];
    struct json_node *n = &ps->nodes[l->node];
    n->end = (uint32_t)(p + 1 - ps->start);
    n->next = ps->n;
    n->count = l->count & NODES_MAX;
    return p + 1;
}

static inline char closer(const struct level *l)
{
    return l->object ? '}' : ']';
}

/* `p` is behind a value. Closes what ends here; returns the place of the next
 * value, or of the end of the root. */
static inline const char *after_value(struct parser *ps, const char *p)
{
    while (ps->depth > 0) {
        struct level *l = &ps->level[ps->depth - 1];
        l->count++;
        p = skip_space(ps, p);
        char c = peek(ps, p);
        if (c == ',') {
            p = skip_space(ps, p + 1);
            return l->object ? scan_key(ps, p) : p;
        }
        if (c != closer(l))
            return fail(ps, ERR_PROTO, p);
        p = close_level(ps, p);
    }
    return p;
}

/* Array or object at `p`: to its first child, or behind it when empty. */
static inline const char *enter(struct parser *ps, const char *p, bool *closed)
{
    p = scan_open(ps, p);
    if (!p)
        return NULL;
    const struct level *l = &ps->level[ps->depth - 1];
    p = skip_space(ps, p);
    *closed = peek(ps, p) == closer(l);
    if (*closed)
        return close_level(ps, p);
    return l->object ? scan_key(ps, p) : p;
}

static const char *scan_scalar(struct parser *ps, const char *p)
{
    switch (peek(ps, p)) {
    case 't':
        return scan_word(ps, p, STR("true"), JSON_TRUE);
    case 'f':
        return scan_word(ps, p, STR("false"), JSON_FALSE);
    case 'n':
        return scan_word(ps, p, STR("null"), JSON_NULL);
    default:
        if (peek(ps, p) == '-' || is_digit(peek(ps, p)))
            return scan_number(ps, p);
        return fail(ps, ERR_PROTO, p);
    }
}

static const char *scan_root(struct parser *ps, const char *p)
{
    do {
        bool closed = true;
        char c = peek(ps, p);
        if (c == '"')
            p = scan_string(ps, p);
        else if (c == '{' || c == '[')
            p = enter(ps, p, &closed);
        else
            p = scan_scalar(ps, p);
        if (p && closed)
            p = after_value(ps, p);
    } while (p && ps->depth > 0);
    return p;
}

int json_parse(struct json *j, struct str text, struct json_limits limits)
{
    j->text = text;
    j->n = 0;
    j->err_at = 0;
    if (text.len >= UINT32_MAX)
        return ERR_LIMIT;
    if (text.len == 0)
        return ERR_PROTO;
    struct level level[JSON_DEPTH_MAX];
    struct parser ps = {
        .j = j,
        .start = text.p,
        .end = text.p + text.len,
        .max_nodes = limits.nodes < NODES_MAX ? limits.nodes : NODES_MAX,
        .max_depth =
            limits.depth < JSON_DEPTH_MAX ? limits.depth : JSON_DEPTH_MAX,
        .level = level,
    };
    const char *p = scan_root(&ps, skip_space(&ps, text.p));
    if (p) {
        p = skip_space(&ps, p);
        if (p < ps.end)
            p = fail(&ps, ERR_PROTO, p);
    }
    if (!p) {
        j->err_at = (uint32_t)(ps.at - ps.start);
        return ps.rc;
    }
    j->n = ps.n;
    return 0;
}

uint32_t json_first(const struct json *j, uint32_t node)
{
    assert(node < j->n);
    return j->nodes[node].count > 0 ? node + 1 : JSON_NONE;
}

uint32_t json_next(const struct json *j, uint32_t parent, uint32_t child)
{
    assert(parent < child && child < j->n);
    uint32_t next = j->nodes[child].next;
    return next < j->nodes[parent].next ? next : JSON_NONE;
}

uint32_t json_at(const struct json *j, uint32_t array, uint32_t i)
{
    if (json_type(j, array) != JSON_ARRAY || i >= j->nodes[array].count)
        return JSON_NONE;
    uint32_t at = array + 1;
    while (i-- > 0)
        at = j->nodes[at].next;
    return at;
}

uint32_t json_get(const struct json *j, uint32_t object, struct str key)
{
    uint32_t found = JSON_NONE;
    if (json_type(j, object) != JSON_OBJECT)
        return found;
    uint32_t at = object + 1;
    while (at < j->nodes[object].next) {
        uint32_t value = at + 1;
        if (json_string_eq(j, at, key))
            found = value;
        at = j->nodes[value].next;
    }
    return found;
}
