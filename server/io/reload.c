/* Reading the configuration again while the server runs: what can change
 * changes, the rest is named and waits for a restart, and a configuration that
 * is wrong changes nothing. */
#include "common/log.h"
#include "common/tls.h"
#include "server/io/server.h"

static bool is_login(const struct config_field *f)
{
    return f->offset == offsetof(struct settings, redis_url);
}

/* Takes over what may change, in `now`; `next` gets what was there. */
static void exchange(struct settings *now, struct settings *next)
{
    for (size_t i = 0; i < settings_table.n; i++) {
        const struct config_field *f = &settings_table.fields[i];
        if (config_same(f, now, next))
            continue;
        if (f->flags & CFG_LIVE) {
            log_info("setting_changed", "key=%s", f->key);
            config_swap(f, now, next);
        } else if (!is_login(f)) {
            log_warn("setting_needs_restart", "key=%s", f->key);
        }
    }
}

static void exchange_login(struct sio_server *srv, struct settings *next)
{
    struct settings *now = &srv->settings;
    if (strcmp(now->redis_url, next->redis_url) == 0)
        return;
    if (cluster_set_login(srv->cluster, next->redis_url) < 0) {
        log_warn("setting_needs_restart", "key=redis.url");
        return;
    }
    char *old = now->redis_url;
    now->redis_url = next->redis_url;
    next->redis_url = old;
    log_info("setting_changed", "key=redis.url");
}

/* Those who read the settings each time need not be told. */
static void tell_others(struct sio_server *srv)
{
    const struct settings *s = &srv->settings;
    struct http_limits limits = server_http_limits(s);
    struct engine_settings engine = server_engine_settings(srv);
    log_set_level((enum log_level)s->log_level);
    log_set_json(s->log_format == SETTINGS_LOG_JSON);
    http_server_limit(srv->http, &limits);
    engine_configure(srv->engine, &engine);
    server_trust_proxies(srv);
    server_limit_parser(srv);
    server_limit_rates(srv);
}

/* Whether `next` may follow: what cannot change is left out of the question. */
static int check(struct sio_server *srv, struct settings *next)
{
    for (size_t i = 0; i < settings_table.n; i++) {
        const struct config_field *f = &settings_table.fields[i];
        if (!(f->flags & CFG_LIVE))
            config_swap(f, &srv->settings, next);
    }
    int rc = settings_check(next, srv->error);
    for (size_t i = 0; i < settings_table.n; i++) {
        const struct config_field *f = &settings_table.fields[i];
        if (!(f->flags & CFG_LIVE))
            config_swap(f, &srv->settings, next);
    }
    return rc;
}

static int read_again(struct sio_server *srv)
{
    struct settings next;
    config_defaults(&settings_table, &next);
    int rc = server_read_sources(srv, &next);
    if (rc == 0)
        rc = check(srv, &next);
    if (rc == 0) {
        exchange(&srv->settings, &next);
        exchange_login(srv, &next);
        tell_others(srv);
    }
    config_fini(&settings_table, &next);
    return rc < 0 ? SIO_ERR_CONFIG : 0;
}

int sio_server_reload(struct sio_server *srv)
{
    if (!srv->engine || srv->stopping)
        return SIO_ERR_STATE;
    int rc = read_again(srv);
    if (rc < 0)
        log_error("reload_failed", "error=%s", log_safe(str_of(srv->error)));
    if (srv->tls) {
        char why[TLS_ERR_MAX];
        if (tls_reload(srv->tls, why) == 0) {
            log_info("tls_reloaded", "certificate=%s",
                     log_safe(str_of(srv->settings.certificate_file)));
        } else {
            log_error("tls_reload_failed", "error=%s", log_safe(str_of(why)));
            snprintf(srv->error, sizeof(srv->error), "%s", why);
            rc = SIO_ERR_CONFIG;
        }
    }
    if (rc == 0)
        log_info("reloaded", "settings=read");
    return rc;
}
