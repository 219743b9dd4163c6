/* `confabctl emit --lines`: standard input, line by line, to its end. Lines go
 * out together while there are more to read, at once when there are not. */
#ifndef CONFAB_SERVER_CTL_LINES_H
#define CONFAB_SERVER_CTL_LINES_H

#include "server/sio_emitter.h"

/* Reports bad lines on standard error, and the sum of all on standard output.
 * Returns an exit code. */
int ctl_lines_run(struct sio_emitter *em, int fd);

#endif
