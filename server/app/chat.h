/* The chat application, an example of what sio.h is for: it uses nothing else
 * of confab.
 *
 * It serves the namespaces "/" and "/chat" alike and apart from each other. The
 * front ends of the Socket.IO tutorial and of the official chat example run on
 * it unmodified; confab's own page (page.h) uses the rest.
 *
 * From the client, and what others get of it:
 *
 *   chat message  "text"           everyone: the same
 *   chat message  {room, message}  the room: the same, with username when the
 *                                  sender has one, with id when it gave one
 *                                  (1 to 64 bytes; tells repetitions apart)
 *   join room     "room"           the room: presence
 *   leave room    "room"           the room: presence
 *   add user      "name"           the sender: login {numUsers}; the others:
 *                                  user joined {username, numUsers}; nothing
 *                                  when the sender has a name already
 *   rename        "name"           the sender's rooms: presence
 *   new message   "text"           the others: {username, message}
 *   typing        nothing          the others: {username}
 *   typing        {room}           the room's others: {username, room}
 *   stop typing                    like typing
 *   rooms                          ack {rooms: [{room, count}], total}: the
 *                                  200 fullest
 *   who           "room"           ack {room, count, people: [{id, username}]}:
 *                                  at most 200 people
 *   hello                          ack {node, transport, id}
 *
 * From the server alone:
 *
 *   user left     {username, numUsers}
 *       A named socket has gone, or the node it was on has died.
 *   presence      {room, what, id, username, count}
 *       To a room of at most 200, about any member, the receiver included; what
 *       is enter, update (renamed), leave or lost (its node has died).
 *   error message {event, error}
 *       An event that wanted no acknowledgement was refused.
 *
 * What names a room to speak to is refused unless the sender is in that room.
 *
 * Every acknowledgement is {ok: true, ...} or {error: "..."}. A refused event
 * has no other effect, and nothing closes a connection. Sockets without a name
 * may do everything; username is then absent, or null in `who`.
 *
 * Names lose blanks at both ends and must then have 1 to 64 bytes, rooms 1 to
 * 128, without control characters and without those that override or isolate
 * text direction. The id of a socket of the same node is no room's name. Texts
 * have at most 16 KiB.
 *
 * numUsers and counts are those of the whole cluster. */
#ifndef CONFAB_SERVER_APP_CHAT_H
#define CONFAB_SERVER_APP_CHAT_H

struct sio_server;

/* Once per server, before it serves. */
void chat_install(struct sio_server *srv);

#endif
