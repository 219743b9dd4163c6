#include "server/http/answer.h"

#include "server/http/http_header.h"

enum { SWITCHING = 101, LAST_STATUS = 599 };

void answer_init(struct answer *a)
{
    *a = (struct answer){0};
    buf_init(&a->head, ANSWER_HEAD_MAX);
}

void answer_fini(struct answer *a)
{
    buf_fini(&a->head);
}

/* ---- lines --------------------------------------------------------------- */

/* Takes the next line, without its CR LF. False when it has none, or a control
 * character in it. */
static bool next_line(struct str *rest, struct str *line)
{
    return str_next(rest, '\n', line) && line->len > 0 &&
           line->p[--line->len] == '\r' && http_value_valid(*line);
}

static bool read_status(struct answer *a, struct str line)
{
    uint64_t status;
    struct str version = STR("HTTP/1.1 ");
    if (!str_starts(line, version))
        return false;
    line = str_from(line, version.len);
    if (line.len < 3 || (line.len > 3 && line.p[3] != ' ') ||
        !str_to_u64((struct str){line.p, 3}, LAST_STATUS, &status))
        return false;
    a->status = (unsigned)status;
    return status == SWITCHING ||
           (status >= 200 && status != 204 && status != 304);
}

static bool split_line(struct str line, struct str *name, struct str *value)
{
    if (!str_next(&line, ':', name) || !line.p)
        return false;
    *value = str_trim(line);
    return http_token_valid(*name);
}

struct framing {
    unsigned lengths, lines;
    bool upgrade;
};

static bool read_header(struct answer *a, struct str line, struct framing *f)
{
    struct str name, value;
    if (++f->lines > ANSWER_LINES_MAX || !split_line(line, &name, &value) ||
        str_ieq(name, STR("transfer-encoding")))
        return false;
    if (str_ieq(name, STR("content-length"))) {
        f->lengths++;
        return str_to_u64(value, UINT32_MAX, &a->length);
    }
    if (str_ieq(name, STR("upgrade")))
        f->upgrade = true;
    if (str_ieq(name, STR("connection")) && str_list_has(value, STR("close")))
        a->keep_alive = false;
    return true;
}

/* The head is here, with the empty line at its end. */
static int read_head(struct answer *a)
{
    struct str rest = buf_str(&a->head), line;
    struct framing f = {0};
    a->keep_alive = true;
    if (!next_line(&rest, &line) || !read_status(a, line))
        return ERR_PROTO;
    while (next_line(&rest, &line) && line.len > 0) {
        if (!read_header(a, line, &f))
            return ERR_PROTO;
    }
    if (rest.len > 0) /* a line was none */
        return ERR_PROTO;
    if (a->status == SWITCHING)
        return f.upgrade && f.lengths == 0 ? 1 : ERR_PROTO;
    return f.lengths == 1 ? 1 : ERR_PROTO;
}

int answer_feed(struct answer *a, struct str *data)
{
    static const struct str end = STR_INIT("\r\n\r\n");
    size_t had = a->head.len;
    size_t room = ANSWER_HEAD_MAX - had;
    size_t n = data->len < room ? data->len : room;
    buf_add(&a->head, (struct str){data->p, n});
    size_t from = had < end.len ? 0 : had - end.len + 1;
    struct str look = str_from(buf_str(&a->head), from);
    const char *at = memmem(look.p, look.len, end.p, end.len);
    if (!at) {
        *data = str_from(*data, n);
        return n == room ? ERR_LIMIT : 0;
    }
    size_t len = (size_t)(at - look.p) + from + end.len;
    buf_truncate(&a->head, len);
    *data = str_from(*data, len - had);
    return read_head(a);
}

/* ---- handing on ---------------------------------------------------------- */

static bool is_of_connection(struct str name)
{
    return str_ieq(name, STR("connection")) ||
           str_ieq(name, STR("keep-alive")) ||
           str_ieq(name, STR("proxy-connection")) ||
           str_ieq(name, STR("upgrade"));
}

void answer_lines(const struct answer *a, struct buf *out)
{
    struct str rest = buf_str(&a->head), line, name, value;
    bool first = true;
    while (next_line(&rest, &line) && line.len > 0) {
        bool drop = !first && a->status != SWITCHING &&
                    split_line(line, &name, &value) && is_of_connection(name);
        first = false;
        if (drop)
            continue;
        buf_add(out, line);
        buf_add(out, STR("\r\n"));
    }
}
