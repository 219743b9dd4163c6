#include "server/app/chat.h"

#include <stdio.h>
#include <stdlib.h>

#include "server/app/names.h"
#include "server/app/roomlist.h"
#include "server/sio.h"

enum {
    NAME_BYTES = 64,
    ROOM_BYTES = 128,
    TEXT_BYTES = 16 * 1024,
    MESSAGE_ID_BYTES = 64,
    /* Everyone in a room hears of everyone, which grows with the square of its
     * members: from here on a room is a crowd, listed in part and without
     * notices of who comes and goes. */
    CROWD = 200,
};

/* Presence groups: everyone with a name; everyone in a room. */
#define USERS SIO_STR("users")
#define ROOM_GROUP "room:"

#define BAD_NAME "a name has 1 to 64 bytes and no control characters"
#define BAD_ROOM "a room name has 1 to 128 bytes and no control characters"
#define BAD_TEXT "a message is a string of at most 16 KiB"
#define NOT_IN_ROOM "you are not in this room"
#define NO_MEMORY "the server is out of memory"

/* What is kept of a namespace. It lives as long as the program, as nobody tells
 * when a server ends. */
struct chat {
    struct chat *next;
    const struct sio_namespace *ns;
    struct roomlist rooms;
};

static struct chat *chats;

/* ---- texts and names ---------------------------------------------------- */

static bool is_text(struct sio_value v, size_t min, size_t max)
{
    struct sio_str text;
    return sio_str(v, &text) && text.len >= min && text.len <= max;
}

/* These return NULL, or what is wrong. */
static const char *get_room(struct sio_socket *s, struct sio_value v,
                            struct sio_str *room)
{
    if (!sio_str(v, room) || !names_clean(room, ROOM_BYTES))
        return BAD_ROOM;
    /* each socket is in a room of that name, for messages to it alone */
    if (sio_find(sio_namespace_of(s), *room))
        return "this name is taken by a connection";
    return NULL;
}

static const char *get_joined_room(struct sio_socket *s, struct sio_value v,
                                   struct sio_str *room)
{
    const char *error = get_room(s, v, room);
    if (!error && !sio_in_room(s, *room))
        error = NOT_IN_ROOM;
    return error;
}

static const char *sent(int rc)
{
    return rc < 0 ? "the message could not be sent" : NULL;
}

/* ---- who is where ------------------------------------------------------- */

/* A socket's data is its user's name. */
static struct sio_str name_of(const struct sio_socket *s)
{
    const char *name = sio_context(s);
    return name ? sio_z(name) : (struct sio_str){NULL, 0};
}

static int64_t user_count(struct sio_namespace *ns)
{
    return (int64_t)sio_presence_count(ns, USERS);
}

/* "room:NAME", in `buf`. */
static struct sio_str
room_group(char buf[static sizeof(ROOM_GROUP) + ROOM_BYTES],
           struct sio_str room)
{
    const size_t prefix = sizeof(ROOM_GROUP) - 1;
    memcpy(buf, ROOM_GROUP, prefix);
    memcpy(buf + prefix, room.p, room.len);
    return (struct sio_str){buf, prefix + room.len};
}

static int64_t room_count(struct sio_namespace *ns, struct sio_str room)
{
    char buf[sizeof(ROOM_GROUP) + ROOM_BYTES];
    return (int64_t)sio_presence_count(ns, room_group(buf, room));
}

static int show_in_room(struct sio_socket *s, struct sio_str room)
{
    char buf[sizeof(ROOM_GROUP) + ROOM_BYTES];
    struct sio_str name = name_of(s);
    return sio_presence_set(s, room_group(buf, room),
                            name.p ? "{username:S}" : "{username:n}", name);
}

static bool show_new_name(struct sio_str room, void *arg)
{
    struct sio_socket *s = arg;
    bool own = !!sio_find(sio_namespace_of(s), room);
    if (!own && room.len <= ROOM_BYTES)
        show_in_room(s, room);
    return true;
}

/* Names the socket, everywhere it shows. */
static const char *set_name(struct sio_socket *s, struct sio_value v)
{
    struct sio_str name;
    if (!sio_str(v, &name) || !names_clean(&name, NAME_BYTES))
        return BAD_NAME;
    char *copy = strndup(name.p, name.len);
    if (!copy)
        return NO_MEMORY;
    if (sio_presence_set(s, USERS, "{username:S}", name) < 0) {
        free(copy);
        return "the name could not be set";
    }
    sio_set_context(s, copy, free);
    sio_rooms(s, show_new_name, s);
    return NULL;
}

