#include "adapter/resp.h"

#include <assert.h>

enum {
    END = 2,         /* bytes of \r\n */
    SAFE_DIGITS = 18 /* as many always fit */
};

void resp_init(struct resp *r, size_t max_bytes)
{
    *r = (struct resp){.max_bytes = max_bytes};
    buf_init(&r->kept, SIZE_MAX);
}

void resp_fini(struct resp *r)
{
    buf_fini(&r->kept);
}

static int refuse(struct resp *r, int rc, const char *why)
{
    r->why = why;
    return rc;
}

/* ---- writing ------------------------------------------------------------- */

struct bytes *resp_publish(struct str channel, struct str payload)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    /* All at once, and no more than buf_take leaves as it is. */
    (void)buf_space(&b, channel.len + payload.len + 64);
    buf_add(&b, STR("*3\r\n$7\r\nPUBLISH\r\n$"));
    buf_add_u64(&b, channel.len);
    buf_add(&b, STR("\r\n"));
    buf_add(&b, channel);
    buf_add(&b, STR("\r\n$"));
    buf_add_u64(&b, payload.len);
    buf_add(&b, STR("\r\n"));
    buf_add(&b, payload);
    buf_add(&b, STR("\r\n"));
    return buf_take(&b);
}

/* ---- elements ------------------------------------------------------------ */

/* Both leave `*at` behind the line whose type byte is at `*at`, return 1, or 0
 * when it is not complete. */

static int read_line(struct resp *r, size_t *at, struct str *line)
{
    struct str rest = str_from(r->in, *at + 1);
    const char *end = memchr(rest.p, '\n', rest.len);
    size_t n = end ? (size_t)(end - rest.p) : rest.len;
    if (n >= RESP_LINE_MAX)
        return refuse(r, ERR_LIMIT, "a line that is longer than allowed");
    if (!end)
        return 0;
    if (n == 0 || end[-1] != '\r')
        return refuse(r, ERR_PROTO, "a line that does not end as it should");
    *line = (struct str){rest.p, n - 1};
    *at += 1 + n + 1;
    return 1;
}

/* Where the digits end; NULL: they are more than `max`, or begin with a zero
 * that could be left out. */
static const char *read_digits(const char *p, const char *end, uint64_t max,
                               uint64_t *out)
{
    const char *first = p;
    uint64_t v = 0;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (p > first && v == 0)
            return NULL;
        if (p - first >= SAFE_DIGITS && v > (max - digit) / 10)
            return NULL;
        v = v * 10 + digit;
    }
    *out = v;
    return p;
}

/* What most numbers are: up to three digits and the end, all there. False when
 * it is anything else, wrong ones among them. */
static inline bool read_small(const struct resp *r, size_t *at, int64_t *out)
{
    enum { SMALL_DIGITS = 3 };
    if (r->in.len - *at < 1 + SMALL_DIGITS + END)
        return false;
    const char *p = r->in.p + *at + 1;
    unsigned v = (unsigned)(*p++ - '0');
    if (v > 9)
        return false;
    for (int i = 1; i < SMALL_DIGITS && *p != '\r'; i++) {
        unsigned digit = (unsigned)(*p++ - '0');
        if (digit > 9 || v == 0)
            return false;
        v = v * 10 + digit;
    }
    if (p[0] != '\r' || p[1] != '\n')
        return false;
    *at = (size_t)(p - r->in.p) + END;
    *out = v;
    return true;
}

static int read_number(struct resp *r, size_t *at, int64_t *out)
{
    if (read_small(r, at, out))
        return 1;
    static const char bad[] = "a number that is none";
    const char *first = r->in.p + *at + 1, *end = r->in.p + r->in.len;
    bool negative = first < end && *first == '-';
    first += negative;
    uint64_t v;
    const char *p = read_digits(first, end, (uint64_t)INT64_MAX + negative, &v);
    if (!p)
        return refuse(r, ERR_PROTO, bad);
    if (p == end)
        return 0;
    if (*p != '\r' || p == first || (negative && v == 0))
        return refuse(r, ERR_PROTO, bad);
    if (end - p < END)
        return 0;
    if (p[1] != '\n')
        return refuse(r, ERR_PROTO, bad);
    *at = (size_t)(p - r->in.p) + END;
    *out = negative ? (int64_t)(0 - v) : (int64_t)v;
    return 1;
}

static int read_bulk(struct resp *r, struct redis_reply *e, size_t *text_at)
{
    int64_t len = 0;
    size_t at = r->at;
    int rc = read_number(r, &at, &len);
    if (rc <= 0)
        return rc;
    if (len < -1 || len > UINT32_MAX)
        return refuse(r, ERR_PROTO, "a text of an impossible length");
    e->type = len < 0 ? REPLY_NIL : REPLY_TEXT;
    if (len >= 0) {
        size_t n = (size_t)len;
        if (r->in.len - at < n + END)
            return 0;
        if (memcmp(r->in.p + at + n, "\r\n", END) != 0)
            return refuse(r, ERR_PROTO, "a text without its end");
        e->text.len = n;
        *text_at = at;
        at += n + END;
    }
    r->at = at;
    return 1;
}

