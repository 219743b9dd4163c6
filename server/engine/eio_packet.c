#include "server/engine/eio_packet.h"

#include "common/base64.h"

int eio_decode_text(struct str text, struct eio_packet *out)
{
    if (text.len == 0 || text.p[0] < '0' || text.p[0] > '6')
        return ERR_PROTO;
    *out = (struct eio_packet){(enum eio_type)(text.p[0] - '0'), false,
                               str_from(text, 1)};
    return 0;
}

static void decode_binary(struct str data, struct eio_packet *out)
{
    *out = (struct eio_packet){EIO_MESSAGE, true, data};
}

int eio_decode(struct str text, struct buf *scratch, struct eio_packet *out)
{
    if (text.len == 0 || text.p[0] != 'b')
        return eio_decode_text(text, out);
    buf_clear(scratch);
    base64_decode(str_from(text, 1), scratch);
    decode_binary(buf_str(scratch), out);
    return scratch->full ? ERR_LIMIT : 0;
}

static int next(struct str *payload, struct str *packet)
{
    return str_next(payload, EIO_SEPARATOR, packet);
}

static void add(struct buf *payload, struct str body, bool binary)
{
    if (payload->len > 0)
        buf_addc(payload, EIO_SEPARATOR);
    if (!binary) {
        buf_add(payload, body);
        return;
    }
    buf_addc(payload, 'b');
    base64_encode(body, payload);
}

const struct eio_coding eio4_coding = {.base64_mark = "b",
                                       .decode = eio_decode,
                                       .decode_binary = decode_binary,
                                       .next = next,
                                       .add = add};
