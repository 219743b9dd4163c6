#include "server/io/event.h"

#include "common/mem.h"
#include "common/packet.h"
#include "server/io/parser.h"

struct lent {
    struct lent *next;
    char p[];
};

void event_init(struct sio_event *e, struct sio_socket *s,
                const struct json *tape, bool named)
{
    *e = (struct sio_event){.socket = s,
                            .tape = tape,
                            .ack = PACKET_NO_ACK,
                            .first = json_first(tape, 0),
                            .count = tape->nodes[0].count};
    if (!named)
        return;
    struct sio_str name = {"", 0};
    struct sio_value v = {e, e->first};
    if (json_type(tape, e->first) == JSON_STRING)
        sio_str(v, &name);
    else
        name = sio_json(v);
    e->name = str_from_sio(name);
    e->first = json_next(tape, 0, e->first);
    e->count--;
}

void event_init_value(struct sio_event *e, const struct json *tape)
{
    *e = (struct sio_event){
        .tape = tape, .ack = PACKET_NO_ACK, .first = 0, .count = 1};
}

void event_fini(struct sio_event *e)
{
    while (e->lent) {
        struct lent *l = e->lent;
        e->lent = l->next;
        mem_free(l);
    }
}

static struct sio_value none(const struct sio_event *e)
{
    return (struct sio_value){e, JSON_NONE};
}

struct sio_str sio_event_name(const struct sio_event *e)
{
    return sio_from_str(e->name);
}

size_t sio_arg_count(const struct sio_event *e)
{
    return e->count;
}

struct sio_value sio_arg(const struct sio_event *e, size_t i)
{
    if (i >= e->count)
        return none(e);
    uint32_t node = e->first;
    while (i-- > 0)
        node = e->tape->nodes[node].next;
    return (struct sio_value){e, node};
}

enum sio_type sio_type(struct sio_value v)
{
    static const enum sio_type of_json[] = {
        [JSON_NULL] = SIO_NULL,     [JSON_FALSE] = SIO_BOOL,
        [JSON_TRUE] = SIO_BOOL,     [JSON_NUMBER] = SIO_NUMBER,
        [JSON_STRING] = SIO_STRING, [JSON_ARRAY] = SIO_ARRAY,
        [JSON_OBJECT] = SIO_OBJECT,
    };
    int64_t num;
    if (v.node == JSON_NONE)
        return SIO_NONE;
    if (v.event->n_bins && parser_placeholder(v.event->tape, v.node, &num))
        return SIO_BINARY;
    return of_json[json_type(v.event->tape, v.node)];
}

struct sio_value sio_get(struct sio_value object, const char *key)
{
    if (sio_type(object) != SIO_OBJECT)
        return none(object.event);
    return (struct sio_value){
        object.event, json_get(object.event->tape, object.node, str_of(key))};
}

struct sio_value sio_at(struct sio_value array, size_t i)
{
    if (sio_type(array) != SIO_ARRAY || i > UINT32_MAX)
        return none(array.event);
    return (struct sio_value){
        array.event, json_at(array.event->tape, array.node, (uint32_t)i)};
}

size_t sio_count(struct sio_value v)
{
    enum sio_type t = sio_type(v);
    return t == SIO_ARRAY || t == SIO_OBJECT
               ? v.event->tape->nodes[v.node].count
               : 0;
}

/* The event is the caller's object; only its list of lent text changes, which a
 * reader cannot see. */
static struct str lend(const struct sio_event *e, struct str s)
{
    union {
        const struct sio_event *in;
        struct sio_event *out;
    } event = {.in = e};
    struct lent *l = mem_alloc(sizeof(*l) + s.len + 1);
    memcpy(l->p, s.p, s.len);
    l->p[s.len] = '\0';
    l->next = event.out->lent;
    event.out->lent = l;
    return (struct str){l->p, s.len};
}

bool sio_str(struct sio_value v, struct sio_str *out)
{
    if (sio_type(v) != SIO_STRING)
        return false;
    const struct json *j = v.event->tape;
    struct buf scratch;
    buf_init(&scratch, json_text(j, v.node).len);
    struct str s = json_string_view(j, v.node, &scratch);
    if (j->nodes[v.node].escaped)
        s = lend(v.event, s);
    buf_fini(&scratch);
    *out = sio_from_str(s);
    return true;
}

bool sio_int(struct sio_value v, int64_t *out)
{
    return sio_type(v) == SIO_NUMBER && json_i64(v.event->tape, v.node, out);
}

bool sio_num(struct sio_value v, double *out)
{
    return sio_type(v) == SIO_NUMBER && json_double(v.event->tape, v.node, out);
}

bool sio_bool(struct sio_value v, bool *out)
{
    if (sio_type(v) != SIO_BOOL)
        return false;
    *out = json_type(v.event->tape, v.node) == JSON_TRUE;
    return true;
}

bool sio_binary(struct sio_value v, struct sio_str *out)
{
    int64_t num = -1;
    if (sio_type(v) != SIO_BINARY)
        return false;
    parser_placeholder(v.event->tape, v.node, &num);
    if (num < 0 || num >= v.event->n_bins)
        return false;
    *out = sio_from_str(bytes_body(v.event->bins[num]));
    return true;
}

struct sio_str sio_json(struct sio_value v)
{
    if (v.node == JSON_NONE)
        return (struct sio_str){"", 0};
    return sio_from_str(json_text(v.event->tape, v.node));
}

bool sio_wants_ack(const struct sio_event *e)
{
    return e->ack != PACKET_NO_ACK || e->asked;
}
