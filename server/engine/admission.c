#include "server/engine/admission.h"

#include "common/mem.h"
#include "server/engine/engine.h"
#include "server/http/http_header.h"

enum { HEADERS_MAX = 8 * 1024 };

struct admission {
    struct list link; /* engine.waiting, while there is a request */
    struct engine *engine;
    struct http_request *request;
    struct buf headers;
};

/* From here on the engine may be freed before the admission is. */
static struct http_request *take_request(struct admission *a)
{
    struct http_request *r = a->request;
    if (r) {
        a->request = NULL;
        a->engine->n_waiting--;
        list_remove(&a->link);
    }
    return r;
}

static void on_abort(struct http_request *r, void *owner, enum http_abort why)
{
    (void)r;
    (void)why;
    take_request(owner);
}

void admission_begin(struct engine *e, struct http_request *r)
{
    static const struct http_request_ops ops = {.on_abort = on_abort};
    struct admission *a = mem_zalloc(sizeof(*a));
    a->engine = e;
    a->request = r;
    buf_init(&a->headers, HEADERS_MAX);
    list_insert(&e->waiting, &a->link);
    e->n_waiting++;
    http_park(r, &ops, a);
    e->on_request(a, e->request_arg);
}

void admission_close(struct engine *e)
{
    while (!list_empty(&e->waiting)) {
        struct admission *a =
            container_of(e->waiting.next, struct admission, link);
        gate_refuse(e, take_request(a), gate_look(e));
    }
}

struct http_request *admission_request(const struct admission *a)
{
    return a->request;
}

static void admission_free(struct admission *a)
{
    buf_fini(&a->headers);
    mem_free(a);
}

void admission_allow(struct admission *a)
{
    struct http_request *r = take_request(a);
    if (r)
        engine_handshake(a->engine, r, buf_str(&a->headers));
    admission_free(a);
}

void admission_deny(struct admission *a, struct str message)
{
    struct http_request *r = take_request(a);
    if (r)
        engine_deny(a->engine, r, message);
    admission_free(a);
}

/* ---- headers ------------------------------------------------------------- */

/* Those that say where the message ends and what the connection becomes. */
static bool is_reserved(struct str name)
{
    static const char *const reserved[] = {"connection", "content-length",
                                           "transfer-encoding", "upgrade"};
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (str_ieq(name, str_of(reserved[i])))
            return true;
    }
    struct str start = STR("sec-websocket-");
    return name.len >= start.len &&
           str_ieq((struct str){name.p, start.len}, start);
}

int admission_header(struct admission *a, struct str name, struct str value)
{
    if (!a->request)
        return ERR_STATE;
    if (!http_token_valid(name) || !http_value_valid(value) ||
        is_reserved(name))
        return ERR_CONFIG;
    if (a->headers.len + name.len + value.len + 4 > HEADERS_MAX)
        return ERR_LIMIT;
    buf_add(&a->headers, name);
    buf_add(&a->headers, STR(": "));
    buf_add(&a->headers, value);
    buf_add(&a->headers, STR("\r\n"));
    return 0;
}
