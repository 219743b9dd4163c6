/* The session keeps the request's target and header lines, searched when asked.
 */
#include "server/io/handshake.h"

#include <time.h>

#include "common/json_out.h"
#include "server/http/http_query.h"
#include "server/io/event.h"
#include "server/io/socket.h"

enum {
    FORWARDED_BYTES = 64 * 1024, /* a request's head is smaller */
    JSON_KEEP_BYTES = 64 * 1024, /* a large handshake's memory is given back */
};

/* ---- the first request --------------------------------------------------- */

static struct session *session_of(const struct sio_socket *s)
{
    return s->state == SOCKET_GONE ? NULL : client_session(s->client);
}

/* Behind the target. */
static struct head headers_of(const struct session *session)
{
    struct head head = session_head(session);
    head_target(&head);
    return head;
}

static bool find_header(struct session *session, struct str name,
                        struct str *out)
{
    struct head rest = headers_of(session);
    struct str key, value;
    while (head_next(&rest, &key, &value)) {
        if (!str_ieq(key, name))
            continue;
        *out = value;
        return true;
    }
    return false;
}

/* What follows the '?' of the target; empty when nothing does. */
static struct str query_of(struct session *session)
{
    struct head head = session_head(session);
    struct str path, target = head_target(&head);
    str_next(&target, '?', &path);
    return target.p ? target : STR("");
}

/* All values of the header as one list. */
static void join_header(struct session *session, struct str name,
                        struct str between, struct buf *out)
{
    struct head rest = headers_of(session);
    struct str key, value;
    bool first = true;
    while (head_next(&rest, &key, &value)) {
        if (!str_ieq(key, name))
            continue;
        if (!first)
            buf_add(out, between);
        first = false;
        buf_add(out, value);
    }
}

/* ---- behind proxies ------------------------------------------------------ */

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void handshake_begin(struct client *c)
{
    const struct forwarded *f = &client_server(c)->proxies;
    struct str proto = STR("");
    c->issued_ms = now_ms() & CLIENT_TIME_MAX;
    c->secure = client_server(c)->tls != NULL;
    if (!forwarded_trusts(f, str_of(session_address(client_session(c)))))
        return;
    struct buf list;
    buf_init(&list, FORWARDED_BYTES);
    join_header(client_session(c), STR("x-forwarded-for"), STR(","), &list);
    struct str client = forwarded_client(f, buf_str(&list));
    if (client.len) {
        struct buf address;
        buf_init(&address, client.len + 1);
        buf_add(&address, client);
        buf_addc(&address, '\0');
        client_extra(c)->address = buf_take(&address);
    }
    buf_fini(&list);
    if (find_header(client_session(c), STR("x-forwarded-proto"), &proto))
        c->secure = str_ieq(proto, STR("https"));
}

/* ---- sio.h --------------------------------------------------------------- */

bool sio_header(const struct sio_socket *s, const char *name,
                struct sio_str *out)
{
    struct session *session = session_of(s);
    struct str value;
    if (!session || !find_header(session, str_of(name), &value))
        return false;
    *out = sio_from_str(value);
    return true;
}

void sio_header_each(const struct sio_socket *s, sio_pair_fn *each, void *arg)
{
    struct session *session = session_of(s);
    if (!session)
        return;
    struct head rest = headers_of(session);
    struct str name, value;
    while (head_next(&rest, &name, &value)) {
        if (!each(sio_from_str(name), sio_from_str(value), arg))
            return;
    }
}

bool sio_query(const struct sio_socket *s, const char *name,
               struct sio_str *out)
{
    struct session *session = session_of(s);
    struct str value;
    if (!session)
        return false;
    struct buf *scratch = &s->ns->server->query;
    buf_clear(scratch);
    if (!query_find(query_of(session), str_of(name), scratch, &value))
        return false;
    *out = sio_from_str(value);
    return true;
}

void sio_query_each(const struct sio_socket *s, sio_pair_fn *each, void *arg)
{
    struct session *session = session_of(s);
    if (!session)
        return;
    struct buf scratch;
    struct str rest = query_of(session), name, value;
    buf_init(&scratch, rest.len);
    while (query_next(&rest, &scratch, &name, &value)) {
        if (!each(sio_from_str(name), sio_from_str(value), arg))
            break;
    }
    buf_fini(&scratch);
}

