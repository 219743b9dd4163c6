#include "adapter/wire_presence.h"

#include <ctype.h>

#include "common/json_out.h"

enum {
    MESSAGE_NODES = 128 * 1024,
    /* A message, its list of entries, an entry. */
    MESSAGE_DEPTH = PRESENCE_META_DEPTH + 3,
    PART_BYTES = 64 * 1024,
    VERSION = 1,
};

enum need {
    SEQ = 1,
    COUNT = 2,
    PART = 4,
    LAST = 8,
    OF = 16,
    ENTRY = 32,
    ENTRIES = 64,
};

static const struct {
    const char *name;
    unsigned needs;
} types[PRESENCE_TYPES] = {
    [PRESENCE_HELLO] = {"hello", SEQ | COUNT},
    [PRESENCE_BEAT] = {"beat", SEQ | COUNT},
    [PRESENCE_SET] = {"set", SEQ | ENTRY},
    [PRESENCE_DEL] = {"del", SEQ | ENTRY},
    [PRESENCE_WANT] = {"want", OF},
    [PRESENCE_FULL] = {"full", SEQ | COUNT | PART | LAST | ENTRIES},
    [PRESENCE_BYE] = {"bye", 0},
};

bool wire_presence_is_node(struct str s)
{
    if (s.len != PRESENCE_NODE_LEN)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        bool digit = s.p[i] >= '0' && s.p[i] <= '9';
        if (!digit && (s.p[i] < 'a' || s.p[i] > 'f'))
            return false;
    }
    return true;
}

static bool is_id(struct str s, size_t len)
{
    if (s.len != len)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (!isalnum((unsigned char)s.p[i]) && s.p[i] != '-' && s.p[i] != '_')
            return false;
    }
    return true;
}

/* A name or an IPv4 address; between brackets, an IPv6 address. */
static bool is_host(struct str s)
{
    bool brackets = s.len > 2 && s.p[0] == '[' && s.p[s.len - 1] == ']';
    if (brackets)
        s = (struct str){s.p + 1, s.len - 2};
    for (size_t i = 0; i < s.len; i++) {
        const char *marks = brackets ? ":." : ".-_";
        if (!isalnum((unsigned char)s.p[i]) &&
            (s.p[i] == '\0' || !strchr(marks, s.p[i])))
            return false;
    }
    return s.len > 0;
}

bool wire_presence_is_address(struct str s)
{
    size_t at = s.len;
    uint64_t port;
    while (at > 0 && s.p[at - 1] != ':')
        at--;
    return s.len <= PRESENCE_ADDRESS_MAX && at > 0 &&
           str_to_u64(str_from(s, at), UINT16_MAX, &port) && port > 0 &&
           is_host((struct str){s.p, at - 1});
}

/* ---- writing ------------------------------------------------------------- */

static void add_key(struct buf *b, const char *key)
{
    buf_add(b, STR(",\""));
    buf_add(b, str_of(key));
    buf_add(b, STR("\":"));
}

void wire_presence_number(struct buf *b, const char *key, uint64_t n)
{
    add_key(b, key);
    buf_add_u64(b, n);
}

void wire_presence_text(struct buf *b, const char *key, struct str s)
{
    add_key(b, key);
    json_out_string(b, s);
}

void wire_presence_relay(struct buf *b, const struct presence_relay *r)
{
    if (r->address_len == 0)
        return;
    wire_presence_text(b, "tag", (struct str){r->tag, sizeof(r->tag)});
    wire_presence_text(b, "relay", (struct str){r->address, r->address_len});
    wire_presence_text(b, "token", (struct str){r->token, sizeof(r->token)});
}

void wire_presence_begin(struct buf *b, enum presence_type type,
                         struct str node)
{
    buf_clear(b);
    buf_add(b, STR("{\"v\":1"));
    wire_presence_text(b, "type", str_of(types[type].name));
    wire_presence_text(b, "node", node);
}

void wire_presence_end(struct buf *b)
{
    buf_addc(b, '}');
}

static void add_entry(struct buf *b, const struct presence_entry *e,
                      bool with_meta)
{
    buf_addc(b, '[');
    json_out_string(b, e->nsp);
    buf_addc(b, ',');
    json_out_string(b, e->group_name);
    buf_addc(b, ',');
    json_out_string(b, e->key);
    if (with_meta) {
        buf_addc(b, ',');
        buf_add(b, e->meta);
    }
    buf_addc(b, ']');
}

void wire_presence_entry(struct buf *b, const struct presence_entry *e,
                         bool with_meta)
{
    add_key(b, "entry");
    add_entry(b, e, with_meta);
}

bool wire_presence_entries(struct buf *b, const struct presence_source *s,
                           struct list **next)
{
    add_key(b, "entries");
    char before = '[';
    if (*next == &s->order)
        buf_addc(b, '[');
    while (*next != &s->order && b->len < PART_BYTES) {
        buf_addc(b, before);
        before = ',';
        add_entry(b, container_of(*next, struct presence_entry, in_source),
                  true);
        *next = (*next)->next;
    }
    bool last = *next == &s->order;
    buf_addc(b, ']');
    add_key(b, "last");
    buf_add(b, last ? STR("true") : STR("false"));
    return last;
}

