/* The parts of a server that the io folder shares. */
#ifndef CONFAB_SERVER_IO_SERVER_H
#define CONFAB_SERVER_IO_SERVER_H

#include "adapter/adapter.h"
#include "common/json.h"
#include "server/engine/engine.h"
#include "server/http/forwarded.h"
#include "server/io/drain.h"
#include "server/io/event.h"
#include "server/io/fates.h"
#include "server/io/parser.h"
#include "server/io/rate.h"
#include "server/settings.h"
#include "server/sio.h"

/* JSON text as a value that the application may read until the next one is
 * lent. */
struct lent_value {
    struct json tape;
    struct sio_event event;
};

struct sio_server {
    struct loop *loop;
    struct settings settings;
    const struct parser_ops *parser; /* of all its clients */
    struct parser_limits parser_limits;
    struct fates fates;
    struct rates rates;
    struct http_server *http;
    struct engine *engine;
    sio_request_fn *on_request; /* NULL: nobody is asked */
    void *request_arg;
    struct cluster *cluster;
    struct listener *listener;
    struct admin *admin;       /* NULL when there is none */
    struct relaying *relaying; /* NULL: no other nodes */
    struct tls *tls;           /* NULL when the node speaks plain HTTP */
    struct bundle *bundle;
    struct list namespaces; /* in order of creation */
    struct map by_name;
    struct list parents; /* of dynamic namespaces, in order of creation */
    uint32_t n_parents, n_dynamic;
    struct list documents;
    /* Tapes for events, one per level of handlers that call each other. */
    struct json **tapes;
    uint32_t n_tapes, used_tapes;
    struct json scratch;  /* for checking what is sent */
    struct buf query;     /* decoded query values lent to the application */
    struct buf handshake; /* sio_handshake_json's answer, until the next */
    struct forwarded proxies;
    struct lent_value auth, data; /* sio_auth's and sio_data's answers */
    struct list timers;           /* of sio_after */
    struct list sources;          /* of the configuration, in their order */
    char name[80];
    char error[CONFIG_ERR_MAX];
    struct drain drain;
    uint64_t began_ms;  /* when it began to listen, by the loop's clock */
    size_t began_bytes; /* of the heap, then */
    bool stopping;
    bool signalled; /* that is why it drains or stops */
};

struct json *server_tape_get(struct sio_server *srv);
void server_tape_put(struct sio_server *srv);
/* NULL when there is none of that name. */
struct sio_namespace *server_namespace(struct sio_server *srv, struct str name);
/* `text` was checked when it came in. */
struct sio_value server_lend(struct lent_value *to, struct str text);
/* Cancels all of sio_after. */
void server_cancel_timers(struct sio_server *srv);
/* Close frames and last responses are in the streams' hands now: turns the loop
 * until they are out, for at most `wait_ms`. */
void server_let_go(struct sio_server *srv, uint64_t wait_ms);
/* What the settings say, for those who keep it; good while they are. */
struct http_limits server_http_limits(const struct settings *s);
struct engine_settings server_engine_settings(const struct sio_server *srv);
/* As the settings say. */
void server_trust_proxies(struct sio_server *srv);
void server_limit_parser(struct sio_server *srv);
void server_limit_rates(struct sio_server *srv);
/* Reads all sources of the configuration into `s`, which holds defaults. */
MUST_CHECK int server_read_sources(struct sio_server *srv, struct settings *s);
/* Gauges, just before they are printed. */
void server_metrics(struct sio_server *srv);

#endif
