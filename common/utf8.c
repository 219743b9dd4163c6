#include "common/utf8.h"

/* The state between two bytes: how many continuation bytes are missing and
 * between which bounds the next one must lie. Only the first continuation of
 * some lead bytes has narrower bounds than 80..BF; that is all there is to
 * overlong forms, surrogates and the upper end. */
#define EXPECT(need, lo, hi) \
    ((uint32_t)(need) | (uint32_t)(lo) << 8 | (uint32_t)(hi) << 16)
/* Bounds that no byte lies between: once bad, always bad. */
#define BAD EXPECT(1, 0xFF, 0x00)

static uint32_t after_lead(unsigned char c)
{
    if (c < 0x80)
        return 0;
    if (c < 0xC2)
        return BAD;
    if (c < 0xE0)
        return EXPECT(1, 0x80, 0xBF);
    if (c < 0xF0)
        return EXPECT(2, c == 0xE0 ? 0xA0 : 0x80, c == 0xED ? 0x9F : 0xBF);
    if (c < 0xF5)
        return EXPECT(3, c == 0xF0 ? 0x90 : 0x80, c == 0xF4 ? 0x8F : 0xBF);
    return BAD;
}

static inline uint32_t step(uint32_t state, unsigned char c)
{
    if (state == 0)
        return c < 0x80 ? 0 : after_lead(c);
    if (c < (state >> 8 & 0xFF) || c > state >> 16)
        return BAD;
    uint32_t need = (state & 0xFF) - 1;
    return need ? EXPECT(need, 0x80, 0xBF) : 0;
}

static inline bool is_tail(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* Length of the character at `p`, where four bytes can be read; 0 when it is
 * malformed. The common cases of step(), a character at a time. */
static inline size_t char_length(const unsigned char *p)
{
    unsigned char c = p[0];
    if (c < 0x80)
        return 1;
    if (c < 0xE0)
        return c >= 0xC2 && is_tail(p[1]) ? 2 : 0;
    uint32_t st = after_lead(c);
    if (st == BAD || p[1] < (st >> 8 & 0xFF) || p[1] > st >> 16 ||
        !is_tail(p[2]))
        return 0;
    if (c < 0xF0)
        return 3;
    return is_tail(p[3]) ? 4 : 0;
}

/* Length of a valid run of whole characters at the start of `s`: all that can
 * be checked without a look at the last few bytes. */
static size_t quick_run(struct str s)
{
    size_t i = 0;
    uint64_t word;
    for (;;) {
        size_t n = 0;
        if (s.len - i >= sizeof(word)) {
            memcpy(&word, s.p + i, sizeof(word));
            if (!(word & 0x8080808080808080U)) {
                i += sizeof(word);
                continue;
            }
        }
        if (s.len - i >= 4)
            n = char_length((const unsigned char *)s.p + i);
        if (n == 0)
            return i;
        i += n;
    }
}

bool utf8_feed(uint32_t *state, struct str piece)
{
    uint32_t st = *state;
    size_t i = st == 0 ? quick_run(piece) : 0;
    while (i < piece.len && st != BAD) {
        st = step(st, (unsigned char)piece.p[i++]);
        if (st == 0)
            i += quick_run(str_from(piece, i));
    }
    *state = st;
    return st != BAD;
}

bool utf8_valid(struct str s)
{
    uint32_t state = 0;
    return utf8_feed(&state, s) && state == 0;
}

void utf8_repair(struct str s, struct buf *out)
{
    static const struct str replacement = {"\xEF\xBF\xBD", 3};
    uint32_t state = 0;
    size_t good = 0; /* start of what is not yet written */
    size_t last = 0; /* start of the character being read */
    size_t i = 0;
    while (i < s.len) {
        if (state == 0)
            last = i;
        uint32_t next = step(state, (unsigned char)s.p[i]);
        if (next != BAD) {
            state = next;
            i++;
            continue;
        }
        /* A byte that breaks off a character may itself start the next; one
         * that cannot start any is skipped. */
        buf_add(out, (struct str){s.p + good, last - good});
        buf_add(out, replacement);
        if (state == 0)
            i++;
        state = 0;
        good = i;
    }
    if (state == 0)
        last = s.len;
    buf_add(out, (struct str){s.p + good, last - good});
    if (state != 0)
        buf_add(out, replacement);
}
