#include "common/base64.h"

static const char digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct str in, struct buf *out)
{
    size_t size = in.len / 3 * 4 + (in.len % 3 ? 4 : 0);
    char *o = buf_space(out, size);
    if (!o)
        return;
    const unsigned char *p = (const unsigned char *)in.p;
    size_t left = in.len;
    for (; left >= 3; left -= 3, p += 3, o += 4) {
        uint32_t v = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        o[0] = digits[v >> 18];
        o[1] = digits[v >> 12 & 63];
        o[2] = digits[v >> 6 & 63];
        o[3] = digits[v & 63];
    }
    if (left > 0) {
        uint32_t v = (uint32_t)p[0] << 16;
        if (left == 2)
            v |= (uint32_t)p[1] << 8;
        o[0] = digits[v >> 18];
        o[1] = digits[v >> 12 & 63];
        o[2] = left == 2 ? digits[v >> 6 & 63] : '=';
        o[3] = '=';
    }
    buf_commit(out, size);
}

enum { SKIP = 64, STOP = 65 };

/* What a byte stands for: 0 to 63, SKIP or STOP. Built on first use from the
 * alphabet, which leaves no second copy of it to get wrong. */
static unsigned char meaning[256];

static void learn_alphabet(void)
{
    memset(meaning, SKIP, sizeof(meaning));
    for (unsigned char i = 0; i < 64; i++)
        meaning[(unsigned char)digits[i]] = i;
    meaning['-'] = meaning['+'];
    meaning['_'] = meaning['/'];
    meaning['='] = STOP;
}

/* The buffer's ceiling is about what comes out, which is known only after
 * skipping; hence the detour over a small block. */
void base64_decode(struct str in, struct buf *out)
{
    char block[768];
    size_t n = 0;
    uint32_t acc = 0;
    unsigned have = 0; /* characters in acc */
    if (meaning['='] != STOP)
        learn_alphabet();
    for (size_t i = 0; i < in.len; i++) {
        unsigned v = meaning[(unsigned char)in.p[i]];
        if (v == STOP)
            break;
        if (v == SKIP)
            continue;
        acc = acc << 6 | v;
        if (++have < 4)
            continue;
        block[n++] = (char)(acc >> 16);
        block[n++] = (char)(acc >> 8);
        block[n++] = (char)acc;
        have = 0;
        acc = 0;
        if (n == sizeof(block)) {
            buf_add(out, (struct str){block, n});
            n = 0;
        }
    }
    /* Two characters hold one byte, three hold two; a single one holds none. */
    if (have >= 2)
        block[n++] = (char)(have == 2 ? acc >> 4 : acc >> 10);
    if (have == 3)
        block[n++] = (char)(acc >> 2);
    buf_add(out, (struct str){block, n});
}
