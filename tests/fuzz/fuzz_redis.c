/* Whatever Redis sends, in pieces of any size: every reply answers a question,
 * what is handed on lies within its bounds, and the connection either works on
 * or has been given up. The first byte says how many questions are open, then
 * each piece has its length in front; a piece of no length asks one more. */
#include "adapter/redis.h"

#include <stdlib.h>

#include "common/log.h"
#include "tests/lib/fake_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_BYTES = 4096, PIECE_MAX = LOOP_READ_BYTES };

static struct {
    unsigned asked, answered, lost, ups, downs;
} seen;

static void expect(bool ok)
{
    if (!ok)
        abort();
}

/* Reads all of it, so that the sanitizer sees where it lies. */
static void look_at(struct str s)
{
    static volatile unsigned sum;
    expect(s.p != NULL);
    for (size_t i = 0; i < s.len; i++)
        sum += (unsigned char)s.p[i];
}

static void on_up(void *owner)
{
    (void)owner;
    seen.ups++;
}

static void on_down(void *owner, const char *reason)
{
    (void)owner;
    expect(reason[0] != '\0');
    seen.downs++;
}

static void on_message(void *owner, struct str pattern, struct str channel,
                       struct str payload)
{
    (void)owner;
    look_at(pattern);
    look_at(channel);
    look_at(payload);
    expect(pattern.len + channel.len + payload.len <=
           MAX_BYTES + 2 * PIECE_MAX);
}

static void on_reply(void *arg, const struct redis_reply *reply)
{
    (void)arg;
    if (!reply) {
        seen.lost++;
        return;
    }
    seen.answered++;
    look_at(reply->text);
    expect(reply->n <= REDIS_ITEMS_MAX);
    for (size_t i = 0; i < reply->n; i++)
        look_at(reply->items[i].text);
}

static void ask(struct redis *r)
{
    struct str argv[] = {STR("SUBSCRIBE"), STR("x")};
    seen.asked += redis_command(r, argv, 2, on_reply, NULL);
}

static void hear(struct str data)
{
    /* In memory of its own, as nothing behind it may be read. */
    char *copy = mem_strndup(data.p, data.len);
    wire->ops->on_data(wire, wire->owner, (struct str){copy, data.len});
    mem_free(copy);
}

static void feed(struct redis *r, struct str in)
{
    while (wire && in.len > 0) {
        size_t n = (unsigned char)in.p[0];
        in = str_from(in, 1);
        if (n == 0) {
            ask(r);
            continue;
        }
        if (n > in.len)
            n = in.len;
        /* What comes at once is rarely short. */
        struct str piece = {in.p, n < 200 ? n : in.len};
        in = str_from(in, piece.len);
        hear(piece);
    }
}

/* A turn without waiting: the clock is ours. */
static void turn(struct loop *l)
{
    l->now_ms++;
    l->clock_read = true;
    timer_wheel_advance(&l->wheel, l->now_ms);
    loop_end_of_turn(l);
}

static void run(struct loop *l, bool subscribes, unsigned questions,
                struct str in)
{
    static char host[] = "h";
    const struct redis_url url = {.host = host, .port = 1};
    const struct redis_ops ops = {on_up, on_down,
                                  subscribes ? on_message : NULL};
    struct redis_settings s = {.url = &url,
                               .role = "fuzz",
                               .client_name = "fuzz",
                               .max_bytes = MAX_BYTES};
    struct redis *r = redis_new(l, NULL, &s, &ops, NULL);
    turn(l);
    expect(wire != NULL);
    wire->ops->on_connect(wire, wire->owner);
    if (questions & 8) {
        while (redis_unanswered(r) > 0)
            hear(STR("+OK\r\n"));
        expect(redis_is_up(r));
    }
    for (; questions & 7; questions--)
        ask(r);
    feed(r, in);
    expect(redis_is_up(r) == (seen.ups > seen.downs));
    expect(seen.ups - seen.downs <= 1);
    if (!wire)
        expect(redis_unanswered(r) == 0);
    if (!wire || redis_unanswered(r) == 0)
        expect(seen.answered + seen.lost == seen.asked);
    redis_free(r);
    turn(l);
    expect(!wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct loop *l;
    if (size == 0)
        return 0;
    if (!l)
        l = loop_new();
    log_set_level(LOG_ERROR);
    memset(&seen, 0, sizeof(seen));
    run(l, data[0] & 16, data[0] & 15,
        (struct str){(const char *)data + 1, size - 1});
    return 0;
}
