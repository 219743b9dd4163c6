/* The emitter (sio_emitter.h): what is built on the stack there is packed,
 * written in the emitter's wire and published over a blocking connection. */
#include "server/sio_emitter.h"

#include <limits.h>
#include <stdio.h>

#include "adapter/redis_sync.h"
#include "adapter/wire_classic.h"
#include "adapter/wire_emitter.h"
#include "adapter/wire_request.h"
#include "common/mem.h"
#include "common/utf8.h"
#include "server/io/event.h"
#include "server/io/pack.h"
#include "server/io/parser.h"

enum {
    TIMEOUT_MS = 5000,
    HELD_MAX = 1000,
    HELD_BYTES_MAX = 1000000,
    MESSAGE_MAX = 64 * 1024 * 1024, /* no server takes more */
    NUMBER_TEXT = 24,
    ERROR_MAX = 768,
};
/* Beyond, JavaScript does not count exactly. */
#define NUMBER_MAX ((INT64_C(1) << 53) - 1)

struct sio_emitter {
    struct redis_url url;
    struct redis_sync *redis; /* NULL: the URL is wrong, as `config` says */
    struct buf prefix, channel, payload;
    struct json tape;
    bool pipeline;
    int64_t receivers; /* since the last flush */
    char config[CONFIG_ERR_MAX];
    char error[ERROR_MAX];
};

/* ---- the connection ------------------------------------------------------ */

static int fail(struct sio_emitter *em, int rc, const char *sentence)
{
    (void)snprintf(em->error, sizeof(em->error), "%s", sentence);
    return rc;
}

static int check_config(struct sio_emitter *em)
{
    return em->redis ? 0 : fail(em, SIO_ERR_CONFIG, em->config);
}

static int from_redis(struct sio_emitter *em, int rc)
{
    return rc < 0 ? fail(em, SIO_ERR_IO, redis_sync_error(em->redis)) : 0;
}

struct sio_emitter *sio_emitter_new(const char *redis_url, const char *prefix)
{
    struct sio_emitter *em = mem_zalloc(sizeof(*em));
    buf_init(&em->prefix, MESSAGE_MAX);
    buf_init(&em->channel, MESSAGE_MAX);
    buf_init(&em->payload, MESSAGE_MAX);
    json_init(&em->tape);
    buf_add(&em->prefix, str_of(prefix ? prefix : "socket.io"));
    if (redis_url_parse(&em->url, redis_url, em->config) == 0)
        em->redis = redis_sync_new(&em->url, TIMEOUT_MS);
    return em;
}

void sio_emitter_free(struct sio_emitter *em)
{
    if (!em)
        return;
    redis_sync_free(em->redis);
    redis_url_fini(&em->url);
    buf_fini(&em->prefix);
    buf_fini(&em->channel);
    buf_fini(&em->payload);
    json_fini(&em->tape);
    mem_free(em);
}

void sio_emitter_timeout(struct sio_emitter *em, uint32_t ms)
{
    if (em->redis)
        redis_sync_timeout(em->redis, ms);
}

int sio_emitter_connect(struct sio_emitter *em)
{
    int rc = check_config(em);
    return rc < 0 ? rc : from_redis(em, redis_sync_connect(em->redis));
}

const char *sio_emitter_error(const struct sio_emitter *em)
{
    return em->error;
}

void sio_emitter_pipeline(struct sio_emitter *em, bool on)
{
    em->pipeline = on;
}

int sio_emitter_flush(struct sio_emitter *em)
{
    int rc = check_config(em);
    if (rc == 0)
        rc = from_redis(em, redis_sync_flush(em->redis, &em->receivers));
    int64_t n = em->receivers;
    em->receivers = 0;
    if (rc < 0)
        return rc;
    return n < INT_MAX ? (int)n : INT_MAX;
}

static int too_large(struct sio_emitter *em)
{
    return fail(em, SIO_ERR_LIMIT, "the message is larger than 64 MiB");
}

