/* Engine.IO 3 payloads and forms of JSONP: what comes in is read within its
 * bounds, and what was read says the same when it is written again. */
#include <assert.h>

#include "common/mem.h"
#include "common/utf8.h"
#include "server/engine/eio3.h"
#include "server/engine/jsonp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(struct str packet, struct str written, bool octets)
{
    struct str again;
    bool binary = false;
    int more = octets ? eio3_coding.next_octets(&written, &again, &binary)
                      : eio3_coding.next(&written, &again);
    assert(more == 1 && !binary && str_eq(again, packet));
    assert(written.len == 0);
}

static void packet_seen(struct str packet, bool binary)
{
    struct buf scratch, out;
    struct eio_packet p;
    buf_init(&scratch, 1 << 20);
    buf_init(&out, packet.len * 2 + 64);
    if (binary) {
        eio3_coding.decode_binary(packet, &p);
        assert(p.data.len <= packet.len);
    } else {
        if (eio3_coding.decode(packet, &scratch, &p) == 0)
            assert(p.data.len < packet.len);
        if (packet.len > 0) {
            eio3_coding.add(&out, packet, false);
            check_same(packet, buf_str(&out), false);
            buf_clear(&out);
        }
        eio3_coding.add_octets(&out, packet, false);
        check_same(packet, buf_str(&out), true);
    }
    buf_fini(&scratch);
    buf_fini(&out);
}

static void read_text(struct str payload)
{
    struct buf repaired;
    struct str packet;
    buf_init(&repaired, payload.len * 3 + 1);
    utf8_repair(payload, &repaired);
    payload = buf_str(&repaired);
    while (eio3_coding.next(&payload, &packet) > 0)
        packet_seen(packet, false);
    buf_fini(&repaired);
}

static void read_octets(struct str payload)
{
    struct str packet;
    bool binary;
    bool valid = eio3_coding.octets_valid(payload);
    int more;
    while ((more = eio3_coding.next_octets(&payload, &packet, &binary)) > 0)
        packet_seen(packet, binary);
    assert(valid || more < 0);
}

static void read_form(struct str form)
{
    struct buf out, script;
    buf_init(&out, form.len);
    buf_init(&script, jsonp_script_max(form, form));
    (void)jsonp_payload(form, &out);
    assert(!out.full);
    jsonp_script(form, form, &script);
    assert(!script.full);
    buf_fini(&out);
    buf_fini(&script);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* An exact copy, so that reading past the end is seen. */
    char *copy = mem_strndup((const char *)data, size);
    struct str payload = {copy, size};
    read_text(payload);
    read_octets(payload);
    read_form(payload);
    mem_free(copy);
    return 0;
}
