#include "common/packet.h"

#include <assert.h>

#include "common/mem.h"

struct packet *packet_new(enum packet_type type, struct str nsp, int64_t ack,
                          struct bytes *data, struct bytes *const *bins,
                          size_t n_bins)
{
    assert(n_bins <= PACKET_BINS_MAX);
    size_t tail = n_bins * sizeof(bins[0]);
    struct packet *p = mem_zalloc(sizeof(*p) + tail + nsp.len);
    p->refs = 1;
    p->type = (uint8_t)type;
    p->n_bins = (uint8_t)n_bins;
    p->ack = ack;
    p->data = data ? bytes_ref(data) : NULL;
    for (size_t i = 0; i < n_bins; i++)
        p->bins[i] = bytes_ref(bins[i]);
    char *name = (char *)&p->bins[n_bins];
    memcpy(name, nsp.p, nsp.len);
    p->nsp = (struct str){name, nsp.len};
    return p;
}

struct packet *packet_ref(struct packet *p)
{
    p->refs++;
    return p;
}

void packet_set_offset(struct packet *p, struct str offset)
{
    assert(offset.len <= PACKET_OFFSET_MAX && !p->encoded[0] && !p->encoded[1]);
    memcpy(p->offset, offset.p, offset.len);
    p->offset_len = (uint8_t)offset.len;
}

void packet_unref(struct packet *p)
{
    if (!p || --p->refs > 0)
        return;
    for (int e = 0; e < PACKET_PARSERS; e++) {
        struct packet_frames *f = p->encoded[e];
        for (uint32_t i = 0; f && i < f->n; i++)
            bytes_unref(f->v[i]);
        mem_free(f);
    }
    for (unsigned i = 0; i < p->n_bins; i++)
        bytes_unref(p->bins[i]);
    bytes_unref(p->data);
    mem_free(p);
}