/* Channel and payload are those of the emitter. */
static int publish(struct sio_emitter *em)
{
    if (em->channel.full || em->payload.full)
        return too_large(em);
    int rc = from_redis(em, redis_sync_publish(em->redis, buf_str(&em->channel),
                                               buf_str(&em->payload)));
    if (rc < 0)
        return rc;
    if (!em->pipeline)
        return sio_emitter_flush(em);
    if (redis_sync_held(em->redis) < HELD_MAX &&
        redis_sync_held_bytes(em->redis) < HELD_BYTES_MAX)
        return 0;
    return from_redis(em, redis_sync_flush(em->redis, &em->receivers));
}

/* ---- whom it is for ------------------------------------------------------ */

struct sio_emission sio_emission_of(struct sio_emitter *em, const char *nsp)
{
    return (struct sio_emission){.emitter = em, .nsp = nsp};
}

static bool same_room(const struct sio_emission_room *a,
                      const struct sio_emission_room *b)
{
    if (a->is_number != b->is_number)
        return false;
    return a->is_number ? a->number == b->number
                        : str_eq(str_from_sio(a->name), str_from_sio(b->name));
}

/* Each name once, as in JavaScript's sets: of one room alone the channel is its
 * own. */
static void add_room(struct sio_emission *e, struct sio_emission_room *rooms,
                     uint8_t *n, struct sio_emission_room room)
{
    for (unsigned i = 0; i < *n; i++) {
        if (same_room(&rooms[i], &room))
            return;
    }
    if (*n < SIO_EMISSION_ROOMS)
        rooms[(*n)++] = room;
    else
        e->overflow = true;
}

static struct sio_emission_room named(struct sio_str name)
{
    return (struct sio_emission_room){.name = name};
}

static struct sio_emission_room numbered(int64_t number)
{
    return (struct sio_emission_room){.number = number, .is_number = true};
}

void sio_emission_to(struct sio_emission *e, struct sio_str room)
{
    add_room(e, e->rooms, &e->n_rooms, named(room));
}

void sio_emission_except(struct sio_emission *e, struct sio_str room)
{
    add_room(e, e->except, &e->n_except, named(room));
}

void sio_emission_to_number(struct sio_emission *e, int64_t room)
{
    add_room(e, e->rooms, &e->n_rooms, numbered(room));
}

void sio_emission_except_number(struct sio_emission *e, int64_t room)
{
    add_room(e, e->except, &e->n_except, numbered(room));
}

void sio_emission_volatile(struct sio_emission *e)
{
    e->is_volatile = true;
}

void sio_emission_compress(struct sio_emission *e, bool on)
{
    e->says_compress = true;
    e->compress = on;
}

/* ---- its form on the wire ------------------------------------------------ */

/* Rooms as the adapter wants them: numbers as text, and marked. */
struct names {
    struct str v[SIO_EMISSION_ROOMS];
    char text[SIO_EMISSION_ROOMS][NUMBER_TEXT];
    uint64_t numbers;
};

static int take_names(struct sio_emitter *em, struct names *to,
                      const struct sio_emission_room *rooms, size_t n)
{
    to->numbers = 0;
    if (n > SIO_EMISSION_ROOMS)
        return fail(em, SIO_ERR_ARG, "more than 64 rooms are named");
    for (size_t i = 0; i < n; i++) {
        to->v[i] = str_from_sio(rooms[i].name);
        if (!rooms[i].is_number && !utf8_valid(to->v[i]))
            return fail(em, SIO_ERR_ARG, "a room's name is not UTF-8");
        if (!rooms[i].is_number)
            continue;
        if (rooms[i].number > NUMBER_MAX || rooms[i].number < -NUMBER_MAX)
            return fail(em, SIO_ERR_ARG,
                        "a room's number is too large for JavaScript");
        (void)snprintf(to->text[i], NUMBER_TEXT, "%lld",
                       (long long)rooms[i].number);
        to->v[i] = str_of(to->text[i]);
        to->numbers |= UINT64_C(1) << i;
    }
    return 0;
}

struct selection {
    struct names rooms, except;
    struct broadcast to;
    struct buf nsp; /* with its slash */
};

static int check_selection(struct selection *s, const struct sio_emission *e)
{
    int rc = check_config(e->emitter);
    if (rc == 0 && e->overflow)
        rc = fail(e->emitter, SIO_ERR_ARG, "more than 64 rooms are named");
    if (rc == 0)
        rc = take_names(e->emitter, &s->rooms, e->rooms, e->n_rooms);
    if (rc == 0)
        rc = take_names(e->emitter, &s->except, e->except, e->n_except);
    if (rc == 0 && !utf8_valid(buf_str(&s->nsp)))
        rc = fail(e->emitter, SIO_ERR_ARG, "the namespace is not UTF-8");
    return rc;
}

