/* Names that people choose, for themselves and for rooms. */
#ifndef CONFAB_SERVER_APP_NAMES_H
#define CONFAB_SERVER_APP_NAMES_H

#include <stdio.h>

#include "server/sio.h"

/* Takes the blanks off both ends. False, with the name as it was, when it has
 * more than `max` bytes or nothing visible, or when it holds control characters
 * or such as override or isolate text direction. The name is UTF-8. */
bool names_clean(struct sio_str *name, size_t max);
/* Writes a clean name, or an id, as a JSON string. */
void names_quote(FILE *out, struct sio_str name);

#endif
