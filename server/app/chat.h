/* The chat application, an example of what sio.h is for: it includes no other
 * header of confab.
 *
 * It serves the namespaces "/" and "/chat" alike and apart from each other. The
 * front ends of the Socket.IO tutorial and of the official chat example run on
 * it unmodified; confab's own page (page.h) uses the rest.
 *
 * From the client, with its arguments, and what the others get:
 *
 *   chat message  "text"            everybody: chat message "text"
 *   chat message  {room, message}   the room: chat message {room, message},
 * with username when the sender has one, and with id when the sender gave one
 * (1 to 64 bytes; receivers tell a repetition by it) join room     "room" the
 * room: presence leave room    "room"            the room: presence add user
 * "name"            login {numUsers} to the sender, user joined {username,
 * numUsers} to the others; ignored when the socket has a name rename "name" the
 * sender's rooms: presence new message   "text"            the others: new
 * message {username, message} typing, stop typing             the others: the
 * same with {username} typing, stop typing  {room}     the room's others: the
 * same with {username, room} rooms                           ack {rooms:
 * [{room, count}], total}, at most 200 of them, fullest first who "room" ack
 * {room, count, people: [{id, username}]}, at most 200 of them hello ack {node,
 * transport, id}
 *
 * From the server alone:
 *
 *   user left     {username, numUsers}  when a named socket goes, also when the
 *                                   node it was on dies
 *   presence      {room, what, id, username, count}  to the members of a room
 * of at most 200; what is enter, update (renamed), leave or lost (its node
 * died); a member hears of itself, too error message {event, error}    an event
 * without acknowledgement was refused
 *
 * Every acknowledgement is {ok: true, ...} or {error: "..."}. A refused event
 * has no other effect, and nothing closes a connection. Sockets without a name
 * may do everything; username is then absent, or null in `who`.
 *
 * Names lose blanks at both ends and must then have 1 to 64 bytes, rooms 1 to
 * 128, without control characters and without those that override or isolate
 * text direction; the id of a socket is not a room's name. Texts have at most
 * 16 KiB.
 *
 * numUsers and counts are those of the whole cluster. */
#ifndef CONFAB_SERVER_APP_CHAT_H
#define CONFAB_SERVER_APP_CHAT_H

struct sio_server;

/* Once per server, before it serves. */
void chat_install(struct sio_server *srv);

#endif
