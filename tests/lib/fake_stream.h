/* A connection without a network, for one file of a program that links no other
 * user of stream.c and resolver.c: these stand for them, and the test says what
 * comes over the wire. */
#ifndef CONFAB_TESTS_FAKE_STREAM_H
#define CONFAB_TESTS_FAKE_STREAM_H

#include <assert.h>

#include "common/mem.h"
#include "common/resolver.h"
#include "common/stream.h"

struct stream {
    const struct stream_ops *ops;
    void *owner;
};

static struct stream *wire; /* the one connection; NULL when there is none */

struct stream *stream_connect(struct loop *l, const struct sockaddr *addr,
                              socklen_t len, const struct stream_ops *ops,
                              void *owner)
{
    (void)l, (void)addr, (void)len;
    assert(!wire);
    wire = mem_zalloc(sizeof(*wire));
    wire->ops = ops;
    wire->owner = owner;
    return wire;
}

void stream_send(struct stream *s, struct bytes *b)
{
    (void)s, (void)b;
}

size_t stream_queued(const struct stream *s)
{
    (void)s;
    return 0;
}

void stream_close(struct stream *s, uint32_t linger_ms)
{
    (void)linger_ms;
    stream_abort(s);
}

void stream_local(const struct stream *s, char out[STREAM_ADDR_MAX])
{
    (void)s;
    out[0] = '\0';
}

void stream_abort(struct stream *s)
{
    assert(s == wire);
    mem_free(wire);
    wire = NULL;
}

struct resolver_query *resolver_find(struct resolver *r, const char *host,
                                     uint16_t port, resolver_fn *done,
                                     void *arg)
{
    (void)r, (void)host, (void)port;
    struct sockaddr addr = {0};
    done(arg, &addr, sizeof(addr), NULL);
    return NULL;
}

void resolver_cancel(struct resolver_query *q)
{
    (void)q;
}

#endif
