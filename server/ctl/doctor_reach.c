/* From the name in the URL to the first handshake. */
#include <stdio.h>

#include "common/json.h"
#include "common/log.h"
#include "server/ctl/doctor.h"

/* ---- TLS on one side only ------------------------------------------------ */

/* Whether the same port speaks the other of http and https. */
static bool speaks_other(struct doctor *d, const struct ctl_url *url)
{
    struct ctl_url other = *url;
    struct doctor_reply r;
    struct ctl_net net = d->net;
    char err[TLS_ERR_MAX];
    other.secure = !url->secure;
    d->net.tls = tls_client_new(NULL, false, err);
    if (!d->net.tls) {
        d->net = net;
        return false;
    }
    doctor_handshake(d, &other, STR(""), &r);
    bool yes = r.answered;
    doctor_reply_fini(&r);
    tls_free(d->net.tls);
    d->net = net;
    return yes;
}

bool doctor_tls_mismatch(struct doctor *d, const struct ctl_url *url)
{
    if (!speaks_other(d, url))
        return false;
    if (url->secure)
        doctor_wrong(d,
                     "TLS mismatch: %s speaks plain HTTP, and https was asked "
                     "for: use http://%s, or give it a certificate (`ssl crt "
                     "FILE` in the balancer's `bind` line, or a node's "
                     "tls.certificate_file)",
                     url->authority, url->authority);
    else
        doctor_wrong(d,
                     "TLS mismatch: %s speaks TLS, and plain http was asked "
                     "for: use https://%s, or take the certificate away (`ssl` "
                     "in the balancer's `bind` line, or a node's "
                     "tls.certificate_file)",
                     url->authority, url->authority);
    return true;
}

/* ---- no answer ----------------------------------------------------------- */

static void no_answer(struct doctor *d, const struct ctl_fault *why)
{
    const struct ctl_url *url = &d->options.url;
    switch (why->kind) {
    case FAULT_NAME:
        doctor_wrong(d, "name: %s: is the URL right, is the DNS record there?",
                     why->text);
        return;
    case FAULT_CONNECT:
        doctor_wrong(d,
                     "connection: nobody takes connections at %s: is the "
                     "balancer running, and does its `bind` line have that "
                     "port?",
                     why->text);
        return;
    case FAULT_UNTRUSTED:
        doctor_wrong(d,
                     "certificate: clients will not believe %s: %s: renew it, "
                     "or have it made for that name (`ssl crt` of the "
                     "balancer)",
                     url->authority, why->text);
        return;
    case FAULT_TIMEOUT:
        break;
    default:
        if (doctor_tls_mismatch(d, url))
            return;
    }
    doctor_wrong(d,
                 "connection: %s does not answer a request: %s: does it speak "
                 "HTTP, and is a firewall in between?",
                 url->authority, why->text);
}

/* ---- an answer that is no handshake -------------------------------------- */

/* What a confab node says its engine's path is; false when none says it. */
static bool path_of_node(struct doctor *d, struct ctl_url *url)
{
    struct ctl_request r = {.verb = "GET", .target = STR("/readyz")};
    struct doctor_reply reply;
    struct json j;
    struct buf path;
    json_init(&j);
    buf_init(&path, CTL_PATH_MAX - 1);
    doctor_ask(d, url, &r, &reply);
    uint32_t node = JSON_NONE;
    if (reply.answered &&
        json_parse(&j, reply.answer.body, (struct json_limits){8, 2048}) == 0)
        node = json_get(&j, 0, STR("path"));
    if (node != JSON_NONE && json_type(&j, node) == JSON_STRING)
        json_string(&j, node, &path);
    struct str s = buf_str(&path);
    bool ok = s.len > 0 && s.p[0] == '/' && !path.full;
    for (size_t i = 0; i < s.len; i++)
        ok = ok && s.p[i] > ' ' && s.p[i] <= '~';
    if (ok) {
        memcpy(url->path, s.p, s.len);
        url->path[s.len] = '\0';
    }
    doctor_reply_fini(&reply);
    buf_fini(&path);
    json_fini(&j);
    return ok;
}

static bool opens(struct doctor *d, const struct ctl_url *url)
{
    struct doctor_reply r;
    struct ctl_eio_hello hello;
    doctor_handshake(d, url, STR(""), &r);
    bool yes = doctor_opened(&r, &hello);
    doctor_reply_fini(&r);
    return yes;
}

