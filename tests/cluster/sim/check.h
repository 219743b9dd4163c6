/* The promises, checked at the moment they are kept or broken.
 *
 * A broadcast carries its number. When one is made, or comes from the bus, the
 * members that must get it are known beforehand; each is ticked off as it is
 * handed over, and in the end nobody may be left over, and nobody twice. What
 * does not arrive needs an excuse: its node was not connected, or a connection
 * broke with it on the way. */
#ifndef CONFAB_TESTS_SIM_CHECK_H
#define CONFAB_TESTS_SIM_CHECK_H

#include "tests/cluster/sim/node.h"

/* What a run may lose. */
enum {
    EXCUSE_AWAY = 1,    /* a receiving node was not connected */
    EXCUSE_CUT_OFF = 2, /* a connection broke */
    EXCUSE_LOST = 4,    /* of presence: a living node was taken for dead */
    EXCUSE_UNSENT = 8,  /* what is not volatile was not published */
};

void check_begin(uint32_t lease_ms);
/* Only these from now on. */
void check_allow(unsigned excuses);

/* ---- broadcasts -----------------------------------------------------------
 */

/* A broadcast begins; returns its number. `elsewhere`: not for members here. */
uint32_t check_broadcast(const struct place *p,
                         const struct broadcast_plan *plan, bool elsewhere);
/* Its number, from a packet's text. */
uint32_t check_number(struct str text);
/* A bit for each member of the place that a plan selects. */
uint32_t check_selected(const struct place *p,
                        const struct broadcast_plan *plan);
/* It was delivered here, to so many. */
void check_delivered(uint32_t number, size_t n);
/* A member was handed a packet with this text. */
void check_member(const struct place *p, unsigned member, struct str text);

/* The node wants to publish. */
void check_attempt(struct life *l, struct str payload);
/* Redis takes a command of the node's. */
void check_executed(unsigned life, const struct bytes *command);
/* It was sent on to a node, */
void check_pushed(unsigned life, struct str payload);
/* and to all who will get it. */
void check_published(struct str payload);
/* The connection it was on has broken. */
void check_cut_off(unsigned life, struct str payload);
/* It comes to the node, and has come. */
void check_arriving(unsigned life, struct str payload);
void check_arrived(void);
/* A reply comes. */
void check_answered(unsigned life, const struct bytes *command);

/* ---- presence -------------------------------------------------------------
 */

/* An entry (of a member in a group) has a number, and a version that changes
 * whenever it is set; both stand in its meta. 0: there are too many. */
uint32_t check_entry_new(const struct place *p, unsigned group);
uint32_t check_entry_changed(uint32_t entry);
void check_entry_gone(uint32_t entry);
/* Something was wrong with Redis until then. */
void check_trouble(uint64_t until_ms);
void check_presence_event(const struct place *p, struct str group,
                          struct str key, struct str meta, int event);
/* What the node says of presence agrees with what it has reported, and it knows
 * no entries of nodes that are long gone. */
void check_presence(const struct life *l);

/* ---- the end --------------------------------------------------------------
 */

/* All living nodes know each other and nobody else, and agree on presence. */
bool check_agreed(void);
/* The same, and they are connected and have nothing to send. */
bool check_settled(void);
/* Every broadcast is accounted for. */
void check_end(void);

#endif
