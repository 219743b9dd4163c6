#include "server/engine/eio_packet.h"

#include "common/base64.h"

int eio_decode(struct str text, struct buf *scratch, struct eio_packet *out)
{
    if (text.len == 0)
        return ERR_PROTO;
    if (text.p[0] == 'b') {
        buf_clear(scratch);
        base64_decode(str_from(text, 1), scratch);
        *out = (struct eio_packet){EIO_MESSAGE, true, buf_str(scratch)};
        return scratch->full ? ERR_LIMIT : 0;
    }
    if (text.p[0] < '0' || text.p[0] > '6')
        return ERR_PROTO;
    *out = (struct eio_packet){(enum eio_type)(text.p[0] - '0'), false,
                               str_from(text, 1)};
    return 0;
}

void eio_payload_add(struct buf *payload, const struct bytes *frame)
{
    if (payload->len > 0)
        buf_addc(payload, EIO_SEPARATOR);
    if (!frame->binary) {
        buf_add(payload, bytes_body(frame));
        return;
    }
    buf_addc(payload, 'b');
    base64_encode(bytes_body(frame), payload);
}
