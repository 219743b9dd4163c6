/* The head of another server's answer, read as far as handing it on needs:
 * where its body ends, and which lines are about the connection and not about
 * the answer. Pure.
 *
 * Strict, since the other server may be anybody's: only what a node of confab
 * sends is understood. The length of a body must be said (no chunks, no body
 * that ends with the connection), 101 is the only answer below 200, and there
 * are none without a body (204, 304). */
#ifndef CONFAB_SERVER_HTTP_ANSWER_H
#define CONFAB_SERVER_HTTP_ANSWER_H

#include "common/buf.h"
#include "common/err.h"

enum { ANSWER_HEAD_MAX = 64 * 1024, ANSWER_LINES_MAX = 128 };

struct answer {
    struct buf head; /* as far as it has come */
    unsigned status;
    uint64_t length; /* of the body */
    bool keep_alive;
};

void answer_init(struct answer *a);
void answer_fini(struct answer *a);

/* Takes what belongs to the head off the front of `*data`. 1: it is complete,
 * and `*data` what follows it; 0: more must come; ERR_PROTO or ERR_LIMIT. */
MUST_CHECK int answer_feed(struct answer *a, struct str *data);

/* Once it is complete: status line and headers as they came, each with its CR
 * LF, but for those of the connection (unless it is a 101, to which they
 * belong). The empty line is the caller's. */
void answer_lines(const struct answer *a, struct buf *out);

#endif
