#include "server/http/busy.h"

#include "common/id.h"

enum {
    RETRY_AFTER_MAX = 5, /* seconds */
    HEAD_BYTES = 256,
    BODY_BYTES = 128,
    LINGER_MS = 1000,
};

static void retry_after(struct buf *out)
{
    buf_fmt(out, "Retry-After: %u\r\n", 1 + id_below(RETRY_AFTER_MAX));
}

/* As the answers of the engine, whose codes are below 10. */
static void explain(struct buf *out, const char *message)
{
    buf_fmt(out, "{\"code\":503,\"message\":\"%s\"}", message);
}

void busy_respond(struct http_request *r, const char *message,
                  struct str headers)
{
    struct buf all, body;
    buf_init(&all, headers.len + HEAD_BYTES);
    buf_init(&body, BODY_BYTES);
    buf_add(&all, headers);
    retry_after(&all);
    explain(&body, message);
    struct http_response resp = {.status = 503,
                                 .type = "application/json",
                                 .headers = buf_str(&all),
                                 .body = buf_str(&body),
                                 .close = true};
    http_respond(r, &resp);
    buf_fini(&all);
    buf_fini(&body);
}

void busy_close(struct stream *st, const char *message)
{
    struct buf all, body;
    buf_init(&all, HEAD_BYTES + BODY_BYTES);
    buf_init(&body, BODY_BYTES);
    explain(&body, message);
    buf_fmt(&all, "HTTP/1.1 503 %s\r\n", http_status_text(503));
    retry_after(&all);
    buf_fmt(&all,
            "Content-Type: application/json\r\nContent-Length: %zu\r\n"
            "Connection: close\r\n\r\n",
            body.len);
    buf_add(&all, buf_str(&body));
    struct bytes *b = buf_take(&all);
    stream_send(st, b);
    bytes_unref(b);
    buf_fini(&body);
    stream_close(st, LINGER_MS);
}
