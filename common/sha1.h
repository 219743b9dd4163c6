/* SHA-1 for the WebSocket accept key (RFC 6455 section 4.2.2). */
#ifndef CONFAB_COMMON_SHA1_H
#define CONFAB_COMMON_SHA1_H

#include "common/str.h"

void sha1(struct str in, unsigned char out[20]);

#endif
