/* JSON (RFC 8259) validated in one pass into a flat tape of spans. No tree, no
 * copy: nodes point into the text, so every byte of it can be forwarded as it
 * came. The tape is reusable and keeps its storage between parses.
 *
 * Strict: no trailing commas, comments, NaN, leading zeros or raw control
 * characters; the text must be valid UTF-8; white space is allowed around
 * values. Lone surrogate escapes are legal JSON and accepted. Duplicate keys
 * are accepted; json_get finds the last one, as JavaScript does. */
#ifndef CONFAB_COMMON_JSON_H
#define CONFAB_COMMON_JSON_H

#include "common/buf.h"
#include "common/err.h"

enum json_type {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_NUMBER,
    JSON_STRING,
    JSON_ARRAY,
    JSON_OBJECT,
};

struct json_node {
    uint32_t start, end; /* span in the text; a string's includes its quotes */
    uint32_t next;       /* index just past this node and all inside it */
    uint32_t count : 24; /* elements of an array, members of an object */
    uint32_t type : 7;
    uint32_t escaped : 1; /* a string with at least one backslash */
};

/* An object's members are pairs of nodes: key (a string), then value. */
struct json {
    struct str text;
    struct json_node *nodes;
    uint32_t n, cap;
    uint32_t err_at; /* byte where the last failed parse stopped */
};

enum { JSON_DEPTH_MAX = 64 };

struct json_limits {
    uint32_t depth; /* nesting of arrays and objects; at most JSON_DEPTH_MAX */
    uint32_t nodes; /* values and keys in all; at most 2^24 - 1 */
};

void json_init(struct json *j);
void json_fini(struct json *j);

/* 0, ERR_PROTO (not JSON) or ERR_LIMIT. Node 0 is the root. `text` must stay
 * alive while the tape is read. */
MUST_CHECK int json_parse(struct json *j, struct str text,
                          struct json_limits limits);

#define JSON_NONE UINT32_MAX

/* First child of an array or object; JSON_NONE when it has none. */
uint32_t json_first(const struct json *j, uint32_t node);
/* What follows `child` inside `parent`; JSON_NONE at the end. In objects keys
 * and values alternate. */
uint32_t json_next(const struct json *j, uint32_t parent, uint32_t child);
/* Element `i` of an array; JSON_NONE when there is no such one. */
uint32_t json_at(const struct json *j, uint32_t array, uint32_t i);
/* Value of `key` in an object; JSON_NONE when absent or not an object. */
uint32_t json_get(const struct json *j, uint32_t object, struct str key);

static inline enum json_type json_type(const struct json *j, uint32_t node)
{
    return (enum json_type)j->nodes[node].type;
}

/* The node's text as it stands in the input. */
static inline struct str json_text(const struct json *j, uint32_t node)
{
    const struct json_node *n = &j->nodes[node];
    return (struct str){j->text.p + n->start, n->end - n->start};
}

/* Appends the unescaped string to `out`; a lone surrogate becomes U+FFFD. */
void json_string(const struct json *j, uint32_t node, struct buf *out);
/* The string's content without a copy when it has no escape; otherwise
 * unescapes into `scratch` (cleared first) and returns that. */
struct str json_string_view(const struct json *j, uint32_t node,
                            struct buf *scratch);
bool json_string_eq(const struct json *j, uint32_t node, struct str s);
/* A number that is a whole one and fits. */
bool json_i64(const struct json *j, uint32_t node, int64_t *out);
bool json_double(const struct json *j, uint32_t node, double *out);

#endif
