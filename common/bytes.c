#include "common/bytes.h"

#include <assert.h>

#include "common/mem.h"

struct bytes *bytes_new(struct str s)
{
    assert(s.len <= UINT32_MAX);
    struct bytes *b = mem_alloc(sizeof(*b) + s.len);
    *b = (struct bytes){.refs = 1, .len = (uint32_t)s.len};
    if (s.len > 0)
        memcpy(b->p, s.p, s.len);
    return b;
}

static size_t held_bytes;

void bytes_hold(struct bytes *b)
{
    held_bytes += sizeof(b);
    if (b->held++ == 0)
        held_bytes += sizeof(*b) + b->len;
}

void bytes_release(struct bytes *b)
{
    assert(b->held > 0);
    held_bytes -= sizeof(b);
    if (--b->held == 0)
        held_bytes -= sizeof(*b) + b->len;
}

size_t bytes_held(void)
{
    return held_bytes;
}

void bytes_free(struct bytes *b)
{
    bytes_unref(b->deflated);
    bytes_unref(b->typed);
    mem_free(b);
}
