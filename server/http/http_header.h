/* What may stand in a header that we write: nothing that could begin another
 * line. Pure. */
#ifndef CONFAB_SERVER_HTTP_HTTP_HEADER_H
#define CONFAB_SERVER_HTTP_HTTP_HEADER_H

#include "common/str.h"

/* A token: the form of header and cookie names. */
bool http_token_valid(struct str s);
/* No control character but the tab; may be empty. */
bool http_value_valid(struct str s);

#endif
