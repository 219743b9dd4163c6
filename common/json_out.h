/* Writing JSON onto a buf the way JSON.stringify does: compact, UTF-8 raw,
 * short escapes, numbers in JavaScript's shortest round-trip form. Structure
 * (brackets, commas, colons) is written by the caller. */
#ifndef CONFAB_COMMON_JSON_OUT_H
#define CONFAB_COMMON_JSON_OUT_H

#include "common/buf.h"

/* A quoted, escaped string; `s` that is not UTF-8 is repaired on the way. */
void json_out_string(struct buf *b, struct str s);
/* As Number.prototype.toString: 1, 0.1, 1e+21, 1e-7; NaN and infinities are
 * written as null; -0 as 0. */
void json_out_double(struct buf *b, double d);

#endif
