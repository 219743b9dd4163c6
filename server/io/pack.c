#include "server/io/pack.h"

#include <string.h>

#include "common/json_out.h"
#include "server/io/event.h"
#include "server/io/parser.h"

enum { DEPTH_MAX = 24 };

const struct json_limits pack_limits = {64, (1 << 24) - 1};

/* Where the format reader is. */
struct place {
    const char *at;
    struct pack_args *args;
    char open[DEPTH_MAX]; /* '[' or '{' */
    unsigned depth;
    bool key_next;
    bool value_next; /* at the top: a value is due, not a comma */
};

enum { KEEP_BYTES = 16 * 1024 };

/* Storage of a text that is done with, for the next one; one thread. */
static struct buf spare;

void pack_init(struct pack *p, size_t max)
{
    p->n_bins = 0;
    p->text_only = p->parse = false;
    buf_init(&p->json, max);
    p->json.b = spare.b;
    p->json.cap = spare.cap;
    spare = (struct buf){0};
}

void pack_init_text(struct pack *p, size_t max)
{
    pack_init(p, max);
    p->text_only = p->parse = true;
}

void pack_fini(struct pack *p)
{
    if (!spare.b && p->json.b && p->json.cap <= KEEP_BYTES) {
        spare = p->json;
        p->json.b = NULL;
    }
    buf_fini(&p->json);
    for (uint32_t i = 0; i < p->n_bins; i++)
        bytes_unref(p->bins[i]);
    p->n_bins = 0;
}

static void add_bytes(struct buf *out, struct str data)
{
    buf_add(out, STR("{\"type\":\"Buffer\",\"data\":["));
    for (size_t i = 0; i < data.len && !out->full; i++) {
        if (i > 0)
            buf_addc(out, ',');
        buf_add_u64(out, (unsigned char)data.p[i]);
    }
    buf_add(out, STR("]}"));
}

static int add_binary(struct pack *p, struct str data)
{
    if (p->text_only) {
        add_bytes(&p->json, data);
        return 0;
    }
    if (p->n_bins == PACKET_BINS_MAX)
        return SIO_ERR_LIMIT;
    if (data.len > p->json.max - p->json.len)
        return SIO_ERR_LIMIT;
    buf_fmt(&p->json, "{\"_placeholder\":true,\"num\":%u}", p->n_bins);
    p->bins[p->n_bins++] = bytes_new(data);
    return 0;
}

static int renumber(struct buf *out, struct str data, void *arg)
{
    (void)out; /* the pack's own */
    return add_binary(arg, data);
}

/* Text of a value of an event; its attachments get new numbers here. */
static int add_value(struct pack *p, struct sio_value v)
{
    /* A whole text may be as deep as is allowed, and is going one deeper. */
    if (v.node == 0)
        p->parse = true;
    return v.node == JSON_NONE ? SIO_ERR_ARG
                               : pack_copy(&p->json, v, renumber, p);
}

int pack_copy(struct buf *out, struct sio_value v,
              int (*binary)(struct buf *out, struct str data, void *arg),
              void *arg)
{
    const struct json *j = v.event->tape;
    struct str text = json_text(j, v.node);
    if (v.event->n_bins == 0) {
        buf_add(out, text);
        return 0;
    }
    uint32_t from = j->nodes[v.node].start;
    uint32_t end = j->nodes[v.node].end;
    for (uint32_t n = v.node; n < j->nodes[v.node].next; n++) {
        struct sio_str data;
        if (!sio_binary((struct sio_value){v.event, n}, &data))
            continue;
        buf_add(out, (struct str){j->text.p + from, j->nodes[n].start - from});
        int rc = binary(out, str_from_sio(data), arg);
        if (rc < 0)
            return rc;
        from = j->nodes[n].end;
    }
    buf_add(out, (struct str){j->text.p + from, end - from});
    return 0;
}

static int add_text(struct pack *p, const char *s)
{
    if (!s)
        return SIO_ERR_ARG;
    json_out_string(&p->json, str_of(s));
    return 0;
}

static int add_slice(struct pack *p, char letter, struct sio_str s)
{
    switch (letter) {
    case 'S':
        json_out_string(&p->json, str_from_sio(s));
        return 0;
    case 'j':
        if (s.len == 0)
            return SIO_ERR_ARG;
        p->parse = true;
        buf_add(&p->json, str_from_sio(s));
        return 0;
    default:
        return add_binary(p, str_from_sio(s));
    }
}

