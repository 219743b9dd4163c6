/* Base64, RFC 4648. */
#ifndef CONFAB_COMMON_BASE64_H
#define CONFAB_COMMON_BASE64_H

#include "common/buf.h"

/* Standard alphabet with padding. */
void base64_encode(struct str in, struct buf *out);

/* Lenient, as Node.js decodes and therefore as Engine.IO clients may send it:
 * both alphabets, padding optional, every other character skipped, decoding
 * stops at the first '='. Never fails. */
void base64_decode(struct str in, struct buf *out);

#endif
