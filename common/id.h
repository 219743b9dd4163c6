/* Random identifiers, and all other chance there is in a process, from
 * getrandom(2). Some are drawn ahead: a process that forks must not go on
 * drawing in both. */
#ifndef CONFAB_COMMON_ID_H
#define CONFAB_COMMON_ID_H

#include <stddef.h>
#include <stdint.h>

enum { ID_LEN = 20 }; /* 120 random bits; the length official peers expect */

/* Writes `len` characters of [A-Za-z0-9_-] and no NUL. */
void id_random(char *out, size_t len);
/* `len` lower-case hexadecimal digits and no NUL. */
void id_hex(char *out, size_t len);
/* Raw random bytes; aborts when the kernel has none to give. */
void id_bytes(void *out, size_t len);
/* Uniform in [0, n); n > 0. Not for secrets. */
uint32_t id_below(uint32_t n);

/* For simulations only: from now on everything above follows from `seed`, and
 * is no secret. Maps take their key from here once (map_reseed). */
void id_seed(uint64_t seed);

#endif
