#include "server/io/server_events.h"

#include "common/metrics.h"
#include "server/io/event.h"
#include "server/io/pack.h"
#include "server/io/survey.h"

/* ---- coming in ----------------------------------------------------------- */

static void run_any(struct sio_namespace *ns, struct sio_event *e)
{
    struct handler_walk w;
    struct handler *h = handlers_first(&w, &ns->home->on_any_server);
    for (; h; h = handlers_next(&w))
        h->fn.server_event(ns, e, h->arg);
}

static void run_event(struct sio_namespace *ns, struct sio_event *e)
{
    struct event_table *events = &ns->home->server_events;
    struct event_handlers *eh = event_table_find(events, e->name);
    if (!eh)
        return;
    struct handler_walk w;
    struct handler *h = handlers_first(&w, &eh->handlers);
    for (; h; h = handlers_next(&w))
        h->fn.server_event(ns, e, h->arg);
}

void server_events_run(struct sio_namespace *ns, struct str data,
                       struct adapter_asked *from)
{
    struct json *tape = server_tape_get(ns->server);
    struct sio_event e = {.asked = from};
    int rc = json_parse(tape, data, ns->server->parser_limits.json);
    if (rc == 0 && json_first(tape, 0) != JSON_NONE) {
        event_init(&e, NULL, tape, true);
        e.ns = ns;
        e.asked = from;
        metrics_add(M_SERVER_EVENTS_IN, 1);
        run_any(ns, &e);
        run_event(ns, &e);
        event_fini(&e);
    } else {
        metrics_add(M_LIMIT_JSON, 1);
    }
    if (e.asked)
        adapter_answered(e.asked); /* with nothing */
    server_tape_put(ns->server);
}

void sio_on_server_event(struct sio_namespace *ns, const char *event,
                         sio_server_event_fn *fn, void *arg)
{
    struct event_handlers *eh =
        event_table_need(&ns->home->server_events, str_of(event));
    handlers_add(&eh->handlers, arg)->fn.server_event = fn;
}

void sio_on_any_server_event(struct sio_namespace *ns, sio_server_event_fn *fn,
                             void *arg)
{
    handlers_add(&ns->home->on_any_server, arg)->fn.server_event = fn;
}

/* ---- going out ----------------------------------------------------------- */

/* What Node.js namespaces say to themselves; and "error", which ends a Node.js
 * server that does not listen to it. */
static bool is_reserved(struct str event)
{
    return str_eq(event, STR("connect")) || str_eq(event, STR("connection")) ||
           str_eq(event, STR("new_namespace")) || str_eq(event, STR("error"));
}

/* End `p` with pack_fini. */
static int pack_for(const struct sio_namespace *ns, struct pack *p,
                    const char *event, const char *format,
                    struct pack_args *args)
{
    struct sio_server *srv = ns->server;
    pack_init_text(p, srv->settings.max_payload_bytes);
    int rc = survey_check(ns);
    if (rc == 0 && is_reserved(str_of(event)))
        rc = SIO_ERR_ARG;
    return rc < 0 ? rc : pack_array(p, event, format, args, &srv->scratch);
}

int sio_server_emit(struct sio_namespace *ns, const char *event,
                    const char *format, ...)
{
    struct pack p;
    struct pack_args args;
    va_start(args.ap, format);
    int rc = pack_for(ns, &p, event, format, &args);
    va_end(args.ap);
    if (rc == 0)
        adapter_server_emit(ns->adapter, buf_str(&p.json));
    pack_fini(&p);
    return rc;
}

int sio_server_emit_ack(struct sio_namespace *ns, uint32_t timeout_ms,
                        sio_answers_fn *fn, void *arg, const char *event,
                        const char *format, ...)
{
    struct pack p;
    struct pack_args args;
    va_start(args.ap, format);
    int rc = pack_for(ns, &p, event, format, &args);
    va_end(args.ap);
    if (rc == 0) {
        struct survey *s = survey_new(ns, fn, arg);
        rc = adapter_server_emit_ack(ns->adapter, buf_str(&p.json),
                                     survey_ms(timeout_ms), survey_end, s);
        rc = survey_asked(s, rc);
    }
    pack_fini(&p);
    return rc;
}
