/* Broadcasts that wait for an acknowledgement of every receiver (sio.h:
 * sio_broadcast_ack). A `question` lives from its broadcast until the last
 * receiver has answered or gone, or its time is up. The application gets what
 * came until then, exactly once; another server that asks gets each answer when
 * it comes. */
#ifndef CONFAB_SERVER_IO_ANSWERS_H
#define CONFAB_SERVER_IO_ANSWERS_H

#include "server/io/namespace.h"

struct question;

/* What an acknowledgement's first argument adds to the answers. */
void question_answered(struct question *q, const struct sio_event *answer);
/* That receiver will not answer. */
void question_missed(struct question *q);
/* Asks this node's receivers for another server (adapter_host.broadcast_ack);
 * returns how many there are. */
size_t question_of_server(struct sio_namespace *ns, const struct packet *p,
                          const struct broadcast *to, uint32_t timeout_ms,
                          struct adapter_asked *from);
/* Ends those of the namespace, which is about to be freed, except that what
 * other servers have been asked ends with the adapter. */
void questions_end(struct sio_namespace *ns);

/* What is given to the application in the end. */
struct answers {
    struct str json; /* an array, with placeholders for `bins` */
    size_t n;        /* whose answers they are; when they are too many values
                        together, these are missing, too */
    size_t missing;
    struct bytes *const *bins;
    uint32_t n_bins;
};
void answers_give(struct sio_namespace *ns, const struct answers *a,
                  sio_answers_fn *fn, void *arg);

#endif
