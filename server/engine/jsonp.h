/* Payloads for browsers that can only load scripts and submit forms: down as a
 * call of a function of the page, up in the field "d" of a form. Pure. */
#ifndef CONFAB_SERVER_ENGINE_JSONP_H
#define CONFAB_SERVER_ENGINE_JSONP_H

#include "common/buf.h"

/* The script that hands over a payload. Which function it calls says the
 * parameter "j" of the session's first request. */
void jsonp_script(struct str target, struct str payload, struct buf *out);
/* Bytes enough for that script. */
size_t jsonp_script_max(struct str target, struct str payload);
/* The payload of a form, with the line breaks that the client has protected
 * from the browser; false when there is not one field "d". */
bool jsonp_payload(struct str form, struct buf *out);

#endif
