/* confab: publishing into a cluster from a program that is no server, such as a
 * job that runs now and then, or a worker. All servers hear it, confab's nodes
 * and Node.js servers alike, as they hear @socket.io/redis-emitter.
 *
 *     struct sio_emitter *em = sio_emitter_new("redis://127.0.0.1:6379", NULL);
 *     struct sio_emission news = sio_emission_of(em, "/");
 *     sio_emission_to(&news, SIO_STR("readers"));
 *     if (sio_emitter_emit(&news, "news", "{title:s}", "It works") < 0)
 *         fprintf(stderr, "%s\n", sio_emitter_error(em));
 *     sio_emitter_free(em);
 *
 * These calls block until Redis has answered: a server, which must not, uses
 * sio_broadcast and its kin (sio.h). An emitter belongs to one thread at a
 * time; several emitters do not know of each other.
 *
 * Delivery is at most once, as in all of the cluster: what is published while a
 * server is away does not reach it, and nobody acknowledges anything. */
#ifndef SIO_EMITTER_H
#define SIO_EMITTER_H

#include "server/sio.h"

#ifdef __cplusplus
extern "C" {
#endif

struct sio_emitter;

/* ---- the connection ------------------------------------------------------ */

/* redis://[user:password@]host[:port][/db], as the servers' redis.url; the
 * prefix as their redis.prefix, NULL for "socket.io". Never NULL; what is wrong
 * with the URL is told by the first call that needs it (SIO_ERR_CONFIG). */
SIO_API struct sio_emitter *sio_emitter_new(const char *redis_url,
                                            const char *prefix);
/* What is held (sio_emitter_pipeline) is lost. NULL is allowed. */
SIO_API void sio_emitter_free(struct sio_emitter *em);
/* For connecting and for each answer; 5000 when nothing is said. Finding the
 * host's name is not bounded by it. */
SIO_API void sio_emitter_timeout(struct sio_emitter *em, uint32_t ms);
/* Connects now, to learn whether Redis is there. Otherwise the first call does,
 * and each one that finds the connection lost; nothing is published twice. */
SIO_API int sio_emitter_connect(struct sio_emitter *em);
/* What the last failed call had to say: one sentence. */
SIO_API const char *sio_emitter_error(const struct sio_emitter *em);

/* For many messages: they are held and sent together, a thousand or a megabyte
 * at a time, at the latest by sio_emitter_flush. Calls return 0 then, and an
 * error may be that of messages before. */
SIO_API void sio_emitter_pipeline(struct sio_emitter *em, bool on);
/* Sends what is held and waits for it. Returns how many have received what was
 * published since the last flush, in sum. */
SIO_API int sio_emitter_flush(struct sio_emitter *em);

/* ---- whom it is for ------------------------------------------------------ */

enum { SIO_EMISSION_ROOMS = 64 };

struct sio_emission_room {
    struct sio_str name;
    int64_t number;
    bool is_number;
};

/* Built on the stack: where it starts, then what narrows it. Rooms form a
 * union. Names are borrowed until it is sent; it may be sent several times. */
struct sio_emission {
    struct sio_emitter *emitter;
    const char *nsp;
    struct sio_emission_room rooms[SIO_EMISSION_ROOMS];
    struct sio_emission_room except[SIO_EMISSION_ROOMS];
    uint8_t n_rooms, n_except;
    bool overflow, is_volatile, says_compress, compress;
};

/* Everyone in the namespace; a missing leading '/' is added. */
SIO_API struct sio_emission sio_emission_of(struct sio_emitter *em,
                                            const char *nsp);
/* Only members of this room (and of the others named). A socket's id is the
 * name of a room that it alone is in. */
SIO_API void sio_emission_to(struct sio_emission *e, struct sio_str room);
SIO_API void sio_emission_except(struct sio_emission *e, struct sio_str room);
/* To Node.js servers the rooms 7 and "7" are two: these name the number. To
 * confab's nodes they are the same. */
SIO_API void sio_emission_to_number(struct sio_emission *e, int64_t room);
SIO_API void sio_emission_except_number(struct sio_emission *e, int64_t room);
/* Receivers that cannot take it at once are skipped. */
SIO_API void sio_emission_volatile(struct sio_emission *e);
/* Whether Node.js servers may compress it for polling clients. */
SIO_API void sio_emission_compress(struct sio_emission *e, bool on);

/* ---- what to do with them ------------------------------------------------
 *
 * Each returns how many have received the message, 0 or more: that is, for all
 * of a namespace, its servers; for one room those that listen for the room,
 * Node.js servers always do. Or an error, with its sentence in
 * sio_emitter_error: SIO_ERR_ARG, SIO_ERR_LIMIT (past 64 MiB, ten binaries or
 * 65,536 values), SIO_ERR_CONFIG, or SIO_ERR_IO when Redis is not there or
 * refuses. */

/* `format` is that of sio.h. The names that Socket.IO keeps for itself are
 * refused. */
SIO_API int sio_emitter_emit(const struct sio_emission *e, const char *event,
                             const char *format, ...);
/* Volatile and compress mean nothing to the following. `format` is that of
 * sio.h and names the rooms, at most 64: strings, and numbers for rooms that
 * are numbers to Node.js servers, as in
 *
 *     sio_emitter_join(&e, "s,i", "vip", 7); */
SIO_API int sio_emitter_join(const struct sio_emission *e, const char *format,
                             ...);
SIO_API int sio_emitter_leave(const struct sio_emission *e, const char *format,
                              ...);
/* With `close` the whole connection, all namespaces included. */
SIO_API int sio_emitter_disconnect(const struct sio_emission *e, bool close);
/* To the servers themselves, not their clients: to their handlers for such
 * events in the namespace. Binary data arrives as what Node.js makes of a
 * Buffer in JSON, {"type":"Buffer","data":[1,2]}. Selecting receivers is
 * SIO_ERR_ARG. */
SIO_API int sio_emitter_server_emit(const struct sio_emission *e,
                                    const char *event, const char *format, ...);

#ifdef __cplusplus
}
#endif

#endif
