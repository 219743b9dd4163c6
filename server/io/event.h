/* An event or acknowledgement while its handler looks at it: the tape over its
 * JSON text, its attachments, and the acknowledgement that it may want. Lives
 * on the stack of whoever calls the handler. Implements the "events" part of
 * sio.h. */
#ifndef CONFAB_SERVER_IO_EVENT_H
#define CONFAB_SERVER_IO_EVENT_H

#include "common/json.h"
#include "server/sio.h"

struct lent;
struct adapter_asked;

struct sio_event {
    struct sio_socket *socket; /* NULL for those of other servers */
    const struct json *tape;
    uint32_t first; /* node of the first argument, or JSON_NONE */
    uint32_t count;
    struct bytes *const *bins;
    uint32_t n_bins;
    int64_t ack; /* PACKET_NO_ACK: none, or given */
    /* Of another server's event: its namespace here, and who waits for an
     * answer; NULL when nobody does, or it was given. */
    struct sio_namespace *ns;
    struct adapter_asked *asked;
    struct str name;
    struct lent *lent; /* unescaped strings, freed with the event */
};

/* Over an array of arguments; with `named` its first element is the event's
 * name. */
void event_init(struct sio_event *e, struct sio_socket *s,
                const struct json *tape, bool named);
/* Over a single value, which is the event's only argument. */
void event_init_value(struct sio_event *e, const struct json *tape);
void event_fini(struct sio_event *e);

static inline struct str str_from_sio(struct sio_str s)
{
    return (struct str){s.p, s.len};
}

static inline struct sio_str sio_from_str(struct str s)
{
    return (struct sio_str){s.p, s.len};
}

#endif
