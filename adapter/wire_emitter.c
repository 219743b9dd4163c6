#include "adapter/wire_emitter.h"

#include "adapter/wire_classic.h"
#include "common/mp.h"

static void put_flags(bool is_volatile, enum wire_compress compress,
                      struct buf *out)
{
    bool says = compress != WIRE_COMPRESS_UNSAID;
    mp_put_map(out, (uint32_t)is_volatile + (uint32_t)says);
    if (is_volatile) {
        mp_put_str(out, STR("volatile"));
        mp_put_bool(out, true);
    }
    if (says) {
        mp_put_str(out, STR("compress"));
        mp_put_bool(out, compress == WIRE_COMPRESS_ON);
    }
}

int wire_emitter_encode(struct json *tape, const struct packet *p,
                        const struct broadcast *to, enum wire_compress compress,
                        struct buf *out)
{
    mp_put_array(out, 3);
    mp_put_str(out, STR(WIRE_EMITTER_UID));
    if (wire_put_packet(tape, p, out) < 0)
        return ERR_PROTO;
    mp_put_map(out, 3);
    mp_put_str(out, STR("rooms"));
    wire_put_names(tape, to->rooms, to->n_rooms, to->number_rooms, out);
    mp_put_str(out, STR("flags"));
    put_flags(to->is_volatile, compress, out);
    mp_put_str(out, STR("except"));
    wire_put_names(tape, to->except, to->n_except, to->number_except, out);
    return out->full ? ERR_LIMIT : 0;
}
