#include "server/ctl/lines.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "server/ctl/line.h"
#include "server/ctl/options.h"

enum { REPORTS_MAX = 100, CHUNK = 65536 };

struct lines {
    struct sio_emitter *emitter;
    struct ctl_line_reader reader;
    struct buf partial; /* a line whose end has not been read */
    uint64_t number, published, bad;
    int64_t receivers;
    bool failed; /* Redis, or standard input */
};

static void report(struct lines *l, const char *why)
{
    l->bad++;
    if (l->bad <= REPORTS_MAX)
        fprintf(stderr, "confabctl: line %llu: %s\n",
                (unsigned long long)l->number, why);
    if (l->bad == REPORTS_MAX)
        fprintf(stderr, "confabctl: more bad lines are only counted\n");
}

/* What was not published was lost on the way; the lines after it are not
 * tried. */
static void stop(struct lines *l)
{
    fprintf(stderr, "confabctl: stopped at line %llu: %s\n",
            (unsigned long long)l->number, sio_emitter_error(l->emitter));
    l->failed = true;
}

static void flush(struct lines *l)
{
    int rc = sio_emitter_flush(l->emitter);
    if (rc < 0)
        stop(l);
    else
        l->receivers += rc;
}

static void take_line(struct lines *l, struct str text)
{
    struct ctl_line line;
    l->number++;
    if (str_trim(text).len == 0 || str_eq(text, STR("\r")))
        return;
    if (ctl_line_read(&l->reader, text, &line) < 0) {
        report(l, l->reader.error);
        return;
    }
    int rc = sio_emitter_emit(&line.to, line.event, line.args.len ? "j" : NULL,
                              line.args);
    if (rc == SIO_ERR_ARG || rc == SIO_ERR_LIMIT)
        report(l, sio_emitter_error(l->emitter));
    else if (rc < 0)
        stop(l);
    else
        l->published++;
}

static void end_line(struct lines *l)
{
    if (l->partial.full) {
        l->number++;
        report(l, "longer than 16 MiB");
    } else {
        take_line(l, buf_str(&l->partial));
    }
    buf_clear(&l->partial);
}

static void take_data(struct lines *l, struct str data)
{
    struct str part;
    while (!l->failed && data.len > 0) {
        bool ends = memchr(data.p, '\n', data.len) != NULL;
        (void)str_next(&data, '\n', &part);
        if (ends && l->partial.len == 0 && !l->partial.full) {
            take_line(l, part);
            continue;
        }
        buf_add(&l->partial, part);
        if (ends)
            end_line(l);
    }
}

static bool more_to_read(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

static void read_all(struct lines *l, int fd)
{
    char chunk[CHUNK];
    while (!l->failed) {
        if (!more_to_read(fd))
            flush(l);
        ssize_t n = l->failed ? 0 : read(fd, chunk, sizeof(chunk));
        if (n > 0) {
            take_data(l, (struct str){chunk, (size_t)n});
        } else if (n == 0) {
            break;
        } else if (errno != EINTR) {
            fprintf(stderr, "confabctl: cannot read standard input: %s\n",
                    strerror(errno));
            l->failed = true;
        }
    }
    if (!l->failed && (l->partial.len > 0 || l->partial.full))
        end_line(l);
    if (!l->failed)
        flush(l);
}

int ctl_lines_run(struct sio_emitter *em, int fd)
{
    struct lines l = {.emitter = em};
    ctl_line_reader_init(&l.reader, em);
    buf_init(&l.partial, CTL_LINE_MAX);
    sio_emitter_pipeline(em, true);
    read_all(&l, fd);
    if (!l.failed)
        printf("published %llu, received %lld times, bad lines: %llu\n",
               (unsigned long long)l.published, (long long)l.receivers,
               (unsigned long long)l.bad);
    ctl_line_reader_fini(&l.reader);
    buf_fini(&l.partial);
    return l.failed || l.bad > 0 ? CTL_FAILED : CTL_OK;
}
