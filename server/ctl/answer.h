/* HTTP/1.1 responses as a client reads them (RFC 9112): bytes in, one answer
 * after the other out. Pure, and strict about what would make the end of an
 * answer doubtful: the server is not trusted.
 *
 * Interim answers (100 to 199 but 101) are skipped. After 101 the connection
 * speaks another protocol: what follows the head is left to the caller. */
#ifndef CONFAB_SERVER_CTL_ANSWER_H
#define CONFAB_SERVER_CTL_ANSWER_H

#include "common/buf.h"
#include "common/err.h"

enum { CTL_HEAD_MAX = 32 * 1024, CTL_INTERIM_MAX = 16 };

struct ctl_answer {
    unsigned status;
    bool keep;       /* the connection can be used again */
    struct str head; /* status line and header lines, each with CR LF */
    struct str body;
};

enum ctl_answer_state {
    ANSWER_HEAD,
    ANSWER_BODY,    /* so many bytes */
    ANSWER_TO_END,  /* until the connection ends */
    ANSWER_SIZE,    /* of a chunk */
    ANSWER_CHUNK,   /* its bytes */
    ANSWER_CRLF,    /* behind it */
    ANSWER_TRAILER, /* lines behind the last one */
    ANSWER_DONE,
};

struct ctl_answer_reader {
    struct buf head, body, line;
    enum ctl_answer_state state;
    uint64_t left;
    unsigned interim;
    bool no_body; /* it answers a HEAD */
    struct ctl_answer answer;
};

/* A body of more than `max_body` bytes is refused. */
void ctl_answer_init(struct ctl_answer_reader *r, size_t max_body);
void ctl_answer_fini(struct ctl_answer_reader *r);
/* For the next answer. */
void ctl_answer_reset(struct ctl_answer_reader *r, bool no_body);

/* Takes what belongs to the answer off the front of `*data`. 1: `r->answer` is
 * whole, and stays until the reset; 0: there is more to come; ERR_PROTO or
 * ERR_LIMIT. */
MUST_CHECK int ctl_answer_take(struct ctl_answer_reader *r, struct str *data);
/* The connection has ended: 1 when that is the answer's end, else ERR_PROTO. */
MUST_CHECK int ctl_answer_end(struct ctl_answer_reader *r);
/* Something of an answer has come. */
bool ctl_answer_begun(const struct ctl_answer_reader *r);

/* First header of that name (any case), without blanks around it. */
bool ctl_answer_header(const struct ctl_answer *a, struct str name,
                       struct str *out);

#endif
