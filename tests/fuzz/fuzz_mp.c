/* Whatever bytes come, what becomes JSON is JSON, within its bounds, and
 * survives the way back and forth; and so does JSON that becomes MessagePack.
 */
#include "common/mp.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { OUT_MAX = 65536, DEPTH = 8 };

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static void parse(struct json *tape, struct str text)
{
    struct json_limits limits = {DEPTH, 1U << 20};
    expect(json_parse(tape, text, limits) == 0);
}

static void pack_and_unpack(struct str text, struct mp_bins *bins)
{
    struct json tape;
    struct buf packed, back, repacked;
    struct mp_bins again = {.n = 0};
    json_init(&tape);
    buf_init(&packed, 16 * OUT_MAX);
    buf_init(&back, 16 * OUT_MAX);
    parse(&tape, text);
    mp_put_json(&packed, &tape, 0, bins->v, bins->n);
    expect(!packed.full);
    struct str at = buf_str(&packed);
    expect(mp_to_json(&at, &back, DEPTH, &again) == 0);
    expect(at.len == 0 && again.n == bins->n);
    /* The texts may differ in how they spell a number: -2^63 is printed as
     * JavaScript prints a double, and exactly once it has become an integer. */
    buf_init(&repacked, 16 * OUT_MAX);
    parse(&tape, buf_str(&back));
    mp_put_json(&repacked, &tape, 0, again.v, again.n);
    expect(str_eq(buf_str(&repacked), buf_str(&packed)));
    buf_fini(&repacked);
    for (size_t i = 0; i < bins->n; i++)
        expect(str_eq(bytes_str(again.v[i]), bytes_str(bins->v[i])));
    mp_bins_fini(&again);
    buf_fini(&packed);
    buf_fini(&back);
    json_fini(&tape);
}

/* Without a tape it is the same, and never done with what is no JSON. */
static void from_text(struct str text, const struct buf *packed)
{
    struct buf out;
    buf_init(&out, 16 * OUT_MAX);
    if (mp_put_text(&out, text))
        expect(packed && str_eq(buf_str(&out), buf_str(packed)));
    else
        expect(out.len == 0);
    buf_fini(&out);
}

/* What is read again has no key that replaces a prototype. */
static void from_json(struct str text)
{
    struct json_limits limits = {DEPTH, 1U << 20};
    struct json tape;
    json_init(&tape);
    if (json_parse(&tape, text, limits) == 0) {
        struct mp_bins none = {.n = 0};
        struct buf packed, back;
        buf_init(&packed, 16 * OUT_MAX);
        buf_init(&back, 16 * OUT_MAX);
        mp_put_json(&packed, &tape, 0, NULL, 0);
        from_text(text, &packed);
        struct str at = buf_str(&packed);
        expect(mp_skip(&at) == 0 && at.len == 0);
        at = buf_str(&packed);
        expect(mp_to_json(&at, &back, DEPTH, NULL) == 0 && at.len == 0);
        pack_and_unpack(buf_str(&back), &none);
        buf_fini(&packed);
        buf_fini(&back);
    } else {
        from_text(text, NULL);
    }
    json_fini(&tape);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    struct str skipped = in, read = in;
    struct mp_bins bins = {.n = 0};
    struct buf out;
    buf_init(&out, OUT_MAX);
    int skip = mp_skip(&skipped);
    int rc = mp_to_json(&read, &out, DEPTH, &bins);
    from_json(in);
    if (rc == 0) {
        expect(skip == 0 && skipped.p == read.p);
        pack_and_unpack(buf_str(&out), &bins);
    }
    mp_bins_fini(&bins);
    buf_fini(&out);
    return 0;
}