struct sio_str sio_url(const struct sio_socket *s)
{
    struct session *session = session_of(s);
    if (!session)
        return sio_from_str(STR(""));
    struct head head = session_head(session);
    return sio_from_str(head_target(&head));
}

const char *sio_address(const struct sio_socket *s)
{
    struct session *session = session_of(s);
    if (!session)
        return "";
    const struct client_extra *x = s->client->extra;
    return x && x->address ? x->address->p : session_address(session);
}

bool sio_secure(const struct sio_socket *s)
{
    return session_of(s) && s->client->secure;
}

int64_t sio_issued(const struct sio_socket *s)
{
    return session_of(s) ? (int64_t)s->client->issued_ms : 0;
}

struct sio_value sio_auth(struct sio_socket *s)
{
    const struct bytes *auth = socket_auth(s);
    return server_lend(&s->ns->server->auth,
                       auth ? bytes_str(auth) : STR("{}"));
}

/* ---- the whole as JSON --------------------------------------------------- */

static void add_member(struct buf *b, struct str name, struct str value)
{
    if (buf_str(b).p[b->len - 1] != '{')
        buf_addc(b, ',');
    json_out_string(b, name);
    buf_addc(b, ':');
    json_out_string(b, value);
}

static struct str lower_case(struct str name, struct buf *scratch)
{
    buf_clear(scratch);
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];
        buf_addc(scratch, c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c);
    }
    return buf_str(scratch);
}

/* A header of that name stands before this one. */
static bool seen_before(struct session *session, struct str name)
{
    struct head rest = headers_of(session);
    struct str key, value;
    while (head_next(&rest, &key, &value) && key.p != name.p) {
        if (str_ieq(key, name))
            return true;
    }
    return false;
}

static void add_headers(struct buf *b, struct session *session)
{
    struct head rest = headers_of(session);
    struct str name, value;
    struct buf lower, joined;
    buf_init(&lower, FORWARDED_BYTES);
    buf_init(&joined, FORWARDED_BYTES);
    while (head_next(&rest, &name, &value)) {
        if (seen_before(session, name))
            continue;
        bool cookie = str_ieq(name, STR("cookie"));
        buf_clear(&joined);
        join_header(session, name, cookie ? STR("; ") : STR(", "), &joined);
        add_member(b, lower_case(name, &lower), buf_str(&joined));
    }
    buf_fini(&lower);
    buf_fini(&joined);
}

/* As JavaScript writes a date, in UTC whatever the locale. */
static void add_time(struct buf *b, int64_t ms)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(ms / 1000);
    struct tm t;
    if (!gmtime_r(&seconds, &t))
        t = (struct tm){0};
    buf_fmt(b,
            "\"%.3s %.3s %02d %04d %02d:%02d:%02d GMT+0000 "
            "(Coordinated Universal Time)\"",
            days + 3 * t.tm_wday, months + 3 * t.tm_mon, t.tm_mday,
            t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
}

static bool add_parameter(struct sio_str name, struct sio_str value, void *arg)
{
    add_member(arg, str_from_sio(name), str_from_sio(value));
    return true;
}

struct sio_str sio_handshake_json(struct sio_socket *s)
{
    struct session *session = session_of(s);
    struct buf *b = &s->ns->server->handshake;
    struct str origin;
    if (!session)
        return (struct sio_str){"", 0};
    if (b->cap > JSON_KEEP_BYTES)
        buf_fini(b);
    buf_clear(b);
    buf_add(b, STR("{\"headers\":{"));
    add_headers(b, session);
    buf_add(b, STR("},\"time\":"));
    add_time(b, (int64_t)s->client->issued_ms);
    buf_add(b, STR(",\"address\":"));
    json_out_string(b, str_of(sio_address(s)));
    buf_fmt(b, ",\"xdomain\":%s,\"secure\":%s,\"issued\":%lld,\"url\":",
            find_header(session, STR("origin"), &origin) ? "true" : "false",
            s->client->secure ? "true" : "false",
            (long long)s->client->issued_ms);
    json_out_string(b, str_from_sio(sio_url(s)));
    buf_add(b, STR(",\"query\":{"));
    sio_query_each(s, add_parameter, b);
    buf_add(b, STR("},\"auth\":"));
    const struct bytes *auth = socket_auth(s);
    buf_add(b, auth ? bytes_str(auth) : STR("{}"));
    buf_addc(b, '}');
    return sio_from_str(buf_str(b));
}
