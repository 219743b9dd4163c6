/* The messages of presence, as JSON, and nothing of their meaning (that is in
 * presence.h):
 *
 *     {"v":1,"type":T,"node":ID,...}
 *     hello, beat   seq, count, name; tag, relay and token (presence_relay)
 *                   of nodes that take requests from others
 *     set           seq, entry [nsp, group, key, meta]
 *     del           seq, entry [nsp, group, key]
 *     want          of
 *     full          seq, count, part, entries, last
 *     bye
 *
 * Reading is for untrusted text: what comes out has all that its type needs. */
#ifndef CONFAB_ADAPTER_WIRE_PRESENCE_H
#define CONFAB_ADAPTER_WIRE_PRESENCE_H

#include "adapter/presence_table.h"
#include "common/json.h"

enum {
    PRESENCE_NODE_LEN = 16, /* lower-case hexadecimal digits */
    PRESENCE_NODE_NAME_MAX = 64,
    PRESENCE_META_DEPTH = 28,
    PRESENCE_MESSAGE_MAX = 256 * 1024,
};

/* How other nodes give a request to the node whose session it belongs to. */
enum {
    PRESENCE_TAG_LEN = 6,    /* with which its session ids begin */
    PRESENCE_TOKEN_LEN = 22, /* that shows it is from a node of the cluster */
    PRESENCE_ADDRESS_MAX = 262,
};

struct presence_relay {
    char tag[PRESENCE_TAG_LEN];         /* [A-Za-z0-9_-] */
    char token[PRESENCE_TOKEN_LEN];     /* the same */
    size_t address_len;                 /* 0: it takes none */
    char address[PRESENCE_ADDRESS_MAX]; /* host:port, [IPv6]:port */
};

/* Letters, digits and .-_:[] with a port. */
bool wire_presence_is_address(struct str s);

enum presence_type {
    PRESENCE_HELLO,
    PRESENCE_BEAT,
    PRESENCE_SET,
    PRESENCE_DEL,
    PRESENCE_WANT,
    PRESENCE_FULL,
    PRESENCE_BYE,
    PRESENCE_TYPES,
};

bool wire_presence_is_node(struct str s);

/* ---- writing: begin, what the type needs, end ---------------------------- */

void wire_presence_begin(struct buf *b, enum presence_type type,
                         struct str node);
void wire_presence_number(struct buf *b, const char *key, uint64_t n);
void wire_presence_text(struct buf *b, const char *key, struct str s);
/* Nothing when it takes none. */
void wire_presence_relay(struct buf *b, const struct presence_relay *r);
/* "entry": one, with its meta or without. */
void wire_presence_entry(struct buf *b, const struct presence_entry *e,
                         bool with_meta);
/* "entries" from `*next` on until the message is large enough; says in "last"
 * whether that was all of the source, and returns it. */
bool wire_presence_entries(struct buf *b, const struct presence_source *s,
                           struct list **next);
void wire_presence_end(struct buf *b);

/* ---- reading ------------------------------------------------------------- */

struct presence_message {
    enum presence_type type; /* PRESENCE_TYPES: of a later version */
    struct str node, of;     /* in the text */
    uint64_t seq, count, part;
    uint32_t entry; /* on the tape: the entry, or the array of them */
    bool last;
    size_t name_len;
    char name[PRESENCE_NODE_NAME_MAX]; /* cut */
    struct presence_relay relay;       /* without an address: none, or bad */
};

/* 0, ERR_PROTO or ERR_LIMIT. Text and tape must live as long as the message. */
MUST_CHECK int wire_presence_decode(struct json *tape, struct str text,
                                    struct presence_message *m);
/* The entry at `node`: its id into `id`, and its meta unless NULL is given. */
MUST_CHECK int wire_presence_read(const struct json *tape, uint32_t node,
                                  struct buf *id, struct str *meta);
/* Whether a text may be the meta of an entry. `tape` is work space. */
MUST_CHECK int wire_presence_check_meta(struct json *tape, struct str meta);

#endif
