/* Clients that come back (sio.h: "recovery"): what a CONNECT says of an earlier
 * session, and what a socket's session is told of its life. Sessions and missed
 * events are kept by the adapter (adapter/recovery.h). */
#ifndef CONFAB_SERVER_IO_RECOVERY_H
#define CONFAB_SERVER_IO_RECOVERY_H

#include "adapter/recovery.h"
#include "server/io/socket.h"

/* The session that this CONNECT asks for, ready to be taken by the next
 * socket_new; NULL for a new one. May end another connection, whose handlers
 * may have ended this one. */
struct recovery_session *recovery_wanted(struct client *c,
                                         struct sio_namespace *ns,
                                         const struct packet_head *h,
                                         const struct json *tape);
/* The new socket has a session from now on: the one that was wanted, or a new
 * one. Nothing when there is no recovery. */
void recovery_attach(struct sio_socket *s, struct recovery_session *wanted);
/* The socket is about to be told that it is connected: sends what it has
 * missed. False: that is not there any more, and the connection has ended. */
bool recovery_connect(struct sio_socket *s);
/* The reply to CONNECT. */
void recovery_reply(const struct sio_socket *s, struct buf *out);

/* The socket begins to end. */
void recovery_end(struct sio_socket *s);
/* Takes the session off a socket that is in its rooms for the last time; NULL
 * when there is none to save. */
struct recovery_session *recovery_keep(struct sio_socket *s, bool connected,
                                       const char *reason);

/* Sends an event that is for this socket alone. */
void recovery_emit(struct sio_socket *s, struct packet *p);

#endif
