#include "server/app/roomlist.h"

#include <search.h>
#include <stdlib.h>

#include "server/app/names.h"

enum { ROOMS_LISTED = 200 };

/* In the tree, its name follows it in memory. */
struct room {
    struct sio_str name;
    size_t members;
};

static int by_name(const void *a, const void *b)
{
    const struct room *x = a, *y = b;
    size_t shorter = x->name.len < y->name.len ? x->name.len : y->name.len;
    int order = memcmp(x->name.p, y->name.p, shorter);
    return order ? order : (x->name.len > shorter) - (y->name.len > shorter);
}

static int by_members(const void *a, const void *b)
{
    const struct room *x = a, *y = b;
    if (x->members != y->members)
        return x->members < y->members ? 1 : -1;
    return by_name(x, y);
}

static struct room *add_room(struct roomlist *list, struct sio_str name)
{
    struct room *room = calloc(1, sizeof(*room) + name.len);
    if (!room)
        return NULL;
    char *copy = (char *)(room + 1);
    memcpy(copy, name.p, name.len);
    room->name = (struct sio_str){copy, name.len};
    if (!tsearch(room, &list->rooms, by_name)) {
        free(room);
        return NULL;
    }
    list->count++;
    return room;
}

void roomlist_set(struct roomlist *list, struct sio_str name, size_t members)
{
    const struct room key = {.name = name};
    struct room **found = tfind(&key, &list->rooms, by_name);
    struct room *room = found ? *found : NULL;
    if (!room && members)
        room = add_room(list, name);
    if (!room)
        return;
    room->members = members;
    if (!members) {
        tdelete(room, &list->rooms, by_name);
        list->count--;
        free(room);
    }
    free(list->json);
    list->json = NULL;
}

static void copy_room(const void *node, VISIT visit, void *arg)
{
    struct room **next = arg;
    if (visit == postorder || visit == leaf)
        *(*next)++ = **(struct room *const *)node;
}

/* Brings list->json up to date. */
static bool write_json(struct roomlist *list)
{
    struct room *rooms = calloc(list->count + 1, sizeof(*rooms));
    FILE *out = rooms ? open_memstream(&list->json, &list->json_len) : NULL;
    if (!out) {
        free(rooms);
        return false;
    }
    struct room *end = rooms;
    twalk_r(list->rooms, copy_room, &end);
    qsort(rooms, list->count, sizeof(*rooms), by_members);
    putc('[', out);
    for (size_t i = 0; i < list->count && i < ROOMS_LISTED; i++) {
        fputs(i ? ",{\"room\":" : "{\"room\":", out);
        names_quote(out, rooms[i].name);
        fprintf(out, ",\"count\":%zu}", rooms[i].members);
    }
    putc(']', out);
    free(rooms);
    if (fclose(out) == 0)
        return true;
    free(list->json);
    list->json = NULL;
    return false;
}

bool roomlist_json(struct roomlist *list, struct sio_str *out)
{
    if (!list->json && !write_json(list))
        return false;
    *out = (struct sio_str){list->json, list->json_len};
    return true;
}
