/* `confabctl drain`: tells a node to see its clients off, and waits, if asked,
 * until it has gone. */
#ifndef CONFAB_SERVER_CTL_DRAIN_H
#define CONFAB_SERVER_CTL_DRAIN_H

/* With the arguments behind "drain". Returns an exit code. */
int drain_main(int argc, char **argv);

#endif
