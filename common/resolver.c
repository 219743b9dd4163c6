#include "common/resolver.h"

#include <assert.h>
#include <event2/dns.h>
#include <event2/util.h>
#include <netdb.h>
#include <stdio.h>

#include "common/mem.h"
#include "common/str.h"

enum { QUERY_MS = 5000 };

/* The library may call back late, after a query is no longer wanted, and needs
 * its base until then: a query that was given up lives on without a caller,
 * and the resolver as long as such queries do. */
struct resolver {
    struct loop *loop;
    struct evdns_base *dns; /* made for the first name that needs it */
    unsigned queries;
    bool closing;
};

struct resolver_query {
    struct resolver *owner;
    struct evdns_getaddrinfo_request *req;
    struct timer deadline;
    resolver_fn *done; /* NULL once nobody waits */
    void *arg;
    bool all;
};

struct resolver *resolver_new(struct loop *l)
{
    struct resolver *r = mem_zalloc(sizeof(*r));
    r->loop = l;
    return r;
}

static void destroy(struct resolver *r)
{
    if (r->dns)
        evdns_base_free(r->dns, 0);
    mem_free(r);
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    r->closing = true;
    if (r->queries == 0)
        destroy(r);
}

static struct evdns_base *dns_base(struct resolver *r)
{
    if (r->dns)
        return r->dns;
    r->dns = evdns_base_new(r->loop->base, EVDNS_BASE_DISABLE_WHEN_INACTIVE);
    assert(r->dns);
    /* A machine without resolv.conf still has its hosts file, which this reads
     * too. */
    (void)evdns_base_resolv_conf_parse(r->dns, DNS_OPTIONS_ALL,
                                       "/etc/resolv.conf");
    return r->dns;
}

static void tell(resolver_fn *done, void *arg, const struct addrinfo *list,
                 bool all)
{
    done(arg, list->ai_addr, (socklen_t)list->ai_addrlen, NULL);
    if (!all)
        return;
    for (list = list->ai_next; list; list = list->ai_next)
        done(arg, list->ai_addr, (socklen_t)list->ai_addrlen, NULL);
    done(arg, NULL, 0, NULL);
}

static void on_answer(int result, struct evutil_addrinfo *list, void *arg)
{
    struct resolver_query *q = arg;
    struct resolver *r = q->owner;
    timer_stop(&q->deadline);
    bool found = result == 0 && list;
    if (q->done && found)
        tell(q->done, q->arg, list, q->all);
    else if (q->done)
        q->done(q->arg, NULL, 0,
                result ? evutil_gai_strerror(result) : "no address");
    if (list)
        evutil_freeaddrinfo(list);
    mem_free(q);
    r->queries--;
    if (r->closing && r->queries == 0)
        destroy(r);
}

/* Without any name server, or with silent ones, nothing else would end a
 * query. */
static void on_deadline(struct timer *t)
{
    struct resolver_query *q = container_of(t, struct resolver_query, deadline);
    resolver_fn *done = q->done;
    void *arg = q->arg;
    resolver_cancel(q);
    done(arg, NULL, 0, "no name server answered");
}

/* Addresses, and the name that means this machine everywhere (RFC 6761). */
static bool answer_at_once(const char *host, const char *port,
                           resolver_fn *done, void *arg, bool all)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    if (str_ieq(str_of(host), STR("localhost")))
        host = "127.0.0.1";
    if (getaddrinfo(host, port, &hints, &list) != 0)
        return false;
    tell(done, arg, list, all);
    freeaddrinfo(list);
    return true;
}

static struct resolver_query *find(struct resolver *r, const char *host,
                                   uint16_t port, resolver_fn *done, void *arg,
                                   bool all)
{
    char service[8];
    (void)snprintf(service, sizeof(service), "%u", port);
    if (answer_at_once(host, service, done, arg, all))
        return NULL;
    struct resolver_query *q = mem_zalloc(sizeof(*q));
    q->owner = r;
    q->done = done;
    q->arg = arg;
    q->all = all;
    timer_init(&q->deadline, on_deadline);
    loop_timer(r->loop, &q->deadline, QUERY_MS);
    r->queries++;
    struct evutil_addrinfo hints = {.ai_family = AF_UNSPEC,
                                    .ai_socktype = SOCK_STREAM,
                                    .ai_flags = EVUTIL_AI_NUMERICSERV};
    struct evdns_getaddrinfo_request *req =
        evdns_getaddrinfo(dns_base(r), host, service, &hints, on_answer, q);
    /* NULL: the answer was at hand and `q` is gone. */
    if (!req)
        return NULL;
    q->req = req;
    return q;
}

struct resolver_query *resolver_find(struct resolver *r, const char *host,
                                     uint16_t port, resolver_fn *done,
                                     void *arg)
{
    return find(r, host, port, done, arg, false);
}

struct resolver_query *resolver_find_all(struct resolver *r, const char *host,
                                         uint16_t port, resolver_fn *done,
                                         void *arg)
{
    return find(r, host, port, done, arg, true);
}

void resolver_cancel(struct resolver_query *q)
{
    q->done = NULL;
    timer_stop(&q->deadline);
    evdns_getaddrinfo_cancel(q->req);
}
