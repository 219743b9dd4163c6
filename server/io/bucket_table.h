/* Buckets by key, of those keys that are not full: a table of fixed size, in
 * memory that is touched only where there is something. When too many keys meet
 * in one row of it, the one that is nearest to full is forgotten, which makes
 * it full, and counted. Keys are hashes; two keys of a row with the same tag,
 * one pair in four thousand millions, share a bucket. */
#ifndef CONFAB_SERVER_IO_BUCKET_TABLE_H
#define CONFAB_SERVER_IO_BUCKET_TABLE_H

#include "common/bucket.h"

enum { BUCKET_ROWS = 8192, BUCKET_ROW = 8 };

struct bucket_entry {
    uint32_t tag, full;
};

struct bucket_table {
    struct bucket_entry (*rows)[BUCKET_ROW]; /* NULL until one is asked for */
    uint32_t most; /* of all rates that are used with it */
};

void bucket_table_fini(struct bucket_table *t);
/* Where the key's bucket is, until the next call: to be read, and written only
 * by bucket_take. */
uint32_t *bucket_table_at(struct bucket_table *t, uint64_t key, uint32_t now);

#endif
