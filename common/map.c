#include "common/map.h"

#include <assert.h>
#include <endian.h>

#include "common/id.h"
#include "common/mem.h"

enum { MIN_SLOTS = 16 };

static uint64_t secret[2];
static bool have_secret;

static inline uint64_t rotl(uint64_t x, unsigned n)
{
    return x << n | x >> (64 - n);
}

static inline void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = rotl(v[1], 13) ^ v[0];
    v[3] = rotl(v[3], 16) ^ v[2];
    v[0] = rotl(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = rotl(v[1], 17) ^ v[2];
    v[3] = rotl(v[3], 21) ^ v[0];
    v[2] = rotl(v[2], 32);
}

/* SipHash with one round per word and three at the end: enough against aimed
 * collisions in a table, at half the cost of the full hash. */
static uint64_t hash_of(struct str s)
{
    uint64_t v[4] = {
        secret[0] ^ 0x736f6d6570736575U, secret[1] ^ 0x646f72616e646f6dU,
        secret[0] ^ 0x6c7967656e657261U, secret[1] ^ 0x7465646279746573U};
    size_t i = 0;
    uint64_t word;
    for (; s.len - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, s.p + i, sizeof(word));
        word = le64toh(word);
        v[3] ^= word;
        sip_round(v);
        v[0] ^= word;
    }
    word = (uint64_t)s.len << 56;
    for (unsigned shift = 0; i < s.len; i++, shift += 8)
        word |= (uint64_t)(unsigned char)s.p[i] << shift;
    v[3] ^= word;
    sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xff;
    sip_round(v);
    sip_round(v);
    sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

void map_reseed(void)
{
    id_bytes(secret, sizeof(secret));
    have_secret = true;
}

uint64_t map_hash(struct str s)
{
    if (!have_secret)
        map_reseed();
    return hash_of(s);
}

void map_init(struct map *m, map_key_fn *key)
{
    if (!have_secret)
        map_reseed();
    *m = (struct map){.key = key};
}

void map_fini(struct map *m)
{
    mem_free(m->slots);
    map_init(m, m->key);
}

static struct map_node **slot_of(const struct map *m, uint64_t hash)
{
    return &m->slots[hash & (m->n_slots - 1)];
}

static struct map_node *find(const struct map *m, struct str key, uint64_t hash)
{
    struct map_node *n = *slot_of(m, hash);
    while (n && !str_eq(m->key(n), key))
        n = n->next;
    return n;
}

struct map_node *map_get(const struct map *m, struct str key)
{
    if (m->count == 0)
        return NULL;
    return find(m, key, hash_of(key));
}

static void resize(struct map *m, size_t n_slots)
{
    struct map old = *m;
    m->slots = mem_zalloc(n_slots * sizeof(struct map_node *));
    m->n_slots = n_slots;
    for (size_t i = 0; i < old.n_slots; i++) {
        struct map_node *n = old.slots[i];
        while (n) {
            struct map_node *next = n->next;
            struct map_node **slot = slot_of(m, hash_of(m->key(n)));
            n->next = *slot;
            *slot = n;
            n = next;
        }
    }
    mem_free(old.slots);
}

/* Only here does the table change size, so that map_each may remove. Shrinking
 * at a quarter and growing at two leaves no count at which the table would
 * swing between two sizes. */
static void fit(struct map *m)
{
    if (!m->slots)
        resize(m, MIN_SLOTS);
    else if (m->count >= 2 * m->n_slots)
        resize(m, m->n_slots * 2);
    else if (m->n_slots > MIN_SLOTS && m->count < m->n_slots / 4)
        resize(m, m->n_slots / 2);
}

void map_put(struct map *m, struct map_node *n)
{
    fit(m);
    struct str key = m->key(n);
    uint64_t hash = hash_of(key);
    assert(!find(m, key, hash));
    struct map_node **slot = slot_of(m, hash);
    n->next = *slot;
    *slot = n;
    m->count++;
}

void map_remove(struct map *m, struct map_node *n)
{
    assert(m->count > 0);
    struct map_node **at = slot_of(m, hash_of(m->key(n)));
    while (*at && *at != n)
        at = &(*at)->next;
    assert(*at == n);
    *at = n->next;
    n->next = NULL;
    m->count--;
}

void map_each(struct map *m, void (*each)(struct map_node *n, void *arg),
              void *arg)
{
    for (size_t i = 0; i < m->n_slots; i++) {
        struct map_node *n = m->slots[i];
        while (n) {
            struct map_node *next = n->next;
            each(n, arg);
            n = next;
        }
    }
}
