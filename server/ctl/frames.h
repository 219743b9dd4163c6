/* WebSocket frames as a client reads and writes them (RFC 6455): it masks what
 * it sends, and what it gets must not be masked. Pure. No extension is ever
 * offered, so that reserved bits are errors. */
#ifndef CONFAB_SERVER_CTL_FRAMES_H
#define CONFAB_SERVER_CTL_FRAMES_H

#include "common/buf.h"
#include "common/err.h"

enum ctl_opcode {
    FRAME_CONTINUATION = 0,
    FRAME_TEXT = 1,
    FRAME_BINARY = 2,
    FRAME_CLOSE = 8,
    FRAME_PING = 9,
    FRAME_PONG = 10,
};

enum { CTL_FRAGMENTS_MAX = 4096 };

struct ctl_frames {
    struct buf in;      /* a frame that is not whole yet */
    struct buf message; /* fragments so far */
    enum ctl_opcode opcode;
    unsigned fragments;   /* of the message; 0: none is under way */
    bool returned, spent; /* `message`, and what is in `in`, was handed out */
};

/* A whole message, or a control frame. */
struct ctl_frame {
    enum ctl_opcode opcode;
    struct str data;
};

/* Messages of more than `max` bytes are refused. */
void ctl_frames_init(struct ctl_frames *f, size_t max);
void ctl_frames_fini(struct ctl_frames *f);
/* Takes bytes off the front of `*data`. 1: `*out` is the next one, borrowed
 * until the next call; 0: `*data` is used up; ERR_PROTO or ERR_LIMIT. Text is
 * valid UTF-8. */
MUST_CHECK int ctl_frames_take(struct ctl_frames *f, struct str *data,
                               struct ctl_frame *out);

/* Appends a masked frame. */
void ctl_frame_write(struct buf *out, enum ctl_opcode opcode, struct str body,
                     const unsigned char mask[4]);

#endif
