/* Numbers as people read them, in few columns, and text that may come from
 * anybody. */
#ifndef CONFAB_SERVER_CTL_HUMAN_H
#define CONFAB_SERVER_CTL_HUMAN_H

#include "common/buf.h"

enum { HUMAN_MAX = 24 };

/* Each writes text and NUL to `out`, which it returns. */

/* 0, 999, 1.0k, 12.3k, 123k, 1.2M: at most five columns up to 10^18. */
const char *human_count(char out[HUMAN_MAX], double n);
/* The same in steps of 1,024, with B: 0B, 1.5kB, 12MB. */
const char *human_bytes(char out[HUMAN_MAX], double n);
/* From microseconds: 16us, 1.5ms, 123ms, 4.2s. */
const char *human_us(char out[HUMAN_MAX], double us);
/* A time that goes on: 5s, 3m20s, 4h05m, 12d03h. */
const char *human_span(char out[HUMAN_MAX], uint64_t ms);

/* With commas: 1,234,567. */
const char *human_exact(char out[2 * HUMAN_MAX], uint64_t n);

/* Appends UTF-8, cut to `columns` characters, the last then '~', and filled up
 * with blanks when `fill`. What would steer a terminal, or turn the direction
 * of text, becomes '?'. */
void human_text(struct buf *out, struct str text, size_t columns, bool fill);

#endif
