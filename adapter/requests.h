/* The requests and responses of one namespace: the inside of the operations on
 * the whole cluster that adapter.h declares. */
#ifndef CONFAB_ADAPTER_REQUESTS_H
#define CONFAB_ADAPTER_REQUESTS_H

#include "adapter/cluster.h"

void requests_init(struct adapter *a);
/* Ends the questions that are open. */
void requests_fini(struct adapter *a);

#endif
