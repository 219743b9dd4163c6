/* Broadcasts that wait for an acknowledgement of every receiver (sio.h:
 * sio_broadcast_ack). A `question` lives from its broadcast until the last
 * receiver has answered or gone, or its time is up; then the application gets
 * what came, exactly once. */
#ifndef CONFAB_SERVER_IO_ANSWERS_H
#define CONFAB_SERVER_IO_ANSWERS_H

#include "server/io/namespace.h"

struct question;

/* What an acknowledgement's first argument adds to the answers. */
void question_answered(struct question *q, const struct sio_event *answer);
/* That receiver will not answer. */
void question_missed(struct question *q);
/* Ends those of the namespace, which is about to be freed. */
void questions_end(struct sio_namespace *ns);

#endif
