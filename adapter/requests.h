/* The requests and responses of one namespace: the inside of the operations on
 * the whole cluster that adapter.h declares.
 *
 *     adapter_fetch_sockets    questions      P-request#N#
 *     adapter_...         ---> (.c, .h)  ---------------------> the others
 *                                 ^        P-response#N#[U#]        |
 *                                 '---------------------------------'
 *     host.sockets_describe     answers       P-request#N#
 *     host...             <---- (.c, .h) <--------------------- the others
 *                         ---------------->  P-response#N#[U#]
 *
 * Whoever asks has done this node's part at once: a local effect never waits
 * for Redis, and what comes back of our own requests is skipped. */
#ifndef CONFAB_ADAPTER_REQUESTS_H
#define CONFAB_ADAPTER_REQUESTS_H

#include "adapter/questions.h"

struct redis_count;

/* An exact channel of a namespace, and who gets what is published there. */
struct request_channel {
    struct map_node by_name; /* in cluster.by_channel */
    struct buf name;
    void (*receive)(struct adapter *a, struct str channel, struct str payload);
    struct adapter *adapter;
};

static inline struct str request_channel_key(const struct map_node *n)
{
    return buf_str(
        &const_container_of(n, struct request_channel, by_name)->name);
}

struct requests {
    struct questions questions;
    struct request_channel requests, responses, own_responses;
    struct redis_count *count; /* NULL: none is under way */
    struct list asked;         /* by others, oldest first: answers.c */
    size_t n_asked;
};

/* The adapter has its name and its uid, and subscribes what is broadcast
 * before: whoever is counted by its requests hears broadcasts. */
void requests_init(struct adapter *a);
/* Ends the questions that are open. */
void requests_fini(struct adapter *a);

/* Publishes what was written, or notes the loss when it was not (rc < 0) or was
 * too much. */
void requests_publish(struct adapter *a, struct str channel, struct buf *out,
                      int rc);

#endif
