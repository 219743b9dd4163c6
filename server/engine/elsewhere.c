#include "server/engine/elsewhere.h"

#include <assert.h>

#include "common/mem.h"
#include "common/metrics.h"
#include "server/engine/engine.h"
#include "server/http/busy.h"
#include "server/http/onward.h"
#include "server/http/relay.h"

enum {
    CONNECT_MS = 2000,
    IDLE_MS = 10000, /* less than a node keeps its side open */
    TOKEN_MAX = 32,
};

struct elsewhere {
    struct engine *engine;
    struct relay *relay;
    bool (*find)(void *arg, struct str tag, struct elsewhere_node *node);
    void *arg;
    size_t token_len;
    char tag[NODE_TAG_LEN], token[TOKEN_MAX];
};

static void on_refuse(void *arg, struct http_request *r, enum relay_refusal why)
{
    struct elsewhere *x = arg;
    if (why == RELAY_UNREACHABLE)
        engine_unknown_sid(x->engine, r);
    else if (why == RELAY_BUSY)
        busy_respond(r, "Too many relayed requests", STR(""));
    else
        engine_too_large(x->engine, r);
}

struct elsewhere *elsewhere_new(struct engine *e,
                                const struct elsewhere_settings *s)
{
    const struct engine_settings *es = &e->settings;
    struct elsewhere *x = mem_zalloc(sizeof(*x));
    assert(s->tag.len == sizeof(x->tag) && s->token.len <= sizeof(x->token));
    memcpy(x->tag, s->tag.p, s->tag.len);
    memcpy(x->token, s->token.p, s->token.len);
    x->token_len = s->token.len;
    x->engine = e;
    x->find = s->find;
    x->arg = s->arg;
    struct relay_settings rs = {
        .requests = s->requests,
        .body_bytes = es->max_payload_bytes,
        .connect_ms = CONNECT_MS,
        /* A poll is held until there is something to say: a ping at the latest,
         * or the end of the session. */
        .answer_ms = es->ping_interval_ms + es->ping_timeout_ms + CONNECT_MS,
        .idle_ms = IDLE_MS,
    };
    x->relay = relay_new(e->loop, &rs, on_refuse, x);
    return x;
}

void elsewhere_close(struct elsewhere *x)
{
    if (x)
        relay_close(x->relay);
}

void elsewhere_free(struct elsewhere *x)
{
    if (!x)
        return;
    relay_free(x->relay);
    mem_free(x);
}

size_t elsewhere_tag(const struct elsewhere *x, char *sid)
{
    if (!x)
        return 0;
    memcpy(sid, x->tag, sizeof(x->tag));
    return sizeof(x->tag);
}

static bool is_relayed(const struct http_request *r)
{
    struct str token;
    return http_header(r, STR(ONWARD_HEADER), &token);
}

bool elsewhere_find(const struct elsewhere *x, const struct http_request *r,
                    struct str sid, struct elsewhere_node *node)
{
    bool carries = http_verb(r) == VERB_GET || http_verb(r) == VERB_POST;
    if (!x || sid.len < ID_LEN || sid.len > SID_MAX || !carries ||
        is_relayed(r))
        return false;
    return x->find(x->arg, (struct str){sid.p, NODE_TAG_LEN}, node);
}

void elsewhere_request(struct elsewhere *x, struct http_request *r,
                       const struct elsewhere_node *node)
{
    relay_request(x->relay, r, node->address, node->token);
}

/* Takes as long whatever it is. */
static bool same(struct str a, struct str b)
{
    unsigned char differ = 0;
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        differ |= (unsigned char)(a.p[i] ^ b.p[i]);
    return differ == 0;
}

bool elsewhere_vouched(const struct elsewhere *x, const struct http_request *r)
{
    struct str token;
    return x && http_header(r, STR(ONWARD_HEADER), &token) &&
           same(token, (struct str){x->token, x->token_len});
}

uint32_t elsewhere_count(const struct elsewhere *x)
{
    return x ? relay_count(x->relay) : 0;
}
