#include "common/bytes.h"

#include <assert.h>

#include "common/mem.h"

struct bytes *bytes_new(struct str s)
{
    assert(s.len <= UINT32_MAX);
    struct bytes *b = mem_alloc(sizeof(*b) + s.len);
    b->refs = 1;
    b->len = (uint32_t)s.len;
    b->head = 0;
    b->binary = 0;
    if (s.len > 0)
        memcpy(b->p, s.p, s.len);
    return b;
}

struct bytes *bytes_ref(struct bytes *b)
{
    assert(b->refs > 0 && b->refs < UINT32_MAX);
    b->refs++;
    return b;
}

void bytes_unref(struct bytes *b)
{
    if (!b)
        return;
    assert(b->refs > 0);
    if (--b->refs == 0)
        mem_free(b);
}
