/* Compression: of WebSocket messages (permessage-deflate, RFC 7692) and of HTTP
 * bodies. zlib stands behind deflate.c only.
 *
 * Messages are compressed without context takeover: each starts afresh, so one
 * state serves all connections of the process, and what was compressed for one
 * connection is good for all. The states are made at first use and stay. */
#ifndef CONFAB_SERVER_HTTP_DEFLATE_H
#define CONFAB_SERVER_HTTP_DEFLATE_H

#include "common/buf.h"
#include "common/err.h"

/* Appends the compressed body to `out`, without the closing 00 00 ff ff. False,
 * with `out` as it was, when that would not be shorter than the body. */
bool deflate_message(struct str body, struct buf *out);
/* Appends the content of a compressed message to `out`. ERR_LIMIT as soon as it
 * is more than `out` may hold; ERR_PROTO when it is damaged or cut off. */
MUST_CHECK int inflate_message(struct str data, struct buf *out);

/* Content codings of HTTP bodies; `deflate` is the zlib format. */
enum coding { CODING_NONE, CODING_GZIP, CODING_DEFLATE, N_CODINGS };

/* What an Accept-Encoding header prefers of these: by quality, then the one
 * that it names, then the one that it names first. */
enum coding coding_accepted(struct str accept);
/* The header line, with CR LF. */
struct str coding_header(enum coding c);
/* Initializes `out` and puts the encoded body into it. False, with an empty
 * `out`, when the body is too large for that. */
bool coding_encode(enum coding c, struct str body, struct buf *out);

#endif
