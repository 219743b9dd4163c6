#include "common/slab.h"

#include <stdint.h>
#include <string.h>

#include "common/mem.h"

enum { STEP = 8, CHUNK_BYTES = 32 * 1024 };

/* Records that are free; those of one size are a list. */
struct spare {
    struct spare *next;
};

/* Where new records of any size are cut from. */
struct chunk {
    struct chunk *before;
    char p[CHUNK_BYTES];
};

static struct spare *spares[SLAB_MAX / STEP + 1];
static struct chunk *chunk;
static size_t used = CHUNK_BYTES;

/* Programs that look for misused memory must see every record. */
static int is_ours(size_t size)
{
#if defined(__SANITIZE_ADDRESS__)
    (void)size;
    return 0;
#else
    return size <= SLAB_MAX;
#endif
}

static size_t rounded(size_t size)
{
    return (size + STEP - 1) / STEP * STEP;
}

static void *cut(size_t size)
{
    if (CHUNK_BYTES - used < size) {
        struct chunk *c = mem_alloc(sizeof(*c));
        c->before = chunk;
        chunk = c;
        used = 0;
    }
    void *p = chunk->p + used;
    used += size;
    return p;
}

void *slab_alloc(size_t size)
{
    if (!is_ours(size))
        return mem_zalloc(size);
    size = rounded(size);
    struct spare *s = spares[size / STEP];
    void *p = s;
    if (s)
        spares[size / STEP] = s->next;
    else
        p = cut(size);
    return memset(p, 0, size);
}

void slab_free(void *p, size_t size)
{
    if (!is_ours(size)) {
        mem_free(p);
        return;
    }
    if (!p)
        return;
    struct spare *s = p;
    struct spare **list = &spares[rounded(size) / STEP];
    s->next = *list;
    *list = s;
}
