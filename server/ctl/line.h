/* One line of `confabctl emit --lines`: a JSON object that is an event and whom
 * it is for.
 *
 *     {"event":"news","args":[1,"two"],"to":["room",7],"except":"me",
 *      "namespace":"/","volatile":true,"compress":false}
 *
 * Only the event must be there. A room is a string or a whole number; a single
 * one may stand for a list of one. Keys that are not known, or come twice, are
 * refused rather than passed over. */
#ifndef CONFAB_SERVER_CTL_LINE_H
#define CONFAB_SERVER_CTL_LINE_H

#include "common/json.h"
#include "server/sio_emitter.h"

enum { CTL_LINE_MAX = 16 * 1024 * 1024, CTL_LINE_ERROR_MAX = 256 };

/* Its strings belong to the reader, or to the line; they stay until the next
 * one is read. */
struct ctl_line {
    const char *event;
    struct sio_str args; /* JSON values with commas between them */
    struct sio_emission to;
};

struct ctl_line_reader {
    struct sio_emitter *emitter; /* of every line; may be NULL for tests */
    struct json tape;
    struct buf names; /* strings without their escapes */
    char error[CTL_LINE_ERROR_MAX];
};

void ctl_line_reader_init(struct ctl_line_reader *r,
                          struct sio_emitter *emitter);
void ctl_line_reader_fini(struct ctl_line_reader *r);

/* 0, or ERR_PROTO with a sentence in `error`. */
MUST_CHECK int ctl_line_read(struct ctl_line_reader *r, struct str text,
                             struct ctl_line *out);

#endif
