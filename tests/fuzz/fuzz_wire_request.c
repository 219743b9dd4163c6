/* Whatever Redis delivers as a request or a response: what is accepted says the
 * same when it is written again and read back. */
#include "adapter/wire_request.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct wire_limits limits = {.depth = 8, .json_bytes = 1U << 20};
static struct wire_space space, space2;
static struct json tape;

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static void same_names(const struct str *a, const struct str *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        expect(str_eq(a[i], b[i]));
}

static void same_opts(const struct broadcast *a, const struct broadcast *b)
{
    expect(a->n_rooms == b->n_rooms && a->n_except == b->n_except);
    same_names(a->rooms, b->rooms, a->n_rooms);
    same_names(a->except, b->except, a->n_except);
    expect(a->number_rooms == b->number_rooms);
    expect(a->number_except == b->number_except);
    expect(a->is_volatile == b->is_volatile);
}

static void same_packet(const struct packet *a, const struct packet *b)
{
    expect(a->n_bins == b->n_bins);
    expect(str_eq(bytes_str(a->data), bytes_str(b->data)));
    for (size_t i = 0; i < a->n_bins; i++)
        expect(str_eq(bytes_str(a->bins[i]), bytes_str(b->bins[i])));
}

/* `exact`: the packet's text is already as a second reading would make it. */
static void same_request(const struct wire_request *a,
                         const struct wire_request *b, bool exact)
{
    expect(a->type == b->type && str_eq(a->id, b->id));
    expect(str_eq(a->uid, b->uid));
    expect(a->type == WIRE_FETCH || a->timeout_ms == b->timeout_ms);
    expect(a->close == b->close && a->names.n == b->names.n);
    same_names(a->names.v, b->names.v, a->names.n);
    expect(a->names.numbers == b->names.numbers);
    expect(str_eq(a->data, b->data));
    if (a->packet && exact)
        same_packet(a->packet, b->packet);
}

/* Flags have no place in the JSON forms. */
static void request_again(struct wire_request *r, bool exact)
{
    struct wire_request back;
    struct buf out;
    if (r->type != WIRE_BROADCAST) {
        r->timeout_ms = 0;
        r->opts.is_volatile = false;
    }
    buf_init(&out, 1U << 24);
    expect(wire_request_encode(&tape, r, &out) == 0);
    expect(str_eq(wire_request_uid(buf_str(&out)), r->uid) ||
           memchr(r->uid.p, '\\', r->uid.len) || r->type != WIRE_BROADCAST);
    expect(wire_request_decode(buf_str(&out), STR("/"), &limits, &space2,
                               &back) == 0);
    same_request(r, &back, exact);
    same_opts(&r->opts, &back.opts);
    wire_request_fini(&back);
    buf_fini(&out);
}

static void try_request(struct str payload)
{
    struct wire_request r;
    int rc = wire_request_decode(payload, STR("/"), &limits, &space, &r);
    (void)wire_request_uid(payload);
    if (rc == 0 && r.sid.len == 0)
        request_again(&r, payload.p[0] != '{');
    wire_request_fini(&r);
    wire_space_trim(&space);
}

static void response_again(const struct wire_response *r, bool exact)
{
    struct wire_response back;
    struct buf out;
    int rc = 0;
    buf_init(&out, 1U << 24);
    if (r->type == WIRE_CLIENT_COUNT)
        wire_response_count(r->id, r->clients, &out);
    else if (r->type == WIRE_EVENT)
        rc = wire_response_event(&tape, r->id, r->value, NULL, 0, &out);
    else if (r->type == WIRE_ACK)
        rc = wire_response_ack(&tape, r->id, r->value, r->bins.v, r->bins.n,
                               &out);
    else
        wire_response_done(r->id, &out);
    expect(rc == 0);
    expect(wire_response_decode(buf_str(&out), &limits, &space2, &back) == 0);
    expect(str_eq(back.id, r->id));
    expect(back.type == r->type || back.type == WIRE_NO_TYPE);
    expect(back.clients == r->clients);
    if (exact || r->type == WIRE_EVENT)
        expect(str_eq(back.value, r->value));
    expect(back.bins.n == r->bins.n);
    wire_response_fini(&back);
    buf_fini(&out);
}

static void try_response(struct str payload)
{
    struct wire_response r;
    struct str early = wire_response_id(payload);
    (void)early;
    if (wire_response_decode(payload, &limits, &space, &r) == 0)
        response_again(&r, payload.p[0] != '{');
    wire_response_fini(&r);
    wire_space_trim(&space);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str payload = {(const char *)data, size};
    try_request(payload);
    try_response(payload);
    return 0;
}
