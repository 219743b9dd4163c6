/* The other direction of config.c: settings as a file. Nothing of YAML but
 * double quotes is needed, so this is written by hand. */
#include "common/config.h"

#include <inttypes.h>

#include "common/config_value.h"

/* Takes the first code point off `*s`, which is UTF-8. */
static uint32_t take_char(struct str *s)
{
    const unsigned char *p = (const unsigned char *)s->p;
    size_t n = p[0] < 0x80 ? 1 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;
    uint32_t c = n == 1 ? p[0] : p[0] & (0x7FU >> n);
    for (size_t i = 1; i < n && i < s->len; i++)
        c = c << 6 | (p[i] & 0x3F);
    *s = str_from(*s, n);
    return c;
}

/* YAML allows few control characters raw, and takes some others for ends of
 * lines or for a byte order mark. */
static bool goes_raw(uint32_t c)
{
    if (c < 0x7F)
        return c >= ' ' && c != '"' && c != '\\';
    return c >= 0xA0 && c != 0x2028 && c != 0x2029 && c != 0xFEFF &&
           c != 0xFFFE && c != 0xFFFF;
}

static void put_quoted(FILE *out, struct str s)
{
    (void)fputc('"', out);
    while (s.len > 0) {
        struct str rest = s;
        uint32_t c = take_char(&rest);
        if (goes_raw(c))
            (void)fwrite(s.p, 1, s.len - rest.len, out);
        else
            (void)fprintf(out, "\\u%04" PRIx32, c);
        s = rest;
    }
    (void)fputc('"', out);
}

static void put_list(FILE *out, struct str items)
{
    struct str item;
    const char *before = "";
    (void)fputc('[', out);
    while (items.len > 0 && str_next(&items, '\n', &item)) {
        (void)fputs(before, out);
        put_quoted(out, item);
        before = ", ";
    }
    (void)fputc(']', out);
}

static struct str masked(const struct config_field *f, struct str s)
{
    return (f->flags & CFG_SECRET) && s.len > 0 ? STR("********") : s;
}

static void put_value(FILE *out, const struct config_field *f,
                      const void *settings)
{
    const char *slot = (const char *)settings + f->offset;
    uint32_t number;
    const char *text;
    switch (f->type) {
    case CFG_BOOL:
        (void)fputs(*(const bool *)slot ? "true" : "false", out);
        break;
    case CFG_U32:
        memcpy(&number, slot, sizeof(number));
        (void)fprintf(out, "%" PRIu32, number);
        break;
    case CFG_ENUM:
        memcpy(&number, slot, sizeof(number));
        (void)fputs(f->choices[number], out);
        break;
    case CFG_STRING:
        memcpy(&text, slot, sizeof(text));
        put_quoted(out, masked(f, str_of(text)));
        break;
    case CFG_LIST:
        memcpy(&text, slot, sizeof(text));
        put_list(out, masked(f, str_of(text)));
        break;
    }
}

/* "  # help (default ..., what is allowed)" */
static void put_help(FILE *out, const struct config_field *f)
{
    struct str def = masked(f, str_of(f->def));
    (void)fprintf(out, "  # %s (default ", f->help);
    if (config_holds_text(f))
        put_quoted(out, def);
    else
        (void)fputs(f->def, out);
    if (f->type == CFG_U32)
        (void)fprintf(out, ", %" PRIu32 " to %" PRIu32, f->min, f->max);
    if (f->type == CFG_ENUM) {
        for (size_t i = 0; f->choices[i]; i++)
            (void)fprintf(out, "%s%s", i ? ", " : "; one of ", f->choices[i]);
    }
    if (f->flags & CFG_LIVE)
        (void)fputs("; SIGHUP reads it again", out);
    (void)fputs(")\n", out);
}

static void put_section(FILE *out, const struct config_table *t,
                        struct str section, const void *settings)
{
    (void)fprintf(out, "%.*s:\n", STR_ARG(section));
    for (size_t i = 0; i < t->n; i++) {
        const struct config_field *f = &t->fields[i];
        if (!str_eq(config_section(f), section))
            continue;
        put_help(out, f);
        (void)fprintf(out, "  %s: ", f->key + section.len + 1);
        put_value(out, f, settings);
        (void)fputc('\n', out);
    }
}

void config_print(const struct config_table *t, const void *settings, FILE *out)
{
    for (size_t i = 0; i < t->n; i++) {
        struct str section = config_section(&t->fields[i]);
        bool earlier = false;
        for (size_t k = 0; k < i && !earlier; k++)
            earlier = str_eq(config_section(&t->fields[k]), section);
        if (!earlier)
            put_section(out, t, section, settings);
    }
}
