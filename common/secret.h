/* Secrets in files of their own, as container platforms and systemd hand them
 * out, so that they stand in no configuration, environment or process list. */
#ifndef CONFAB_COMMON_SECRET_H
#define CONFAB_COMMON_SECRET_H

#include "common/config.h"

enum { SECRET_MAX = 4096 };

/* The file's text without the line's end, to be freed with mem_free. NULL with
 * a sentence that names `key` and the file, never the text, when it cannot be
 * read, is empty, longer than SECRET_MAX or of several lines, or when everybody
 * may read it. */
char *secret_read(const char *key, const char *path, char err[CONFIG_ERR_MAX]);

#endif
