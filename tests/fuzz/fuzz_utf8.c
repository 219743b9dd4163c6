/* Checking in pieces gives the answer of checking at once, wherever the text
 * is cut; what comes out of repair is valid, and valid text is left alone. */
#include "common/utf8.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static void cut_everywhere(struct str s, bool valid)
{
    for (size_t cut = 0; cut <= s.len; cut++) {
        uint32_t state = 0;
        bool ok = utf8_feed(&state, (struct str){s.p, cut});
        ok = utf8_feed(&state, str_from(s, cut)) && ok;
        expect((ok && state == 0) == valid);
    }
}

static void byte_by_byte(struct str s, bool valid)
{
    uint32_t state = 0;
    bool ok = true;
    for (size_t i = 0; i < s.len; i++)
        ok = utf8_feed(&state, (struct str){s.p + i, 1}) && ok;
    expect((ok && state == 0) == valid);
}

static void repaired_is_valid(struct str s, bool valid)
{
    struct buf once;
    struct buf twice;
    buf_init(&once, SIZE_MAX);
    buf_init(&twice, SIZE_MAX);
    utf8_repair(s, &once);
    expect(utf8_valid(buf_str(&once)));
    expect(str_eq(buf_str(&once), s) == valid);
    expect(once.len <= 3 * s.len);
    utf8_repair(buf_str(&once), &twice);
    expect(str_eq(buf_str(&once), buf_str(&twice)));
    buf_fini(&once);
    buf_fini(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = {(const char *)data, size};
    bool valid = utf8_valid(s);
    if (size <= 512)
        cut_everywhere(s, valid);
    byte_by_byte(s, valid);
    repaired_is_valid(s, valid);
    return 0;
}
