/* Joins whose caller wants to know when messages of other nodes arrive: they
 * wait for the room's subscription, and are then told in a turn of their own.
 * Those of a member that has gone meanwhile fail, and so do those that have
 * waited for JOINS_WAIT_MS: a Redis that does not answer is no reason for a
 * client not to get its answer. */
#ifndef CONFAB_ADAPTER_JOINS_H
#define CONFAB_ADAPTER_JOINS_H

#include "adapter/interest.h"
#include "adapter/rooms.h"

enum { JOINS_WAIT_MS = 2000 };

struct joins {
    struct loop *loop;
    struct list waiting, ready;
    struct list told; /* too late; their subscriptions have no answer yet */
    struct timer timer, late;
};

/* rc: 0 or ERR_STATE. */
typedef void joins_fn(void *arg, int rc);

void joins_init(struct joins *js, struct loop *l);
/* Tells everyone who waits, now, that it has failed. */
void joins_end(struct joins *js);
/* None may be waiting for a subscription any more. */
void joins_fini(struct joins *js);

/* `fn` is called exactly once, in a later turn than joins_settle, which has to
 * follow; the wait calls that, too. */
struct join *joins_add(struct joins *js, struct member *m, joins_fn *fn,
                       void *arg);
struct interest_wait *joins_wait(struct join *j);
void joins_settle(struct join *j, int rc);
/* Instead: nobody wants to know. */
void joins_drop(struct join *j);
/* The member is about to go. */
void joins_forget(struct member *m);

#endif
