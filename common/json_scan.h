/* Finds the bytes of a JSON string that need a look, eight at a time; for the
 * files that read and write JSON. */
#ifndef CONFAB_COMMON_JSON_SCAN_H
#define CONFAB_COMMON_JSON_SCAN_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define JSON_EACH_BYTE(b) (UINT64_C(0x0101010101010101) * (b))

/* Marks (0x80) the bytes of a word that need a look: quote, backslash and
 * control characters. Swapping 0x20 with 0x22 puts the quote right behind the
 * control characters, so that one comparison finds both. The lowest mark is
 * right; the ones above it may not be, as the subtractions borrow. */
static inline uint64_t json_marks(uint64_t w)
{
    uint64_t slash = w ^ JSON_EACH_BYTE('\\');
    uint64_t m = (w ^ JSON_EACH_BYTE(0x02)) - JSON_EACH_BYTE(0x21);
    m = (m & ~w) | ((slash - JSON_EACH_BYTE(1)) & ~slash);
    return m & JSON_EACH_BYTE(0x80);
}

/* Position of the next byte that needs a look, or the end. ORs what it passes
 * over, and perhaps some of what follows, into `*seen`, eight bytes side by
 * side. */
static inline const char *json_plain_run(const char *p, const char *end,
                                         uint64_t *seen)
{
    uint64_t w;
    while (end - p >= (ptrdiff_t)sizeof(w)) {
        memcpy(&w, p, sizeof(w));
        *seen |= w;
        uint64_t m = json_marks(le64toh(w));
        if (m)
            return p + (__builtin_ctzll(m) >> 3);
        p += sizeof(w);
    }
    for (; p < end; p++) {
        unsigned char c = (unsigned char)*p;
        if (c < 0x20 || c == '"' || c == '\\')
            break;
        *seen |= c;
    }
    return p;
}

#endif
