#include "server/io/outbound.h"

#include "common/mem.h"
#include "server/http/websocket.h"

/* An attachment as a frame of its own. */
static struct bytes *binary_frame(struct str data)
{
    char *body;
    struct bytes *b = ws_frame_new(data.len, true, &body);
    if (data.len)
        memcpy(body, data.p, data.len);
    return b;
}

size_t outbound_encode(const struct parser_ops *parser,
                       const struct parser_out *p,
                       struct bytes *frames[OUTBOUND_FRAMES_MAX])
{
    size_t n = 0;
    frames[n] = parser->encode(p);
    if (!frames[n++])
        return 0;
    for (size_t i = 0; parser->bins_apart && i < p->n_bins; i++)
        frames[n++] = binary_frame(bytes_body(p->bins[i]));
    return n;
}

const struct packet_frames *outbound_make(struct packet *p,
                                          const struct parser_ops *parser,
                                          const struct fates *fates)
{
    struct parser_out out = {.type = (enum packet_type)p->type,
                             .ack = p->ack,
                             .nsp = p->nsp,
                             .data = p->data ? bytes_str(p->data) : STR(""),
                             .offset = packet_offset(p),
                             .bins = p->bins,
                             .n_bins = p->n_bins};
    struct bytes *frames[OUTBOUND_FRAMES_MAX];
    size_t n = outbound_encode(parser, &out, frames);
    struct packet_frames *f = mem_alloc(sizeof(*f) + n * sizeof(f->v[0]));
    f->n = (uint32_t)n;
    f->fate = fate_of(fates, &out, p->to);
    memcpy(f->v, frames, n * sizeof(f->v[0]));
    p->encoded[parser->kind] = f;
    return f;
}
