#include "server/io/dynamic.h"

#include <stdio.h>

#include "common/mem.h"
#include "common/metrics.h"

/* As long as a name that the application can give. */
enum { NAME_MAX_BYTES = 255 };

struct sio_namespace *sio_of_match(struct sio_server *srv, sio_match_fn *fn,
                                   void *arg)
{
    char name[32];
    snprintf(name, sizeof(name), "/_%u", srv->n_parents++);
    struct sio_namespace *ns = namespace_new(srv, str_of(name));
    ns->match = fn;
    ns->match_arg = arg;
    list_insert(&srv->parents, &ns->of_server);
    return ns;
}

/* Whether anything is still to come to it: what it owes to other servers is
 * not. */
static bool is_used(const struct sio_namespace *ns)
{
    return adapter_rooms(ns->adapter)->everyone.n > 0 || ns->n_surveys > 0 ||
           !list_empty(&ns->questions);
}

/* Frees a child that nobody uses. It may be in use again by now. */
static void free_unused(struct loop_task *t)
{
    struct sio_namespace *ns = container_of(t, struct sio_namespace, task);
    struct sio_server *srv = ns->server;
    if (is_used(ns))
        return;
    namespace_stop(ns);
    namespace_free(ns);
    srv->n_dynamic--;
}

void dynamic_release(struct sio_namespace *ns)
{
    if (ns->home != ns)
        loop_reap(ns->server->loop, &ns->task);
}

static struct sio_namespace *make_child(struct sio_namespace *parent,
                                        struct str name)
{
    struct sio_server *srv = parent->server;
    struct sio_namespace *ns = namespace_new(srv, name);
    ns->home = parent;
    loop_task_init(&ns->task, free_unused);
    namespace_publish(ns);
    namespace_start(ns);
    srv->n_dynamic++;
    return ns;
}

static struct sio_namespace *find_parent(struct sio_server *srv,
                                         struct str name, struct sio_value auth)
{
    struct list *n = srv->parents.next;
    for (; n != &srv->parents; n = n->next) {
        struct sio_namespace *ns =
            container_of(n, struct sio_namespace, of_server);
        if (ns->match(sio_from_str(name), auth, ns->match_arg))
            return ns;
    }
    return NULL;
}

struct sio_namespace *dynamic_match(struct sio_server *srv, struct str name,
                                    struct sio_value auth, bool *full)
{
    *full = false;
    if (name.len > NAME_MAX_BYTES || memchr(name.p, '\0', name.len))
        return NULL;
    struct sio_namespace *parent = find_parent(srv, name, auth);
    struct sio_namespace *made = server_namespace(srv, name);
    if (!parent || made)
        return made; /* by the function, perhaps */
    if (srv->n_dynamic >= srv->settings.dynamic_namespaces) {
        *full = true;
        return NULL;
    }
    return make_child(parent, name);
}

void dynamic_fini(struct sio_server *srv)
{
    while (!list_empty(&srv->parents))
        namespace_free(
            container_of(srv->parents.next, struct sio_namespace, of_server));
}
