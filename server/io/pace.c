#include "server/io/pace.h"

#include <assert.h>

#include "common/id.h"

enum { LATE_MS = 5 }; /* as late as a timer may be without anybody to blame */

/* Rounded up: nothing is early. */
static uint64_t due_ms(const struct pace *p)
{
    uint64_t place = (uint64_t)p->done * 256 + p->within;
    uint64_t all = (uint64_t)p->count * 256;
    return p->start_ms + (place * p->window_ms + all - 1) / all;
}

static void choose(struct pace *p)
{
    p->within = (uint8_t)id_below(256);
}

void pace_begin(struct pace *p, uint64_t now_ms, uint32_t window_ms,
                uint32_t count)
{
    assert(window_ms > 0);
    *p = (struct pace){
        .start_ms = now_ms, .window_ms = window_ms, .count = count};
    choose(p);
}

uint32_t pace_due(struct pace *p, uint64_t now_ms)
{
    uint32_t n = 0;
    for (; p->done < p->count; n++) {
        uint64_t due = due_ms(p);
        if (due > now_ms)
            break;
        if (now_ms - due > LATE_MS)
            p->start_ms += now_ms - due - LATE_MS;
        p->done++;
        choose(p);
    }
    return n;
}

uint64_t pace_wait(const struct pace *p, uint64_t now_ms)
{
    if (p->done == p->count)
        return UINT64_MAX;
    uint64_t due = due_ms(p);
    return due > now_ms ? due - now_ms : 0;
}

uint32_t pace_per_second(const struct pace *p)
{
    return (uint32_t)(((uint64_t)p->count * 1000 + p->window_ms - 1) /
                      p->window_ms);
}
