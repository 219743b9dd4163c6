#include "server/http/cors.h"

enum { CORS_MAX = 4096 };

static bool any_origin(const struct cors *c)
{
    return str_eq(str_of(c->origins), STR("*"));
}

static bool listed(const struct cors *c, struct str origin)
{
    struct str list = str_of(c->origins), item;
    while (str_next(&list, '\n', &item)) {
        if (str_eq(item, origin) || str_eq(item, STR("*")))
            return true;
    }
    return false;
}

bool cors_permits(const struct cors *c, const struct http_request *r)
{
    struct str origin;
    return !c->enforce || !http_header(r, STR("origin"), &origin) ||
           listed(c, origin);
}

static void allow_origin(const struct cors *c, const struct http_request *r,
                         struct buf *out)
{
    struct str origin;
    if (any_origin(c)) {
        buf_add(out, STR("Access-Control-Allow-Origin: *\r\n"));
    } else if (http_header(r, STR("origin"), &origin) && listed(c, origin)) {
        buf_add(out, STR("Access-Control-Allow-Origin: "));
        buf_add(out, origin);
        buf_add(out, STR("\r\n"));
    }
}

static void allow_credentials(const struct cors *c, struct buf *out)
{
    if (c->credentials)
        buf_add(out, STR("Access-Control-Allow-Credentials: true\r\n"));
}

void cors_headers(const struct cors *c, const struct http_request *r,
                  struct buf *out)
{
    if (!cors_on(c))
        return;
    allow_origin(c, r, out);
    if (!any_origin(c))
        buf_add(out, STR("Vary: Origin\r\n"));
    allow_credentials(c, out);
}

void cors_preflight(const struct cors *c, struct http_request *r)
{
    struct buf out;
    buf_init(&out, CORS_MAX);
    allow_origin(c, r, &out);
    struct str asked = {0};
    bool named = http_header(r, STR("access-control-request-headers"), &asked);
    /* The allowed headers are an echo of what is asked for. */
    buf_add(&out, any_origin(c)
                      ? STR("Vary: Access-Control-Request-Headers\r\n")
                      : STR("Vary: Origin, "
                            "Access-Control-Request-Headers\r\n"));
    allow_credentials(c, &out);
    buf_add(&out, STR("Access-Control-Allow-Methods: "
                      "GET,HEAD,PUT,PATCH,POST,DELETE\r\n"));
    if (named) {
        buf_add(&out, STR("Access-Control-Allow-Headers: "));
        buf_add(&out, asked);
        buf_add(&out, STR("\r\n"));
    }
    struct http_response resp = {.status = 204, .headers = buf_str(&out)};
    http_respond(r, &resp);
    buf_fini(&out);
}
