/* The events of the last minutes, for clients that come back: what was sent, to
 * whom, in which order. Without clock: time (milliseconds) is an argument.
 *
 *     log     all events, oldest first, and the bounds
 *     nsp     a namespace's part: its events by offset, in a ring
 *
 * Each event gets the next offset of the log and carries it as text, by which
 * the client names the last event it has seen. Offsets begin with the time of
 * the process's start in microseconds, so that those of an earlier process lie
 * below; as text they sort as the numbers do.
 *
 * The bounds are of the process, not of a namespace: clients may cause
 * namespaces to exist, and memory is one. A busy namespace can thus shorten
 * what a quiet one remembers. What is dropped is noticed: `dropped` is the last
 * of the namespace, and a gap that reaches below it cannot be filled. */
#ifndef CONFAB_ADAPTER_PACKET_LOG_H
#define CONFAB_ADAPTER_PACKET_LOG_H

#include "adapter/adapter.h"
#include "common/list.h"

struct packet_log_limits {
    uint32_t age_ms;
    uint32_t packets;
    size_t bytes; /* of events with their frames and names */
};

struct packet_log {
    struct packet_log_limits limits;
    struct list all; /* of logged, oldest first */
    uint64_t offset; /* the last that was given */
    size_t n, bytes;
};

struct logged;

struct packet_log_nsp {
    struct packet_log *log;
    struct logged **ring;
    uint32_t first, n, cap; /* cap: a power of two */
    uint64_t dropped;
};

void packet_log_init(struct packet_log *l, const struct packet_log_limits *lim,
                     uint64_t first_offset);
/* All namespaces must be gone. */
void packet_log_fini(struct packet_log *l);
void packet_log_nsp_init(struct packet_log_nsp *ns, struct packet_log *l);
/* Forgets its events. */
void packet_log_nsp_fini(struct packet_log_nsp *ns);

/* Keeps the packet and gives it its offset, which is returned as a number,
 * too. Its frames must not have been made yet. */
uint64_t packet_log_add(struct packet_log_nsp *ns, uint64_t now_ms,
                        struct packet *p, const struct broadcast *b);
/* Drops what is too old. */
void packet_log_expire(struct packet_log *l, uint64_t now_ms);

/* The number of an offset's text; 0 when it is none. */
uint64_t packet_log_offset(struct str text);
bool packet_log_has(const struct packet_log_nsp *ns, uint64_t offset);

/* Calls `each` for the events after `offset` that were for a member of these
 * rooms, its own among them, in order. */
void packet_log_after(const struct packet_log_nsp *ns, uint64_t offset,
                      const struct str *rooms, size_t n_rooms,
                      void (*each)(void *arg, uint64_t offset,
                                   struct packet *p),
                      void *arg);

#endif
