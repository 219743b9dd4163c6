/* UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, at most
 * U+10FFFF. */
#ifndef CONFAB_COMMON_UTF8_H
#define CONFAB_COMMON_UTF8_H

#include "common/buf.h"

bool utf8_valid(struct str s);

/* Incremental check of a text that arrives in pieces, as WebSocket fragments
 * do: start with state 0, feed pieces, and the text is whole and valid when the
 * last call returned true and `*state` is 0 again. */
bool utf8_feed(uint32_t *state, struct str piece);

/* Writes `s` with each invalid sequence replaced by U+FFFD, the way the WHATWG
 * decoder (and Node.js) does: one replacement per maximal subpart. */
void utf8_repair(struct str s, struct buf *out);

#endif
