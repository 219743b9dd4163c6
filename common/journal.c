#include "common/journal.h"

#include <assert.h>
#include <time.h>

#include "common/id.h"
#include "common/map.h"
#include "common/mem.h"

enum { NAMES = 256, NAME_MAX_BYTES = 63 };

enum kind { NOTHING, NUMBER, ERROR, NAME };

#define JOURNAL_ROW(sym, kind, name, sentence) [sym] = {kind, name, sentence},
static const struct {
    enum kind kind;
    const char *name;
    const char *sentence;
} rows[JOURNAL_CODES] = {JOURNAL(JOURNAL_ROW)};
#undef JOURNAL_ROW

static_assert(sizeof(struct journal_record) == 32, "they are many");

static struct {
    struct journal_record *ring; /* NULL: off */
    uint32_t size;
    uint64_t written; /* since it was opened */
    char name[NAMES][NAME_MAX_BYTES + 1];
    uint32_t n_names; /* numbers given so far */
} journal;

void journal_open(uint32_t records)
{
    journal_close();
    if (records == 0)
        return;
    size_t bytes = records * sizeof(struct journal_record);
    journal.ring = mem_alloc(bytes);
    /* Touched now, so that it is not the connections that seem to grow. */
    memset(journal.ring, 0, bytes);
    journal.size = records;
}

void journal_close(void)
{
    mem_free(journal.ring);
    journal.ring = NULL;
    journal.size = 0;
    journal.written = 0;
    journal.n_names = 0;
}

/* Sids are random: their head needs no hashing. */
static uint64_t head_of(struct str sid)
{
    uint64_t head = 0;
    static_assert(sizeof(head) == JOURNAL_HEAD, "it fits");
    memcpy(&head, sid.p, sid.len < sizeof(head) ? sid.len : sizeof(head));
    return head;
}

/* Nor do the ids of sockets, but for those of protocol 3, which are made of a
 * namespace and a sid. */
static uint64_t socket_key(struct str id)
{
    return id.len == ID_LEN ? head_of(id) : map_hash(id);
}

static int64_t clock_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void add(uint64_t sid, uint64_t socket_id, enum journal_code code,
                uint32_t detail)
{
    journal.ring[journal.written++ % journal.size] =
        (struct journal_record){.at_ms = clock_ms(),
                                .sid = sid,
                                .socket_id = socket_id,
                                .detail = detail,
                                .code = (uint16_t)code};
}

void journal_add(struct str sid, enum journal_code code, uint32_t detail)
{
    if (journal.ring)
        add(head_of(sid), 0, code, detail);
}

void journal_add_socket(struct str sid, struct str socket_id,
                        enum journal_code code, uint32_t detail)
{
    if (journal.ring)
        add(head_of(sid), socket_key(socket_id), code, detail);
}

/* ---- names --------------------------------------------------------------- */

static struct str cut(struct str name)
{
    if (name.len > NAME_MAX_BYTES)
        name.len = NAME_MAX_BYTES;
    return name;
}

/* One that has been written over since has none. */
static struct str name_of(uint32_t number)
{
    if (number >= journal.n_names || journal.n_names - number > NAMES)
        return STR("?");
    return str_of(journal.name[number % NAMES]);
}

uint32_t journal_name(struct str name)
{
    name = cut(name);
    uint32_t kept = journal.n_names < NAMES ? journal.n_names : NAMES;
    for (uint32_t n = journal.n_names - kept; n < journal.n_names; n++) {
        if (str_eq(name_of(n), name))
            return n;
    }
    char *to = journal.name[journal.n_names % NAMES];
    memcpy(to, name.p, name.len);
    to[name.len] = '\0';
    return journal.n_names++;
}

/* ---- reading ------------------------------------------------------------- */

uint32_t journal_count(void)
{
    return journal.written < journal.size ? (uint32_t)journal.written
                                          : journal.size;
}

/* `i` counts from the oldest. */
static const struct journal_record *at(uint32_t i)
{
    uint64_t first = journal.written - journal_count();
    return &journal.ring[(first + i) % journal.size];
}

int64_t journal_since(void)
{
    return journal_count() ? at(0)->at_ms : 0;
}

/* The sid that a socket's id belongs to, or has last belonged to; otherwise it
 * is taken for a sid. */
static uint64_t connection_of(struct str text)
{
    uint64_t id = socket_key(text);
    for (uint32_t i = journal_count(); i > 0; i--) {
        if (at(i - 1)->socket_id == id)
            return at(i - 1)->sid;
    }
    return head_of(text);
}

uint32_t journal_of(struct str id, uint32_t most,
                    void (*each)(void *arg, const struct journal_record *r),
                    void *arg)
{
    uint32_t n = 0, count = journal_count();
    if (count == 0)
        return 0;
    uint64_t sid = connection_of(id);
    for (uint32_t i = 0; i < count; i++)
        n += at(i)->sid == sid;
    uint32_t skip = n > most ? n - most : 0;
    for (uint32_t i = 0; i < count; i++) {
        if (at(i)->sid != sid)
            continue;
        if (skip > 0)
            skip--;
        else
            each(arg, at(i));
    }
    return n;
}

const char *journal_event(const struct journal_record *r)
{
    return rows[r->code].name;
}

void journal_sentence(const struct journal_record *r, struct buf *out)
{
    struct str rest = str_of(rows[r->code].sentence), part;
    (void)str_next(&rest, '%', &part);
    buf_add(out, part);
    if (rows[r->code].kind == NUMBER)
        buf_add_u64(out, r->detail);
    else if (rows[r->code].kind == ERROR)
        buf_add(out, str_of(strerror((int)r->detail)));
    else if (rows[r->code].kind == NAME)
        buf_add(out, name_of(r->detail));
    if (rest.p)
        buf_add(out, rest);
}
