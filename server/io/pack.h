/* The format language of sio.h: a description and the values it calls for,
 * turned into the JSON text of a packet's payload and its attachments. */
#ifndef CONFAB_SERVER_IO_PACK_H
#define CONFAB_SERVER_IO_PACK_H

#include <stdarg.h>

#include "common/json.h"
#include "common/packet.h"
#include "server/sio.h"

struct pack {
    struct buf json;
    bool text_only;
    bool parse; /* what was built: it may be wrong, or its tape is wanted */
    struct bytes *bins[PACKET_BINS_MAX];
    uint32_t n_bins;
};

/* va_list as something that can be passed down and advanced there. */
struct pack_args {
    va_list ap;
};

/* What is packed keeps within these. */
extern const struct json_limits pack_limits;

/* `max` bounds the text and the attachments together. */
void pack_init(struct pack *p, size_t max);
/* For where attachments cannot go: binary data becomes what JSON.stringify
 * makes of a Buffer, {"type":"Buffer","data":[...]}. */
void pack_init_text(struct pack *p, size_t max);
void pack_fini(struct pack *p);

/* An array: the event's name first when it is not NULL, then the values. 0,
 * SIO_ERR_ARG or SIO_ERR_LIMIT. `tape` is scratch for checking the result;
 * with `parse` set, and after pack_init_text, the result is on it. */
int pack_array(struct pack *p, const char *event, const char *format,
               struct pack_args *args, struct json *tape);
/* A single value with its values in line. */
int pack_format(struct pack *p, struct json *tape, const char *format, ...);
/* Appends the JSON text of a value of an event; `binary` is called for each
 * attachment and writes what stands for it, or returns an error, which ends
 * it. */
int pack_copy(struct buf *out, struct sio_value v,
              int (*binary)(struct buf *out, struct str data, void *arg),
              void *arg);
/* A single value. */
int pack_value(struct pack *p, const char *format, struct pack_args *args,
               struct json *tape);

#endif
