/* Configuration as a table: one row per key is the reader, the reference
 * manual, --print-config and the environment names.
 *
 * Sources, later ones win: defaults, a YAML file (libyaml), the environment
 * (CONFAB_SECTION_KEY for section.key), --set section.key=value. A file is a
 * mapping of sections to mappings of keys to scalars; a CFG_LIST value is a
 * sequence of scalars (or, in environment and --set, a comma separated text).
 * Refused with file, line, column and the nearest valid key: unknown and
 * duplicate keys, anchors and aliases, tags, wrong types, values out of range,
 * files over 1 MiB. */
#ifndef CONFAB_COMMON_CONFIG_H
#define CONFAB_COMMON_CONFIG_H

#include <stdio.h>

#include "common/err.h"
#include "common/str.h"

enum config_type {
    CFG_BOOL,   /* bool: true, false, yes, no, on, off */
    CFG_U32,    /* uint32_t within [min, max] */
    CFG_STRING, /* char *: owned by the settings, never NULL; min and max bound
                   its length in bytes */
    CFG_LIST,   /* char *: items joined by '\n', owned, never NULL */
    CFG_ENUM,   /* uint32_t: index into `choices` */
};

enum config_flag {
    CFG_SECRET = 1, /* masked in --print-config */
    CFG_LIVE = 2,   /* may change while the program runs */
};

struct config_field {
    const char *key; /* "section.name" */
    enum config_type type;
    size_t offset;   /* in the settings struct */
    const char *def; /* default, in the text form of --set */
    uint32_t min, max;
    const char *const *choices; /* CFG_ENUM: NULL-terminated */
    const char *help;           /* one line; units included */
    unsigned flags;             /* of enum config_flag */
};

struct config_table {
    const struct config_field *fields;
    size_t n;
};

enum { CONFIG_ERR_MAX = 512 };

/* All fields of `settings` get their defaults. */
void config_defaults(const struct config_table *t, void *settings);
/* Frees the strings. */
void config_fini(const struct config_table *t, void *settings);

/* Each returns 0 or ERR_CONFIG with a sentence in `err` that says what is wrong
 * where ("node.yaml:3:5: unknown key engine.ping_intervall_ms, did you mean
 * engine.ping_interval_ms?"). */
MUST_CHECK int config_load_file(const struct config_table *t, void *settings,
                                const char *path, char err[CONFIG_ERR_MAX]);
/* Every CONFAB_* variable of `environ`; an unknown one is an error too, unless
 * it is one that Kubernetes makes for a Service of that name. */
MUST_CHECK int config_load_env(const struct config_table *t, void *settings,
                               char *const *environ_, char err[CONFIG_ERR_MAX]);
/* One "section.key=value"; `where` names the source in messages. */
MUST_CHECK int config_set(const struct config_table *t, void *settings,
                          struct str assignment, const char *where,
                          char err[CONFIG_ERR_MAX]);

/* Whether a field has the same value in both. */
bool config_same(const struct config_field *f, const void *a, const void *b);
/* Exchanges a field's values. */
void config_swap(const struct config_field *f, void *a, void *b);

/* The effective settings as a YAML file that config_load_file accepts, each key
 * with its help as a comment. */
void config_print(const struct config_table *t, const void *settings,
                  FILE *out);

#endif
