#include "adapter/wire_emitter.h"

#include <assert.h>

#include "common/json_out.h"
#include "common/mp.h"

#define UID "emitter"

enum request { JOIN = 2, LEAVE = 3, DISCONNECT = 4, SERVER_EVENT = 6 };

static bool is_number(uint64_t numbers, size_t i)
{
    return i < 64 && (numbers >> i & 1) != 0;
}

/* ---- events -------------------------------------------------------------- */

static void put_number(struct buf *out, struct str text)
{
    bool negative = str_starts(text, STR("-"));
    uint64_t n = 0;
    bool whole = str_to_u64(str_from(text, negative), INT64_MAX, &n);
    assert(whole);
    (void)whole;
    mp_put_int(out, negative ? -(int64_t)n : (int64_t)n);
}

static void put_names(struct buf *out, const struct str *names, size_t n,
                      uint64_t numbers)
{
    mp_put_array(out, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        if (is_number(numbers, i))
            put_number(out, names[i]);
        else
            mp_put_str(out, names[i]);
    }
}

static void put_flags(struct buf *out, bool is_volatile,
                      enum wire_compress compress)
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

void wire_emitter_event(const struct wire_event *e, const struct broadcast *to,
                        struct buf *out)
{
    mp_put_array(out, 3);
    mp_put_str(out, STR(UID));
    mp_put_map(out, 3);
    mp_put_str(out, STR("type"));
    mp_put_int(out, PACKET_EVENT);
    mp_put_str(out, STR("data"));
    mp_put_json(out, e->data, 0, e->bins, e->n_bins);
    mp_put_str(out, STR("nsp"));
    mp_put_str(out, e->nsp);
    mp_put_map(out, 3);
    mp_put_str(out, STR("rooms"));
    put_names(out, to->rooms, to->n_rooms, to->number_rooms);
    mp_put_str(out, STR("flags"));
    put_flags(out, to->is_volatile, e->compress);
    mp_put_str(out, STR("except"));
    put_names(out, to->except, to->n_except, to->number_except);
}

/* ---- requests ------------------------------------------------------------ */

void wire_emitter_request_channel(struct str prefix, struct str nsp,
                                  struct buf *out)
{
    buf_add(out, prefix);
    buf_add(out, STR("-request#"));
    buf_add(out, nsp);
    buf_addc(out, '#');
}

static void add_names(struct buf *out, const struct str *names, size_t n,
                      uint64_t numbers)
{
    buf_addc(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            buf_addc(out, ',');
        if (is_number(numbers, i))
            buf_add(out, names[i]);
        else
            json_out_string(out, names[i]);
    }
    buf_addc(out, ']');
}

static void add_head(struct buf *out, enum request type,
                     const struct broadcast *to)
{
    buf_fmt(out, "{\"type\":%d,\"opts\":{\"rooms\":", (int)type);
    add_names(out, to->rooms, to->n_rooms, to->number_rooms);
    buf_add(out, STR(",\"except\":"));
    add_names(out, to->except, to->n_except, to->number_except);
    buf_addc(out, '}');
}

static void add_rooms(struct buf *out, enum request type,
                      const struct broadcast *to,
                      const struct room_names *rooms)
{
    add_head(out, type, to);
    buf_add(out, STR(",\"rooms\":"));
    add_names(out, rooms->v, rooms->n, rooms->numbers);
    buf_addc(out, '}');
}

void wire_emitter_join(const struct broadcast *to,
                       const struct room_names *rooms, struct buf *out)
{
    add_rooms(out, JOIN, to, rooms);
}

void wire_emitter_leave(const struct broadcast *to,
                        const struct room_names *rooms, struct buf *out)
{
    add_rooms(out, LEAVE, to, rooms);
}

void wire_emitter_disconnect(const struct broadcast *to, bool close,
                             struct buf *out)
{
    add_head(out, DISCONNECT, to);
    buf_add(out, close ? STR(",\"close\":true}") : STR(",\"close\":false}"));
}

void wire_emitter_server_event(struct str data, struct buf *out)
{
    buf_fmt(out,
            "{\"uid\":\"" UID "\",\"type\":%d,\"data\":", (int)SERVER_EVENT);
    buf_add(out, data);
    buf_addc(out, '}');
}
