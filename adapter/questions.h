/* What one namespace of this node has asked the other servers and waits for.
 *
 *     open -> (this node's part is added) -> end            nobody else is
 * there
 *       |
 *       '---> ask: count the servers -> publish -> ... -> end
 *
 * Answers do not say whose they are, so that all there is to know is how many
 * servers there were when it was asked, how many there are now (counted again
 * and again while a question stays open) and how many have answered. A question
 * ends when as many answered as were expected; or as are there now, in two
 * counts that follow each other; or at its deadline. While the others cannot be
 * reached nobody is counted: a question waits a second for that to change.
 *
 * The callback runs from the question's own timer, on a stack where nothing
 * else is under way; then the question is gone.
 *
 * Nothing is known here of Redis; time is the loop's. */
#ifndef CONFAB_ADAPTER_QUESTIONS_H
#define CONFAB_ADAPTER_QUESTIONS_H

#include "adapter/adapter.h"
#include "common/map.h"

enum {
    QUESTION_ID_LEN = 6,
    QUESTIONS_MAX = 1000,     /* open at a time */
    QUESTION_NAME_BYTES = 64, /* what a room's name takes besides its text */
    QUESTIONS_BYTES = 64 * 1024 * 1024, /* of what their answers hold so far */
};

enum question_kind {
    ASK_SOCKETS,
    ASK_ROOMS,
    ASK_COUNT,
    ASK_EVENT,
    ASK_BROADCAST,
};

union question_fn {
    adapter_answers_fn *answers;       /* ASK_SOCKETS, ASK_ROOMS, ASK_EVENT */
    adapter_count_fn *count;           /* ASK_COUNT */
    const struct adapter_ask_ops *ask; /* ASK_BROADCAST */
};

struct questions_ops {
    /* The others hear what is published now, and are heard. */
    bool (*reachable)(void *owner);
    /* Asks for the number of servers; questions_counted follows, not inside the
     * call. False: it cannot be asked for. */
    bool (*count)(void *owner);
    void (*publish)(void *owner, struct str request);
};

struct questions {
    struct loop *loop;
    const struct questions_ops *ops;
    void *owner;
    size_t answer_bytes; /* most that others may add to one answer */
    struct list open;    /* oldest first */
    struct map by_id;    /* those that wait for answers */
    struct timer tick;
    size_t n, n_broadcasts;
    size_t bytes;
    size_t last_others; /* servers besides this one when last counted */
    uint64_t counted_ms;
    bool counting, closing;
};

enum question_state {
    QUESTION_NEW,
    QUESTION_COUNTING,
    QUESTION_ASKED,
    QUESTION_ENDED, /* its callback is about to run */
};

struct question {
    struct questions *of;
    struct list link;
    struct map_node by_id;
    struct timer timer; /* its deadline, and its end */
    enum question_kind kind;
    enum question_state state;
    union question_fn fn;
    void *arg;
    char id[QUESTION_ID_LEN];
    struct bytes *request; /* until it is published; NULL: nothing to publish */
    uint64_t opened_ms;

    struct buf json;     /* the array so far, without its last bracket */
    struct map names;    /* ASK_ROOMS: those that are in it */
    size_t held;         /* bytes of both */
    size_t others_bytes; /* what the others have added */

    size_t expected;          /* other servers when it was asked */
    size_t heard;             /* of them, those that have answered */
    size_t refused;           /* answers that were too much */
    unsigned settled;         /* counts in a row that wanted no more answers */
    uint64_t receivers, acks; /* ASK_BROADCAST */
    size_t servers;           /* ASK_COUNT */
    size_t missing;
};

void questions_init(struct questions *qs, struct loop *l,
                    const struct questions_ops *ops, void *owner,
                    size_t answer_bytes);
/* Ends what is open with what it has. */
void questions_fini(struct questions *qs);
/* -1: they could not be counted. */
void questions_counted(struct questions *qs, int64_t servers);
/* NULL when no question of that id waits for answers. */
struct question *questions_find(const struct questions *qs, struct str id);

/* 0, ERR_LIMIT, or ERR_STATE while questions_fini runs. question_end,
 * question_ask or question_cancel follows in the same turn. */
MUST_CHECK int question_open(struct questions *qs, enum question_kind kind,
                             union question_fn fn, void *arg,
                             struct question **q);
static inline struct str question_id(const struct question *q)
{
    return (struct str){q->id, sizeof(q->id)};
}

/* Adds one more value of the array, as JSON text. */
void question_add(struct question *q, struct str json);
/* One more name, unless it is there already. */
void question_add_name(struct question *q, struct str name);

/* Nothing is waited for. */
void question_end(struct question *q);
/* Counts the others, and publishes the request (NULL: there is none, or that is
 * done) when there are some; takes the reference. */
void question_ask(struct question *q, struct bytes *request,
                  uint32_t timeout_ms);

/* It was not asked after all: nobody is told. */
void question_cancel(struct question *q);

/* False when an answer of `bytes`, with `names` in it, is too much, which is
 * noted as something missing. */
bool question_takes(struct question *q, size_t bytes, size_t names);
/* One more server has answered. */
void question_heard(struct question *q);
/* ASK_BROADCAST: of a server's clients one has answered. False when there can
 * be no such one. */
bool question_ack(struct question *q);
/* Ends it when nothing is missing: after question_ack. */
void question_check(struct question *q);

#endif
