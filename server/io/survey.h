/* What all servers of the cluster are asked (sio.h: "the other servers"). A
 * `survey` stands between the adapter and the function that the application
 * wants called; while it is open, its namespace stays. */
#ifndef CONFAB_SERVER_IO_SURVEY_H
#define CONFAB_SERVER_IO_SURVEY_H

#include "server/io/namespace.h"

struct survey;

/* The adapter takes 0 for no deadline of the caller's. */
static inline uint32_t survey_ms(uint32_t timeout_ms)
{
    return timeout_ms ? timeout_ms : 1;
}

/* 0, or SIO_ERR_STATE: nobody can be asked in that namespace. */
int survey_check(const struct sio_namespace *ns);
struct survey *survey_new(struct sio_namespace *ns, sio_answers_fn *fn,
                          void *arg);
/* Follows the question, with what the adapter said to it: when it could not be
 * asked, the survey ends. Returns that as an error of sio.h. */
int survey_asked(struct survey *s, int rc);
/* The answers are here (adapter_answers_fn): the application gets them, and it
 * ends. */
void survey_end(void *survey, struct str json, size_t missing);

#endif
