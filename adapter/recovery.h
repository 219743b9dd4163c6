/* Connection state recovery: sessions of members whose connection was lost, and
 * the events they have missed (packet_log.h). One process alone; Redis carries
 * nothing of it. Without clock: time (milliseconds) is an argument.
 *
 *     begin --> live --leave--> leaving --save--> saved --expire--> (gone)
 *                 ^                 \--drop--> (gone)  |
 *                 |                                    |find, resume
 *                 +------welcome------- coming back <--+
 *
 * A session is found by its pid, a secret of the client's and the server's. It
 * is one object all its life, so that a pid leads also to a member that is
 * still there: the client has come back before this side knew that its
 * connection was dead. Whoever resumes a session has it alone.
 *
 * What a client has missed: it tells the offset of the last event it has seen.
 * When that is the last that was sent to it, or none was, it has missed what
 * came after it left; else what came after that offset, which must be in the
 * log. All of it must be there and within missed_bytes, or there is no
 * recovery: never a part.
 *
 * Namespaces are known by name and outlive their adapter as long as they have
 * sessions: a dynamic one may go with its last member and be made again. */
#ifndef CONFAB_ADAPTER_RECOVERY_H
#define CONFAB_ADAPTER_RECOVERY_H

#include "adapter/packet_log.h"
#include "common/id.h"

struct recovery_settings {
    uint32_t max_disconnection_ms;
    uint32_t packets;      /* in the log */
    uint32_t bytes;        /* of the log */
    uint32_t saved_bytes;  /* of saved sessions; the oldest give way */
    uint32_t missed_bytes; /* sent at one recovery */
};

struct recovery;
struct recovery_nsp;

struct recovery_session {
    struct map_node by_pid;
    struct list of_saved;
    struct recovery_nsp *nsp;
    struct member *member; /* NULL while saved */
    uint64_t
        since;     /* the log's offset when it was welcomed first; 0: not yet */
    uint64_t last; /* offset of the last event sent to it; 0: none */
    uint64_t left; /* the log's offset when it left; 0: it has not */
    uint64_t from; /* coming back: what it has missed comes after it */
    uint64_t seen; /* coming back: the client's offset, if it had any */
    uint64_t saved_ms;
    size_t cost;
    struct bytes *data; /* the application's, while saved; may be NULL */
    struct str *rooms;  /* while not live: its own first */
    uint32_t n_rooms;
    char pid[ID_LEN], id[ID_LEN];
};

/* `now_us` is the time since the epoch. */
struct recovery *recovery_new(const struct recovery_settings *s,
                              uint64_t now_us);
/* All namespaces must have been closed. NULL is allowed. */
void recovery_free(struct recovery *r);
/* Forgets sessions and events that are too old. */
void recovery_expire(struct recovery *r, uint64_t now_ms);
/* Sets the gauges. */
void recovery_metrics(const struct recovery *r);

/* The namespace's adapter is there; has gone. */
struct recovery_nsp *recovery_open(struct recovery *r, struct str name);
void recovery_close(struct recovery_nsp *ns);

/* Keeps an event and gives it its offset, which is returned as a number, too.
 */
uint64_t recovery_record(struct recovery_nsp *ns, uint64_t now_ms,
                         struct packet *p, const struct broadcast *b);

/* ---- the life of a session ----------------------------------------------- */

/* A new member (of ID_LEN characters) gets a session. */
void recovery_begin(struct recovery_nsp *ns, struct member *m);
/* An event was sent to it. */
static inline void recovery_sent(struct recovery_session *s, uint64_t offset)
{
    s->last = offset;
}
/* Its connection has ended; whether it will be saved is decided later. */
void recovery_leave(struct recovery_session *s);
/* Takes the session off the member, which is still in its rooms. */
struct recovery_session *recovery_detach(struct member *m);
/* Keeps what was detached, until it is too old. `data` may be NULL. */
void recovery_save(struct recovery_session *s, uint64_t now_ms,
                   struct bytes *data);
void recovery_drop(struct recovery_session *s);

/* ---- coming back --------------------------------------------------------- */

enum recovery_result {
    RECOVERY_FOUND,
    RECOVERY_LIVE, /* its member is still there: end that, and ask again */
    RECOVERY_UNKNOWN_PID,
    RECOVERY_UNKNOWN_OFFSET,
    RECOVERY_EXPIRED,
    RECOVERY_TRIMMED,  /* some of what was missed is not in the log any more */
    RECOVERY_TOO_MUCH, /* more than missed_bytes */
};

/* `offset` may be empty. With FOUND or LIVE the session is in `*out`. */
enum recovery_result recovery_find(struct recovery_nsp *ns, struct str pid,
                                   struct str offset, uint64_t now_ms,
                                   struct recovery_session **out);
/* A new member, of the session's id, takes the session that was found. The
 * caller lets it join the rooms. Returns the data, with a reference, or NULL.
 */
struct bytes *recovery_resume(struct recovery_session *s, struct member *m);
/* The member is connected now. `each` is called before that for what a session
 * that comes back has missed; false, and nothing was called, when that is not
 * all there any more. */
bool recovery_welcome(struct recovery_session *s,
                      void (*each)(void *arg, struct packet *p), void *arg);

#endif
