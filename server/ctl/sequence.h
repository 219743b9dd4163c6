/* Who has said what and who has heard it: finds what is lost, doubled or out of
 * order, exactly. Clients are numbered; client i is in room i % rooms, and what
 * is said in a room is for all of it, the speaker included.
 *
 * It costs 24 bytes for a message, and a bit for each of its receivers. Pure;
 * what is heard may be anything. */
#ifndef CONFAB_SERVER_CTL_SEQUENCE_H
#define CONFAB_SERVER_CTL_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SEQUENCE_MESSAGES_MAX = 20 * 1000 * 1000 };

enum verdict {
    HEARD_WELL,
    HEARD_TWICE,
    HEARD_LATE_ORDER, /* a later one of the same speaker was there before */
    HEARD_STRANGE,    /* nobody said that, or not to this room */
};

struct sequence;

struct sequence *sequence_new(uint32_t clients, uint32_t rooms);
void sequence_free(struct sequence *s);

/* The client is in its room, and is to hear what is said from now on. */
void sequence_enter(struct sequence *s, uint32_t client);
/* From now on it need not have heard anything. */
void sequence_leave(struct sequence *s, uint32_t client);

/* The number of the message in the client's room; false when there are too many
 * already. */
bool sequence_say(struct sequence *s, uint32_t client, uint64_t now_us,
                  uint32_t *number);
/* The server has taken it: all who are in the room are to hear it. What it has
 * refused, or not answered, nobody needs to have heard. */
void sequence_taken(struct sequence *s, uint32_t room, uint32_t number);
/* `*since_us`: how long ago it was said, unless it is strange. */
enum verdict sequence_hear(struct sequence *s, uint32_t client, uint64_t room,
                           uint64_t number, uint64_t now_us,
                           uint64_t *since_us);

/* Messages that were taken, once for each who was to hear them; and how many of
 * these were not heard. */
struct sequence_sum {
    uint64_t expected, missing;
};
struct sequence_sum sequence_sum(const struct sequence *s);

#endif
