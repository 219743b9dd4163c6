#include "server/http/quick_head.h"

enum { BODY_DIGITS = 9 };

static bool is_visible(char c)
{
    return c > 0x20 && c < 0x7f;
}

/* Of those that a name may have, those that names do have. */
static bool is_name(char c)
{
    char letter = (char)(c | 0x20);
    return (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') ||
           c == '-' || c == '_';
}

/* Only one, and only of a POST. */
static bool take_length(struct str value, struct quick_head *h)
{
    uint64_t n;
    if (!h->post || h->body_len > 0 || value.len > BODY_DIGITS ||
        !str_to_u64(value, UINT32_MAX, &n))
        return false;
    h->body_len = (uint32_t)n;
    return n > 0;
}

/* By the length of its name first: few have that of one that matters. */
static bool is_plain(struct str name, struct str value, struct quick_head *h)
{
    switch (name.len) {
    case 4:
        h->host |= str_ieq(name, STR("host"));
        return true;
    case 6:
        return !str_ieq(name, STR("expect"));
    case 7:
        return !str_ieq(name, STR("upgrade"));
    case 10:
        return !str_ieq(name, STR("connection")) ||
               str_ieq(value, STR("keep-alive"));
    case 14:
        return !str_ieq(name, STR("content-length")) || take_length(value, h);
    case 16:
        return !str_ieq(name, STR("proxy-connection"));
    case 17:
        return !str_ieq(name, STR("transfer-encoding"));
    default:
        return true;
    }
}

/* Where the name that begins at `at` ends. */
static size_t name_end(struct str input, size_t at)
{
    while (at < input.len && is_name(input.p[at]))
        at++;
    return at;
}

/* The same of a value, of visible characters and spaces. */
static size_t value_end(struct str input, size_t at)
{
    while (at < input.len && (is_visible(input.p[at]) || input.p[at] == ' '))
        at++;
    return at;
}

/* The line from `at` on, whose offsets are told from the target on; returns
 * where the next one begins, or 0. */
static size_t take_line(struct str input, size_t at, struct quick_head *h)
{
    const char *p = input.p;
    size_t name = at, colon = name_end(input, at);
    if (colon == name || colon == input.len || p[colon] != ':' ||
        h->n_lines == QUICK_LINES)
        return 0;
    size_t value = colon + 1;
    while (value < input.len && p[value] == ' ')
        value++;
    size_t end = value_end(input, value);
    if (!str_starts(str_from(input, end), STR("\r\n")) ||
        !is_plain((struct str){p + name, colon - name},
                  (struct str){p + value, end - value}, h))
        return 0;
    h->line[h->n_lines++] = (struct header_line){
        (uint32_t)(name - h->target_at), (uint32_t)(colon - name),
        (uint32_t)(value - h->target_at), (uint32_t)(end - value)};
    return end + 2;
}

/* "GET /... HTTP/1.1" and "POST /... HTTP/1.1": where the next line begins. */
static size_t take_request_line(struct str input, struct quick_head *h)
{
    static const struct str rest = STR_INIT(" HTTP/1.1\r\n");
    h->post = str_starts(input, STR("POST /"));
    if (!h->post && !str_starts(input, STR("GET /")))
        return 0;
    size_t at = h->post ? 5 : 4;
    h->target_at = (uint32_t)at;
    while (at < input.len && is_visible(input.p[at]) && input.p[at] != '#')
        at++;
    h->target_len = (uint32_t)(at - h->target_at);
    return str_starts(str_from(input, at), rest) ? at + rest.len : 0;
}

size_t quick_head(struct str input, struct quick_head *h)
{
    h->host = false;
    h->body_len = h->n_lines = 0;
    size_t at = input.len <= UINT32_MAX ? take_request_line(input, h) : 0;
    while (at > 0 && !str_starts(str_from(input, at), STR("\r\n")))
        at = take_line(input, at, h);
    if (at == 0 || !h->host || h->post != (h->body_len > 0))
        return 0;
    at += 2;
    return input.len - at >= h->body_len ? at : 0;
}
