#include "server/http/extension.h"

enum { WINDOW_MIN = 8, WINDOW_MAX = 15 };

enum value_rule { VALUE_NEVER, VALUE_MAY, VALUE_MUST };

enum {
    SERVER_NO_CONTEXT,
    CLIENT_NO_CONTEXT,
    SERVER_WINDOW,
    CLIENT_WINDOW,
    N_PARAMS
};

static const struct {
    struct str name;
    enum value_rule value;
} params[N_PARAMS] = {
    [SERVER_NO_CONTEXT] = {STR_INIT("server_no_context_takeover"), VALUE_NEVER},
    [CLIENT_NO_CONTEXT] = {STR_INIT("client_no_context_takeover"), VALUE_NEVER},
    [SERVER_WINDOW] = {STR_INIT("server_max_window_bits"), VALUE_MUST},
    [CLIENT_WINDOW] = {STR_INIT("client_max_window_bits"), VALUE_MAY},
};

struct offer {
    bool wrong;    /* not one to accept, but no reason to refuse the header */
    uint32_t seen; /* bit per parameter */
    struct deflate_terms terms;
};

/* ---- reading ------------------------------------------------------------- */

bool token_char(char c)
{
    return c > 0x20 && c < 0x7f && !strchr("()<>@,;:\\\"/[]?={}", c);
}

static void skip_space(struct str *s)
{
    while (s->len > 0 && (s->p[0] == ' ' || s->p[0] == '\t'))
        *s = str_from(*s, 1);
}

/* Takes `c`, with white space around it. */
static bool take_char(struct str *s, char c)
{
    skip_space(s);
    if (s->len == 0 || s->p[0] != c)
        return false;
    *s = str_from(*s, 1);
    skip_space(s);
    return true;
}

static bool take_token(struct str *s, struct str *token)
{
    size_t n = 0;
    while (n < s->len && token_char(s->p[n]))
        n++;
    *token = (struct str){s->p, n};
    *s = str_from(*s, n);
    return n > 0;
}

/* A token in quotes. Escapes are left in it: no value that we know needs one,
 * so it will not be understood, which is enough. */
static bool take_quoted(struct str *s, struct str *value)
{
    size_t n = 1;
    while (n < s->len && (token_char(s->p[n]) || s->p[n] == '\\')) {
        n += s->p[n] == '\\';
        if (n >= s->len || !token_char(s->p[n]))
            return false;
        n++;
    }
    if (n < 2 || n >= s->len || s->p[n] != '"')
        return false;
    *value = (struct str){s->p + 1, n - 1};
    *s = str_from(*s, n + 1);
    return true;
}

static bool take_value(struct str *s, struct str *value)
{
    if (s->len > 0 && s->p[0] == '"')
        return take_quoted(s, value);
    return take_token(s, value);
}

/* ---- offers -------------------------------------------------------------- */

static bool window_bits(struct str v, uint8_t *bits)
{
    uint64_t n;
    if (v.len == 0 || v.p[0] == '0' || !str_to_u64(v, WINDOW_MAX, &n) ||
        n < WINDOW_MIN)
        return false;
    *bits = (uint8_t)n;
    return true;
}

/* False when the offer cannot be accepted for it. */
static bool add_param(struct offer *o, struct str name, const struct str *value)
{
    unsigned i = 0;
    uint8_t bits = 0;
    while (i < N_PARAMS && !str_eq(name, params[i].name))
        i++;
    if (i == N_PARAMS || (o->seen & 1U << i))
        return false;
    o->seen |= 1U << i;
    if (params[i].value == (value ? VALUE_NEVER : VALUE_MUST))
        return false;
    if (value && !window_bits(*value, &bits))
        return false;
    /* The client's window needs no answer: we take the largest. */
    if (i == SERVER_WINDOW)
        o->terms = (struct deflate_terms){bits, true};
    return true;
}

/* One element of the list. */
static bool take_offer(struct str *s, struct offer *o)
{
    struct str name, value;
    *o = (struct offer){.terms = {.window_bits = WINDOW_MAX}};
    if (!take_token(s, &name))
        return false;
    o->wrong = !str_eq(name, STR("permessage-deflate"));
    while (take_char(s, ';')) {
        if (!take_token(s, &name))
            return false;
        bool has_value = take_char(s, '=');
        if (has_value && !take_value(s, &value))
            return false;
        if (!o->wrong)
            o->wrong = !add_param(o, name, has_value ? &value : NULL);
    }
    return true;
}

int extension_offers(struct str header, struct deflate_terms *terms)
{
    struct offer o;
    skip_space(&header);
    do {
        if (!take_offer(&header, &o))
            return ERR_PROTO;
        if (!o.wrong && terms->window_bits == 0)
            *terms = o.terms;
    } while (take_char(&header, ','));
    return header.len == 0 ? 0 : ERR_PROTO;
}

void extension_answer(const struct deflate_terms *terms, struct buf *out)
{
    if (terms->window_bits == 0)
        return;
    buf_add(out, STR("Sec-WebSocket-Extensions: permessage-deflate; "
                     "server_no_context_takeover; client_no_context_takeover"));
    if (terms->named)
        buf_fmt(out, "; server_max_window_bits=%u", terms->window_bits);
    buf_add(out, STR("\r\n"));
}
