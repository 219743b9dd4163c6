/* The wire of @socket.io/redis-emitter, version 5: what a program that is no
 * server publishes to the servers of a cluster. Byte for byte, but for the
 * order of the flags: there it is that of the calls, here a fixed one.
 *
 *     channel  P#N#, P#N#ROOM#  an event (wire_classic.h)
 *     payload  MessagePack ["emitter", {type, data, nsp},
 *                           {rooms, flags, except}]
 *
 *     channel  P-request#N#     everything else
 *     payload  JSON {"type":2,"opts":{"rooms":[..],"except":[..]},
 *                    "rooms":[..]}                       join; 3: leave
 *              {"type":4,"opts":{..},"close":false}      disconnect
 *              {"uid":"emitter","type":6,"data":[..]}    an event to servers
 *
 * Nobody answers. Nothing here fails: a buffer that is too small is full. */
#ifndef CONFAB_ADAPTER_WIRE_EMITTER_H
#define CONFAB_ADAPTER_WIRE_EMITTER_H

#include "adapter/adapter.h"
#include "common/json.h"

/* The flag of that name: clients on polling transports may get an event
 * compressed. */
enum wire_compress {
    WIRE_COMPRESS_UNSAID,
    WIRE_COMPRESS_ON,
    WIRE_COMPRESS_OFF
};

struct wire_event {
    struct str nsp;
    const struct json *data; /* an array, the event's name first */
    struct bytes *const *bins;
    size_t n_bins;
    enum wire_compress compress;
};

void wire_emitter_event(const struct wire_event *e, const struct broadcast *to,
                        struct buf *out);

void wire_emitter_request_channel(struct str prefix, struct str nsp,
                                  struct buf *out);
void wire_emitter_join(const struct broadcast *to,
                       const struct room_names *rooms, struct buf *out);
void wire_emitter_leave(const struct broadcast *to,
                        const struct room_names *rooms, struct buf *out);
void wire_emitter_disconnect(const struct broadcast *to, bool close,
                             struct buf *out);
/* `data` is the JSON text of an array, the event's name first. */
void wire_emitter_server_event(struct str data, struct buf *out);

#endif
