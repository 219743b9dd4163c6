/* HTTP/1.1 requests, one at a time over one connection that is kept alive, and
 * made anew when the server has closed it. */
#ifndef CONFAB_SERVER_CTL_HTTP_H
#define CONFAB_SERVER_CTL_HTTP_H

#include "server/ctl/answer.h"
#include "server/ctl/conn.h"

struct ctl_http;

struct ctl_request {
    const char *verb;
    struct str target;   /* path and query */
    struct str headers;  /* whole lines, besides Host and Content-Length */
    struct str body;     /* of a POST */
    uint32_t timeout_ms; /* from the call to the whole answer */
};

/* Either an answer, borrowed until the next request, or a fault. The connection
 * may be used for another request, or freed, from inside. */
typedef void ctl_http_fn(void *arg, const struct ctl_answer *a,
                         const struct ctl_fault *why);

/* `net` and `url` must outlive it. */
struct ctl_http *ctl_http_new(const struct ctl_net *net,
                              const struct ctl_url *url, size_t max_body);
/* Without a call. NULL is allowed. */
void ctl_http_free(struct ctl_http *h);
/* No other request may be under way. `fn` is never called inside. */
void ctl_http_send(struct ctl_http *h, const struct ctl_request *r,
                   ctl_http_fn *fn, void *arg);
bool ctl_http_busy(const struct ctl_http *h);
/* Connections that it has made. */
unsigned ctl_http_connections(const struct ctl_http *h);
/* Inside `fn` after status 101: the connection is the caller's, who must set
 * its owner; what came behind the head is in `*rest`, valid during the call. */
struct ctl_conn *ctl_http_take(struct ctl_http *h, struct str *rest);

#endif
