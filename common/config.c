#include "common/config.h"

#include <assert.h>
#include <errno.h>

#include <yaml.h>

#include "common/config_value.h"
#include "common/mem.h"

void config_defaults(const struct config_table *t, void *settings)
{
    char err[CONFIG_ERR_MAX];
    for (size_t i = 0; i < t->n; i++) {
        const struct config_field *f = &t->fields[i];
        assert(strchr(f->key, '.'));
        assert(strlen(CONFIG_ENV_PREFIX) + strlen(f->key) <= CONFIG_NAME_MAX);
        if (config_holds_text(f))
            *(char **)config_slot(f, settings) = NULL;
        int rc = config_value_set(f, settings, str_of(f->def), "default", err);
        assert(rc == 0);
    }
}

void config_fini(const struct config_table *t, void *settings)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct config_field *f = &t->fields[i];
        if (config_holds_text(f)) {
            char **text = config_slot(f, settings);
            mem_free(*text);
            *text = NULL;
        }
    }
}

static size_t size_of(const struct config_field *f)
{
    return config_holds_text(f)  ? sizeof(char *)
           : f->type == CFG_BOOL ? sizeof(bool)
                                 : sizeof(uint32_t);
}

bool config_same(const struct config_field *f, const void *a, const void *b)
{
    const char *x = (const char *)a + f->offset;
    const char *y = (const char *)b + f->offset;
    if (!config_holds_text(f))
        return memcmp(x, y, size_of(f)) == 0;
    const char *p;
    const char *q;
    memcpy(&p, x, sizeof(p));
    memcpy(&q, y, sizeof(q));
    return strcmp(p, q) == 0;
}

void config_swap(const struct config_field *f, void *a, void *b)
{
    char kept[sizeof(char *)];
    memcpy(kept, config_slot(f, a), size_of(f));
    memcpy(config_slot(f, a), config_slot(f, b), size_of(f));
    memcpy(config_slot(f, b), kept, size_of(f));
}

int config_set(const struct config_table *t, void *settings,
               struct str assignment, const char *where,
               char err[CONFIG_ERR_MAX])
{
    struct str value = assignment;
    struct str key;
    if (!str_next(&value, '=', &key) || !value.p)
        return config_complain(err, "%s: expected section.key=value", where);
    const struct config_field *f = config_find(t, key, config_name_key);
    if (!f)
        return config_unknown(t, where, "key", key, config_name_key, err);
    return config_value_set(f, settings, value, where, err);
}

/* What Kubernetes puts into the environment of every pod when a Service is
 * called "confab": CONFAB_SERVICE_HOST, CONFAB_PORT, CONFAB_PORT_80_TCP... */
static bool is_service_link(struct str name)
{
    struct str rest = str_from(name, sizeof(CONFIG_ENV_PREFIX) - 1);
    return str_eq(rest, STR("PORT")) || str_starts(rest, STR("PORT_")) ||
           str_starts(rest, STR("SERVICE_"));
}