/* End it with selection_fini in any case. */
static int selection_init(struct selection *s, const struct sio_emission *e)
{
    buf_init(&s->nsp, MESSAGE_MAX);
    if (e->nsp[0] != '/')
        buf_addc(&s->nsp, '/');
    buf_add(&s->nsp, str_of(e->nsp));
    int rc = check_selection(s, e);
    s->to = (struct broadcast){.rooms = s->rooms.v,
                               .n_rooms = e->n_rooms,
                               .except = s->except.v,
                               .n_except = e->n_except,
                               .number_rooms = s->rooms.numbers,
                               .number_except = s->except.numbers,
                               .is_volatile = e->is_volatile};
    buf_clear(&e->emitter->channel);
    buf_clear(&e->emitter->payload);
    return rc;
}

static void selection_fini(struct selection *s)
{
    buf_fini(&s->nsp);
}

/* ---- events -------------------------------------------------------------- */

/* The event's name and its values; they stay on the emitter's tape. */
static int pack_event(struct sio_emitter *em, struct pack *p, const char *event,
                      const char *format, struct pack_args *args)
{
    p->parse = true;
    int rc = pack_array(p, event, format, args, &em->tape);
    if (rc == SIO_ERR_ARG)
        return fail(em, rc, "the arguments are not what the format says");
    if (rc == 0 && em->tape.nodes[0].count > WIRE_ARGS_MAX)
        rc = SIO_ERR_LIMIT;
    if (rc < 0)
        return fail(em, rc,
                    "the event has more than 64 MiB, ten binaries or 65,536 "
                    "values");
    return 0;
}

static enum wire_compress compress_of(const struct sio_emission *e)
{
    if (!e->says_compress)
        return WIRE_COMPRESS_UNSAID;
    return e->compress ? WIRE_COMPRESS_ON : WIRE_COMPRESS_OFF;
}

static int publish_event(const struct sio_emission *e, struct selection *s,
                         const struct pack *p)
{
    struct sio_emitter *em = e->emitter;
    struct str nsp = buf_str(&s->nsp);
    struct buf base;
    buf_init(&base, MESSAGE_MAX);
    wire_classic_base(buf_str(&em->prefix), nsp, &base);
    wire_classic_channel(buf_str(&base), &s->to, &em->channel);
    buf_fini(&base);
    struct bytes *data = bytes_new(buf_str(&p->json));
    struct packet *packet =
        packet_new(PACKET_EVENT, nsp, PACKET_NO_ACK, data, p->bins, p->n_bins);
    bytes_unref(data);
    int rc = wire_emitter_encode(&em->tape, packet, &s->to, compress_of(e),
                                 &em->payload);
    packet_unref(packet);
    return rc < 0 ? too_large(em) : publish(em);
}

int sio_emitter_emit(const struct sio_emission *e, const char *event,
                     const char *format, ...)
{
    struct sio_emitter *em = e->emitter;
    if (parser_reserved(str_of(event)))
        return fail(em, SIO_ERR_ARG,
                    "the event's name is one that Socket.IO keeps for itself");
    struct selection s;
    struct pack p;
    struct pack_args args;
    pack_init(&p, MESSAGE_MAX);
    int rc = selection_init(&s, e);
    va_start(args.ap, format);
    if (rc == 0)
        rc = pack_event(em, &p, event, format, &args);
    va_end(args.ap);
    if (rc == 0)
        rc = publish_event(e, &s, &p);
    pack_fini(&p);
    selection_fini(&s);
    return rc;
}

/* ---- everything else ----------------------------------------------------- */

static int publish_request(struct sio_emitter *em, const struct selection *s,
                           const struct wire_request *request)
{
    wire_request_channel(buf_str(&em->prefix), buf_str(&s->nsp), &em->channel);
    if (wire_request_encode(&em->tape, request, &em->payload) < 0)
        return too_large(em);
    return publish(em);
}

