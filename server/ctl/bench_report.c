#include <stdio.h>
#include <unistd.h>

#include "server/ctl/bench.h"
#include "server/ctl/human.h"
#include "server/ctl/options.h"

enum { BUSY_PERCENT = 85 };

void bench_progress(const struct bench *b, const char *phase,
                    uint64_t heard_before, uint64_t ms)
{
    const struct bench_counts *n = &b->counts;
    char said[HUMAN_MAX], heard[HUMAN_MAX], rate[HUMAN_MAX], p99[HUMAN_MAX];
    if (!isatty(STDERR_FILENO))
        return;
    double per_s =
        ms ? (double)(n->heard - heard_before) * 1000 / (double)ms : 0;
    fprintf(stderr,
            "\r%s: %u of %u clients, said %s, heard %s (%s/s), refused %llu, "
            "p99 %s\x1b[K",
            phase, n->connected - n->ended, b->options.clients,
            human_count(said, (double)n->said),
            human_count(heard, (double)n->heard), human_count(rate, per_s),
            (unsigned long long)n->refused,
            human_us(p99, (double)latency_at(&b->deliveries, 0.99)));
    (void)fflush(stderr);
}

/* ---- the result ---------------------------------------------------------- */

/* "1,234 lost" */
static void add(struct buf *out, uint64_t n, const char *what, bool last)
{
    char text[2 * HUMAN_MAX];
    buf_fmt(out, "%s %s%s", human_exact(text, n), what, last ? "\n" : ", ");
}

static void add_latency(struct buf *out, const char *front,
                        const struct latency *h)
{
    static const struct {
        const char *name;
        double q;
    } marks[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}};
    char text[HUMAN_MAX];
    if (h->n == 0)
        return;
    buf_fmt(out, "%-12s", front);
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
        buf_fmt(out, "%s %s  ", marks[i].name,
                human_us(text, (double)latency_at(h, marks[i].q)));
    buf_fmt(out, "max %s\n", human_us(text, (double)h->max_us));
}

static void add_clients(const struct bench *b, struct buf *out)
{
    const struct bench_options *o = &b->options;
    buf_fmt(out, "%-12s%u of %u connected in %.1f s by %s, %u %s\n", "clients",
            b->counts.connected, o->clients, (double)b->connecting_us / 1e6,
            !o->polling     ? "websocket"
            : !o->websocket ? "polling"
                            : "upgrade",
            o->rooms, o->rooms == 1 ? "room" : "rooms");
    if (b->failures.all)
        buf_fmt(out, "%-12s%u clients:\n", "no entry", b->counts.failed);
    reasons_list(&b->failures, out);
    if (b->ends.all)
        buf_fmt(out, "%-12s%u connections:\n", "ended", b->counts.ended);
    reasons_list(&b->ends, out);
}

static void add_messages(const struct bench *b, struct buf *out)
{
    const struct bench_counts *n = &b->counts;
    char text[HUMAN_MAX];
    double s = (double)b->talking_us / 1e6;
    buf_fmt(out, "%-12s", "messages");
    add(out, n->said, "said", false);
    add(out, n->taken, "taken", false);
    add(out, n->refused, "refused", false);
    add(out, n->unanswered + b->open, "unanswered", false);
    buf_fmt(out, "%s/s for %.1f s\n",
            human_count(text, s > 0 ? (double)n->said / s : 0), s);
    reasons_list(&b->refusals, out);
    if (n->limited)
        buf_fmt(out,
                "%-12sthe server's rate limits refused %llu messages (wait %s "
                "at most): raise its rate.*, or ask for less\n",
                "note", (unsigned long long)n->limited,
                human_us(text, (double)b->retry_ms * 1000));
    if (n->held)
        buf_fmt(out,
                "%-12s%llu messages were not sent, as their connections took "
                "no more\n",
                "note", (unsigned long long)n->held);
}

static void add_deliveries(const struct bench *b, struct sequence_sum sum,
                           struct buf *out)
{
    const struct bench_counts *n = &b->counts;
    char text[HUMAN_MAX];
    buf_fmt(out, "%-12s", "deliveries");
    add(out, sum.expected, "expected", false);
    add(out, n->heard, "heard", false);
    add(out, sum.missing, "lost", false);
    add(out, n->doubled, "doubled", false);
    add(out, n->reordered, "reordered", false);
    if (n->strange)
        add(out, n->strange, "to the wrong room, or said by nobody", false);
    buf_fmt(out, "%llu late (over %s)\n", (unsigned long long)n->late,
            human_us(text, (double)b->options.late_ms * 1000));
}

static void add_silence(const struct bench *b, struct buf *out)
{
    if (b->counts.heard == 0 && b->counts.said > 0 && !b->counts.refused)
        buf_fmt(out,
                "%-12snothing was heard: does the application know these "
                "events?\n",
                "note");
}

static void add_busy(const struct bench *b, struct buf *out)
{
    uint64_t percent = b->talking_us ? b->busy_us * 100 / b->talking_us : 0;
    if (percent >= BUSY_PERCENT)
        buf_fmt(out,
                "%-12sthis process was busy for %llu %% of the time: the "
                "latencies are partly its own\n",
                "note", (unsigned long long)percent);
}

int bench_report(const struct bench *b)
{
    const struct bench_counts *n = &b->counts;
    struct sequence_sum sum = sequence_sum(b->sequence);
    struct buf out;
    buf_init(&out, UINT32_MAX);
    add_clients(b, &out);
    add_messages(b, &out);
    add_deliveries(b, sum, &out);
    add_latency(&out, "answers", &b->answers);
    add_latency(&out, "latency", &b->deliveries);
    add_silence(b, &out);
    add_busy(b, &out);
    latency_draw(&b->deliveries, &out);
    bool ok = sum.missing + n->doubled + n->reordered + n->strange + n->failed +
                      n->ended ==
                  0 &&
              n->heard > 0;
    if (isatty(STDERR_FILENO))
        fputs("\r\x1b[K", stderr);
    struct str text = buf_str(&out);
    bool written =
        fwrite(text.p, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
    buf_fini(&out);
    return ok && written ? CTL_OK : CTL_FAILED;
}
