#include "server/io/request.h"

#include "common/mem.h"
#include "server/http/http_query.h"

enum { FORWARDED_BYTES = 64 * 1024 }; /* a request's head is smaller */

struct sio_request {
    struct sio_server *server;
    struct admission *admission;
    struct bytes *address; /* with a NUL, once it was asked for */
};

/* ---- asking -------------------------------------------------------------- */

static void on_admission(struct admission *a, void *arg)
{
    struct sio_server *srv = arg;
    struct sio_request *r = mem_zalloc(sizeof(*r));
    r->server = srv;
    r->admission = a;
    srv->on_request(r, srv->request_arg);
}

void request_install(struct sio_server *srv)
{
    engine_on_request(srv->engine, srv->on_request ? on_admission : NULL, srv);
}

void sio_on_request(struct sio_server *srv, sio_request_fn *fn, void *arg)
{
    srv->on_request = fn;
    srv->request_arg = arg;
    if (srv->engine)
        request_install(srv);
}

static void request_free(struct sio_request *r)
{
    bytes_unref(r->address);
    mem_free(r);
}

void sio_allow(struct sio_request *r)
{
    admission_allow(r->admission);
    request_free(r);
}

void sio_deny(struct sio_request *r, const char *message)
{
    admission_deny(r->admission, message ? str_of(message) : STR(""));
    request_free(r);
}

int sio_request_set_header(struct sio_request *r, const char *name,
                           const char *value)
{
    int rc = admission_header(r->admission, str_of(name), str_of(value));
    return rc == ERR_CONFIG  ? SIO_ERR_ARG
           : rc == ERR_LIMIT ? SIO_ERR_LIMIT
           : rc == ERR_STATE ? SIO_ERR_STATE
                             : 0;
}

/* ---- reading ------------------------------------------------------------- */

static struct http_request *http_of(const struct sio_request *r)
{
    return admission_request(r->admission);
}

bool sio_request_header(const struct sio_request *r, const char *name,
                        struct sio_str *out)
{
    const struct http_request *http = http_of(r);
    struct str value;
    if (!http || !http_header(http, str_of(name), &value))
        return false;
    *out = sio_from_str(value);
    return true;
}

bool sio_request_query(const struct sio_request *r, const char *name,
                       struct sio_str *out)
{
    const struct http_request *http = http_of(r);
    struct str path, value;
    if (!http)
        return false;
    struct buf *scratch = &r->server->query;
    struct str query = http_target(http);
    buf_clear(scratch);
    str_next(&query, '?', &path);
    if (!query.p || !query_find(query, str_of(name), scratch, &value))
        return false;
    *out = sio_from_str(value);
    return true;
}

struct sio_str sio_request_url(const struct sio_request *r)
{
    const struct http_request *http = http_of(r);
    return sio_from_str(http ? http_target(http) : STR(""));
}

/* All X-Forwarded-For headers as one list. */
static void forwarded_list(const struct http_request *http, struct buf *out)
{
    struct str name, value;
    for (size_t i = 0; http_header_at(http, i, &name, &value); i++) {
        if (!str_ieq(name, STR("x-forwarded-for")))
            continue;
        if (out->len)
            buf_addc(out, ',');
        buf_add(out, value);
    }
}

static struct bytes *find_address(const struct forwarded *proxies,
                                  const struct http_request *http)
{
    char peer[STREAM_ADDR_MAX];
    struct str client = STR("");
    struct buf list, out;
    http_peer(http, peer);
    buf_init(&list, FORWARDED_BYTES);
    if (forwarded_trusts(proxies, str_of(peer))) {
        forwarded_list(http, &list);
        client = forwarded_client(proxies, buf_str(&list));
    }
    buf_init(&out, client.len + sizeof(peer));
    buf_add(&out, client.len ? client : str_of(peer));
    buf_addc(&out, '\0');
    buf_fini(&list);
    return buf_take(&out);
}

const char *sio_request_address(struct sio_request *r)
{
    const struct http_request *http = http_of(r);
    if (!http)
        return "";
    if (!r->address)
        r->address = find_address(&r->server->proxies, http);
    return r->address->p;
}
