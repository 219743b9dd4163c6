/* Whom a broadcast of sio.h means, on this node. */
#ifndef CONFAB_SERVER_IO_SELECTION_H
#define CONFAB_SERVER_IO_SELECTION_H

#include "server/io/socket.h"

/* Room for the names of one broadcast. */
struct selection_names {
    struct str rooms[SIO_BROADCAST_ROOMS], except[SIO_BROADCAST_ROOMS];
};

/* The adapter's form of it, which borrows from `names`. */
struct broadcast selection_of(const struct sio_broadcast *b,
                              struct selection_names *names);

/* 0, or why nobody can be selected: SIO_ERR_STATE, SIO_ERR_ARG. */
int selection_check(const struct sio_broadcast *b);

/* Calls `each` for every connected socket that is selected; it must not change
 * rooms, nor end sockets. */
void selection_each(const struct sio_broadcast *b,
                    void (*each)(struct sio_socket *s, void *arg), void *arg);

#endif
