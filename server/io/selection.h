/* Whom a broadcast of sio.h means, on this node. */
#ifndef CONFAB_SERVER_IO_SELECTION_H
#define CONFAB_SERVER_IO_SELECTION_H

#include "server/io/socket.h"

enum { SELECTION_DIGITS = 21 }; /* of an int64_t, with its NUL */

/* Room for the names of one broadcast; the digits are of those that are
 * numbers. */
struct selection_names {
    struct str rooms[SIO_BROADCAST_ROOMS], except[SIO_BROADCAST_ROOMS];
    char room_digits[SIO_BROADCAST_ROOMS][SELECTION_DIGITS];
    char except_digits[SIO_BROADCAST_ROOMS][SELECTION_DIGITS];
};

/* The adapter's form of it, which borrows from `names`. */
struct broadcast selection_of(const struct sio_broadcast *b,
                              struct selection_names *names);

/* 0, or why nobody can be selected: SIO_ERR_STATE, SIO_ERR_ARG. */
int selection_check(const struct sio_broadcast *b);

/* Calls `each` for every connected socket that is selected; it must not change
 * rooms, nor end sockets. */
void selection_each(struct sio_namespace *ns, const struct broadcast *to,
                    void (*each)(struct sio_socket *s, void *arg), void *arg);

/* The same, and `each` may do anything; it returns false to stop. Sockets that
 * end meanwhile are left out. */
void selection_visit(struct sio_namespace *ns, const struct broadcast *to,
                     bool (*each)(struct sio_socket *s, void *arg), void *arg);

#endif
