#include "common/metrics.h"

enum kind { COUNTER, GAUGE };

#define METRIC_ROW(sym, kind, name, help) [sym] = {kind, name, help},
static const struct {
    enum kind kind;
    const char *name; /* with its labels */
    const char *help;
} rows[METRIC_COUNT] = {METRICS(METRIC_ROW)};
#undef METRIC_ROW

static const char *const kind_name[] = {
    [COUNTER] = "counter", [GAUGE] = "gauge"};

uint64_t metrics_value[METRIC_COUNT];

#define HISTOGRAM_ROW(sym, name, unit, first, help) \
    [sym] = {name, unit, first, help},
static const struct {
    const char *name;
    double unit;
    unsigned first;
    const char *help;
} histograms[HISTOGRAM_COUNT] = {HISTOGRAMS(HISTOGRAM_ROW)};
#undef HISTOGRAM_ROW

struct histogram metrics_histogram[HISTOGRAM_COUNT];

uint64_t histogram_bound(enum histogram_id id, unsigned bucket)
{
    return (uint64_t)1 << (histograms[id].first + bucket);
}

uint64_t histogram_total(enum histogram_id id)
{
    uint64_t n = 0;
    for (unsigned i = 0; i <= HISTOGRAM_BUCKETS; i++)
        n += metrics_histogram[id].count[i];
    return n;
}

static struct str family_of(size_t row)
{
    const char *name = rows[row].name;
    return (struct str){name, strcspn(name, "{")};
}

void metrics_heading(struct buf *out, const char *name, const char *type,
                     const char *help)
{
    buf_fmt(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_line(struct buf *out, const char *name, const char *label,
                  struct str text, uint64_t value)
{
    buf_fmt(out, "%s{%s=\"", name, label);
    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];
        if (c == '\\' || c == '"' || c == '\n')
            buf_addc(out, '\\');
        buf_addc(out, c);
        if (c == '\n')
            buf_ptr(out)[out->len - 1] = 'n';
    }
    buf_fmt(out, "\"} %llu\n", (unsigned long long)value);
}

static void print_histogram(struct buf *out, enum histogram_id id)
{
    const struct histogram *h = &metrics_histogram[id];
    const char *name = histograms[id].name;
    double unit = histograms[id].unit;
    uint64_t n = 0;
    metrics_heading(out, name, "histogram", histograms[id].help);
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        n += h->count[i];
        buf_fmt(out, "%s_bucket{le=\"%.9g\"} %llu\n", name,
                (double)histogram_bound(id, i) * unit, (unsigned long long)n);
    }
    n += h->count[HISTOGRAM_BUCKETS];
    buf_fmt(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.15g\n%s_count %llu\n",
            name, (unsigned long long)n, name, (double)h->sum * unit, name,
            (unsigned long long)n);
}

void metrics_print(struct buf *out)
{
    struct str last = STR("");
    for (size_t i = 0; i < METRIC_COUNT; i++) {
        struct str family = family_of(i);
        if (!str_eq(family, last)) {
            buf_fmt(out, "# HELP %.*s %s\n# TYPE %.*s %s\n", STR_ARG(family),
                    rows[i].help, STR_ARG(family), kind_name[rows[i].kind]);
            last = family;
        }
        buf_add(out, str_of(rows[i].name));
        buf_addc(out, ' ');
        buf_add_u64(out, metrics_value[i]);
        buf_addc(out, '\n');
    }
    for (unsigned i = 0; i < HISTOGRAM_COUNT; i++)
        print_histogram(out, (enum histogram_id)i);
}