static int read_array(struct resp *r, struct redis_reply *e)
{
    int64_t n = 0;
    int rc = read_number(r, &r->at, &n);
    if (rc <= 0)
        return rc;
    if (n < -1)
        return refuse(r, ERR_PROTO, "an array of an impossible length");
    if (n > RESP_ELEMENTS_MAX)
        return refuse(r, ERR_LIMIT, "an array that is larger than allowed");
    if (n > 0 && r->depth == RESP_DEPTH_MAX)
        return refuse(r, ERR_LIMIT, "an array that is deeper than allowed");
    e->type = n < 0 ? REPLY_NIL : REPLY_ARRAY;
    e->n = n < 0 ? 0 : (size_t)n;
    return 1;
}

/* Takes one off: of an array its head, whose `n` says how many follow. */
static int read_element(struct resp *r, struct redis_reply *e, size_t *text_at)
{
    *e = (struct redis_reply){.type = REPLY_TEXT};
    if (r->at == r->in.len)
        return 0;
    struct str line;
    switch (r->in.p[r->at]) {
    case '$':
        return read_bulk(r, e, text_at);
    case ':':
        e->type = REPLY_INTEGER;
        return read_number(r, &r->at, &e->integer);
    case '*':
        return read_array(r, e);
    case '-':
        e->type = REPLY_ERROR;
        break;
    case '+':
        break;
    default:
        return refuse(r, ERR_PROTO, "something that is no reply");
    }
    int rc = read_line(r, &r->at, &line);
    if (rc > 0) {
        e->text.len = line.len;
        *text_at = (size_t)(line.p - r->in.p);
    }
    return rc;
}

/* ---- replies ------------------------------------------------------------- */

static void note(struct resp *r, const struct redis_reply *e, size_t text_at)
{
    if (r->depth == 0) {
        r->head = *e;
        r->head_at = text_at;
    } else if (r->depth == 1 && r->n < REDIS_ITEMS_MAX) {
        r->items[r->n] = *e;
        r->items[r->n].n = 0;
        r->items_at[r->n++] = text_at;
    }
}

/* True when the reply is complete with it. */
static bool count(struct resp *r, const struct redis_reply *e)
{
    if (e->n > 0) {
        assert(r->depth < RESP_DEPTH_MAX);
        r->left[r->depth++] = (uint32_t)e->n;
        return false;
    }
    while (r->depth > 0 && --r->left[r->depth - 1] == 0)
        r->depth--;
    return r->depth == 0;
}

/* What is published comes as an array of texts: takes those off that are there,
 * without a look at anything else. True when the reply is complete with one. */
static bool take_texts(struct resp *r)
{
    while (r->depth == 1 && r->n < REDIS_ITEMS_MAX && r->at < r->in.len &&
           r->in.p[r->at] == '$') {
        size_t at = r->at;
        int64_t len;
        if (!read_small(r, &at, &len) || r->in.len - at < (size_t)len + END)
            return false;
        const char *end = r->in.p + at + len;
        if (end[0] != '\r' || end[1] != '\n')
            return false;
        r->items[r->n] =
            (struct redis_reply){.type = REPLY_TEXT, .text.len = (size_t)len};
        r->items_at[r->n++] = at;
        r->at = at + (size_t)len + END;
        if (--r->left[0] == 0) {
            r->depth = 0;
            return true;
        }
    }
    return false;
}

static void give(struct resp *r, struct redis_reply *out)
{
    *out = r->head;
    out->text.p = r->in.p + r->head_at;
    for (size_t i = 0; i < r->n; i++)
        r->items[i].text.p = r->in.p + r->items_at[i];
    out->items = r->items;
    out->n = r->n;
    r->in = str_from(r->in, r->at);
    r->at = 0;
    r->n = 0;
}

static int keep(struct resp *r)
{
    if (r->in.len > r->max_bytes)
        return refuse(r, ERR_LIMIT, "a message that is larger than allowed");
    char *kept = buf_ptr(&r->kept);
    if (r->in.len == 0) {
        buf_fini(&r->kept);
    } else if (r->kept.len == 0) {
        buf_add(&r->kept, r->in);
    } else {
        if (r->in.p != kept)
            memmove(kept, r->in.p, r->in.len);
        buf_truncate(&r->kept, r->in.len);
    }
    return 0;
}

void resp_feed(struct resp *r, struct str data)
{
    if (r->kept.len > 0) {
        buf_add(&r->kept, data);
        data = buf_str(&r->kept);
    }
    r->in = data;
}

int resp_next(struct resp *r, struct redis_reply *out)
{
    struct redis_reply e;
    int rc;
    do {
        size_t text_at = 0;
        rc = read_element(r, &e, &text_at);
        if (rc < 0)
            return rc;
        if (rc == 0)
            return keep(r);
        note(r, &e, text_at);
    } while (!count(r, &e) && !take_texts(r));
    give(r, out);
    return 1;
}
