/* Borrowed text: pointer and length, by value, never freed, may hold NUL.
 * Whoever keeps a slice longer than the call copies it. */
#ifndef CONFAB_COMMON_STR_H
#define CONFAB_COMMON_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct str {
    const char *p;
    size_t len;
};

#define STR(lit) ((struct str){(lit), sizeof(lit) - 1})
/* The same where only a constant initializer will do. */
#define STR_INIT(lit)          \
    {                          \
        (lit), sizeof(lit) - 1 \
    }
/* For printf's "%.*s". */
#define STR_ARG(s) (int)(s).len, (s).p

static inline struct str str_of(const char *z)
{
    return (struct str){z, strlen(z)};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

static inline bool str_ieq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || strncasecmp(a.p, b.p, a.len) == 0);
}

static inline bool str_starts(struct str s, struct str prefix)
{
    return s.len >= prefix.len && memcmp(s.p, prefix.p, prefix.len) == 0;
}

/* From `at` on; empty when `at` is past the end. */
static inline struct str str_from(struct str s, size_t at)
{
    if (at > s.len)
        at = s.len;
    return (struct str){s.p + at, s.len - at};
}

/* Takes the part before the first `sep` off the front of `*rest` (all of it
 * when there is none) and leaves what follows the separator. False when
 * `*rest` was already used up: its p is then NULL. */
bool str_next(struct str *rest, char sep, struct str *part);

/* Without spaces and tabs at both ends. */
struct str str_trim(struct str s);

/* "name=value" at its last '=', both trimmed; false when one of them is not
 * there. */
bool str_pair(struct str s, struct str *name, struct str *value);

/* Decimal digits only, whole slice, at most `max`. */
bool str_to_u64(struct str s, uint64_t max, uint64_t *out);

/* True when `list` (comma separated, optional white space, ASCII case
 * ignored) contains `token`: the form of Connection and Upgrade headers. */
bool str_list_has(struct str list, struct str token);

#endif
