#include "server/ctl/frames.h"

#include "common/utf8.h"

enum { HEAD_MAX = 10, CONTROL_MAX = 125, FIN = 0x80, RESERVED = 0x70 };

void ctl_frames_init(struct ctl_frames *f, size_t max)
{
    *f = (struct ctl_frames){0};
    buf_init(&f->in, max + HEAD_MAX);
    buf_init(&f->message, max);
}

void ctl_frames_fini(struct ctl_frames *f)
{
    buf_fini(&f->in);
    buf_fini(&f->message);
}

struct frame_head {
    enum ctl_opcode opcode;
    bool fin;
    size_t head; /* bytes of it */
    uint64_t len;
};

static uint64_t big_endian(const char *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

/* 1, 0 when it is not whole, or ERR_PROTO. */
static int read_head(struct str in, struct frame_head *h)
{
    if (in.len < 2)
        return 0;
    unsigned first = (unsigned char)in.p[0], second = (unsigned char)in.p[1];
    if (first & RESERVED || second & 0x80)
        return ERR_PROTO;
    h->fin = first & FIN;
    h->opcode = (enum ctl_opcode)(first & 0x0f);
    h->len = second & 0x7f;
    size_t more = h->len == 126 ? 2 : h->len == 127 ? 8 : 0;
    h->head = 2 + more;
    if (in.len < h->head)
        return 0;
    if (more)
        h->len = big_endian(in.p + 2, more);
    return 1;
}

static int check_head(const struct ctl_frames *f, const struct frame_head *h)
{
    switch (h->opcode) {
    case FRAME_CLOSE:
    case FRAME_PING:
    case FRAME_PONG:
        return h->fin && h->len <= CONTROL_MAX ? 0 : ERR_PROTO;
    case FRAME_TEXT:
    case FRAME_BINARY:
        if (f->fragments > 0)
            return ERR_PROTO;
        break;
    case FRAME_CONTINUATION:
        if (f->fragments == 0)
            return ERR_PROTO;
        break;
    default:
        return ERR_PROTO;
    }
    bool fits = h->len <= f->message.max - f->message.len;
    return fits && f->fragments < CTL_FRAGMENTS_MAX ? 0 : ERR_LIMIT;
}

/* 1 when it completes something. */
static int add_frame(struct ctl_frames *f, const struct frame_head *h,
                     struct str body, struct ctl_frame *out)
{
    if (h->opcode >= FRAME_CLOSE) {
        *out = (struct ctl_frame){h->opcode, body};
        return 1;
    }
    if (h->opcode != FRAME_CONTINUATION)
        f->opcode = h->opcode;
    f->fragments++;
    if (f->fragments > 1 || !h->fin) {
        buf_add(&f->message, body);
        body = buf_str(&f->message);
    }
    if (!h->fin)
        return 0;
    f->fragments = 0;
    f->returned = true;
    *out = (struct ctl_frame){f->opcode, body};
    return f->opcode == FRAME_BINARY || utf8_valid(body) ? 1 : ERR_PROTO;
}

/* Gathers what a frame needs; 1 when `*frame` is whole. */
static int gather(struct ctl_frames *f, struct str *data, struct frame_head *h,
                  struct str *frame)
{
    for (;;) {
        struct str have = f->in.len > 0 ? buf_str(&f->in) : *data;
        int rc = read_head(have, h);
        int wrong = rc > 0 ? check_head(f, h) : rc;
        if (wrong < 0)
            return wrong;
        size_t need = rc ? h->head + (size_t)h->len : have.len + 1;
        if (rc && have.len >= need) {
            *frame = (struct str){have.p, need};
            f->spent = f->in.len > 0;
            if (!f->spent)
                *data = str_from(*data, need);
            return 1;
        }
        if (data->len == 0)
            return 0;
        size_t n = need - f->in.len;
        if (n > data->len)
            n = data->len;
        buf_add(&f->in, (struct str){data->p, n});
        *data = str_from(*data, n);
    }
}

int ctl_frames_take(struct ctl_frames *f, struct str *data,
                    struct ctl_frame *out)
{
    struct frame_head h = {0};
    struct str frame;
    if (f->returned) {
        buf_clear(&f->message);
        f->returned = false;
    }
    for (;;) {
        if (f->spent)
            buf_clear(&f->in);
        f->spent = false;
        int rc = gather(f, data, &h, &frame);
        if (rc > 0)
            rc = add_frame(f, &h, str_from(frame, h.head), out);
        else if (rc == 0)
            return 0;
        if (rc != 0)
            return rc;
    }
}

void ctl_frame_write(struct buf *out, enum ctl_opcode opcode, struct str body,
                     const unsigned char mask[4])
{
    buf_addc(out, (char)(FIN | opcode));
    size_t more = body.len < 126 ? 0 : body.len <= UINT16_MAX ? 2 : 8;
    buf_addc(out, (char)(0x80 | (more == 0   ? body.len
                                 : more == 2 ? 126
                                             : 127)));
    for (size_t i = more; i-- > 0;)
        buf_addc(out, (char)((uint64_t)body.len >> (8 * i)));
    buf_add(out, (struct str){(const char *)mask, 4});
    char *p = buf_space(out, body.len);
    if (!p)
        return;
    for (size_t i = 0; i < body.len; i++)
        p[i] = (char)(body.p[i] ^ (char)mask[i & 3]);
    buf_commit(out, body.len);
}
