#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include "common/json_out.h"
#include "common/utf8.h"

enum {
    FIELDS_MAX = 3072,      /* a line stays below PIPE_BUF: never interleaved */
    LINE_MAX_BYTES = 16384, /* JSON escapes lengthen */
    NODE_MAX = 64,
    SAFE_MAX = 128,
    MINUTE_MS = 60 * 1000,
};

static enum log_level threshold = LOG_INFO;
static bool as_json;
static char node_name[NODE_MAX + 1];

static const char *const level_name[] = {[LOG_ERROR] = "error",
                                         [LOG_WARN] = "warn",
                                         [LOG_INFO] = "info",
                                         [LOG_DEBUG] = "debug"};

void log_set_level(enum log_level level)
{
    threshold = level;
}

enum log_level log_get_level(void)
{
    return threshold;
}

void log_set_json(bool json)
{
    as_json = json;
}

/* Bytes of `s` that fit into `max` without cutting a character, of which at
 * most three bytes can stand before the cut. */
static size_t cut_length(struct str s, size_t max)
{
    if (s.len <= max)
        return s.len;
    for (size_t n = max; n + 4 > max && n > 0; n--) {
        if (((unsigned char)s.p[n] & 0xC0) != 0x80)
            return n;
    }
    return max;
}

void log_set_node(struct str name)
{
    size_t n = cut_length(name, NODE_MAX);
    for (size_t i = 0; i < n; i++) {
        char c = name.p[i];
        bool plain = (unsigned char)c > ' ' && c != '"' && c != '=';
        node_name[i] = plain ? c : '_';
    }
    node_name[n] = '\0';
}

/* The fields are text that somebody formatted: whatever is in them, they stay
 * on their line. */
static size_t format_fields(char *out, const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static size_t format_fields(char *out, const char *fmt, va_list ap)
{
    int n = vsnprintf(out, FIELDS_MAX, fmt, ap);
    if (n < 0)
        n = 0;
    size_t len = (size_t)n;
    if (len >= FIELDS_MAX) {
        len = FIELDS_MAX - 1;
        memcpy(out + len - 3, "...", 3);
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)out[i] < ' ' || out[i] == 0x7F)
            out[i] = ' ';
    }
    return len;
}

static bool is_key_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

/* Length of the key when `s` starts with `key=`, else 0. */
static size_t key_length(struct str s)
{
    size_t n = 0;
    while (n < s.len && is_key_char(s.p[n]))
        n++;
    return n < s.len && s.p[n] == '=' ? n : 0;
}

/* Length of the value at the start of `s`: a quoted one with its quotes, any
 * other up to the next ` key=`, because a careless value may hold spaces. */
static size_t value_length(struct str s)
{
    if (s.len > 0 && s.p[0] == '"') {
        const char *end = memchr(s.p + 1, '"', s.len - 1);
        return end ? (size_t)(end - s.p) + 1 : s.len;
    }
    size_t n = 0;
    while (n < s.len && !(s.p[n] == ' ' && key_length(str_from(s, n + 1))))
        n++;
    return n;
}

static struct str unquoted(struct str s)
{
    if (s.len == 0 || s.p[0] != '"')
        return s;
    s = str_from(s, 1);
    if (s.len > 0 && s.p[s.len - 1] == '"')
        s.len--;
    return s;
}

static void json_pair(struct buf *out, struct str key, struct str value)
{
    buf_addc(out, out->len == 0 ? '{' : ',');
    json_out_string(out, key);
    buf_addc(out, ':');
    json_out_string(out, value);
}

static void json_fields(struct buf *out, struct str fields)
{
    while (fields.len > 0) {
        size_t key = key_length(fields);
        size_t at = key ? key + 1 : 0;
        struct str rest = str_from(fields, at);
        size_t value = value_length(rest);
        struct str name = {fields.p, key};
        json_pair(out, key ? name : STR("text"),
                  unquoted((struct str){rest.p, value}));
        fields = str_from(rest, value);
        while (fields.len > 0 && fields.p[0] == ' ')
            fields = str_from(fields, 1);
    }
}

