#include "server/io/bucket_table.h"

#include "common/mem.h"
#include "common/metrics.h"

void bucket_table_fini(struct bucket_table *t)
{
    mem_free(t->rows);
    t->rows = NULL;
}

uint32_t *bucket_table_at(struct bucket_table *t, uint64_t key, uint32_t now)
{
    if (!t->rows)
        t->rows = mem_zalloc(BUCKET_ROWS * sizeof(*t->rows));
    struct bucket_entry *row = t->rows[key % BUCKET_ROWS];
    uint32_t tag = (uint32_t)(key >> 32);
    const struct bucket_rate any = {0, t->most};
    struct bucket_entry *least = NULL;
    uint32_t least_lacks = UINT32_MAX;
    for (size_t i = 0; i < BUCKET_ROW; i++) {
        uint32_t lacks = bucket_lacks(&any, row[i].full, now);
        if (row[i].tag == tag && lacks > 0)
            return &row[i].full;
        if (lacks < least_lacks) {
            least = &row[i];
            least_lacks = lacks;
        }
    }
    if (least_lacks > 0)
        metrics_add(M_RATE_FORGOTTEN, 1);
    *least = (struct bucket_entry){tag, now};
    return &least->full;
}
