/* The pages of the admin listener. Each writes its answer's body and returns
 * the status: 200, or 400 with a sentence for a bad question. */
#ifndef CONFAB_SERVER_ADMIN_PAGES_H
#define CONFAB_SERVER_ADMIN_PAGES_H

#include "server/io/server.h"

unsigned page_metrics(struct sio_server *srv, struct http_request *r,
                      struct buf *out);
unsigned page_why(struct sio_server *srv, struct http_request *r,
                  struct buf *out);
unsigned page_slow(struct sio_server *srv, struct http_request *r,
                   struct buf *out);
unsigned page_state(struct sio_server *srv, struct http_request *r,
                    struct buf *out);
unsigned page_drain(struct sio_server *srv, struct http_request *r,
                    struct buf *out);

/* ---- what they share ----------------------------------------------------- */

/* ?n=, from 1 to `most`; `otherwise` without one, 0 when it is no such number.
 */
uint32_t page_number(struct http_request *r, uint32_t otherwise, uint32_t most);
/* "2026-01-31T12:00:00.123Z", quoted. */
void page_time(struct buf *out, int64_t ms_since_epoch);
/* "KEY":"text" */
void page_text(struct buf *out, const char *key, struct str text);
/* The first eight characters: enough to find a connection by, and not enough to
 * take it over. */
struct str page_sid(struct str sid);

#endif
