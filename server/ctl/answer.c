#include "server/ctl/answer.h"

enum { LINE_MAX_BYTES = 256, TRAILERS_MAX = 64 };

void ctl_answer_init(struct ctl_answer_reader *r, size_t max_body)
{
    *r = (struct ctl_answer_reader){0};
    buf_init(&r->head, CTL_HEAD_MAX);
    buf_init(&r->body, max_body);
    buf_init(&r->line, LINE_MAX_BYTES);
}

void ctl_answer_fini(struct ctl_answer_reader *r)
{
    buf_fini(&r->head);
    buf_fini(&r->body);
    buf_fini(&r->line);
}

void ctl_answer_reset(struct ctl_answer_reader *r, bool no_body)
{
    buf_clear(&r->head);
    buf_clear(&r->body);
    buf_clear(&r->line);
    r->state = ANSWER_HEAD;
    r->left = 0;
    r->interim = 0;
    r->no_body = no_body;
    r->answer = (struct ctl_answer){0};
}

bool ctl_answer_begun(const struct ctl_answer_reader *r)
{
    return r->state != ANSWER_HEAD || r->head.len > 0;
}

/* ---- the head ------------------------------------------------------------ */

/* The next header line of `*rest`; false at the end. */
static bool next_header(struct str *rest, struct str *name, struct str *value)
{
    struct str line;
    if (!str_next(rest, '\n', &line) || line.len < 2)
        return false;
    line.len--; /* CR */
    *value = line;
    if (!str_next(value, ':', name))
        return false;
    *value = value->p ? str_trim(*value) : STR("");
    return true;
}

static struct str header_lines(const struct ctl_answer *a)
{
    struct str rest = a->head, status;
    (void)str_next(&rest, '\n', &status);
    return rest;
}

bool ctl_answer_header(const struct ctl_answer *a, struct str name,
                       struct str *out)
{
    struct str rest = header_lines(a), n;
    while (next_header(&rest, &n, out)) {
        if (str_ieq(n, name))
            return true;
    }
    return false;
}

static bool lines_valid(struct str rest)
{
    struct str line;
    while (rest.len > 0 && str_next(&rest, '\n', &line)) {
        if (line.len < 1 || line.p[line.len - 1] != '\r')
            return false;
        line.len--;
        if (memchr(line.p, '\r', line.len) || memchr(line.p, '\0', line.len))
            return false;
        if (line.len == 0)
            return rest.len == 0;
        const char *colon = memchr(line.p, ':', line.len);
        if (!colon || colon == line.p || line.p[0] == ' ' || line.p[0] == '\t')
            return false;
    }
    return true;
}

/* "HTTP/1.1 200 OK" */
static int read_status(struct ctl_answer *a, bool *old)
{
    struct str rest = a->head, line;
    (void)str_next(&rest, '\n', &line);
    uint64_t status;
    if (line.len < 13 || !str_starts(line, STR("HTTP/1.")) ||
        (line.p[7] != '0' && line.p[7] != '1') || line.p[8] != ' ' ||
        (line.p[12] != ' ' && line.p[12] != '\r') ||
        !str_to_u64((struct str){line.p + 9, 3}, 999, &status) || status < 100)
        return ERR_PROTO;
    *old = line.p[7] == '0';
    a->status = (unsigned)status;
    return 0;
}

struct framing {
    bool length, chunked, close, keep;
    uint64_t n;
};

static int read_framing(const struct ctl_answer *a, struct framing *f)
{
    struct str rest = header_lines(a), name, value;
    while (next_header(&rest, &name, &value)) {
        uint64_t n;
        if (str_ieq(name, STR("content-length"))) {
            if (!str_to_u64(value, UINT32_MAX, &n) || (f->length && n != f->n))
                return ERR_PROTO;
            f->length = true;
            f->n = n;
        } else if (str_ieq(name, STR("transfer-encoding"))) {
            if (!str_ieq(value, STR("chunked")) || f->chunked)
                return ERR_PROTO;
            f->chunked = true;
        } else if (str_ieq(name, STR("connection"))) {
            f->close |= str_list_has(value, STR("close"));
            f->keep |= str_list_has(value, STR("keep-alive"));
        }
    }
    return f->length && f->chunked ? ERR_PROTO : 0;
}

static bool bodiless(const struct ctl_answer_reader *r)
{
    unsigned status = r->answer.status;
    return r->no_body || status == 204 || status == 304 || status == 101;
}

static int begin_body(struct ctl_answer_reader *r, const struct framing *f)
{
    if (bodiless(r) || (f->length && f->n == 0)) {
        r->state = ANSWER_DONE;
    } else if (f->chunked) {
        r->state = ANSWER_SIZE;
    } else if (f->length) {
        if (f->n > r->body.max)
            return ERR_LIMIT;
        r->left = f->n;
        r->state = ANSWER_BODY;
    } else {
        r->answer.keep = false;
        r->state = ANSWER_TO_END;
    }
    return 0;
}

