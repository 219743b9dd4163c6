#include "server/io/outbound.h"

#include "common/mem.h"
#include "server/http/websocket.h"
#include "server/io/parser.h"

struct bytes *outbound_binary(struct str data)
{
    char *body;
    struct bytes *b = ws_frame_new(data.len, true, &body);
    if (data.len)
        memcpy(body, data.p, data.len);
    return b;
}

const struct packet_frames *outbound_frames(struct packet *p,
                                            enum outbound_parser parser)
{
    if (p->encoded[parser])
        return p->encoded[parser];
    size_t n = 1 + (size_t)p->n_bins;
    struct packet_frames *f = mem_alloc(sizeof(*f) + n * sizeof(f->v[0]));
    f->n = (uint32_t)n;
    f->v[0] = parser_encode((enum packet_type)p->type, p->nsp, p->ack,
                            p->data ? bytes_str(p->data) : STR(""), p->n_bins);
    for (unsigned i = 0; i < p->n_bins; i++)
        f->v[1 + i] = outbound_binary(bytes_body(p->bins[i]));
    p->encoded[parser] = f;
    return f;
}
