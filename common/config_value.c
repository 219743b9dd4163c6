#include "common/config_value.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/utf8.h"

int config_complain(char err[CONFIG_ERR_MAX], const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(err, CONFIG_ERR_MAX, fmt, ap);
    va_end(ap);
    return ERR_CONFIG;
}

/* Text of the user as it may stand in a sentence: words bare, all else quoted
 * and escaped. Good until three more were shown. */
static const char *show(struct str s)
{
    static char word[4][CONFIG_NAME_MAX + 1];
    static unsigned turn;
    bool bare = s.len > 0 && s.len <= CONFIG_NAME_MAX;
    for (size_t i = 0; bare && i < s.len; i++)
        bare =
            s.p[i] > ' ' && s.p[i] != '"' && s.p[i] != '\\' && s.p[i] != 0x7F;
    if (!bare)
        return log_safe(s);
    char *out = word[turn++ % 4];
    memcpy(out, s.p, s.len);
    out[s.len] = '\0';
    return out;
}

/* "section.key" as CONFAB_SECTION_KEY. */
struct str config_name_env(const struct config_field *f,
                           char room[CONFIG_NAME_MAX + 1])
{
    char *o = stpcpy(room, CONFIG_ENV_PREFIX);
    for (const char *p = f->key; *p && o < room + CONFIG_NAME_MAX; p++) {
        if (*p == '.')
            *o++ = '_';
        else
            *o++ = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
    }
    *o = '\0';
    return (struct str){room, (size_t)(o - room)};
}

struct str config_name_key(const struct config_field *f,
                           char room[CONFIG_NAME_MAX + 1])
{
    (void)room;
    return str_of(f->key);
}

struct str config_name_section(const struct config_field *f,
                               char room[CONFIG_NAME_MAX + 1])
{
    (void)room;
    return config_section(f);
}

/* Insertions, deletions and replacements that turn `a` into `b`. */
static unsigned distance(struct str a, struct str b)
{
    unsigned row[CONFIG_NAME_MAX + 1];
    if (b.len > CONFIG_NAME_MAX)
        b.len = CONFIG_NAME_MAX;
    for (unsigned k = 0; k <= b.len; k++)
        row[k] = k;
    for (size_t i = 0; i < a.len && i < CONFIG_NAME_MAX; i++) {
        unsigned corner = row[0]++;
        for (size_t k = 0; k < b.len; k++) {
            unsigned best = corner + (a.p[i] != b.p[k]);
            corner = row[k + 1];
            if (best > corner + 1)
                best = corner + 1;
            if (best > row[k] + 1)
                best = row[k] + 1;
            row[k + 1] = best;
        }
    }
    return row[b.len];
}

const struct config_field *config_find(const struct config_table *t,
                                       struct str name, config_name_fn *spell)
{
    char room[CONFIG_NAME_MAX + 1];
    for (size_t i = 0; i < t->n; i++) {
        if (str_eq(spell(&t->fields[i], room), name))
            return &t->fields[i];
    }
    return NULL;
}

int config_unknown(const struct config_table *t, const char *where,
                   const char *what, struct str name, config_name_fn *spell,
                   char err[CONFIG_ERR_MAX])
{
    char room[CONFIG_NAME_MAX + 1];
    const struct config_field *nearest = &t->fields[0];
    unsigned least = UINT32_MAX;
    for (size_t i = 0; i < t->n; i++) {
        unsigned d = distance(name, spell(&t->fields[i], room));
        if (d < least) {
            least = d;
            nearest = &t->fields[i];
        }
    }
    struct str guess = spell(nearest, room);
    return config_complain(err, "%s: unknown %s %s, did you mean %.*s?", where,
                           what, show(name), STR_ARG(guess));
}

static int wrong(const struct config_field *f, struct str value,
                 const char *where, char err[CONFIG_ERR_MAX], const char *want)
{
    if (f->flags & CFG_SECRET)
        return config_complain(err, "%s: %s must be %s", where, f->key, want);
    return config_complain(err, "%s: %s must be %s, not %s", where, f->key,
                           want, show(value));
}