static struct chat *chat_of(const struct sio_namespace *ns)
{
    struct chat *chat = chats;
    while (chat && chat->ns != ns)
        chat = chat->next;
    return chat;
}

/* ---- what clients send -------------------------------------------------- */

static const char *on_room_message(struct sio_socket *s, struct sio_event *e)
{
    struct sio_value v = sio_arg(e, 0);
    struct sio_value text = sio_get(v, "message"), id = sio_get(v, "id");
    struct sio_str room, name = name_of(s);
    const char *error = get_joined_room(s, sio_get(v, "room"), &room);
    if (error)
        return error;
    if (!is_text(text, 0, TEXT_BYTES))
        return BAD_TEXT;
    if (!sio_allow_room(e, room))
        return NULL; /* it has its answer */
    struct sio_broadcast b = sio_all(sio_namespace_of(s));
    sio_to(&b, room);
    /* the format decides how many of the values are read */
    if (sio_type(id) == SIO_NONE)
        return sent(sio_broadcast(&b, "chat message",
                                  name.p ? "{room:S,message:v,username:S}"
                                         : "{room:S,message:v}",
                                  room, text, name));
    if (!is_text(id, 1, MESSAGE_ID_BYTES))
        return "a message id is a string of 1 to 64 bytes";
    return sent(sio_broadcast(&b, "chat message",
                              name.p ? "{room:S,message:v,id:v,username:S}"
                                     : "{room:S,message:v,id:v}",
                              room, text, id, name));
}

static const char *on_chat_message(struct sio_socket *s, struct sio_event *e)
{
    struct sio_value v = sio_arg(e, 0);
    if (sio_type(v) == SIO_OBJECT)
        return on_room_message(s, e);
    if (!is_text(v, 0, TEXT_BYTES))
        return BAD_TEXT;
    struct sio_broadcast all = sio_all(sio_namespace_of(s));
    return sent(sio_broadcast(&all, "chat message", "v", v));
}

/* The answer to "join room", which waits until nothing that is sent to the room
 * after it can be missed. */
struct joining {
    struct sio_ack *ack; /* NULL: nobody wants it */
    int64_t count;
    size_t len;
    char room[];
};

static void on_joined(void *arg, int rc)
{
    (void)rc; /* without the other nodes it is joined all the same */
    struct joining *j = arg;
    struct sio_str room = {j->room, j->len};
    if (j->ack)
        sio_ack_send(j->ack, "{ok:b,room:S,count:I}", true, room, j->count);
    free(j);
}

static int join(struct sio_socket *s, struct sio_str room, struct joining **j)
{
    *j = calloc(1, sizeof(**j) + room.len);
    if (!*j)
        return SIO_ERR_STATE;
    (*j)->len = room.len;
    memcpy((*j)->room, room.p, room.len);
    int rc = sio_join_then(s, room, on_joined, *j);
    if (rc < 0)
        free(*j);
    return rc;
}

static const char *on_join_room(struct sio_socket *s, struct sio_event *e)
{
    struct sio_str room;
    const char *error = get_room(s, sio_arg(e, 0), &room);
    if (error)
        return error;
    struct joining *j;
    int rc = join(s, room, &j);
    if (rc < 0)
        return rc == SIO_ERR_LIMIT ? "too many rooms, or too long a name"
                                   : "the room could not be joined";
    if (show_in_room(s, room) < 0) {
        sio_leave(s, room);
        return "the room could not be joined";
    }
    j->count = room_count(sio_namespace_of(s), room);
    j->ack = sio_ack_take(e);
    return NULL;
}

static const char *on_leave_room(struct sio_socket *s, struct sio_event *e)
{
    char buf[sizeof(ROOM_GROUP) + ROOM_BYTES];
    struct sio_str room;
    const char *error = get_room(s, sio_arg(e, 0), &room);
    if (error)
        return error;
    bool was_in = sio_in_room(s, room);
    sio_leave(s, room);
    /* also when another server of the cluster had it leave the room before */
    sio_presence_clear(s, room_group(buf, room));
    if (!was_in)
        return NOT_IN_ROOM;
    sio_reply(e, "{ok:b,room:S}", true, room);
    return NULL;
}