/* Looks where the engine might be instead. */
static bool find_path(struct doctor *d, struct ctl_url *url)
{
    static const char *const likely[] = {
        "/socket.io/",    "/socket.io",      "/engine.io/",      "/ws/",
        "/ws/socket.io/", "/api/socket.io/", "/chat/socket.io/", "/chat/",
        "/io/",           "/socket/",        "/realtime/",
    };
    const char *asked = d->options.url.path;
    size_t len = strlen(asked);
    *url = d->options.url;
    if (path_of_node(d, url) && strcmp(url->path, asked) != 0 && opens(d, url))
        return true;
    if (len + sizeof("/socket.io/") < CTL_PATH_MAX) {
        bool slash = asked[len - 1] == '/';
        memcpy(url->path, asked, len);
        memcpy(url->path + len, slash ? "socket.io/" : "/socket.io/",
               slash ? sizeof("socket.io/") : sizeof("/socket.io/"));
        if (opens(d, url))
            return true;
    }
    for (size_t i = 0; i < sizeof(likely) / sizeof(likely[0]); i++) {
        memcpy(url->path, likely[i], strlen(likely[i]) + 1);
        if (strcmp(likely[i], asked) != 0 && opens(d, url))
            return true;
    }
    return false;
}

static void wrong_path(struct doctor *d, unsigned status)
{
    const char *asked = d->options.url.path;
    struct ctl_url url;
    if (find_path(d, &url))
        doctor_wrong(d,
                     "wrong path: %s is answered with %u, Engine.IO is at %s: "
                     "give clients {path: \"%s\"}, or set engine.path to %s",
                     asked, status, url.path, url.path, asked);
    else
        doctor_wrong(d,
                     "wrong path: %s is answered with %u, and Engine.IO was "
                     "found nowhere else: does the balancer send that path to "
                     "the nodes, and is it their engine.path?",
                     asked, status);
}

static void unavailable(struct doctor *d, unsigned status)
{
    /* The shipped balancer still sends what names a slot to a node that is not
     * ready, and such nodes say why. */
    if (doctor_nodes(d, STR("node-")) > 0)
        return;
    doctor_wrong(d,
                 "not ready: a handshake is answered with %u: the balancer has "
                 "no node that takes new clients: see the nodes' /readyz "
                 "(--node URL) and the balancer's health check",
                 status);
}

static void no_handshake(struct doctor *d, const struct doctor_reply *r)
{
    const struct ctl_answer *a = &r->answer;
    struct ctl_fault why = ctl_eio_refusal(a);
    struct str to;
    if (a->status / 100 == 3 && ctl_answer_header(a, STR("location"), &to))
        doctor_wrong(d,
                     "redirect: %s sends clients to %s: they do not follow: "
                     "use that URL",
                     d->options.url.authority, log_safe(to));
    else if (a->status == 502 || a->status == 503 || a->status == 504)
        unavailable(d, a->status);
    else if (a->status == 404 || a->status == 405 || a->status == 200)
        wrong_path(d, a->status);
    else if (a->status != 400 || !doctor_tls_mismatch(d, &d->options.url))
        doctor_wrong(d,
                     "handshake: %s: a client that brings nothing is refused: "
                     "is that the application's will (sio_on_request), or the "
                     "balancer's?",
                     why.text);
}

/* A certificate that is wrong hides everything else: go on without it. */
static bool distrust(struct doctor *d, const struct doctor_reply *r)
{
    char err[TLS_ERR_MAX];
    if (r->answered || r->why.kind != FAULT_UNTRUSTED)
        return false;
    no_answer(d, &r->why);
    struct tls *tls = tls_client_new(NULL, false, err);
    if (!tls)
        return false;
    tls_free(d->net.tls);
    d->net.tls = tls;
    return true;
}

void doctor_reach(struct doctor *d)
{
    struct doctor_reply r;
    const struct ctl_url *url = &d->options.url;
    doctor_handshake(d, url, STR(""), &r);
    if (distrust(d, &r)) {
        doctor_reply_fini(&r);
        doctor_handshake(d, url, STR(""), &r);
    }
    d->reached = doctor_opened(&r, &d->hello);
    if (d->reached)
        doctor_right(d, "handshake at %s://%s%s",
                     url->secure ? "https" : "http", url->authority, url->path);
    else if (r.answered)
        no_handshake(d, &r);
    else
        no_answer(d, &r.why);
    doctor_reply_fini(&r);
}
