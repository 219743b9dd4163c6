#include "common/str.h"

bool str_next(struct str *rest, char sep, struct str *part)
{
    if (!rest->p)
        return false;
    const char *at = rest->len ? memchr(rest->p, sep, rest->len) : NULL;
    if (!at) {
        *part = *rest;
        *rest = (struct str){NULL, 0};
        return true;
    }
    size_t n = (size_t)(at - rest->p);
    *part = (struct str){rest->p, n};
    *rest = str_from(*rest, n + 1);
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct str str_trim(struct str s)
{
    while (s.len > 0 && is_blank(s.p[0]))
        s = str_from(s, 1);
    while (s.len > 0 && is_blank(s.p[s.len - 1]))
        s.len--;
    return s;
}

bool str_pair(struct str s, struct str *name, struct str *value)
{
    const char *at = s.len ? memrchr(s.p, '=', s.len) : NULL;
    if (!at)
        return false;
    *name = str_trim((struct str){s.p, (size_t)(at - s.p)});
    *value = str_trim(str_from(s, (size_t)(at + 1 - s.p)));
    return name->len > 0 && value->len > 0;
}

bool str_to_u64(struct str s, uint64_t max, uint64_t *out)
{
    uint64_t n = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        unsigned digit = (unsigned)(unsigned char)s.p[i] - '0';
        if (digit > 9 || n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
        if (n > max)
            return false;
    }
    *out = n;
    return true;
}

bool str_list_has(struct str list, struct str token)
{
    struct str item;
    while (str_next(&list, ',', &item)) {
        if (str_ieq(str_trim(item), token))
            return true;
    }
    return false;
}
