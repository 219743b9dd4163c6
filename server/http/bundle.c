#include "server/http/bundle.h"

#include <assert.h>

#include "common/embed.h"
#include "common/mem.h"
#include "server/http/deflate.h"

EMBED(bundle_version, "build/bundle/version");
EMBED(bundle_js, "build/bundle/socket.io.js");
EMBED(bundle_js_map, "build/bundle/socket.io.js.map");
EMBED(bundle_min, "build/bundle/socket.io.min.js");
EMBED(bundle_min_map, "build/bundle/socket.io.min.js.map");
EMBED(bundle_esm, "build/bundle/socket.io.esm.min.js");
EMBED(bundle_esm_map, "build/bundle/socket.io.esm.min.js.map");
EMBED(bundle_msgpack, "build/bundle/socket.io.msgpack.min.js");
EMBED(bundle_msgpack_map, "build/bundle/socket.io.msgpack.min.js.map");

struct file {
    const char *name;
    const char *start, *end;
    bool map;
};

static const struct file files[] = {
    {"socket.io.js", bundle_js_start, bundle_js_end, false},
    {"socket.io.js.map", bundle_js_map_start, bundle_js_map_end, true},
    {"socket.io.min.js", bundle_min_start, bundle_min_end, false},
    {"socket.io.min.js.map", bundle_min_map_start, bundle_min_map_end, true},
    {"socket.io.esm.min.js", bundle_esm_start, bundle_esm_end, false},
    {"socket.io.esm.min.js.map", bundle_esm_map_start, bundle_esm_map_end,
     true},
    {"socket.io.msgpack.min.js", bundle_msgpack_start, bundle_msgpack_end,
     false},
    {"socket.io.msgpack.min.js.map", bundle_msgpack_map_start,
     bundle_msgpack_map_end, true},
};

enum { N_FILES = sizeof(files) / sizeof(files[0]) };

struct route_of {
    struct bundle *bundle;
    const struct file *file;
    char *path;
    struct bytes *encoded[N_CODINGS]; /* made at first use */
};

struct bundle {
    const struct cors *cors;
    struct route_of route[N_FILES];
};

struct str bundle_version(void)
{
    struct str v = {bundle_version_start, EMBED_SIZE(bundle_version)};
    while (v.len > 0 && (v.p[v.len - 1] == '\n' || v.p[v.len - 1] == '\r'))
        v.len--;
    return v;
}

/* Exactly "version" in quotes, or the same as a weak tag. */
static bool tag_matches(struct str sent)
{
    struct str v = bundle_version();
    if (str_starts(sent, STR("W/")))
        sent = str_from(sent, 2);
    return sent.len == v.len + 2 && sent.p[0] == '"' &&
           sent.p[sent.len - 1] == '"' &&
           str_eq((struct str){sent.p + 1, v.len}, v);
}

static struct str content(struct route_of *rt, enum coding c)
{
    const struct file *f = rt->file;
    struct str plain = {f->start,
                        (size_t)((uintptr_t)f->end - (uintptr_t)f->start)};
    struct buf b;
    if (c == CODING_NONE)
        return plain;
    if (!rt->encoded[c]) {
        bool ok = coding_encode(c, plain, &b);
        assert(ok); /* no file is that large */
        (void)ok;
        rt->encoded[c] = buf_take(&b);
    }
    return bytes_str(rt->encoded[c]);
}

static void serve(void *arg, struct http_request *r)
{
    struct route_of *rt = arg;
    const struct file *f = rt->file;
    struct buf headers;
    struct str tag, accept;
    buf_init(&headers, 16 * 1024);
    cors_headers(rt->bundle->cors, r, &headers);
    struct http_response resp = {.status = 304};
    if (!http_header(r, STR("if-none-match"), &tag) || !tag_matches(tag)) {
        buf_add(&headers, STR("Cache-Control: public, max-age=0\r\n"));
        resp.status = 200;
        resp.type = f->map ? "application/json; charset=utf-8"
                           : "application/javascript; charset=utf-8";
        buf_add(&headers, STR("ETag: \""));
        buf_add(&headers, bundle_version());
        buf_add(&headers, STR("\"\r\n"));
        enum coding c = http_header(r, STR("accept-encoding"), &accept)
                            ? coding_accepted(accept)
                            : CODING_NONE;
        buf_add(&headers, coding_header(c));
        resp.body = content(rt, c);
    }
    resp.headers = buf_str(&headers);
    http_respond(r, &resp);
    buf_fini(&headers);
}

struct bundle *bundle_new(struct http_server *s, struct str path,
                          const struct cors *cors)
{
    struct bundle *b = mem_zalloc(sizeof(*b));
    b->cors = cors;
    for (size_t i = 0; i < N_FILES; i++) {
        struct buf name;
        buf_init(&name, 1024);
        buf_add(&name, path);
        buf_add(&name, str_of(files[i].name));
        struct str full = buf_str(&name);
        b->route[i] = (struct route_of){
            .bundle = b,
            .file = &files[i],
            .path = mem_strndup(full.p, full.len),
        };
        http_route(s, str_of(b->route[i].path), false, serve, &b->route[i]);
        buf_fini(&name);
    }
    return b;
}

void bundle_free(struct bundle *b)
{
    if (!b)
        return;
    for (size_t i = 0; i < N_FILES; i++) {
        mem_free(b->route[i].path);
        for (size_t c = 0; c < N_CODINGS; c++)
            bytes_unref(b->route[i].encoded[c]);
    }
    mem_free(b);
}
