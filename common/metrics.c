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

static struct str family_of(size_t row)
{
    const char *name = rows[row].name;
    return (struct str){name, strcspn(name, "{")};
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
}
