#include "server/admin/pages.h"

#include <time.h>

#include "common/journal.h"
#include "common/json_out.h"

uint32_t page_number(struct http_request *r, uint32_t otherwise, uint32_t most)
{
    struct str text;
    uint64_t n;
    if (!http_query(r, STR("n"), &text))
        return otherwise;
    return str_to_u64(text, most, &n) ? (uint32_t)n : 0;
}

void page_time(struct buf *out, int64_t ms_since_epoch)
{
    time_t seconds = (time_t)(ms_since_epoch / 1000);
    struct tm tm;
    char text[32];
    gmtime_r(&seconds, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
    buf_fmt(out, "\"%s.%03uZ\"", text, (unsigned)(ms_since_epoch % 1000));
}

void page_text(struct buf *out, const char *key, struct str text)
{
    buf_fmt(out, "\"%s\":", key);
    json_out_string(out, text);
}

struct str page_sid(struct str sid)
{
    if (sid.len > JOURNAL_HEAD)
        sid.len = JOURNAL_HEAD;
    return sid;
}

unsigned page_drain(struct sio_server *srv, struct http_request *r,
                    struct buf *out)
{
    (void)r;
    buf_add(out, STR("{\"draining\":true}\n"));
    sio_server_drain(srv);
    return 200;
}
