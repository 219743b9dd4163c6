/* What one namespace of this node has asked the other servers and waits for.
 *
 * A question is opened, gets this node's part of the answer from whoever opened
 * it, and ends exactly once: its callback runs from a timer of its own, on a
 * stack where nothing else is under way, and then it is gone. */
#ifndef CONFAB_ADAPTER_QUESTIONS_H
#define CONFAB_ADAPTER_QUESTIONS_H

#include "adapter/adapter.h"

enum {
    QUESTIONS_MAX = 1000,               /* open at a time */
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

struct questions {
    struct loop *loop;
    struct list open; /* oldest first */
    size_t n, n_broadcasts;
    size_t bytes;
    bool closing;
};

struct question {
    struct questions *of;
    struct list link;
    struct timer timer; /* its end */
    enum question_kind kind;
    union question_fn fn;
    void *arg;
    struct buf json;  /* the array so far, without its last bracket */
    struct map names; /* ASK_ROOMS: those that are in it */
    size_t servers;   /* of the answer, this one included */
    size_t missing;
};

void questions_init(struct questions *qs, struct loop *l);
/* Ends what is open with what it has. */
void questions_fini(struct questions *qs);

/* 0, ERR_LIMIT, or ERR_STATE while questions_fini runs. */
MUST_CHECK int question_open(struct questions *qs, enum question_kind kind,
                             union question_fn fn, void *arg,
                             struct question **q);
/* One more value of the array, as JSON text. */
void question_add(struct question *q, struct str json);
/* One more name, unless it is there already. */
void question_add_name(struct question *q, struct str name);
/* Nothing more is waited for. */
void question_end(struct question *q);

#endif
