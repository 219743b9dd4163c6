/* Intrusive hash map from text to the object that holds the node.
 *
 * The key lives in the object; the map reads it through the function given at
 * map_init, so a node costs a link. Hashing is SipHash-1-3
 * keyed once per process (hostile keys cannot aim at a bucket). Chains; the
 * table doubles at load 2 (memory matters more than half a step of a chain) and
 * never shrinks below 16. */
#ifndef CONFAB_COMMON_MAP_H
#define CONFAB_COMMON_MAP_H

#include "common/list.h"
#include "common/str.h"

struct map_node {
    struct map_node *next;
};

typedef struct str map_key_fn(const struct map_node *n);

struct map {
    struct map_node **slots; /* NULL while empty */
    size_t n_slots, count;
    map_key_fn *key;
};

/* The hash that maps use. */
uint64_t map_hash(struct str s);
void map_init(struct map *m, map_key_fn *key);
/* For simulations only: draws the process's key anew, for maps made from now
 * on. No map may hold anything. */
void map_reseed(void);
/* Frees the table, not the objects. */
void map_fini(struct map *m);
struct map_node *map_get(const struct map *m, struct str key);
/* The key must not be present (asserted). */
void map_put(struct map *m, struct map_node *n);
/* `n` must be present (asserted). */
void map_remove(struct map *m, struct map_node *n);
/* Calls `each` for every node; `each` may remove the node it is given, and
 * nothing else. */
void map_each(struct map *m, void (*each)(struct map_node *n, void *arg),
              void *arg);

#endif
