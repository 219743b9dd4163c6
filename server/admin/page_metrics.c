/* /metrics: the table of common/metrics.h, and what has a label per namespace
 * or comes from the system. Gauges are computed now, from the tables. */
#include "common/metrics.h"
#include "server/admin/pages.h"
#include "server/admin/process.h"
#include "server/io/namespace.h"

enum { NAMESPACES_NAMED = 100 };

/* The oldest by name; the rest, which clients may have named, together. */
static void namespace_sockets(const struct sio_server *srv, struct buf *out)
{
    static const char name[] = "confab_namespace_sockets";
    uint64_t others = 0;
    uint32_t n = 0;
    metrics_heading(out, name, "gauge",
                    "connected sockets of the first 100 namespaces, and of the "
                    "others");
    const struct list *at = srv->namespaces.next;
    for (; at != &srv->namespaces; at = at->next) {
        const struct sio_namespace *ns =
            const_container_of(at, struct sio_namespace, of_server);
        if (n++ < NAMESPACES_NAMED)
            metrics_line(out, name, "namespace", ns->name, ns->n_sockets);
        else
            others += ns->n_sockets;
    }
    if (n > NAMESPACES_NAMED)
        metrics_line(out, name, "namespace", STR("others"), others);
}

unsigned page_metrics(struct sio_server *srv, struct http_request *r,
                      struct buf *out)
{
    (void)r;
    server_metrics(srv);
    metrics_print(out);
    namespace_sockets(srv, out);
    metrics_heading(out, "confab_build_info", "gauge",
                    "1, and what was built in its labels");
    metrics_line(out, "confab_build_info", "version", STR(CONFAB_VERSION), 1);
    process_metrics(out);
    return 200;
}
