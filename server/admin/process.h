/* What the system says of this process, under the names that Prometheus
 * clients have agreed on: process_*. */
#ifndef CONFAB_SERVER_ADMIN_PROCESS_H
#define CONFAB_SERVER_ADMIN_PROCESS_H

#include "common/buf.h"

void process_metrics(struct buf *out);

#endif
