/* Allocation that succeeds or ends the process.
 *
 * Memory exhaustion is not an error path: small fixed-size allocations abort
 * with a message, and everything sized by a peer is bounded before it is
 * allocated. Sizes are bytes. Memory is released with mem_free. */
#ifndef CONFAB_COMMON_MEM_H
#define CONFAB_COMMON_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size);
void *mem_zalloc(size_t size);
void *mem_realloc(void *p, size_t size);
/* A copy of `len` bytes followed by a NUL. */
char *mem_strndup(const char *p, size_t len);
void mem_free(void *p);
/* Bytes handed out by the allocator now, with its overhead; walks what is free,
 * so not for hot paths. */
size_t mem_in_use(void);

#endif
