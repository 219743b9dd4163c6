/* The terminal that standard input and output are, taken over for a view that
 * fills it, and given back as it was whatever ends the program: signals, too,
 * and being stopped and continued. */
#ifndef CONFAB_SERVER_CTL_TERMINAL_H
#define CONFAB_SERVER_CTL_TERMINAL_H

#include "common/buf.h"

enum terminal_key {
    KEY_NONE = -1, /* nothing more now */
    KEY_END = -2,  /* the terminal has gone */
    KEY_UP = 256,
    KEY_DOWN,
    KEY_LEFT,
    KEY_RIGHT,
};

/* False when standard output is no terminal. */
bool terminal_enter(void);
void terminal_leave(void);
/* Columns and lines; 80 and 24 when it does not know. */
void terminal_size(unsigned *width, unsigned *height);
/* The next key that waits: a byte, or one of the above. Escape sequences of
 * other keys are passed over. */
int terminal_key(void);
/* Writes the lines from the top left on, and clears what is behind each and
 * below. */
void terminal_draw(struct str lines);

#endif