/* ---- reading ------------------------------------------------------------- */

static bool number_of(const struct json *j, const char *key, uint64_t *out)
{
    int64_t n;
    uint32_t node = json_get(j, 0, str_of(key));
    if (node == JSON_NONE || json_type(j, node) != JSON_NUMBER ||
        !json_i64(j, node, &n) || n < 0)
        return false;
    *out = (uint64_t)n;
    return true;
}

/* Text that is written without escapes by everyone; empty otherwise. */
static struct str plain_text_of(const struct json *j, const char *key)
{
    uint32_t node = json_get(j, 0, str_of(key));
    if (node == JSON_NONE || json_type(j, node) != JSON_STRING ||
        j->nodes[node].escaped)
        return STR("");
    struct str s = json_text(j, node);
    return (struct str){s.p + 1, s.len - 2};
}

static enum presence_type type_of(const struct json *j)
{
    struct str name = plain_text_of(j, "type");
    unsigned i = 0;
    while (i < PRESENCE_TYPES && !str_eq(name, str_of(types[i].name)))
        i++;
    return (enum presence_type)i;
}

static void read_name(const struct json *j, struct presence_message *m)
{
    struct str name = plain_text_of(j, "name");
    m->name_len = name.len < sizeof(m->name) ? name.len : sizeof(m->name);
    memcpy(m->name, name.p, m->name_len);
}

/* One that makes no sense costs nothing but itself. */
static void read_relay(const struct json *j, struct presence_message *m)
{
    struct str tag = plain_text_of(j, "tag");
    struct str token = plain_text_of(j, "token");
    struct str address = plain_text_of(j, "relay");
    struct presence_relay *r = &m->relay;
    if (!is_id(tag, sizeof(r->tag)) || !is_id(token, sizeof(r->token)) ||
        !wire_presence_is_address(address))
        return;
    memcpy(r->tag, tag.p, sizeof(r->tag));
    memcpy(r->token, token.p, sizeof(r->token));
    memcpy(r->address, address.p, address.len);
    r->address_len = address.len;
}

/* What the type needs and the message does not have. */
static unsigned read_fields(const struct json *j, unsigned needs,
                            struct presence_message *m)
{
    unsigned have = 0;
    uint32_t last = json_get(j, 0, STR("last"));
    m->of = plain_text_of(j, "of");
    m->entry = json_get(j, 0, needs & ENTRIES ? STR("entries") : STR("entry"));
    if (number_of(j, "seq", &m->seq))
        have |= SEQ;
    if (number_of(j, "count", &m->count))
        have |= COUNT;
    if (number_of(j, "part", &m->part))
        have |= PART;
    if (wire_presence_is_node(m->of))
        have |= OF;
    if (m->entry != JSON_NONE && json_type(j, m->entry) == JSON_ARRAY)
        have |= ENTRY | ENTRIES;
    if (last != JSON_NONE) {
        have |= LAST;
        m->last = json_type(j, last) == JSON_TRUE;
    }
    return needs & ~have;
}

int wire_presence_decode(struct json *tape, struct str text,
                         struct presence_message *m)
{
    struct json_limits limits = {MESSAGE_DEPTH, MESSAGE_NODES};
    uint64_t version;
    *m = (struct presence_message){.type = PRESENCE_TYPES};
    if (text.len > PRESENCE_MESSAGE_MAX)
        return ERR_LIMIT;
    int rc = json_parse(tape, text, limits);
    if (rc < 0)
        return rc;
    m->node = plain_text_of(tape, "node");
    if (!number_of(tape, "v", &version) || !wire_presence_is_node(m->node))
        return ERR_PROTO;
    read_name(tape, m);
    m->type = version == VERSION ? type_of(tape) : PRESENCE_TYPES;
    if (m->type == PRESENCE_TYPES)
        return 0;
    if (m->type == PRESENCE_HELLO || m->type == PRESENCE_BEAT)
        read_relay(tape, m);
    return read_fields(tape, types[m->type].needs, m) ? ERR_PROTO : 0;
}

int wire_presence_read(const struct json *tape, uint32_t node, struct buf *id,
                       struct str *meta)
{
    if (json_type(tape, node) != JSON_ARRAY ||
        tape->nodes[node].count < (meta ? 4U : 3U))
        return ERR_PROTO;
    presence_id_begin(id);
    uint32_t at = json_first(tape, node);
    for (unsigned i = 0; i < 3; i++) {
        if (json_type(tape, at) != JSON_STRING)
            return ERR_PROTO;
        json_string(tape, at, id);
        if (presence_id_name(id, i) < 0)
            return ERR_LIMIT;
        at = json_next(tape, node, at);
    }
    if (meta)
        *meta = json_text(tape, at);
    return 0;
}

int wire_presence_check_meta(struct json *tape, struct str meta)
{
    struct json_limits limits = {PRESENCE_META_DEPTH, MESSAGE_NODES};
    if (meta.len > PRESENCE_META_MAX)
        return ERR_LIMIT;
    return json_parse(tape, meta, limits);
}
