/* Cross-origin answers, as a browser wants them for a page of --origin. */
#include "common/log.h"
#include "server/ctl/doctor.h"

/* One answer's headers. */
static bool allows(const struct doctor *d, const struct ctl_answer *a,
                   struct buf *why)
{
    struct str origin = {0}, credentials = {0};
    bool named =
        ctl_answer_header(a, STR("access-control-allow-origin"), &origin);
    bool with = ctl_answer_header(a, STR("access-control-allow-credentials"),
                                  &credentials) &&
                str_eq(credentials, STR("true"));
    bool any = str_eq(origin, STR("*"));
    if (!named)
        buf_add(why, STR("without Access-Control-Allow-Origin"));
    else if (!any && !str_eq(origin, str_of(d->options.origin)))
        buf_fmt(why, "with Access-Control-Allow-Origin: %s", log_safe(origin));
    else if (d->options.credentials && any)
        buf_add(why, STR("with Access-Control-Allow-Origin: *, which browsers "
                         "do not take where cookies are sent"));
    else if (d->options.credentials && !with)
        buf_add(why, STR("without Access-Control-Allow-Credentials: true"));
    else
        return true;
    return false;
}

static void wrong(struct doctor *d, const char *what, struct str why)
{
    doctor_wrong(d,
                 "CORS: pages of %s may not use it: %s is answered %.*s: add "
                 "the origin to engine.cors_origins%s, and let the balancer "
                 "leave those headers alone",
                 d->options.origin, what, STR_ARG(why),
                 d->options.credentials ? ", with engine.cors_credentials true"
                                        : "");
}

/* False, being said, when it is wrong. */
static bool look(struct doctor *d, const char *what,
                 const struct doctor_reply *r, unsigned status)
{
    struct buf why;
    buf_init(&why, 1024);
    bool ok = r->answered;
    if (!ok)
        buf_fmt(&why, "not at all (%s)", r->why.text);
    else if (status && r->answer.status != status) {
        buf_fmt(&why, "with %u", r->answer.status);
        ok = false;
    } else if (!status && r->answer.status / 100 != 2) {
        buf_fmt(&why, "with %u", r->answer.status);
        ok = false;
    } else
        ok = allows(d, &r->answer, &why);
    if (!ok)
        wrong(d, what, buf_str(&why));
    buf_fini(&why);
    return ok;
}

static bool ask(struct doctor *d, const char *verb, struct str sid,
                struct str headers, struct str body)
{
    struct buf target;
    struct doctor_reply r;
    buf_init(&target, CTL_PATH_MAX + CTL_SID_MAX + 128);
    ctl_eio_target(&target, &d->options.url, "polling", sid);
    struct ctl_request request = {.verb = verb,
                                  .target = buf_str(&target),
                                  .headers = headers,
                                  .body = body};
    doctor_ask(d, &d->options.url, &request, &r);
    bool ok = look(d, verb, &r, strcmp(verb, "POST") == 0 ? 200 : 0);
    doctor_reply_fini(&r);
    buf_fini(&target);
    return ok;
}

void doctor_origins(struct doctor *d)
{
    struct buf headers;
    struct doctor_reply r;
    struct ctl_eio_hello hello;
    buf_init(&headers, UINT32_MAX);
    buf_fmt(&headers, "Origin: %s\r\n", d->options.origin);
    doctor_handshake(d, &d->options.url, buf_str(&headers), &r);
    bool ok = look(d, "GET", &r, 0);
    /* Without stickiness the rest would be about that. */
    bool opened = ok && d->polling && doctor_opened(&r, &hello);
    doctor_reply_fini(&r);
    if (opened) {
        buf_add(&headers, STR("Content-Type: text/plain;charset=UTF-8\r\n"));
        ok = ask(d, "POST", str_of(hello.sid), buf_str(&headers), STR("40"));
        buf_clear(&headers);
        buf_fmt(&headers,
                "Origin: %s\r\nAccess-Control-Request-Method: POST\r\n"
                "Access-Control-Request-Headers: content-type\r\n",
                d->options.origin);
        ok = ok && ask(d, "OPTIONS", str_of(hello.sid), buf_str(&headers),
                       (struct str){0});
    }
    if (ok)
        doctor_right(d, "CORS: pages of %s are served", d->options.origin);
    buf_fini(&headers);
}
