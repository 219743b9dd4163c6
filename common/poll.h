/* Which of many descriptors are ready: an epoll set of our own, in which a
 * descriptor costs the process nothing but what the owner keeps of it (libevent
 * holds 200 bytes for each). libevent watches the set as one descriptor, so
 * that its handlers run in the loop's turn.
 *
 * One call of `fn` per ready descriptor and turn. What it is told may be out of
 * date: handlers before it in the same turn may have taken the descriptor out,
 * so the memory behind `arg` must live until the end of the turn. */
#ifndef CONFAB_COMMON_POLL_H
#define CONFAB_COMMON_POLL_H

struct event_base;
struct poll;

/* A failed or closed connection counts as ready for both. */
enum { POLL_READ = 1, POLL_WRITE = 2 };

typedef void poll_fn(void *arg, unsigned ready);

struct poll *poll_new(struct event_base *base, poll_fn *fn);
/* NULL is allowed. */
void poll_free(struct poll *p);
/* Goes from waiting for `had` to waiting for `want` (0: for nothing; it must be
 * so before the descriptor is closed). The caller keeps what it has asked for.
 */
void poll_change(struct poll *p, int fd, unsigned had, unsigned want,
                 void *arg);

#endif
