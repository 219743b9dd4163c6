#include "server/http/http_query.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A '%' without two hexadecimal digits stands for itself. */
static size_t decode_into(struct str s, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        if (c == '+') {
            c = ' ';
        } else if (c == '%' && i + 2 < s.len) {
            int hi = hex(s.p[i + 1]), lo = hex(s.p[i + 2]);
            if (hi >= 0 && lo >= 0) {
                c = (char)(hi * 16 + lo);
                i += 2;
            }
        }
        out[n++] = c;
    }
    return n;
}

bool query_is_plain(struct str s)
{
    return s.len == 0 || (!memchr(s.p, '%', s.len) && !memchr(s.p, '+', s.len));
}

static struct str decode(struct str s, struct buf *scratch)
{
    if (query_is_plain(s))
        return s;
    size_t at = scratch->len;
    char *p = buf_space(scratch, s.len);
    if (!p)
        return STR("");
    buf_commit(scratch, decode_into(s, p));
    return str_from(buf_str(scratch), at);
}

/* The value in a pair of that name, without decoding. */
static bool value_of(struct str pair, struct str name, struct str *value)
{
    if (!str_starts(pair, name))
        return false;
    if (pair.len > name.len && pair.p[name.len] != '=')
        return false;
    *value = str_from(pair, name.len + 1);
    return true;
}

bool query_find_plain(struct str query, struct str name, struct str *out)
{
    bool found = false;
    while (query.len > 0) {
        const char *end = memchr(query.p, '&', query.len);
        struct str pair = query;
        if (end)
            pair.len = (size_t)(end - query.p);
        found |= value_of(pair, name, out);
        query = str_from(query, pair.len + 1);
    }
    return found;
}

bool query_find(struct str query, struct str name, struct buf *scratch,
                struct str *out)
{
    if (query_is_plain(query))
        return query_find_plain(query, name, out);
    bool found = false;
    struct str pair, value = {0};
    while (query.len > 0 && str_next(&query, '&', &pair)) {
        struct str key;
        struct str rest = pair;
        if (!str_next(&rest, '=', &key))
            continue;
        size_t mark = scratch->len;
        bool same = str_eq(key, name) || str_eq(decode(key, scratch), name);
        buf_truncate(scratch, mark);
        if (!same)
            continue;
        value = rest.p ? rest : STR("");
        found = true;
    }
    if (found)
        *out = decode(value, scratch);
    return found;
}

bool query_next(struct str *rest, struct buf *scratch, struct str *name,
                struct str *value)
{
    struct str pair;
    do {
        if (rest->len == 0 || !str_next(rest, '&', &pair))
            return false;
    } while (pair.len == 0);
    buf_clear(scratch);
    (void)buf_space(scratch, pair.len); /* for both: it must not move */
    struct str text = pair;
    str_next(&text, '=', name);
    *name = decode(*name, scratch);
    *value = text.p ? decode(text, scratch) : STR("");
    return true;
}