int config_load_env(const struct config_table *t, void *settings,
                    char *const *environ_, char err[CONFIG_ERR_MAX])
{
    char where[CONFIG_NAME_MAX + 1];
    for (; *environ_; environ_++) {
        struct str value = str_of(*environ_);
        struct str name;
        if (!str_starts(value, STR(CONFIG_ENV_PREFIX)))
            continue;
        if (!str_next(&value, '=', &name) || !value.p)
            continue;
        const struct config_field *f = config_find(t, name, config_name_env);
        if (!f && is_service_link(name))
            continue;
        if (!f)
            return config_unknown(t, "environment", "variable", name,
                                  config_name_env, err);
        (void)config_name_env(f, where);
        int rc = config_value_set(f, settings, value, where, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

struct reader {
    const struct config_table *t;
    void *settings;
    const char *path;
    struct str text;
    char *err;
    yaml_parser_t parser;
    yaml_event_t ev; /* the present event; replaced by next() */
    bool *seen;      /* per row; a section is marked at t->n + its first row */
};

enum { WHERE_MAX = 320 };

static const char *mark_text(const struct reader *r, const yaml_mark_t *mark,
                             char out[WHERE_MAX])
{
    (void)snprintf(out, WHERE_MAX, "%.256s:%zu:%zu", r->path, mark->line + 1,
                   mark->column + 1);
    return out;
}

static int complain_here(struct reader *r, const char *sentence)
{
    char where[WHERE_MAX];
    mark_text(r, &r->ev.start_mark, where);
    return config_complain(r->err, "%s: %s", where, sentence);
}

/* Anchors and tags are refused wherever they stand, whatever else would be
 * wrong with the node that carries them. */
static int check_plain_node(struct reader *r)
{
    const yaml_char_t *anchor = NULL;
    const yaml_char_t *tag = NULL;
    switch (r->ev.type) {
    case YAML_ALIAS_EVENT:
        return complain_here(r, "aliases are not supported");
    case YAML_SCALAR_EVENT:
        anchor = r->ev.data.scalar.anchor;
        tag = r->ev.data.scalar.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = r->ev.data.mapping_start.anchor;
        tag = r->ev.data.mapping_start.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = r->ev.data.sequence_start.anchor;
        tag = r->ev.data.sequence_start.tag;
        break;
    default:
        break;
    }
    if (anchor)
        return complain_here(r, "anchors are not supported");
    return tag ? complain_here(r, "tags are not supported") : 0;
}

/* For bytes that are no characters libyaml gives an offset only. */
static yaml_mark_t mark_of_offset(struct str text, size_t offset)
{
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        mark.column++;
        if (text.p[i] == '\n') {
            mark.line++;
            mark.column = 0;
        }
    }
    return mark;
}

static int next(struct reader *r)
{
    yaml_event_delete(&r->ev);
    if (!yaml_parser_parse(&r->parser, &r->ev)) {
        const yaml_parser_t *p = &r->parser;
        char where[WHERE_MAX];
        yaml_mark_t mark = p->problem_mark;
        if (p->error == YAML_READER_ERROR)
            mark = mark_of_offset(r->text, p->problem_offset);
        mark_text(r, &mark, where);
        return config_complain(r->err, "%s: not YAML: %s", where,
                               p->problem ? p->problem : "unreadable");
    }
    return check_plain_node(r);
}

static struct str scalar(const struct reader *r)
{
    return (struct str){(const char *)r->ev.data.scalar.value,
                        r->ev.data.scalar.length};
}

static bool is_scalar(const struct reader *r)
{
    return r->ev.type == YAML_SCALAR_EVENT;
}

static bool is_quoted(const struct reader *r)
{
    return r->ev.data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
}

/* `key:` with nothing behind it. */
static bool is_nothing(const struct reader *r)
{
    return is_scalar(r) && scalar(r).len == 0 && !is_quoted(r);
}

static int read_list(struct reader *r, const struct config_field *f)
{
    char where[WHERE_MAX];
    struct buf list;
    buf_init(&list, CONFIG_FILE_MAX);
    mark_text(r, &r->ev.start_mark, where);
    int rc = 0;
    if (r->ev.type != YAML_SEQUENCE_START_EVENT)
        rc = config_complain(r->err, "%s: %s must be a list", where, f->key);
    while (rc == 0 && (rc = next(r)) == 0 &&
           r->ev.type != YAML_SEQUENCE_END_EVENT) {
        struct str item = is_scalar(r) ? scalar(r) : STR("");
        char place[WHERE_MAX];
        mark_text(r, &r->ev.start_mark, place);
        rc = config_value_item(f, &list, item, place, r->err);
    }
    if (rc == 0)
        rc = config_value_list(f, r->settings, &list, where, r->err);
    buf_fini(&list);
    return rc;
}

static int read_value(struct reader *r, const struct config_field *f)
{
    char where[WHERE_MAX];
    mark_text(r, &r->ev.start_mark, where);
    if (f->type == CFG_LIST)
        return read_list(r, f);
    if (!is_scalar(r))
        return config_complain(r->err, "%s: %s must be a single value", where,
                               f->key);
    if (is_nothing(r))
        return config_complain(r->err, "%s: %s has no value", where, f->key);
    if (is_quoted(r) && f->type != CFG_STRING && f->type != CFG_ENUM)
        return config_complain(r->err, "%s: %s must not be in quotes", where,
                               f->key);
    return config_value_set(f, r->settings, scalar(r), where, r->err);
}

static int read_key(struct reader *r, struct str section)
{
    char where[WHERE_MAX];
    mark_text(r, &r->ev.start_mark, where);
    if (!is_scalar(r))
        return config_complain(r->err, "%s: expected the name of a key", where);
    struct buf key;
    buf_init(&key, CONFIG_FILE_MAX);
    buf_add(&key, section);
    buf_addc(&key, '.');
    buf_add(&key, scalar(r));
    const struct config_field *f =
        config_find(r->t, buf_str(&key), config_name_key);
    if (!f) {
        int rc = config_unknown(r->t, where, "key", buf_str(&key),
                                config_name_key, r->err);
        buf_fini(&key);
        return rc;
    }
    buf_fini(&key);
    bool *seen = &r->seen[f - r->t->fields];
    if (*seen)
        return config_complain(r->err, "%s: %s is given twice", where, f->key);
    *seen = true;
    int rc = next(r);
    return rc < 0 ? rc : read_value(r, f);
}

static int read_section(struct reader *r)
{
    char where[WHERE_MAX];
    mark_text(r, &r->ev.start_mark, where);
    if (!is_scalar(r))
        return config_complain(r->err, "%s: expected the name of a section",
                               where);
    const struct config_field *f =
        config_find(r->t, scalar(r), config_name_section);
    if (!f)
        return config_unknown(r->t, where, "section", scalar(r),
                              config_name_section, r->err);
    struct str section = config_section(f);
    bool *seen = &r->seen[r->t->n + (size_t)(f - r->t->fields)];
    if (*seen)
        return config_complain(r->err, "%s: section %.*s is given twice", where,
                               STR_ARG(section));
    *seen = true;
    int rc = next(r);
    if (rc < 0 || is_nothing(r))
        return rc;
    if (r->ev.type != YAML_MAPPING_START_EVENT)
        return complain_here(r, "a section must hold \"key: value\" lines");
    while ((rc = next(r)) == 0 && r->ev.type != YAML_MAPPING_END_EVENT) {
        rc = read_key(r, section);
        if (rc < 0)
            return rc;
    }
    return rc;
}

static int read_root(struct reader *r)
{
    int rc;
    if (is_nothing(r))
        return 0;
    if (r->ev.type != YAML_MAPPING_START_EVENT)
        return complain_here(r, "expected sections, like \"server:\"");
    while ((rc = next(r)) == 0 && r->ev.type != YAML_MAPPING_END_EVENT) {
        rc = read_section(r);
        if (rc < 0)
            return rc;
    }
    return rc;
}

/* Stream start, at most one document, stream end. */
static int read_stream(struct reader *r)
{
    int rc = next(r);
    if (rc == 0)
        rc = next(r);
    if (rc < 0 || r->ev.type == YAML_STREAM_END_EVENT)
        return rc;
    rc = next(r);
    if (rc == 0)
        rc = read_root(r);
    if (rc == 0)
        rc = next(r);
    if (rc == 0)
        rc = next(r);
    if (rc == 0 && r->ev.type != YAML_STREAM_END_EVENT)
        rc = complain_here(r, "only one document is expected");
    return rc;
}

static int parse(const struct config_table *t, void *settings, const char *path,
                 struct str text, char err[CONFIG_ERR_MAX])
{
    struct reader r = {
        .t = t, .settings = settings, .path = path, .text = text, .err = err};
    if (!yaml_parser_initialize(&r.parser))
        return config_complain(err, "%s: out of memory", path);
    r.seen = mem_zalloc(2 * t->n * sizeof(*r.seen));
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.p,
                                 text.len);
    int rc = read_stream(&r);
    yaml_event_delete(&r.ev);
    yaml_parser_delete(&r.parser);
    mem_free(r.seen);
    return rc;
}

int config_load_file(const struct config_table *t, void *settings,
                     const char *path, char err[CONFIG_ERR_MAX])
{
    struct buf text;
    FILE *in = fopen(path, "re");
    if (!in)
        return config_complain(err, "%s: %s", path, strerror(errno));
    buf_init(&text, CONFIG_FILE_MAX + 1);
    char *p = buf_space(&text, text.max);
    buf_commit(&text, fread(p, 1, text.max, in));
    int rc;
    if (ferror(in))
        rc = config_complain(err, "%s: %s", path, strerror(errno));
    else if (text.len > CONFIG_FILE_MAX)
        rc = config_complain(err, "%s: larger than 1 MiB", path);
    else
        rc = parse(t, settings, path, buf_str(&text), err);
    (void)fclose(in);
    buf_fini(&text);
    return rc;
}
