/* /debug/slow?n=: the connections that keep up worst. */
#include "server/admin/pages.h"
#include "server/engine/slow.h"

enum { MOST_BY_DEFAULT = 20, MOST = 100 };

static void add(void *arg, const struct engine_slow *s)
{
    struct buf *out = arg;
    if (buf_ptr(out)[out->len - 1] != '[')
        buf_addc(out, ',');
    buf_addc(out, '{');
    page_text(out, "sid", page_sid(s->sid));
    buf_addc(out, ',');
    page_text(out, "address", str_of(s->address));
    buf_fmt(out, ",\"transport\":\"%s\",\"queued_bytes\":%zu,\"slow_ms\":%llu}",
            s->transport, s->queued_bytes, (unsigned long long)s->slow_ms);
}

unsigned page_slow(struct sio_server *srv, struct http_request *r,
                   struct buf *out)
{
    uint32_t n = page_number(r, MOST_BY_DEFAULT, MOST);
    if (n == 0) {
        buf_fmt(out, "n is no number from 1 to %u\n", (unsigned)MOST);
        return 400;
    }
    buf_add(out, STR("{\"slow\":["));
    engine_slowest(srv->engine, n, add, out);
    buf_add(out, STR("]}\n"));
    return 200;
}