static const char *on_add_user(struct sio_socket *s, struct sio_event *e)
{
    if (sio_context(s)) /* only who asks is told */
        return sio_wants_ack(e) ? "you already have a name" : NULL;
    const char *error = set_name(s, sio_arg(e, 0));
    if (error)
        return error;
    int64_t n = user_count(sio_namespace_of(s));
    struct sio_broadcast others = sio_others(s);
    sio_emit(s, "login", "{numUsers:I}", n);
    sio_broadcast(&others, "user joined", "{username:S,numUsers:I}", name_of(s),
                  n);
    sio_reply(e, "{ok:b,username:S,numUsers:I}", true, name_of(s), n);
    return NULL;
}

static const char *on_rename(struct sio_socket *s, struct sio_event *e)
{
    if (!sio_context(s))
        return "you have no name yet";
    const char *error = set_name(s, sio_arg(e, 0));
    if (!error)
        sio_reply(e, "{ok:b,username:S}", true, name_of(s));
    return error;
}

static const char *on_new_message(struct sio_socket *s, struct sio_event *e)
{
    struct sio_value text = sio_arg(e, 0);
    struct sio_str name = name_of(s);
    if (!is_text(text, 0, TEXT_BYTES))
        return BAD_TEXT;
    struct sio_broadcast others = sio_others(s);
    return sent(sio_broadcast(&others, "new message",
                              name.p ? "{message:v,username:S}" : "{message:v}",
                              text, name));
}

static const char *pass_on(struct sio_socket *s, struct sio_event *e,
                           const char *event)
{
    struct sio_value v = sio_arg(e, 0);
    struct sio_str room, name = name_of(s);
    struct sio_broadcast others = sio_others(s);
    if (sio_type(v) != SIO_OBJECT)
        return sent(sio_broadcast(&others, event,
                                  name.p ? "{username:S}" : "{}", name));
    const char *error = get_joined_room(s, sio_get(v, "room"), &room);
    if (error)
        return error;
    if (!sio_allow_room(e, room))
        return NULL;
    sio_to(&others, room);
    sio_volatile(&others); /* the next keystroke says it again */
    return sent(sio_broadcast(&others, event,
                              name.p ? "{room:S,username:S}" : "{room:S}", room,
                              name));
}

static const char *on_typing(struct sio_socket *s, struct sio_event *e)
{
    return pass_on(s, e, "typing");
}

static const char *on_stop_typing(struct sio_socket *s, struct sio_event *e)
{
    return pass_on(s, e, "stop typing");
}

static const char *on_rooms(struct sio_socket *s, struct sio_event *e)
{
    struct chat *chat = chat_of(sio_namespace_of(s));
    struct sio_str list;
    if (!chat || !roomlist_json(&chat->rooms, &list))
        return NO_MEMORY;
    sio_reply(e, "{ok:b,rooms:j,total:I}", true, list,
              (int64_t)chat->rooms.count);
    return NULL;
}

struct people {
    FILE *out;
    size_t n;
};

/* Writes what is known of one member: the data it set, and its id. */
static bool put_person(struct sio_str id, struct sio_str data, void *arg)
{
    struct people *people = arg;
    fputs(people->n ? ",{\"id\":" : "{\"id\":", people->out);
    names_quote(people->out, id);
    if (data.len > 2 && data.p[0] == '{') {
        putc(',', people->out);
        fwrite(data.p + 1, 1, data.len - 1, people->out);
    } else {
        putc('}', people->out);
    }
    return ++people->n < CROWD;
}

static const char *on_who(struct sio_socket *s, struct sio_event *e)
{
    char buf[sizeof(ROOM_GROUP) + ROOM_BYTES], *text = NULL;
    struct sio_namespace *ns = sio_namespace_of(s);
    struct sio_str room, list;
    const char *error = get_room(s, sio_arg(e, 0), &room);
    if (error)
        return error;
    struct people people = {open_memstream(&text, &list.len), 0};
    if (!people.out)
        return NO_MEMORY;
    putc('[', people.out);
    sio_presence_each(ns, room_group(buf, room), put_person, &people);
    putc(']', people.out);
    if (fclose(people.out) == 0) {
        list.p = text;
        sio_reply(e, "{ok:b,room:S,count:I,people:j}", true, room,
                  room_count(ns, room), list);
    } else {
        error = NO_MEMORY;
    }
    free(text);
    return error;
}

