/* Messages of permessage-deflate without context takeover, decompressed. */
#ifndef CONFAB_TESTS_BENCH_INFLATE_H
#define CONFAB_TESTS_BENCH_INFLATE_H

#include <stddef.h>

/* NULL when it is no such message. The text is valid until the next call. That
 * many receivers get the same bytes is made use of: those that equal the last
 * ones are not decompressed again. */
char *inflate_message(const char *p, size_t len, size_t *out_len);

#endif
