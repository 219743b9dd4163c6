/* What other servers ask this node, and its answers.
 *
 * Questions are answered also when there is nothing to tell: whoever asks waits
 * for every server that is subscribed. Those that wait for the host
 * (adapter_asked) are bounded in number; beyond, nobody here was asked. */
#ifndef CONFAB_ADAPTER_ANSWERS_H
#define CONFAB_ADAPTER_ANSWERS_H

#include "adapter/cluster.h"

enum {
    ASKED_MAX = 1000,       /* open at a time, per namespace */
    ASKED_MAX_MS = 3600000, /* nobody waits longer for acknowledgements */
};

/* A message of the namespace's channel of requests. */
void answers_receive(struct adapter *a, struct str channel, struct str payload);
/* The host still holds them: what it answers from now on goes nowhere. */
void answers_forget(struct adapter *a);

#endif
