#include "server/ctl/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "server/ctl/options.h"
#include "server/engine/eio_packet.h"

enum { LINE_MAX_BYTES = 1024, TURN_MS = 50 };

/* ---- speaking ------------------------------------------------------------ */

static void say(FILE *to, const char *front, const char *fmt, va_list ap)
{
    char line[LINE_MAX_BYTES];
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    for (char *p = line; *p; p++) {
        if ((unsigned char)*p < ' ')
            *p = '?';
    }
    fprintf(to, "%s%s\n", front, line);
    (void)fflush(to);
}

void doctor_wrong(struct doctor *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(stdout, "", fmt, ap);
    va_end(ap);
    d->wrong++;
}

void doctor_right(const struct doctor *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (d->options.verbose)
        say(stdout, "ok: ", fmt, ap);
    va_end(ap);
}

void doctor_note(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(stderr, "confabctl: ", fmt, ap);
    va_end(ap);
}

/* ---- waiting ------------------------------------------------------------- */

uint64_t doctor_left(const struct doctor *d)
{
    uint64_t now = loop_now(d->net.loop);
    return now < d->end_ms ? d->end_ms - now : 0;
}

bool doctor_wait(struct doctor *d, const bool *done, uint64_t ms)
{
    uint64_t end = loop_now(d->net.loop) + ms;
    while (!*done && loop_now(d->net.loop) < end && doctor_left(d) > 0)
        loop_turn(d->net.loop, TURN_MS);
    return *done;
}

/* ---- asking -------------------------------------------------------------- */

static int64_t clock_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void on_reply(void *arg, const struct ctl_answer *a,
                     const struct ctl_fault *why)
{
    struct doctor_reply *r = arg;
    r->done = true;
    r->came_ms = clock_ms();
    r->answered = a != NULL;
    if (!a) {
        r->why = *why;
        return;
    }
    r->answer = *a;
    buf_add(&r->head, a->head);
    buf_add(&r->body, a->body);
    r->answer.head = buf_str(&r->head);
    r->answer.body = buf_str(&r->body);
}

void doctor_ask(struct doctor *d, const struct ctl_url *url,
                const struct ctl_request *r, struct doctor_reply *out)
{
    struct ctl_request request = *r;
    *out = (struct doctor_reply){
        .why = ctl_fault(FAULT_TIMEOUT, "the time is up")};
    buf_init(&out->head, CTL_HEAD_MAX);
    buf_init(&out->body, DOCTOR_ANSWER_MAX);
    if (!request.timeout_ms)
        request.timeout_ms = DOCTOR_STEP_MS;
    struct ctl_http *h = ctl_http_new(&d->net, url, DOCTOR_ANSWER_MAX);
    out->asked_ms = clock_ms();
    ctl_http_send(h, &request, on_reply, out);
    doctor_wait(d, &out->done, UINT32_MAX);
    ctl_http_free(h);
}

void doctor_reply_fini(struct doctor_reply *r)
{
    buf_fini(&r->head);
    buf_fini(&r->body);
}

void doctor_handshake(struct doctor *d, const struct ctl_url *url,
                      struct str headers, struct doctor_reply *out)
{
    struct buf target;
    buf_init(&target, CTL_PATH_MAX + 128);
    ctl_eio_target(&target, url, "polling", STR(""));
    struct ctl_request r = {
        .verb = "GET", .target = buf_str(&target), .headers = headers};
    doctor_ask(d, url, &r, out);
    buf_fini(&target);
}

bool doctor_opened(const struct doctor_reply *r, struct ctl_eio_hello *hello)
{
    struct eio_packet p;
    struct str rest = r->answer.body, first;
    return r->answered && r->answer.status == 200 &&
           eio4_coding.next(&rest, &first) > 0 &&
           eio_decode_text(first, &p) == 0 && p.type == EIO_OPEN &&
           ctl_eio_read_hello(p.data, hello) == 0;
}

/* ---- the visit ----------------------------------------------------------- */

/* "node-" of "Zx3Q.node-2"; empty when the session's id names no slot. */
static struct str slots_of(const struct ctl_eio_hello *hello)
{
    struct str rest = str_of(hello->sid), part;
    if (!str_next(&rest, '.', &part) || !rest.p || !str_next(&rest, '.', &part))
        return STR("");
    size_t n = part.len;
    while (n > 0 && part.p[n - 1] >= '0' && part.p[n - 1] <= '9')
        n--;
    return (struct str){part.p, n < part.len ? n : 0};
}

static void announce(const struct doctor *d)
{
    if (!d->options.verbose && !isatty(STDERR_FILENO))
        return;
    double s = (d->hello.ping_interval_ms + 5000) / 1000.0;
    doctor_note("this takes up to %.0f s: a connection is kept silent for as "
                "long as the server's ping interval",
                s);
}

static void visit(struct doctor *d)
{
    doctor_reach(d);
    if (!d->reached)
        return;
    announce(d);
    doctor_sessions(d);
    struct doctor_idle *idle = doctor_idle_begin(d);
    if (d->options.origin)
        doctor_origins(d);
    (void)doctor_nodes(d, slots_of(&d->hello));
    if (d->options.chat)
        doctor_chat(d);
    doctor_idle_end(d, idle);
}

int doctor_main(int argc, char **argv)
{
    struct doctor d = {0};
    int rc = doctor_options_read(&d.options, argc, argv);
    if (rc >= 0)
        return rc;
    char err[TLS_ERR_MAX];
    d.net.tls = tls_client_new(d.options.ca_file, !d.options.insecure, err);
    if (!d.net.tls) {
        doctor_note("%s", err);
        return CTL_USAGE;
    }
    ctl_net_open(&d.net, DOCTOR_STEP_MS);
    d.end_ms = loop_now(d.net.loop) + d.options.timeout_ms;
    visit(&d);
    ctl_net_close(&d.net);
    return d.wrong > 0 ? CTL_FAILED : CTL_OK;
}
