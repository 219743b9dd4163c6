/* Sessions that come, have one event acknowledged, and go: --messages of them,
 * --window at a time, over a WebSocket or --polling; or --bare connections,
 * with one request and one answer. */
#include "tests/bench/run.h"
#include "tests/bench/script.h"

static bool round_of(struct run *r, uint32_t n)
{
    const struct options *o = r->o;
    struct script_end to = {o->host, (uint16_t)o->ports[0]};
    script_run(o->bare      ? &script_bare
               : o->polling ? &script_polling
                            : &script_websocket,
               to, n, o->window);
    r->expected += n;
    r->tally.delivered += n;
    return true;
}

int churn(struct run *r)
{
    run_rounds(r, round_of);
    r->measured = (uint64_t)r->rounds * r->o->messages;
    report_begin(r);
    return report_end(r);
}