static int set_bool(const struct config_field *f, void *settings,
                    struct str value, const char *where,
                    char err[CONFIG_ERR_MAX])
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true}, {"false", false}, {"yes", true},
                 {"no", false},  {"on", true},     {"off", false}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (str_ieq(value, str_of(words[i].word))) {
            *(bool *)config_slot(f, settings) = words[i].value;
            return 0;
        }
    }
    return wrong(f, value, where, err, "true or false");
}

static int set_u32(const struct config_field *f, void *settings,
                   struct str value, const char *where,
                   char err[CONFIG_ERR_MAX])
{
    uint64_t n;
    if (!str_to_u64(value, f->max, &n) || n < f->min) {
        char want[64];
        (void)snprintf(want, sizeof(want), "a whole number from %u to %u",
                       f->min, f->max);
        return wrong(f, value, where, err, want);
    }
    *(uint32_t *)config_slot(f, settings) = (uint32_t)n;
    return 0;
}

static int set_enum(const struct config_field *f, void *settings,
                    struct str value, const char *where,
                    char err[CONFIG_ERR_MAX])
{
    struct buf want;
    buf_init(&want, CONFIG_ERR_MAX);
    buf_add(&want, STR("one of"));
    for (uint32_t i = 0; f->choices[i]; i++) {
        if (str_eq(value, str_of(f->choices[i]))) {
            *(uint32_t *)config_slot(f, settings) = i;
            buf_fini(&want);
            return 0;
        }
        buf_fmt(&want, "%s %s", i ? "," : "", f->choices[i]);
    }
    buf_addc(&want, '\0');
    int rc = wrong(f, value, where, err, buf_ptr(&want));
    buf_fini(&want);
    return rc;
}

/* Sentences about text never quote it: the row may be a password. */
static int set_text(const struct config_field *f, void *settings,
                    struct str value, const char *where,
                    char err[CONFIG_ERR_MAX])
{
    if (value.len > 0 && memchr(value.p, '\0', value.len))
        return config_complain(err, "%s: %s must not hold a NUL", where,
                               f->key);
    if (!utf8_valid(value))
        return config_complain(err, "%s: %s must be UTF-8", where, f->key);
    if (value.len < f->min || value.len > f->max)
        return config_complain(err,
                               "%s: %s must be %u to %u bytes long, not %zu",
                               where, f->key, f->min, f->max, value.len);
    char **to = config_slot(f, settings);
    mem_free(*to);
    *to = mem_strndup(value.p, value.len);
    return 0;
}

int config_value_item(const struct config_field *f, struct buf *list,
                      struct str item, const char *where,
                      char err[CONFIG_ERR_MAX])
{
    if (item.len == 0 || memchr(item.p, '\n', item.len))
        return config_complain(err,
                               "%s: items of %s must be one line of text each",
                               where, f->key);
    if (list->len > 0)
        buf_addc(list, '\n');
    buf_add(list, item);
    return 0;
}

int config_value_list(const struct config_field *f, void *settings,
                      const struct buf *list, const char *where,
                      char err[CONFIG_ERR_MAX])
{
    return set_text(f, settings, buf_str(list), where, err);
}

static int set_list(const struct config_field *f, void *settings,
                    struct str value, const char *where,
                    char err[CONFIG_ERR_MAX])
{
    struct buf list;
    buf_init(&list, CONFIG_FILE_MAX);
    struct str item;
    int rc = 0;
    struct str rest = str_trim(value);
    if (rest.len == 0)
        rest.p = NULL; /* no items, rather than one that is empty */
    while (rc == 0 && str_next(&rest, ',', &item))
        rc = config_value_item(f, &list, str_trim(item), where, err);
    if (rc == 0)
        rc = config_value_list(f, settings, &list, where, err);
    buf_fini(&list);
    return rc;
}

int config_value_set(const struct config_field *f, void *settings,
                     struct str value, const char *where,
                     char err[CONFIG_ERR_MAX])
{
    static int (*const set[])(const struct config_field *, void *, struct str,
                              const char *, char[CONFIG_ERR_MAX]) = {
        [CFG_BOOL] = set_bool, [CFG_U32] = set_u32,   [CFG_STRING] = set_text,
        [CFG_LIST] = set_list, [CFG_ENUM] = set_enum,
    };
    return set[f->type](f, settings, value, where, err);
}
