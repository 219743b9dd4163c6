#include "adapter/requests.h"

#include "common/mem.h"

/* ---- this node's part ---------------------------------------------------- */

static void add_own_sockets(struct adapter *a, const struct broadcast *b,
                            struct question *q)
{
    struct buf own;
    if (!a->ops->sockets_describe)
        return;
    buf_init(&own, UINT32_MAX);
    a->ops->sockets_describe(a->host, b, &own);
    if (own.len > 0)
        question_add(q, buf_str(&own));
    buf_fini(&own);
}

static void add_room(struct map_node *n, void *arg)
{
    question_add_name(arg, container_of(n, struct room, by_name)->name);
}

static void add_member(struct map_node *n, void *arg)
{
    question_add_name(arg, container_of(n, struct member, by_id)->id);
}

/* ---- asking -------------------------------------------------------------- */

int adapter_fetch_sockets(struct adapter *a, const struct broadcast *b,
                          adapter_answers_fn *fn, void *arg)
{
    struct question *q;
    union question_fn f = {.answers = fn};
    int rc = question_open(&a->questions, ASK_SOCKETS, f, arg, &q);
    if (rc < 0)
        return rc;
    add_own_sockets(a, b, q);
    question_end(q);
    return 0;
}

int adapter_all_rooms(struct adapter *a, adapter_answers_fn *fn, void *arg)
{
    struct question *q;
    union question_fn f = {.answers = fn};
    int rc = question_open(&a->questions, ASK_ROOMS, f, arg, &q);
    if (rc < 0)
        return rc;
    map_each(&a->rooms.by_id, add_member, q);
    map_each(&a->rooms.by_name, add_room, q);
    question_end(q);
    return 0;
}

int adapter_server_count(struct adapter *a, adapter_count_fn *fn, void *arg)
{
    struct question *q;
    union question_fn f = {.count = fn};
    int rc = question_open(&a->questions, ASK_COUNT, f, arg, &q);
    if (rc < 0)
        return rc;
    question_end(q);
    return 0;
}

int adapter_server_emit_ack(struct adapter *a, struct str data,
                            uint32_t timeout_ms, adapter_answers_fn *fn,
                            void *arg)
{
    (void)data;
    (void)timeout_ms;
    struct question *q;
    union question_fn f = {.answers = fn};
    int rc = question_open(&a->questions, ASK_EVENT, f, arg, &q);
    if (rc < 0)
        return rc;
    question_end(q);
    return 0;
}

int adapter_broadcast_ack(struct adapter *a, const struct packet *p,
                          const struct broadcast *b, uint32_t timeout_ms,
                          const struct adapter_ask_ops *ops, void *arg)
{
    (void)p;
    (void)b;
    (void)timeout_ms;
    struct question *q;
    union question_fn f = {.ask = ops};
    int rc = question_open(&a->questions, ASK_BROADCAST, f, arg, &q);
    if (rc < 0)
        return rc;
    question_end(q);
    return 0;
}

struct adapter_open adapter_open_questions(const struct adapter *a)
{
    const struct questions *qs = &a->questions;
    return (struct adapter_open){qs->n - qs->n_broadcasts, qs->n_broadcasts};
}

/* ---- telling ------------------------------------------------------------- */

void adapter_sockets_join(struct adapter *a, const struct broadcast *b,
                          const struct room_names *rooms)
{
    (void)a;
    (void)b;
    (void)rooms;
}

void adapter_sockets_leave(struct adapter *a, const struct broadcast *b,
                           const struct room_names *rooms)
{
    (void)a;
    (void)b;
    (void)rooms;
}

void adapter_sockets_disconnect(struct adapter *a, const struct broadcast *b,
                                bool close)
{
    (void)a;
    (void)b;
    (void)close;
}

void adapter_server_emit(struct adapter *a, struct str data)
{
    (void)a;
    (void)data;
}

/* ---- answering ----------------------------------------------------------- */

/* In a cluster of one nobody asks. */
void adapter_answer(struct adapter_asked *from, struct str json,
                    struct bytes *const *bins, size_t n_bins)
{
    (void)from;
    (void)json;
    (void)bins;
    (void)n_bins;
}

void adapter_answered(struct adapter_asked *from)
{
    mem_free(from);
}

/* ---- life ---------------------------------------------------------------- */

void requests_init(struct adapter *a)
{
    questions_init(&a->questions, a->cluster->loop);
}

void requests_fini(struct adapter *a)
{
    questions_fini(&a->questions);
}