static const char *on_hello(struct sio_socket *s, struct sio_event *e)
{
    sio_reply(e, "{ok:b,node:s,transport:s,id:s}", true,
              sio_server_node(sio_server_of(sio_namespace_of(s))),
              sio_transport(s), sio_id(s));
    return NULL;
}

/* A handler returns NULL, or why it refused; it replies when it has more to say
 * than that all is well. */
static struct command {
    const char *event;
    const char *(*handle)(struct sio_socket *s, struct sio_event *e);
} commands[] = {
    {"chat message", on_chat_message},
    {"join room", on_join_room},
    {"leave room", on_leave_room},
    {"add user", on_add_user},
    {"rename", on_rename},
    {"new message", on_new_message},
    {"typing", on_typing},
    {"stop typing", on_stop_typing},
    {"rooms", on_rooms},
    {"who", on_who},
    {"hello", on_hello},
};

static void on_command(struct sio_socket *s, struct sio_event *e, void *arg)
{
    const struct command *command = arg;
    const char *error = command->handle(s, e);
    if (!error)
        sio_reply(e, "{ok:b}", true);
    else if (sio_wants_ack(e))
        sio_reply(e, "{error:s}", error);
    else
        sio_emit(s, "error message", "{event:s,error:s}", command->event,
                 error);
}

/* ---- comings and goings ------------------------------------------------- */

static void on_disconnect(struct sio_socket *s, const char *reason, void *arg)
{
    (void)reason, (void)arg;
    struct sio_namespace *ns = sio_namespace_of(s);
    if (!sio_context(s))
        return;
    sio_presence_clear(s, USERS); /* not counted any more */
    struct sio_broadcast all = sio_all(ns);
    sio_broadcast(&all, "user left", "{username:S,numUsers:I}", name_of(s),
                  user_count(ns));
}

/* The node that would have said so is dead: each one left tells its own. */
static void user_lost(struct sio_namespace *ns, struct sio_str name)
{
    struct sio_broadcast b = sio_all(ns);
    sio_local(&b);
    sio_broadcast(&b, "user left", "{username:S,numUsers:I}", name,
                  user_count(ns));
}

static void room_changed(struct chat *chat, struct sio_namespace *ns,
                         enum sio_presence what, struct sio_str room,
                         struct sio_str id, struct sio_str name)
{
    static const char *const words[] = {
        [SIO_PRESENCE_ENTER] = "enter",
        [SIO_PRESENCE_UPDATE] = "update",
        [SIO_PRESENCE_LEAVE] = "leave",
        [SIO_PRESENCE_LOST] = "lost",
    };
    int64_t count = room_count(ns, room);
    roomlist_set(&chat->rooms, room, (size_t)count);
    if (count > CROWD || !sio_room_size(ns, room))
        return;
    struct sio_broadcast b = sio_all(ns);
    sio_to(&b, room);
    sio_local(&b);
    sio_broadcast(&b, "presence",
                  name.p ? "{room:S,what:s,id:S,count:I,username:S}"
                         : "{room:S,what:s,id:S,count:I}",
                  room, words[what], id, count, name);
}

static void on_presence(struct sio_namespace *ns, enum sio_presence what,
                        struct sio_str group, struct sio_str id,
                        struct sio_value data, void *arg)
{
    const size_t prefix = sizeof(ROOM_GROUP) - 1;
    struct sio_str name = {NULL, 0};
    sio_str(sio_get(data, "username"), &name);
    if (group.len > prefix && group.len <= prefix + ROOM_BYTES &&
        memcmp(group.p, ROOM_GROUP, prefix) == 0) {
        struct sio_str room = {group.p + prefix, group.len - prefix};
        room_changed(arg, ns, what, room, id, name);
    } else if (what == SIO_PRESENCE_LOST && name.p && group.len == USERS.len &&
               memcmp(group.p, USERS.p, USERS.len) == 0) {
        user_lost(ns, name);
    }
}

static void install_in(struct sio_namespace *ns)
{
    struct chat *chat = calloc(1, sizeof(*chat));
    if (!chat)
        abort();
    chat->ns = ns;
    chat->next = chats;
    chats = chat;
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        sio_on(ns, commands[i].event, on_command, &commands[i]);
    sio_on_disconnect(ns, on_disconnect, NULL);
    sio_on_presence(ns, on_presence, chat);
}

void chat_install(struct sio_server *srv)
{
    install_in(sio_of(srv, "/"));
    install_in(sio_of(srv, "/chat"));
}
