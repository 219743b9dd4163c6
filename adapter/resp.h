/* What Redis sends (RESP2), taken apart where it was read: no tree, no copy,
 * and nothing allocated but for the beginning of a reply whose end has not come
 * yet. Other versions of the protocol are refused.
 *
 *     resp_feed(&r, data);
 *     while ((rc = resp_next(&r, &reply)) > 0)
 *         ...
 *
 * Bounds: of lines, arrays and nesting those below; of a reply that is not
 * complete `max_bytes`. One that has come completely with the last piece may be
 * larger by that piece. A reply in single bytes costs no more than one at
 * once. */
#ifndef CONFAB_ADAPTER_RESP_H
#define CONFAB_ADAPTER_RESP_H

#include "common/buf.h"
#include "common/err.h"

enum {
    RESP_LINE_MAX = 16 * 1024, /* bytes of what is no bulk */
    RESP_ELEMENTS_MAX = 1024,  /* of one array */
    RESP_DEPTH_MAX = 7,        /* arrays in arrays */
};

enum redis_reply_type {
    REPLY_NIL,
    REPLY_TEXT,
    REPLY_INTEGER,
    REPLY_ARRAY,
    REPLY_ERROR,
};

/* Arrays show their first REDIS_ITEMS_MAX elements; arrays in arrays none. */
enum { REDIS_ITEMS_MAX = 8 };

struct redis_reply {
    enum redis_reply_type type;
    int64_t integer;
    struct str text; /* of texts and errors; of others it is empty */
    const struct redis_reply *items;
    size_t n;
};

struct resp {
    size_t max_bytes;
    const char *why; /* what is wrong, in words */
    struct str in;   /* from the beginning of the reply that is being read */
    size_t at;       /* where its next element begins */
    struct buf kept; /* in use: `in` lies there */
    uint32_t left[RESP_DEPTH_MAX]; /* elements to come of the open arrays */
    uint32_t depth;                /* of these */
    /* Texts are known by their places, since what is kept moves. */
    struct redis_reply head, items[REDIS_ITEMS_MAX];
    size_t head_at, items_at[REDIS_ITEMS_MAX];
    size_t n;
};

void resp_init(struct resp *r, size_t max_bytes);
void resp_fini(struct resp *r);

/* More bytes, borrowed until resp_next has returned 0. */
void resp_feed(struct resp *r, struct str data);
/* 1: `*out` is the next reply, which stays until the next call of any of these
 * functions. 0: there is none, and what there is of it is kept. ERR_PROTO or
 * ERR_LIMIT: the connection is of no more use, `why` says what for. */
MUST_CHECK int resp_next(struct resp *r, struct redis_reply *out);

/* The command PUBLISH, with one reference. */
struct bytes *resp_publish(struct str channel, struct str payload);

#endif
