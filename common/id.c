#include "common/id.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { CHUNK = 64, POOL = 512 };

/* Bytes from the kernel that nobody has had yet, at the end of the array. What
 * is handed out is wiped, so that no copy of an identifier is left here. One
 * thread. */
static struct {
    unsigned char bytes[POOL];
    size_t left;
} pool;

static struct {
    bool seeded;
    uint64_t state;
} simulated;

void id_seed(uint64_t seed)
{
    simulated.seeded = true;
    simulated.state = seed;
}

/* A counter in steps of the golden ratio, its bits well mixed. */
static uint64_t next_word(void)
{
    uint64_t x = simulated.state += 0x9e3779b97f4a7c15U;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9U;
    x = (x ^ x >> 27) * 0x94d049bb133111ebU;
    return x ^ x >> 31;
}

static void simulated_bytes(unsigned char *p, size_t len)
{
    while (len > 0) {
        uint64_t word = next_word();
        size_t n = len < sizeof(word) ? len : sizeof(word);
        memcpy(p, &word, n);
        p += n;
        len -= n;
    }
}

static void kernel_bytes(unsigned char *p, size_t len)
{
    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0) {
            if (errno == EINTR)
                continue;
            (void)fprintf(stderr, "confab: no random bytes (errno %d)\n",
                          errno);
            abort();
        }
        p += n;
        len -= (size_t)n;
    }
}

static void pooled_bytes(unsigned char *p, size_t len)
{
    if (len > POOL / 4) {
        kernel_bytes(p, len);
        return;
    }
    if (len > pool.left) {
        kernel_bytes(pool.bytes, POOL);
        pool.left = POOL;
    }
    unsigned char *from = pool.bytes + POOL - pool.left;
    memcpy(p, from, len);
    explicit_bzero(from, len);
    pool.left -= len;
}

void id_bytes(void *out, size_t len)
{
    if (simulated.seeded)
        simulated_bytes(out, len);
    else
        pooled_bytes(out, len);
}

/* `alphabet` has mask + 1 characters, a power of two of at most 64: every byte
 * gives one character without bias. */
static void spell(char *out, size_t len, const char *alphabet, unsigned mask)
{
    unsigned char raw[CHUNK];
    while (len > 0) {
        size_t n = CHUNK;
        if (n > len)
            n = len;
        id_bytes(raw, n);
        for (size_t i = 0; i < n; i++)
            out[i] = alphabet[raw[i] & mask];
        out += n;
        len -= n;
    }
}

void id_random(char *out, size_t len)
{
    spell(out, len,
          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-",
          63);
}

void id_hex(char *out, size_t len)
{
    spell(out, len, "0123456789abcdef", 15);
}

uint32_t id_below(uint32_t n)
{
    assert(n > 0);
    /* The values below `skip` would make the low results more likely. */
    uint32_t skip = (0 - n) % n;
    uint32_t r;
    do {
        id_bytes(&r, sizeof(r));
    } while (r < skip);
    return r % n;
}
