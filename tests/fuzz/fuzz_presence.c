/* Any messages in any order, one a line (an empty line lets time pass): what
 * the events said is what can be read, all of it within bounds, and what the
 * node answers is understood by another. */
#include "adapter/presence.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LEASE_MS = 1000, PASS_MS = 90 };

struct node {
    struct presence *p, *other;
    uint64_t now_ms;
    long entries; /* of group "g", by the events */
    bool sending;
};

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static void on_send(void *owner, struct str message)
{
    struct node *n = owner;
    if (n->sending)
        return;
    /* The echo, without which nobody is ever lost, comes later. */
    n->sending = true;
    expect(presence_receive(n->other, message, n->now_ms) == 0);
    n->sending = false;
}

static void on_event(void *owner, struct str nsp, struct str group,
                     struct str key, struct str meta, enum presence_event what)
{
    struct node *n = owner;
    (void)key;
    expect(meta.len > 0 && meta.len <= PRESENCE_META_MAX);
    if (n->sending || !str_eq(nsp, STR("/")) || !str_eq(group, STR("g")))
        return;
    if (what == PRESENCE_ENTER)
        n->entries++;
    else if (what != PRESENCE_UPDATE)
        n->entries--;
}

static void on_peer(void *owner, struct str node, struct str name,
                    enum presence_peer what)
{
    (void)owner;
    (void)what;
    expect(node.len == PRESENCE_NODE_LEN && name.len <= PRESENCE_NODE_NAME_MAX);
}

static const struct presence_ops ops = {on_send, on_event, on_peer};

static bool count_one(void *arg, struct str key, struct str meta)
{
    (void)key;
    (void)meta;
    ++*(long *)arg;
    return true;
}

static void check(const struct node *n)
{
    long walked = 0;
    presence_each(n->p, STR("/"), STR("g"), count_one, &walked);
    expect(walked == n->entries);
    expect(presence_count(n->p, STR("/"), STR("g")) == (size_t)walked);
    expect(presence_peers(n->p) <= PRESENCE_PEERS_MAX);
}

static void pass_time(struct node *n)
{
    static const char echo[] =
        "{\"v\":1,\"type\":\"beat\",\"node\":\"0000000000000001\","
        "\"seq\":0,\"count\":0}";
    n->now_ms += PASS_MS;
    if (presence_due(n->p) <= n->now_ms)
        presence_tick(n->p, n->now_ms);
    expect(presence_receive(n->p, STR(echo), n->now_ms) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct node n = {.now_ms = 1000};
    n.p = presence_new(STR("0000000000000001"), STR("a"), LEASE_MS, &ops, &n);
    n.other =
        presence_new(STR("0000000000000002"), STR("b"), LEASE_MS, &ops, &n);
    presence_up(n.p, n.now_ms);
    expect(presence_set(n.p, STR("/"), STR("g"), STR("k"), STR("1")) == 0);
    struct str rest = {(const char *)data, size};
    struct str line;
    while (str_next(&rest, '\n', &line)) {
        if (line.len == 0)
            pass_time(&n);
        else
            (void)!presence_receive(n.p, line, n.now_ms);
        check(&n);
    }
    presence_clear_member(n.p, STR("/"), STR("k"));
    check(&n);
    presence_free(n.p);
    presence_free(n.other);
    return 0;
}
