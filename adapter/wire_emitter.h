/* The wire of @socket.io/redis-emitter, version 5: what a program that is no
 * server publishes to the servers of a cluster.
 *
 *     channel  P#N#, P#N#ROOM#  (wire_classic.h)
 *     payload  MessagePack ["emitter", {type, data, nsp},
 *                           {rooms, flags, except}]
 *
 * Byte for byte, but for the order of two flags: there it is that of the calls,
 * here volatile comes first. What is no event for clients travels as a request
 * of servers does (wire_request.h): one to servers as of a server whose uid is
 * WIRE_EMITTER_UID, the others without a uid. */
#ifndef CONFAB_ADAPTER_WIRE_EMITTER_H
#define CONFAB_ADAPTER_WIRE_EMITTER_H

#include "adapter/adapter.h"
#include "common/json.h"

#define WIRE_EMITTER_UID "emitter"

/* The flag of that name: clients on polling transports may get the event
 * compressed. */
enum wire_compress {
    WIRE_COMPRESS_UNSAID,
    WIRE_COMPRESS_ON,
    WIRE_COMPRESS_OFF
};

/* As wire_classic_encode. */
MUST_CHECK int wire_emitter_encode(struct json *tape, const struct packet *p,
                                   const struct broadcast *to,
                                   enum wire_compress compress,
                                   struct buf *out);

#endif
