/* Whatever Redis delivers, what is accepted is a packet that clients accept,
 * publishing it again says the same, and then byte for byte. */
#include "adapter/wire_classic.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct wire_limits limits = {.depth = 8, .json_bytes = 65536};

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static void same_names(const struct str *a, const struct str *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        expect(str_eq(a[i], b[i]));
}

static void check(struct json *tape, const struct wire_message *m)
{
    struct json_limits json = {limits.depth, 1U << 20};
    expect(json_parse(tape, bytes_str(m->packet->data), json) == 0);
    expect(json_type(tape, 0) == JSON_ARRAY && tape->nodes[0].count > 0);
    enum json_type name = json_type(tape, 1);
    expect(name == JSON_STRING || name == JSON_NUMBER);
}

static void put(struct json *tape, const struct wire_message *m,
                struct buf *out)
{
    struct broadcast b = {.rooms = m->rooms,
                          .n_rooms = m->n_rooms,
                          .except = m->except,
                          .n_except = m->n_except,
                          .is_volatile = m->is_volatile};
    buf_init(out, 1U << 24);
    expect(wire_classic_encode(tape, STR("abcdef"), m->packet, &b, out) == 0);
}

static void again(struct json *tape, const struct wire_message *m)
{
    static struct wire_message back;
    struct buf out, twice;
    put(tape, m, &out);
    expect(str_eq(wire_classic_uid(buf_str(&out)), STR("abcdef")));
    expect(wire_classic_decode(buf_str(&out), STR("/"), &limits, &back) == 0);
    expect(back.n_rooms == m->n_rooms && back.n_except == m->n_except);
    same_names(back.rooms, m->rooms, m->n_rooms);
    same_names(back.except, m->except, m->n_except);
    expect(back.is_volatile == m->is_volatile);
    expect(back.packet->n_bins == m->packet->n_bins);
    for (size_t i = 0; i < m->packet->n_bins; i++)
        expect(str_eq(bytes_str(back.packet->bins[i]),
                      bytes_str(m->packet->bins[i])));
    put(tape, &back, &twice);
    expect(str_eq(buf_str(&twice), buf_str(&out)));
    buf_fini(&twice);
    wire_message_fini(&back);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct wire_message m;
    struct str payload = {(const char *)data, size};
    struct json tape;
    json_init(&tape);
    (void)wire_classic_uid(payload);
    if (wire_classic_decode(payload, STR("/"), &limits, &m) == 0) {
        check(&tape, &m);
        again(&tape, &m);
    }
    wire_message_fini(&m);
    json_fini(&tape);
    return 0;
}