static int end_head(struct ctl_answer_reader *r)
{
    struct ctl_answer *a = &r->answer;
    struct framing f = {0};
    bool old = false;
    a->head = buf_str(&r->head);
    int rc = lines_valid(header_lines(a)) ? read_status(a, &old) : ERR_PROTO;
    if (rc == 0)
        rc = read_framing(a, &f);
    if (rc < 0)
        return rc;
    a->keep = !f.close && (!old || f.keep);
    if (a->status >= 200 || a->status == 101)
        return begin_body(r, &f);
    buf_clear(&r->head);
    return ++r->interim > CTL_INTERIM_MAX ? ERR_PROTO : 0;
}

/* Up to the empty line. */
static int take_head(struct ctl_answer_reader *r, struct str *data)
{
    while (data->len > 0) {
        const char *end = memchr(data->p, '\n', data->len);
        size_t n = end ? (size_t)(end - data->p) + 1 : data->len;
        buf_add(&r->head, (struct str){data->p, n});
        *data = str_from(*data, n);
        if (r->head.full)
            return ERR_LIMIT;
        struct str head = buf_str(&r->head);
        if (head.len >= 5 && memcmp(head.p, "HTTP/", 5) != 0)
            return ERR_PROTO;
        if (end && head.len >= 4 &&
            memcmp(head.p + head.len - 4, "\r\n\r\n", 4) == 0)
            return end_head(r);
    }
    return 0;
}

/* ---- the body ------------------------------------------------------------ */

static int take_bytes(struct ctl_answer_reader *r, struct str *data,
                      enum ctl_answer_state then)
{
    size_t n = data->len < r->left ? data->len : (size_t)r->left;
    buf_add(&r->body, (struct str){data->p, n});
    *data = str_from(*data, n);
    r->left -= n;
    if (r->left == 0)
        r->state = then;
    return r->body.full ? ERR_LIMIT : 0;
}

/* A short line into r->line, without its end: 1 when it is whole. */
static int take_line(struct ctl_answer_reader *r, struct str *data)
{
    const char *end = memchr(data->p, '\n', data->len);
    size_t n = end ? (size_t)(end - data->p) + 1 : data->len;
    buf_add(&r->line, (struct str){data->p, n});
    *data = str_from(*data, n);
    if (r->line.full)
        return ERR_LIMIT;
    if (!end)
        return 0;
    struct str line = buf_str(&r->line);
    if (line.len < 2 || line.p[line.len - 2] != '\r')
        return ERR_PROTO;
    buf_truncate(&r->line, line.len - 2);
    return 1;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "1a2b", perhaps with ";extensions". */
static int read_size(struct ctl_answer_reader *r)
{
    struct str line = buf_str(&r->line);
    uint64_t size = 0;
    size_t i = 0;
    for (; i < line.len && hex_digit(line.p[i]) >= 0; i++) {
        size = size * 16 + (uint64_t)hex_digit(line.p[i]);
        if (size > r->body.max)
            return ERR_LIMIT;
    }
    if (i == 0 || (i < line.len && line.p[i] != ';' && line.p[i] != ' '))
        return ERR_PROTO;
    buf_clear(&r->line);
    r->left = size;
    r->state = size > 0 ? ANSWER_CHUNK : ANSWER_TRAILER;
    return 0;
}

static int read_trailer(struct ctl_answer_reader *r)
{
    if (r->line.len == 0)
        r->state = ANSWER_DONE;
    buf_clear(&r->line);
    return ++r->left > TRAILERS_MAX ? ERR_PROTO : 0;
}

static int read_crlf(struct ctl_answer_reader *r)
{
    if (r->line.len > 0)
        return ERR_PROTO;
    buf_clear(&r->line);
    r->state = ANSWER_SIZE;
    return 0;
}

static int take_lined(struct ctl_answer_reader *r, struct str *data)
{
    int rc = take_line(r, data);
    if (rc <= 0)
        return rc;
    switch (r->state) {
    case ANSWER_SIZE:
        return read_size(r);
    case ANSWER_CRLF:
        return read_crlf(r);
    default:
        return read_trailer(r);
    }
}

static int take_some(struct ctl_answer_reader *r, struct str *data)
{
    switch (r->state) {
    case ANSWER_HEAD:
        return take_head(r, data);
    case ANSWER_BODY:
        return take_bytes(r, data, ANSWER_DONE);
    case ANSWER_CHUNK:
        return take_bytes(r, data, ANSWER_CRLF);
    case ANSWER_TO_END:
        buf_add(&r->body, *data);
        *data = str_from(*data, data->len);
        return r->body.full ? ERR_LIMIT : 0;
    default:
        return take_lined(r, data);
    }
}

int ctl_answer_take(struct ctl_answer_reader *r, struct str *data)
{
    while (data->len > 0 && r->state != ANSWER_DONE) {
        int rc = take_some(r, data);
        if (rc < 0)
            return rc;
    }
    r->answer.body = buf_str(&r->body);
    return r->state == ANSWER_DONE;
}

int ctl_answer_end(struct ctl_answer_reader *r)
{
    if (r->state != ANSWER_TO_END)
        return ERR_PROTO;
    r->answer.body = buf_str(&r->body);
    r->state = ANSWER_DONE;
    return 1;
}