/* UTC with milliseconds. */
static void put_time(char out[32])
{
    struct timespec now;
    struct tm tm;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    (void)gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(out + n, 32 - n, ".%03uZ",
                   (unsigned)(now.tv_nsec / 1000000) % 1000);
}

static void write_text(struct buf *line, enum log_level level,
                       const char *event, struct str fields)
{
    char when[32];
    put_time(when);
    buf_fmt(line, "%s %s %s", when, level_name[level], event);
    if (node_name[0])
        buf_fmt(line, " node=%s", node_name);
    if (fields.len > 0)
        buf_addc(line, ' ');
    buf_add(line, fields);
}

static void write_json(struct buf *line, enum log_level level,
                       const char *event, struct str fields)
{
    char when[32];
    put_time(when);
    json_pair(line, STR("time"), str_of(when));
    json_pair(line, STR("level"), str_of(level_name[level]));
    json_pair(line, STR("event"), str_of(event));
    if (node_name[0])
        json_pair(line, STR("node"), str_of(node_name));
    json_fields(line, fields);
    buf_addc(line, '}');
}

void log_event(enum log_level level, const char *event, const char *fmt, ...)
{
    /* Kept from line to line, so that logging does not allocate. */
    static struct buf line;
    char fields[FIELDS_MAX];
    if (level > threshold)
        return;
    if (line.max == 0)
        buf_init(&line, LINE_MAX_BYTES);
    buf_clear(&line);
    va_list ap;
    va_start(ap, fmt);
    struct str text = {fields, format_fields(fields, fmt, ap)};
    va_end(ap);
    if (as_json)
        write_json(&line, level, event, text);
    else
        write_text(&line, level, event, text);
    buf_addc(&line, '\n');
    /* A log that cannot be written has nowhere to be reported. */
    (void)fwrite(buf_ptr(&line), 1, line.len, stdout);
    (void)fflush(stdout);
}

/* Length of the well-formed character at the start of `s`; 0 when there is
 * none, or when it is one that a terminal obeys. */
static size_t printable_length(struct str s)
{
    unsigned char c = (unsigned char)s.p[0];
    if (c < 0x80)
        return c >= ' ' && c != '"' && c != '\\' && c != 0x7F;
    if (c == 0xC2 && s.len > 1 && (unsigned char)s.p[1] < 0xA0)
        return 0;
    size_t max = s.len < 4 ? s.len : 4;
    for (size_t n = 2; n <= max; n++) {
        if (utf8_valid((struct str){s.p, n}))
            return n;
    }
    return 0;
}

const char *log_safe(struct str s)
{
    static char ring[4][SAFE_MAX * 4 + sizeof("\"...\"")];
    static unsigned turn;
    char *out = ring[turn++ % 4];
    char *o = out;
    struct str rest = {s.p, cut_length(s, SAFE_MAX)};
    bool cut = rest.len < s.len;
    *o++ = '"';
    while (rest.len > 0) {
        size_t n = printable_length(rest);
        if (n > 0) {
            memcpy(o, rest.p, n);
            o += n;
        } else {
            static const char hex[] = "0123456789abcdef";
            unsigned char c = (unsigned char)rest.p[0];
            *o++ = '\\';
            *o++ = 'x';
            *o++ = hex[c >> 4];
            *o++ = hex[c & 15];
            n = 1;
        }
        rest = str_from(rest, n);
    }
    if (cut)
        o = stpcpy(o, "...");
    (void)stpcpy(o, "\"");
    return out;
}

/* `passed` is one past the allowance once something was held back in this
 * window. That tells the first refusal, which starts counting anew, as the
 * line that opened the window has reported the former count. */
bool log_allow(struct log_gate *gate, uint64_t now_ms, uint32_t per_minute)
{
    if (gate->passed == 0 || now_ms - gate->window_start_ms >= MINUTE_MS) {
        gate->window_start_ms = now_ms;
        gate->passed = 0;
    }
    if (gate->passed < per_minute) {
        if (gate->passed > 0)
            gate->held = 0;
        gate->passed++;
        return true;
    }
    if (gate->passed == per_minute) {
        gate->passed++;
        gate->held = 0;
    }
    gate->held++;
    return false;
}
