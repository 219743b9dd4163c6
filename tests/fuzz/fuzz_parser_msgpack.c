/* Socket.IO packets as MessagePack: whatever comes in, what is accepted is
 * bounded, and what the server would write of it decodes to the same. */
#include <assert.h>

#include "common/mem.h"
#include "server/io/parser_msgpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct parser_limits limits = {{24, 10000}, 256};

static void same(const struct parser_in *a, const struct parser_in *b)
{
    assert(a->head.type == b->head.type && a->head.ack == b->head.ack);
    assert(a->head.has_payload == b->head.has_payload);
    assert(a->head.n_bins == b->head.n_bins && a->bins.n == b->bins.n);
    assert(str_eq(a->head.nsp, b->head.nsp));
    if (a->head.has_payload && a->head.type != PACKET_CONNECT)
        assert(str_eq(a->head.payload, b->head.payload));
    for (size_t i = 0; i < a->bins.n; i++)
        assert(str_eq(bytes_body(a->bins.v[i]), bytes_body(b->bins.v[i])));
}

/* CONNECT gets one key more on its way out, which is absent on its way in as
 * JSON: null. */
static void again(const struct parser_in *in)
{
    const struct packet_head *h = &in->head;
    struct parser_out out = {.type = h->type,
                             .ack = h->ack,
                             .nsp = h->nsp,
                             .data = h->has_payload ? h->payload : STR(""),
                             .bins = in->bins.v,
                             .n_bins = in->bins.n};
    struct bytes *frame = parser_msgpack.encode(&out);
    struct parser_limits wider = limits;
    struct parser_in back = {0};
    struct json tape;
    json_init(&tape);
    wider.json.nodes += 2;
    assert(frame && frame->binary);
    int rc = parser_msgpack.binary(bytes_body(frame), &wider, &tape, &back);
    assert(rc == 0);
    same(in, &back);
    parser_in_fini(&back);
    json_fini(&tape);
    bytes_unref(frame);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* An exact copy, so that reading past the end is seen. */
    char *copy = mem_strndup((const char *)data, size);
    struct parser_in in = {0};
    struct json tape;
    json_init(&tape);
    if (parser_msgpack.binary((struct str){copy, size}, &limits, &tape, &in) ==
        0) {
        assert(in.head.n_bins == in.bins.n);
        assert(in.bins.n <= PACKET_BINS_MAX);
        assert(in.head.ack >= PACKET_NO_ACK && in.head.ack <= PARSER_ACK_MAX);
        assert(!in.head.has_payload || tape.n <= limits.json.nodes);
        again(&in);
    }
    parser_in_fini(&in);
    json_fini(&tape);
    mem_free(copy);
    return 0;
}
