#include "server/ctl/latency.h"

#include "server/ctl/human.h"

enum { EXACT = 64, EXACT_BITS = 6, STEP_BITS = 5, BAR = 40 };

static unsigned log2_of(uint64_t v)
{
    return 63 - (unsigned)__builtin_clzll(v);
}

static unsigned bucket_of(uint64_t us)
{
    if (us < EXACT)
        return (unsigned)us;
    unsigned log2 = log2_of(us);
    unsigned step = (unsigned)(us >> (log2 - STEP_BITS)) & (LATENCY_STEPS - 1);
    unsigned i = EXACT + (log2 - EXACT_BITS) * LATENCY_STEPS + step;
    return i < LATENCY_BUCKETS ? i : LATENCY_BUCKETS - 1;
}

/* The largest value that it holds. */
static uint64_t bucket_end(unsigned i)
{
    if (i == LATENCY_BUCKETS - 1)
        return UINT64_MAX;
    if (i < EXACT)
        return i;
    unsigned log2 = EXACT_BITS + (i - EXACT) / LATENCY_STEPS;
    uint64_t step = (i - EXACT) % LATENCY_STEPS;
    return ((LATENCY_STEPS + step + 1) << (log2 - STEP_BITS)) - 1;
}

void latency_add(struct latency *h, uint64_t us)
{
    h->count[bucket_of(us)]++;
    h->n++;
    if (us > h->max_us)
        h->max_us = us;
}

uint64_t latency_at(const struct latency *h, double q)
{
    double exact = q * (double)h->n;
    uint64_t rank = (uint64_t)exact, seen = 0;
    if ((double)rank < exact || rank == 0)
        rank++;
    for (unsigned i = 0; i < LATENCY_BUCKETS && h->n > 0; i++) {
        seen += h->count[i];
        if (seen >= rank)
            return bucket_end(i) < h->max_us ? bucket_end(i) : h->max_us;
    }
    return h->max_us;
}

static void draw_line(struct buf *out, uint64_t end, uint64_t n, uint64_t most)
{
    char text[2 * HUMAN_MAX];
    buf_fmt(out, "  <= %-6s ", human_us(text, (double)end));
    uint64_t bar = (n * BAR + most - 1) / most;
    for (uint64_t i = 0; i < BAR; i++)
        buf_addc(out, i < bar ? '#' : ' ');
    buf_fmt(out, " %s\n", human_exact(text, n));
}

void latency_draw(const struct latency *h, struct buf *out)
{
    uint64_t lines[41] = {0}, most = 0;
    unsigned first = 41, last = 0;
    for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
        if (h->count[i] == 0)
            continue;
        uint64_t end = bucket_end(i);
        unsigned line = end > 1 ? log2_of(end - 1) + 1 : 0;
        if (line > 40)
            line = 40;
        lines[line] += h->count[i];
        first = first < line ? first : line;
        last = line;
        most = most > lines[line] ? most : lines[line];
    }
    for (unsigned i = first; i <= last && most > 0; i++)
        draw_line(out, UINT64_C(1) << i, lines[i], most);
}
