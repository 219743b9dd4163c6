/* The channels on which a namespace hears the others, and the way of what comes
 * from there. For the namespace N with the base P#N# (wire_classic.h) they are
 *
 *     P#N#             everyone, or several rooms
 *     P#N#ROOM#        each room with members here
 *     P#N#????...?#    rooms of 20 bytes, which most ids of sockets are
 *
 * or, where that is not wanted, the one pattern P#N#* of the official servers,
 * which hear the messages for all rooms of the cluster.
 *
 * A room of 20 bytes is heard by the pattern and by nothing else: it must not
 * arrive twice. */
#ifndef CONFAB_ADAPTER_CHANNELS_H
#define CONFAB_ADAPTER_CHANNELS_H

#include "adapter/cluster.h"

/* The adapter has its rooms, and no members. The memory adapter hears nothing.
 */
void channels_open(struct adapter *a);
void channels_close(struct adapter *a);
/* A member of that id has come, or is gone. */
void channels_add_id(struct adapter *a, struct str id);
void channels_drop_id(struct adapter *a, struct str id);
/* For the subscription by which a room with members is heard, as interest_wait.
 */
MUST_CHECK int channels_wait(struct adapter *a, struct str room,
                             struct interest_wait *w);

/* A message by the pattern of a namespace; by a channel. */
void channels_receive_pattern(struct cluster *c, struct str pattern,
                              struct str channel, struct str payload);
void channels_receive(struct cluster *c, struct str channel,
                      struct str payload);

#endif