/* Rooms to join or leave from the tape; their names are lent by `event`. */
static int read_rooms(struct sio_emitter *em, const struct sio_event *event,
                      struct sio_emission_room *rooms)
{
    size_t n = sio_arg_count(event);
    if (n > SIO_EMISSION_ROOMS)
        return fail(em, SIO_ERR_ARG, "more than 64 rooms are named");
    for (size_t i = 0; i < n; i++) {
        struct sio_value v = sio_arg(event, i);
        rooms[i] = named((struct sio_str){"", 0});
        rooms[i].is_number = sio_int(v, &rooms[i].number);
        if (!rooms[i].is_number && !sio_str(v, &rooms[i].name))
            return fail(em, SIO_ERR_ARG,
                        "a room is neither a string nor a whole number");
    }
    return 0;
}

static int publish_rooms(struct sio_emitter *em, struct selection *s,
                         enum wire_type type)
{
    struct sio_event event;
    struct sio_emission_room rooms[SIO_EMISSION_ROOMS];
    struct names names;
    event_init(&event, NULL, &em->tape, false);
    int rc = read_rooms(em, &event, rooms);
    if (rc == 0)
        rc = take_names(em, &names, rooms, event.count);
    if (rc == 0) {
        struct wire_request request = {
            .type = type,
            .opts = s->to,
            .names = {names.v, event.count, names.numbers}};
        rc = publish_request(em, s, &request);
    }
    event_fini(&event);
    return rc;
}

static int move(const struct sio_emission *e, enum wire_type type,
                const char *format, struct pack_args *args)
{
    struct selection s;
    struct pack p;
    pack_init(&p, MESSAGE_MAX);
    int rc = selection_init(&s, e);
    if (rc == 0)
        rc = pack_event(e->emitter, &p, NULL, format, args);
    if (rc == 0)
        rc = publish_rooms(e->emitter, &s, type);
    pack_fini(&p);
    selection_fini(&s);
    return rc;
}

int sio_emitter_join(const struct sio_emission *e, const char *format, ...)
{
    struct pack_args args;
    va_start(args.ap, format);
    int rc = move(e, WIRE_JOIN, format, &args);
    va_end(args.ap);
    return rc;
}

int sio_emitter_leave(const struct sio_emission *e, const char *format, ...)
{
    struct pack_args args;
    va_start(args.ap, format);
    int rc = move(e, WIRE_LEAVE, format, &args);
    va_end(args.ap);
    return rc;
}

int sio_emitter_disconnect(const struct sio_emission *e, bool close)
{
    struct selection s;
    int rc = selection_init(&s, e);
    if (rc == 0) {
        struct wire_request request = {
            .type = WIRE_DISCONNECT, .opts = s.to, .close = close};
        rc = publish_request(e->emitter, &s, &request);
    }
    selection_fini(&s);
    return rc;
}

/* Servers hand these on to all that listen to a namespace: they would pass for
 * what the server itself has to tell. */
static bool is_servers_own(struct str event)
{
    return str_eq(event, STR("connect")) || str_eq(event, STR("connection")) ||
           str_eq(event, STR("new_namespace"));
}

int sio_emitter_server_emit(const struct sio_emission *e, const char *event,
                            const char *format, ...)
{
    struct sio_emitter *em = e->emitter;
    if (is_servers_own(str_of(event)))
        return fail(em, SIO_ERR_ARG,
                    "the event's name is one that servers keep for themselves");
    if (e->n_rooms > 0 || e->n_except > 0)
        return fail(em, SIO_ERR_ARG,
                    "an event to servers cannot be for some rooms");
    struct selection s;
    struct pack p;
    struct pack_args args;
    pack_init_text(&p, MESSAGE_MAX);
    int rc = selection_init(&s, e);
    va_start(args.ap, format);
    if (rc == 0)
        rc = pack_event(em, &p, event, format, &args);
    va_end(args.ap);
    if (rc == 0) {
        struct wire_request request = {.type = WIRE_EVENT,
                                       .uid = STR(WIRE_EMITTER_UID),
                                       .data = buf_str(&p.json)};
        rc = publish_request(em, &s, &request);
    }
    pack_fini(&p);
    selection_fini(&s);
    return rc;
}
