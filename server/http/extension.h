/* Negotiation of WebSocket extensions (RFC 6455 section 9.1):
 * permessage-deflate (RFC 7692), always without context takeover. Pure. */
#ifndef CONFAB_SERVER_HTTP_EXTENSION_H
#define CONFAB_SERVER_HTTP_EXTENSION_H

#include "common/buf.h"
#include "common/err.h"

/* What was agreed on. Zeros: no compression. */
struct deflate_terms {
    uint8_t window_bits; /* how far back we may refer: 2^8 to 2^15 bytes */
    bool named;          /* the client set window_bits and must be told */
};

/* May stand in a token (RFC 7230 section 3.2.6). */
bool token_char(char c);

/* Reads one Sec-WebSocket-Extensions header. The first offer that can be
 * accepted becomes `*terms`, unless they are set already; others are skipped.
 * ERR_PROTO when the header is malformed. */
MUST_CHECK int extension_offers(struct str header, struct deflate_terms *terms);
/* Adds the header line of the answer; nothing when nothing was accepted. */
void extension_answer(const struct deflate_terms *terms, struct buf *out);

#endif
