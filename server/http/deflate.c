#include "server/http/deflate.h"

#include <assert.h>

#define ZLIB_CONST
#include <zlib.h>

#include "common/mem.h"

enum {
    WINDOW = 15,
    GZIP_FORMAT = 16, /* added to the window: zlib writes gzip */
    MEM_LEVEL = 8,    /* zlib's default */
    SCRATCH = 32 * 1024,
    TAIL = 4,
    QUALITY_ONE = 1000,
    /* inflate's data_type: between two blocks, none of them the last, with no
     * bits left over. */
    BLOCK_MASK = 255,
    BLOCK_END = 128,
};

static const char tail[TAIL] = {0, 0, (char)0xff, (char)0xff};

static voidpf take_memory(voidpf arg, uInt n, uInt size)
{
    (void)arg;
    return mem_alloc((size_t)n * size);
}

static void give_memory(voidpf arg, voidpf p)
{
    (void)arg;
    mem_free(p);
}

/* The compressor of a format, at the beginning of a stream. CODING_NONE: the
 * bare format of messages. */
static z_stream *compressor(enum coding format)
{
    static const int window[] = {[CODING_NONE] = -WINDOW,
                                 [CODING_GZIP] = WINDOW + GZIP_FORMAT,
                                 [CODING_DEFLATE] = WINDOW};
    static z_stream streams[N_CODINGS];
    z_stream *z = &streams[format];
    if (z->state) {
        deflateReset(z);
        return z;
    }
    z->zalloc = take_memory;
    z->zfree = give_memory;
    int rc = deflateInit2(z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window[format],
                          MEM_LEVEL, Z_DEFAULT_STRATEGY);
    assert(rc == Z_OK);
    (void)rc;
    return z;
}

static z_stream *decompressor(void)
{
    static z_stream z;
    if (z.state) {
        inflateReset(&z);
        return &z;
    }
    z.zalloc = take_memory;
    z.zfree = give_memory;
    int rc = inflateInit2(&z, -WINDOW);
    assert(rc == Z_OK);
    (void)rc;
    return &z;
}

static void set_input(z_stream *z, struct str in)
{
    z->next_in = (const Bytef *)in.p;
    z->avail_in = (uInt)in.len;
}

/* ---- messages ------------------------------------------------------------ */

bool deflate_message(struct str body, struct buf *out)
{
    char *p = body.len > TAIL ? buf_space(out, body.len) : NULL;
    if (!p)
        return false;
    z_stream *z = compressor(CODING_NONE);
    set_input(z, body);
    z->next_out = (Bytef *)p;
    z->avail_out = (uInt)body.len;
    /* Room left over means that all of it was written, the tail included. */
    if (deflate(z, Z_SYNC_FLUSH) != Z_OK || z->avail_out == 0)
        return false;
    buf_commit(out, body.len - z->avail_out - TAIL);
    return true;
}

/* 1 when the stream ended with this input, 0 when it goes on. */
static int feed(z_stream *z, struct str in, struct buf *out)
{
    static char scratch[SCRATCH];
    set_input(z, in);
    do {
        z->next_out = (Bytef *)scratch;
        z->avail_out = SCRATCH;
        int rc = inflate(z, Z_SYNC_FLUSH);
        buf_add(out, (struct str){scratch, SCRATCH - z->avail_out});
        if (out->full)
            return ERR_LIMIT;
        if (rc == Z_STREAM_END) {
            /* A last block may end a message or be followed by more (RFC 7692
             * section 7.2.3.4). */
            if (z->avail_in == 0)
                return 1;
            inflateReset(z);
        } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return ERR_PROTO;
        }
    } while (z->avail_in > 0 || z->avail_out == 0);
    return 0;
}

int inflate_message(struct str data, struct buf *out)
{
    if (data.len == 0)
        return 0;
    z_stream *z = decompressor();
    int rc = feed(z, data, out);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    rc = feed(z, (struct str){tail, TAIL}, out);
    if (rc != 0)
        return rc < 0 ? rc : 0;
    return (z->data_type & BLOCK_MASK) == BLOCK_END ? 0 : ERR_PROTO;
}

/* ---- HTTP bodies --------------------------------------------------------- */

struct preference {
    unsigned quality; /* thousandths */
    bool exact;       /* named, not covered by '*' */
    unsigned at;      /* place in the header */
};

/* Thousandths of "0.5" and the like; what is no number counts as 0. */
static unsigned read_quality(struct str v)
{
    unsigned q = 0, unit = QUALITY_ONE;
    for (size_t i = 0; i < v.len; i++) {
        if (i == 1 && v.p[i] == '.')
            continue;
        if (v.p[i] < '0' || v.p[i] > '9' || (i == 1))
            return 0;
        q += (unsigned)(v.p[i] - '0') * unit;
        unit /= 10;
    }
    return q < QUALITY_ONE ? q : QUALITY_ONE;
}

static unsigned quality(struct str params)
{
    struct str p;
    while (str_next(&params, ';', &p)) {
        p = str_trim(p);
        if (p.len >= 2 && (p.p[0] == 'q' || p.p[0] == 'Q') && p.p[1] == '=')
            return read_quality(str_from(p, 2));
    }
    return QUALITY_ONE;
}

static struct preference preference_for(struct str accept, struct str name)
{
    struct preference best = {0};
    struct str item, coding = {0};
    for (unsigned at = 1; str_next(&accept, ',', &item); at++) {
        str_next(&item, ';', &coding);
        coding = str_trim(coding);
        struct preference p = {.exact = str_ieq(coding, name), .at = at};
        if ((!p.exact && !str_eq(coding, STR("*"))) || (best.exact && !p.exact))
            continue;
        p.quality = quality(item);
        if (best.exact == p.exact && best.quality > p.quality)
            continue;
        best = p;
    }
    return best;
}

enum coding coding_accepted(struct str accept)
{
    struct preference g = preference_for(accept, STR("gzip"));
    struct preference d = preference_for(accept, STR("deflate"));
    if (g.quality == 0 && d.quality == 0)
        return CODING_NONE;
    if (g.quality != d.quality)
        return g.quality > d.quality ? CODING_GZIP : CODING_DEFLATE;
    if (g.exact != d.exact)
        return g.exact ? CODING_GZIP : CODING_DEFLATE;
    return g.at <= d.at ? CODING_GZIP : CODING_DEFLATE;
}

struct str coding_header(enum coding c)
{
    static const struct str lines[] = {
        [CODING_NONE] = STR_INIT(""),
        [CODING_GZIP] = STR_INIT("Content-Encoding: gzip\r\n"),
        [CODING_DEFLATE] = STR_INIT("Content-Encoding: deflate\r\n"),
    };
    return lines[c];
}

bool coding_encode(enum coding c, struct str body, struct buf *out)
{
    z_stream *z = compressor(c);
    size_t bound = deflateBound(z, body.len);
    buf_init(out, bound);
    if (bound > UINT32_MAX)
        return false;
    char *p = buf_space(out, bound);
    set_input(z, body);
    z->next_out = (Bytef *)p;
    z->avail_out = (uInt)bound;
    int rc = deflate(z, Z_FINISH);
    assert(rc == Z_STREAM_END);
    (void)rc;
    buf_commit(out, bound - z->avail_out);
    return true;
}
