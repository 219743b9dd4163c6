/* JSON text to MessagePack in one pass, without a tape. A container's head is
 * written last, in the byte that was left for it: there may be no more children
 * than such a byte can count. */
#include "common/json_scan.h"
#include "common/mp.h"
#include "common/utf8.h"

enum {
    LEVELS = 8,
    CHILDREN = 15,
    DIGITS = 18, /* as many always fit */
    HEAD_MAP = 0x80,
    HEAD_ARRAY = 0x90,
};

struct level {
    size_t head; /* where it belongs in `out` */
    unsigned children;
    bool map;
};

struct walk {
    const char *p, *end;
    struct buf *out;
    unsigned depth;
    struct level level[LEVELS];
};

/* A NUL, which is legal nowhere outside of strings, at the end. */
static inline char peek(const struct walk *w)
{
    return w->p < w->end ? *w->p : '\0';
}

static inline bool take(struct walk *w, char c)
{
    if (peek(w) != c)
        return false;
    w->p++;
    return true;
}

static inline bool read_text(struct walk *w, struct str *text)
{
    uint64_t seen = 0;
    if (!take(w, '"'))
        return false;
    const char *end = json_plain_run(w->p, w->end, &seen);
    *text = (struct str){w->p, (size_t)(end - w->p)};
    w->p = end;
    return take(w, '"') &&
           (!(seen & JSON_EACH_BYTE(0x80)) || utf8_valid(*text));
}

static bool put_text(struct walk *w)
{
    struct str text;
    if (!read_text(w, &text))
        return false;
    mp_put_str(w->out, text);
    return true;
}

/* Up to where the value stands. */
static bool put_key(struct walk *w)
{
    struct str key;
    if (!read_text(w, &key) || !take(w, ':') || str_eq(key, STR("__proto__")))
        return false;
    mp_put_str(w->out, key);
    return true;
}

static bool put_whole(struct walk *w)
{
    int64_t n = 0;
    bool negative = take(w, '-');
    const char *first = w->p;
    for (; peek(w) >= '0' && peek(w) <= '9'; w->p++) {
        if (w->p - first == DIGITS)
            return false;
        n = n * 10 + (*w->p - '0');
    }
    if (w->p == first || (*first == '0' && w->p - first > 1))
        return false;
    mp_put_int(w->out, negative ? -n : n);
    return true;
}

static bool put_word(struct walk *w)
{
    struct str rest = {w->p, (size_t)(w->end - w->p)};
    if (str_starts(rest, STR("true"))) {
        mp_put_bool(w->out, true);
        w->p += 4;
    } else if (str_starts(rest, STR("false"))) {
        mp_put_bool(w->out, false);
        w->p += 5;
    } else if (str_starts(rest, STR("null"))) {
        mp_put_nil(w->out);
        w->p += 4;
    } else {
        return false;
    }
    return true;
}

static inline char closer(const struct level *l)
{
    return l->map ? '}' : ']';
}

static void close_level(struct walk *w)
{
    const struct level *l = &w->level[--w->depth];
    w->p++;
    buf_ptr(w->out)[l->head] =
        (char)((l->map ? HEAD_MAP : HEAD_ARRAY) | l->children);
}

/* To the first child, or behind it when there is none. */
static bool enter(struct walk *w, bool *closed)
{
    if (w->depth == LEVELS)
        return false;
    struct level *l = &w->level[w->depth++];
    *l = (struct level){.head = w->out->len, .map = *w->p == '{'};
    buf_addc(w->out, 0);
    w->p++;
    *closed = peek(w) == closer(l);
    if (w->out->full)
        return false;
    if (*closed)
        close_level(w);
    return *closed || !l->map || put_key(w);
}

/* Behind a value: closes what ends here, and goes to the next value. */
static bool go_on(struct walk *w)
{
    while (w->depth > 0) {
        struct level *l = &w->level[w->depth - 1];
        if (l->children++ == CHILDREN)
            return false;
        if (take(w, ','))
            return !l->map || put_key(w);
        if (peek(w) != closer(l))
            return false;
        close_level(w);
    }
    return true;
}

static bool put_value(struct walk *w, bool *closed)
{
    char c = peek(w);
    *closed = true;
    if (c == '"')
        return put_text(w);
    if (c == '{' || c == '[')
        return enter(w, closed);
    if (c == '-' || (c >= '0' && c <= '9'))
        return put_whole(w);
    return put_word(w);
}

/* And goes to the next value; at the root's end nothing is open. */
static bool put_next(struct walk *w)
{
    bool closed;
    return put_value(w, &closed) && (!closed || go_on(w));
}

bool mp_put_text(struct buf *b, struct str json)
{
    /* Without touching the levels. */
    struct walk w;
    w.p = json.p;
    w.end = json.p + json.len;
    w.out = b;
    w.depth = 0;
    size_t had = b->len;
    bool good = put_next(&w);
    while (good && w.depth > 0)
        good = put_next(&w);
    if (good && w.p == w.end && !b->full)
        return true;
    buf_truncate(b, had);
    return false;
}
