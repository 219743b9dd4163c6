#include "server/io/fates.h"

#include "adapter/adapter.h"
#include "common/json_out.h"
#include "common/mem.h"

static const struct {
    struct str name;
    enum fate_kind kind;
} policies[] = {
    {STR_INIT("disconnect"), FATE_KEEP},
    {STR_INIT("drop_new"), FATE_DROP_NEW},
    {STR_INIT("drop_oldest"), FATE_DROP_OLDEST},
    {STR_INIT("latest"), FATE_LATEST},
};

/* Known by its name as it stands in a packet: JSON, quotes included. */
struct class
{
    struct map_node by_name;
    struct fate fate;
    struct bytes *name;
};

static struct str class_name(const struct map_node *n)
{
    return bytes_str(const_container_of(n, struct class, by_name)->name);
}

static int find_policy(struct str name)
{
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        if (str_eq(name, policies[i].name))
            return (int)policies[i].kind;
    }
    return ERR_CONFIG;
}

static int add(struct fates *f, struct str item)
{
    struct str name, policy;
    if (f->n == FATES_MAX || !str_pair(item, &name, &policy))
        return ERR_CONFIG;
    int kind = find_policy(policy);
    if (kind < 0)
        return ERR_CONFIG;
    struct buf json;
    buf_init(&json, name.len * 6 + 2);
    json_out_string(&json, name);
    bool known = map_get(&f->by_name, buf_str(&json)) != NULL;
    if (!known) {
        struct class *c = mem_zalloc(sizeof(*c));
        c->name = bytes_new(buf_str(&json));
        c->fate = (struct fate){.kind = (uint8_t)kind, .class = f->n++};
        map_put(&f->by_name, &c->by_name);
    }
    buf_fini(&json);
    return known ? ERR_CONFIG : 0;
}

int fates_init(struct fates *f, struct str list, struct str *bad)
{
    struct str item;
    *f = (struct fates){.n = 0};
    map_init(&f->by_name, class_name);
    while (str_next(&list, '\n', &item)) {
        *bad = item;
        if (item.len > 0 && add(f, item) < 0)
            return ERR_CONFIG;
    }
    return 0;
}

static void free_class(struct map_node *n, void *arg)
{
    struct fates *f = arg;
    struct class *c = container_of(n, struct class, by_name);
    map_remove(&f->by_name, n);
    bytes_unref(c->name);
    mem_free(c);
}

void fates_fini(struct fates *f)
{
    if (f->n)
        map_each(&f->by_name, free_class, f);
    map_fini(&f->by_name);
    f->n = 0;
}

/* The first value of the array when it is a string, as it stands there. */
static struct str name_of(struct str data)
{
    if (data.len < 3 || data.p[1] != '"')
        return STR("");
    size_t end = 2;
    while (end < data.len && data.p[end] != '"')
        end += data.p[end] == '\\' ? 2 : 1;
    return end < data.len ? (struct str){data.p + 1, end} : STR("");
}

/* Of the event, the namespace and the rooms it goes to. Rooms of one client
 * are few: 32 bits tell them apart. */
static uint32_t key_of(uint16_t class, struct str nsp,
                       const struct broadcast *to)
{
    uint64_t key[3] = {class, map_hash(nsp), 0};
    if (!to)
        key[2] = 1;
    for (size_t i = 0; to && i < to->n_rooms; i++)
        key[2] += map_hash(to->rooms[i]) | 1;
    return (uint32_t)map_hash((struct str){(const char *)key, sizeof(key)});
}

struct fate fates_find(const struct fates *f, const struct parser_out *p,
                       const struct broadcast *to)
{
    struct fate keep = {0};
    if (p->type != PACKET_EVENT || p->ack != PACKET_NO_ACK || p->offset.len)
        return keep;
    struct map_node *n = map_get(&f->by_name, name_of(p->data));
    if (!n)
        return keep;
    struct fate fate = container_of(n, struct class, by_name)->fate;
    if (fate.kind == FATE_LATEST)
        fate.key = key_of(fate.class, p->nsp, to);
    return fate;
}
