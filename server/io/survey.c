#include "server/io/survey.h"

#include "common/mem.h"
#include "server/io/answers.h"
#include "server/io/dynamic.h"
#include "server/io/selection.h"

struct survey {
    struct sio_namespace *ns;
    sio_answers_fn *fn; /* one of the two */
    sio_count_fn *count;
    void *arg;
};

int survey_check(const struct sio_namespace *ns)
{
    return ns->adapter && !ns->server->stopping ? 0 : SIO_ERR_STATE;
}

struct survey *survey_new(struct sio_namespace *ns, sio_answers_fn *fn,
                          void *arg)
{
    struct survey *s = mem_zalloc(sizeof(*s));
    s->ns = ns;
    s->fn = fn;
    s->arg = arg;
    ns->n_surveys++;
    return s;
}

static void survey_free(struct survey *s)
{
    struct sio_namespace *ns = s->ns;
    ns->n_surveys--;
    mem_free(s);
    dynamic_release(ns);
}

int survey_asked(struct survey *s, int rc)
{
    if (rc < 0)
        survey_free(s);
    return rc == ERR_PROTO ? SIO_ERR_ARG : rc;
}

void survey_end(void *survey, struct str json, size_t missing)
{
    struct survey *s = survey;
    struct answers a = {.json = json, .missing = missing, .n = 1};
    answers_give(s->ns, &a, s->fn, s->arg);
    survey_free(s);
}

static void on_count(void *survey, size_t servers)
{
    struct survey *s = survey;
    s->count(servers, s->arg);
    survey_free(s);
}

/* ---- sio.h --------------------------------------------------------------- */

int sio_fetch_sockets(const struct sio_broadcast *b, sio_answers_fn *fn,
                      void *arg)
{
    int rc = survey_check(b->ns);
    if (rc == 0)
        rc = selection_check(b);
    if (rc < 0)
        return rc;
    struct selection_names names;
    struct broadcast to = selection_of(b, &names);
    struct survey *s = survey_new(b->ns, fn, arg);
    rc = adapter_fetch_sockets(b->ns->adapter, &to, survey_end, s);
    return survey_asked(s, rc);
}

int sio_all_rooms(struct sio_namespace *ns, sio_answers_fn *fn, void *arg)
{
    int rc = survey_check(ns);
    if (rc < 0)
        return rc;
    struct survey *s = survey_new(ns, fn, arg);
    return survey_asked(s, adapter_all_rooms(ns->adapter, survey_end, s));
}

int sio_server_count(struct sio_namespace *ns, sio_count_fn *fn, void *arg)
{
    int rc = survey_check(ns);
    if (rc < 0)
        return rc;
    struct survey *s = survey_new(ns, NULL, arg);
    s->count = fn;
    return survey_asked(s, adapter_server_count(ns->adapter, on_count, s));
}

struct sio_open_questions sio_open_questions(const struct sio_namespace *ns)
{
    struct adapter_open open = {0};
    if (ns->adapter)
        open = adapter_open_questions(ns->adapter);
    /* What the adapter waits for is a part of ours. */
    size_t broadcasts = ns->n_questions;
    return (struct sio_open_questions){
        .requests = open.requests,
        .broadcasts =
            open.broadcasts > broadcasts ? open.broadcasts : broadcasts};
}