static int add_letter(struct pack *p, char letter, struct pack_args *a)
{
    switch (letter) {
    case 's':
        return add_text(p, va_arg(a->ap, const char *));
    case 'S':
    case 'j':
    case 'B':
        return add_slice(p, letter, va_arg(a->ap, struct sio_str));
    case 'i':
        buf_add_i64(&p->json, va_arg(a->ap, int));
        return 0;
    case 'I':
        buf_add_i64(&p->json, va_arg(a->ap, int64_t));
        return 0;
    case 'f':
        json_out_double(&p->json, va_arg(a->ap, double));
        return 0;
    case 'b':
        buf_add(&p->json, va_arg(a->ap, int) ? STR("true") : STR("false"));
        return 0;
    case 'n':
        buf_add(&p->json, STR("null"));
        return 0;
    case 'v':
        return add_value(p, va_arg(a->ap, struct sio_value));
    default:
        return SIO_ERR_ARG;
    }
}

static int add_key(struct pack *p, struct place *pl)
{
    const char *colon = strchr(pl->at, ':');
    if (!colon)
        return SIO_ERR_ARG;
    json_out_string(&p->json,
                    str_trim((struct str){pl->at, (size_t)(colon - pl->at)}));
    buf_addc(&p->json, ':');
    pl->at = colon + 1;
    pl->key_next = false;
    return 0;
}

static int add_mark(struct pack *p, struct place *pl)
{
    char c = *pl->at++;
    if (c != ',' || pl->value_next)
        p->parse = true;
    pl->value_next = true;
    if (c == '[' || c == '{') {
        if (pl->depth == DEPTH_MAX)
            return SIO_ERR_ARG;
        pl->open[pl->depth++] = c;
    } else if (c != ',') {
        if (pl->depth == 0)
            return SIO_ERR_ARG;
        pl->depth--;
    }
    pl->key_next = (c == '{' || c == ',') && pl->depth > 0 &&
                   pl->open[pl->depth - 1] == '{';
    buf_addc(&p->json, c);
    return 0;
}

static bool is_mark(char c)
{
    return c == ',' || c == '[' || c == ']' || c == '{' || c == '}';
}

static int add_format(struct pack *p, const char *format,
                      struct pack_args *args)
{
    struct place pl = {.at = format, .args = args, .value_next = true};
    int rc = 0;
    while (*pl.at && rc == 0) {
        if (*pl.at == ' ') {
            pl.at++;
        } else if (is_mark(*pl.at)) {
            rc = add_mark(p, &pl);
        } else if (pl.key_next) {
            rc = add_key(p, &pl);
        } else {
            if (!pl.value_next)
                p->parse = true;
            pl.value_next = false;
            rc = add_letter(p, *pl.at++, args);
        }
    }
    if (pl.value_next)
        p->parse = true;
    return rc;
}

/* What was built is parsed once: raw JSON and the structure of the format are
 * right, or nothing is sent. Beside binary, a value that looks like the
 * placeholder of some that is not there would end every connection it goes
 * to. What cannot be wrong is not parsed: a list of values each of which was
 * written here or comes out of a text that was parsed. */
static int check(struct pack *p, struct json *tape)
{
    if (p->json.full)
        return SIO_ERR_LIMIT;
    size_t bins = 0;
    for (uint32_t i = 0; i < p->n_bins; i++)
        bins += p->bins[i]->len;
    if (bins + p->json.len > p->json.max)
        return SIO_ERR_LIMIT;
    if (!p->parse && p->n_bins == 0 && p->json.len < pack_limits.nodes)
        return 0;
    int rc = json_parse(tape, buf_str(&p->json), pack_limits);
    if (rc == 0 && p->n_bins > 0)
        rc = parser_check_bins(tape, p->n_bins);
    return rc < 0 ? SIO_ERR_ARG : 0;
}

int pack_array(struct pack *p, const char *event, const char *format,
               struct pack_args *args, struct json *tape)
{
    bool values = format && *format;
    buf_addc(&p->json, '[');
    if (event)
        json_out_string(&p->json, str_of(event));
    if (event && values)
        buf_addc(&p->json, ',');
    int rc = values ? add_format(p, format, args) : 0;
    buf_addc(&p->json, ']');
    return rc < 0 ? rc : check(p, tape);
}

int pack_value(struct pack *p, const char *format, struct pack_args *args,
               struct json *tape)
{
    p->parse = true; /* a list of values is not one */
    int rc = format && *format ? add_format(p, format, args) : SIO_ERR_ARG;
    return rc < 0 ? rc : check(p, tape);
}

int pack_format(struct pack *p, struct json *tape, const char *format, ...)
{
    struct pack_args args;
    va_start(args.ap, format);
    int rc = pack_value(p, format, &args, tape);
    va_end(args.ap);
    return rc;
}
