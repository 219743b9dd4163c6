#include "server/http/onward.h"

static bool is_one_of(struct str name, const struct str *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (str_ieq(name, list[i]))
            return true;
    }
    return false;
}

/* Those of the connection, and those that are written anew. */
static bool stays_behind(struct str name)
{
    static const struct str names[] = {
        STR_INIT("connection"),        STR_INIT("keep-alive"),
        STR_INIT("proxy-connection"),  STR_INIT("te"),
        STR_INIT("trailer"),           STR_INIT("transfer-encoding"),
        STR_INIT("content-length"),    STR_INIT("expect"),
        STR_INIT("upgrade"),           STR_INIT("x-forwarded-for"),
        STR_INIT("x-forwarded-proto"), STR_INIT(ONWARD_HEADER),
    };
    return is_one_of(name, names, sizeof(names) / sizeof(names[0]));
}

static void add_line(struct buf *out, struct str name, struct str value)
{
    buf_add(out, name);
    buf_add(out, STR(": "));
    buf_add(out, value);
    buf_add(out, STR("\r\n"));
}

static void add_headers(const struct http_request *r, struct buf *out)
{
    struct str name, value, connection = STR("");
    (void)http_header(r, STR("connection"), &connection);
    for (size_t i = 0; http_header_at(r, i, &name, &value); i++) {
        if (!stays_behind(name) && !str_list_has(connection, name))
            add_line(out, name, value);
    }
}

/* What proxies before us have said goes on; whoever reads it knows whom of them
 * to believe. */
static void add_client(const struct http_request *r, struct buf *out)
{
    char peer[STREAM_ADDR_MAX];
    struct str name, value, proto;
    http_peer(r, peer);
    buf_add(out, STR("X-Forwarded-For: "));
    for (size_t i = 0; http_header_at(r, i, &name, &value); i++) {
        if (!str_ieq(name, STR("x-forwarded-for")) || value.len == 0)
            continue;
        buf_add(out, value);
        buf_add(out, STR(", "));
    }
    buf_add(out, str_of(peer));
    buf_add(out, STR("\r\n"));
    if (!http_header(r, STR("x-forwarded-proto"), &proto))
        proto = http_secure(r) ? STR("https") : STR("http");
    add_line(out, STR("X-Forwarded-Proto"), proto);
}

void onward_head(const struct http_request *r, struct str token,
                 size_t body_bytes, struct buf *out)
{
    struct str host, upgrade;
    bool post = http_verb(r) == VERB_POST;
    buf_add(out, post ? STR("POST ") : STR("GET "));
    buf_add(out, http_target(r));
    buf_add(out, STR(" HTTP/1.1\r\n"));
    if (!http_header(r, STR("host"), &host))
        add_line(out, STR("Host"), STR("confab")); /* it was HTTP/1.0 */
    add_headers(r, out);
    add_client(r, out);
    add_line(out, STR(ONWARD_HEADER), token);
    if (http_is_upgrade(r) && http_header(r, STR("upgrade"), &upgrade)) {
        add_line(out, STR("Connection"), STR("Upgrade"));
        add_line(out, STR("Upgrade"), upgrade);
    }
    if (post)
        buf_fmt(out, "Content-Length: %zu\r\n", body_bytes);
    buf_add(out, STR("\r\n"));
}
