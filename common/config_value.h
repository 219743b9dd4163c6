/* Inside of config: the rows of a table by name, and a row's value from text.
 * Every failure is a sentence in `err` that begins with `where` and ERR_CONFIG
 * as the result. Values of text rows and secret rows are never quoted in it. */
#ifndef CONFAB_COMMON_CONFIG_VALUE_H
#define CONFAB_COMMON_CONFIG_VALUE_H

#include "common/buf.h"
#include "common/config.h"

#define CONFIG_ENV_PREFIX "CONFAB_"

enum { CONFIG_NAME_MAX = 64, CONFIG_FILE_MAX = 1024 * 1024 };

/* Fills `err` and is the failure: `return config_complain(err, ...)`. */
int config_complain(char err[CONFIG_ERR_MAX], const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* What a row is called where it is looked up; borrows from the row or from
 * `room`. */
typedef struct str config_name_fn(const struct config_field *f,
                                  char room[CONFIG_NAME_MAX + 1]);
struct str config_name_key(const struct config_field *f,
                           char room[CONFIG_NAME_MAX + 1]);
struct str config_name_section(const struct config_field *f,
                               char room[CONFIG_NAME_MAX + 1]);
struct str config_name_env(const struct config_field *f,
                           char room[CONFIG_NAME_MAX + 1]);

/* First row that `spell` calls `name`; NULL when there is none. */
const struct config_field *config_find(const struct config_table *t,
                                       struct str name, config_name_fn *spell);
/* "unknown WHAT NAME, did you mean NEAREST?" */
int config_unknown(const struct config_table *t, const char *where,
                   const char *what, struct str name, config_name_fn *spell,
                   char err[CONFIG_ERR_MAX]);

/* From the text form of --set. */
MUST_CHECK int config_value_set(const struct config_field *f, void *settings,
                                struct str value, const char *where,
                                char err[CONFIG_ERR_MAX]);
/* One more item at the end of `list`, which starts empty ... */
MUST_CHECK int config_value_item(const struct config_field *f, struct buf *list,
                                 struct str item, const char *where,
                                 char err[CONFIG_ERR_MAX]);
/* ... and becomes the value of a CFG_LIST row. */
MUST_CHECK int config_value_list(const struct config_field *f, void *settings,
                                 const struct buf *list, const char *where,
                                 char err[CONFIG_ERR_MAX]);

static inline bool config_holds_text(const struct config_field *f)
{
    return f->type == CFG_STRING || f->type == CFG_LIST;
}

static inline void *config_slot(const struct config_field *f, void *settings)
{
    return (char *)settings + f->offset;
}

static inline struct str config_section(const struct config_field *f)
{
    return (struct str){f->key, strcspn(f->key, ".")};
}

#endif
