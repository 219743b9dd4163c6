/* Engine.IO v3 packets and payloads: what clients of socket.io 1 and 2 speak.
 *
 *   text payload    length ":" packet, again and again; the length counts
 *                   UTF-16 units, as JavaScript does
 *   octet payload   0 or 1 (binary), decimal digits as bytes 0 to 9, 0xff, then
 *                   so many bytes
 *   binary packet   a byte that is the type, then the data; in text "b", the
 *                   type's digit and base64
 *
 * Pure. Lengths are the sender's word: one that does not fit is ERR_PROTO. */
#ifndef CONFAB_SERVER_ENGINE_EIO3_H
#define CONFAB_SERVER_ENGINE_EIO3_H

#include "server/engine/eio_packet.h"

extern const struct eio_coding eio3_coding;

#endif
