/* Socket.IO text packets and Engine.IO polling payloads: whatever comes in,
 * what is accepted is bounded, and encoding it again decodes to the same. */
#include <assert.h>

#include "common/mem.h"
#include "server/engine/eio_packet.h"
#include "server/io/parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct parser_limits limits = {{24, 10000}, 256};

static void once(struct str text)
{
    struct json tape, again;
    struct packet_head h, h2;
    json_init(&tape);
    json_init(&again);
    if (parser_decode(text, &limits, &tape, &h) == 0) {
        assert(h.n_bins <= PACKET_BINS_MAX);
        struct parser_out out = {.type = h.type,
                                 .ack = h.ack,
                                 .nsp = h.nsp,
                                 .data = h.payload,
                                 .n_bins = h.n_bins};
        struct bytes *b = parser_encode(&out);
        int rc =
            parser_decode(str_from(bytes_body(b), 1), &limits, &again, &h2);
        assert(rc == 0);
        assert(h2.type == h.type && h2.ack == h.ack && h2.n_bins == h.n_bins);
        assert(str_eq(h2.nsp, h.nsp) && str_eq(h2.payload, h.payload));
        bytes_unref(b);
    }
    json_fini(&tape);
    json_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* An exact copy, so that reading past the end is seen. */
    char *copy = mem_strndup((const char *)data, size);
    struct str body = {copy, size}, packet;
    struct buf scratch;
    buf_init(&scratch, 1 << 20);
    while (str_next(&body, EIO_SEPARATOR, &packet)) {
        struct eio_packet p;
        if (eio_decode(packet, &scratch, &p) == 0 && p.type == EIO_MESSAGE &&
            !p.binary)
            once(p.data);
    }
    buf_fini(&scratch);
    mem_free(copy);
    return 0;
}
