/* What a socket's first request said (sio.h: sio_query, sio_header,
 * sio_address, sio_auth). The session keeps the request's target and header
 * lines as one text, searched when asked. */
#include <assert.h>

#include "server/http/http_query.h"
#include "server/io/event.h"
#include "server/io/socket.h"

static struct session *session_of(const struct sio_socket *s)
{
    return s->state == SOCKET_GONE ? NULL : s->client->session;
}

bool sio_header(const struct sio_socket *s, const char *name,
                struct sio_str *out)
{
    struct session *session = session_of(s);
    if (!session)
        return false;
    struct str head = session_head(session), line;
    str_next(&head, '\n', &line); /* the target */
    while (str_next(&head, '\n', &line)) {
        struct str key;
        if (!str_next(&line, ':', &key) || !str_ieq(key, str_of(name)))
            continue;
        *out = sio_from_str(str_trim(line));
        return true;
    }
    return false;
}

bool sio_query(const struct sio_socket *s, const char *name,
               struct sio_str *out)
{
    struct session *session = session_of(s);
    if (!session)
        return false;
    struct str head = session_head(session), target, path, value;
    str_next(&head, '\n', &target);
    if (!str_next(&target, '?', &path) || !target.p)
        return false;
    struct buf *scratch = &s->ns->server->query;
    buf_clear(scratch);
    if (!query_find(target, str_of(name), scratch, &value))
        return false;
    *out = sio_from_str(value);
    return true;
}

const char *sio_address(const struct sio_socket *s)
{
    struct session *session = session_of(s);
    return session ? session_address(session) : "";
}

struct sio_value sio_auth(struct sio_socket *s)
{
    struct sio_server *srv = s->ns->server;
    struct str text = s->auth ? bytes_str(s->auth) : STR("{}");
    event_fini(&srv->auth_event);
    int rc = json_parse(&srv->auth_tape, text, srv->parser_limits.json);
    assert(rc == 0); /* it was checked when it came in */
    event_init_value(&srv->auth_event, &srv->auth_tape);
    return sio_arg(&srv->auth_event, 0);
}
