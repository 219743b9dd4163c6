/* Socket.IO packets as MessagePack, for clients with socket.io-msgpack-parser
 * 3.0.2 (protocol part B.8). Pure.
 *
 * Every packet is one binary message, a map of type, data, id and nsp (and the
 * client's options, which are ignored); binary data stands where it belongs.
 * There are no text messages. A value written as fixext 1 of type 0 is
 * JavaScript's undefined and says that the key is absent; nil does not.
 *
 * The official parser looks neither at the names of events nor for empty
 * arrays, and so they pass here. What is stricter: attachments, depth, values
 * and names have the bounds of the text form, ids are 0 to 2^53 - 1, a
 * namespace is UTF-8, and auth data has no binary inside. */
#ifndef CONFAB_SERVER_IO_PARSER_MSGPACK_H
#define CONFAB_SERVER_IO_PARSER_MSGPACK_H

#include "server/io/parser.h"

extern const struct parser_ops parser_msgpack;

#endif
