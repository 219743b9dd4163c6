/* Memory for the small records of which there is one for each connection.
 *
 * malloc puts 8 bytes before each and rounds up to 16; here a record costs its
 * size, rounded up to 8. In return whoever frees one must know its size, and
 * what a crowd has needed is kept for the next one, by size: so only sizes up
 * to SLAB_MAX are served here, the rest by malloc. */
#ifndef CONFAB_COMMON_SLAB_H
#define CONFAB_COMMON_SLAB_H

#include <stddef.h>

enum { SLAB_MAX = 256 };

/* Zeros. */
void *slab_alloc(size_t size);
/* `size` as it was asked for. NULL is allowed. */
void slab_free(void *p, size_t size);

#endif
