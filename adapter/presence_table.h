/* The entries of presence and their indexes; no protocol, no time.
 *
 *     source (a node) --- entries in the order they came, and by id
 *     group           --- its entries, whoever's they are
 *     member          --- entries of one key, of this node's source only
 *
 * An entry's id is its namespace, group and key in one text; the same id may
 * exist once in each source. Groups and members exist while they have entries.
 * All is bounded: entries per source, bytes in all, the length of each name. */
#ifndef CONFAB_ADAPTER_PRESENCE_TABLE_H
#define CONFAB_ADAPTER_PRESENCE_TABLE_H

#include "common/buf.h"
#include "common/err.h"
#include "common/map.h"

enum {
    PRESENCE_NAME_MAX = 256, /* bytes of a namespace, group or key */
    PRESENCE_META_MAX = 4096,
    PRESENCE_ENTRIES_MAX = 100000,         /* per source */
    PRESENCE_BYTES_MAX = 64 * 1024 * 1024, /* of all entries */
};

struct presence_source {
    struct map entries; /* by id */
    struct list order;
    bool own; /* its entries are found by member, too */
};

/* Entries of one group, or of one member. */
struct presence_bag {
    struct map_node by_id;
    struct list entries;
    size_t n;
    struct str id;
};

struct presence_entry {
    struct map_node by_id; /* in its source */
    struct list in_source, in_group, in_member;
    struct presence_source *source;
    struct presence_bag *group, *member; /* member: NULL when not own */
    struct str id;
    struct str nsp, group_name, key; /* parts of the id */
    struct str meta;
    char *meta_text; /* what meta points to */
    uint32_t mark;   /* whoever fills the source uses it */
};

struct presence_table {
    struct map groups, members;
    size_t bytes;
};

void presence_table_init(struct presence_table *t);
/* All sources must be empty. */
void presence_table_fini(struct presence_table *t);

void presence_source_init(struct presence_source *s, bool own);
/* Its entries must be gone. */
void presence_source_fini(struct presence_source *s);

/* Writes the id of the three names into `out` (cleared first). Begin and end
 * serve those who add the names piece by piece: begin, then each name followed
 * by presence_id_name with its number, 0 to 2. ERR_LIMIT: a name is too long.
 */
MUST_CHECK int presence_id(struct buf *out, struct str nsp, struct str group,
                           struct str key);
void presence_id_begin(struct buf *out);
MUST_CHECK int presence_id_name(struct buf *out, unsigned i);

enum presence_put { PRESENCE_SAME, PRESENCE_NEW, PRESENCE_CHANGED };

/* Adds the entry or gives it a new meta, and sets `*e`. One of the above, or
 * ERR_LIMIT: nothing was done and `*e` is the old entry or NULL. */
MUST_CHECK int presence_table_put(struct presence_table *t,
                                  struct presence_source *s, struct str id,
                                  struct str meta, struct presence_entry **e);
/* NULL when there is none. */
struct presence_entry *presence_table_find(const struct presence_source *s,
                                           struct str id);
/* Takes the entry out of everything; it can still be read until it is freed,
 * by presence_entry_free. */
void presence_table_remove(struct presence_table *t, struct presence_entry *e);
void presence_entry_free(struct presence_entry *e);
/* Removes and frees all entries of the source. */
void presence_table_clear(struct presence_table *t, struct presence_source *s);

/* The entries of a group, or of an own member; NULL when there are none. */
struct presence_bag *presence_table_group(const struct presence_table *t,
                                          struct str nsp, struct str group);
struct presence_bag *presence_table_member(const struct presence_table *t,
                                           struct str nsp, struct str key);

#endif
