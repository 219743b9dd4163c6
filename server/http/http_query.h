/* Query strings, read as URLSearchParams does: "a=1&b=x%20y", '+' is a space,
 * the last of repeated keys wins. */
#ifndef CONFAB_SERVER_HTTP_HTTP_QUERY_H
#define CONFAB_SERVER_HTTP_HTTP_QUERY_H

#include "common/buf.h"

/* Decoded value of `name`; borrows from `query` when it has no escape, else
 * appends to `scratch` and borrows from that (so scratch must not grow while
 * the value is in use, and must have room for the query). */
bool query_find(struct str query, struct str name, struct buf *scratch,
                struct str *out);

/* Nothing in it needs decoding, as in most. */
bool query_is_plain(struct str query);
/* query_find in one that is plain. */
bool query_find_plain(struct str query, struct str name, struct str *out);

/* Takes the first pair off the front of `*rest`, decoded; false when there is
 * none left. Both borrow from the query or from scratch, which is cleared. */
bool query_next(struct str *rest, struct buf *scratch, struct str *name,
                struct str *value);

#endif
