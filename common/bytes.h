/* Immutable reference-counted bytes: what is encoded once and shared by all
 * receivers.
 *
 * An outgoing message carries its WebSocket frame header in front, so that one
 * object serves both transports: a WebSocket sends all of it, a polling
 * response sends bytes_body(), which starts behind the `head` bytes. A frame
 * may also carry variants of itself, made when the first connection asks for
 * one: compressed (websocket.c), or with a type byte (session.c). */
#ifndef CONFAB_COMMON_BYTES_H
#define CONFAB_COMMON_BYTES_H

#include <assert.h>

#include "common/str.h"

struct bytes {
    struct bytes *deflated, *typed; /* NULL until made; owned */
    uint32_t refs;
    uint32_t len;   /* all bytes at p, header included */
    uint32_t held;  /* places in queues of peers that do not keep up */
    uint8_t head;   /* leading bytes that are transport framing */
    uint8_t binary; /* the body is a binary message, not text */
    uint8_t dense;  /* compressing was tried and does not make it shorter */
    char p[];
};

/* A copy of `s` with one reference and no head. */
struct bytes *bytes_new(struct str s);
static inline struct bytes *bytes_ref(struct bytes *b)
{
    assert(b->refs > 0 && b->refs < UINT32_MAX);
    b->refs++;
    return b;
}
/* What the last bytes_unref does. */
void bytes_free(struct bytes *b);
/* NULL is allowed. */
static inline void bytes_unref(struct bytes *b)
{
    if (!b)
        return;
    assert(b->refs > 0);
    if (--b->refs == 0)
        bytes_free(b);
}

/* What waits for peers that do not keep up is counted for the whole process: a
 * buffer once, however many queues it is in, and each place in a queue. */
void bytes_hold(struct bytes *b);
void bytes_release(struct bytes *b);
/* Memory of all that is held. */
size_t bytes_held(void);

static inline struct str bytes_str(const struct bytes *b)
{
    return (struct str){b->p, b->len};
}

static inline struct str bytes_body(const struct bytes *b)
{
    return (struct str){b->p + b->head, b->len - b->head};
}

#endif
