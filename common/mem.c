#include "common/mem.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The allocator may return NULL for nothing asked, which would look like
 * exhaustion; one byte is as good. */
static size_t at_least_one(size_t size)
{
    return size ? size : 1;
}

static void *or_die(void *p, size_t size)
{
    if (!p) {
        (void)fprintf(stderr, "confab: out of memory (%zu bytes)\n", size);
        abort();
    }
    return p;
}

void *mem_alloc(size_t size)
{
    return or_die(malloc(at_least_one(size)), size);
}

void *mem_zalloc(size_t size)
{
    return or_die(calloc(1, at_least_one(size)), size);
}

void *mem_realloc(void *p, size_t size)
{
    return or_die(realloc(p, at_least_one(size)), size);
}

char *mem_strndup(const char *p, size_t len)
{
    char *copy = mem_alloc(len + 1);
    if (len > 0)
        memcpy(copy, p, len);
    copy[len] = '\0';
    return copy;
}

void mem_free(void *p)
{
    free(p);
}

size_t mem_in_use(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}
