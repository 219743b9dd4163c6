#include "common/tls.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* OpenSSL has a type of the name of one of ours. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#undef ERR_STATE

#include "common/mem.h"

enum { RECORD_BYTES = 16 * 1024 };

struct tls {
    SSL_CTX *ctx;
    const char *certificate_file, *key_file;
};

struct tls_conn {
    struct stream_io io;
    SSL *ssl;
    const char *why; /* it broke; a constant of OpenSSL's */
    int ending;      /* what read returns from now on, when `ended` */
    bool ended;      /* found behind bytes that had to be handed up first */
    bool broken;     /* after a fatal error nothing more may be sent */
};

/* ---- certificate and key ------------------------------------------------- */

static int wrong(char err[TLS_ERR_MAX], const char *key, const char *file,
                 const char *why)
{
    snprintf(err, TLS_ERR_MAX, "%s: %.300s: %s", key, file, why);
    ERR_clear_error();
    return ERR_CONFIG;
}

static const char *reason(void)
{
    const char *why = ERR_reason_error_string(ERR_peek_error());
    return why ? why : "not a usable PEM file";
}

/* Opening tells "cannot be read" from "is not PEM". */
static int readable(const char *key, const char *file, bool secret,
                    char err[TLS_ERR_MAX])
{
    struct stat st;
    FILE *f = fopen(file, "re");
    if (!f || fstat(fileno(f), &st) < 0) {
        int saved = errno;
        if (f)
            fclose(f);
        return wrong(err, key, file, strerror(saved));
    }
    fclose(f);
    if (secret && (st.st_mode & S_IROTH))
        return wrong(err, key, file,
                     "everybody may read this key; chmod o-r it");
    return 0;
}

static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1; /* never ask a terminal */
}

static int load_pair(SSL_CTX *ctx, const struct tls *t, char err[TLS_ERR_MAX])
{
    static const char cert[] = "tls.certificate_file", key[] = "tls.key_file";
    int rc = readable(cert, t->certificate_file, false, err);
    if (rc == 0)
        rc = readable(key, t->key_file, true, err);
    if (rc < 0)
        return rc;
    ERR_clear_error();
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    if (SSL_CTX_use_certificate_chain_file(ctx, t->certificate_file) != 1)
        return wrong(err, cert, t->certificate_file, reason());
    if (SSL_CTX_use_PrivateKey_file(ctx, t->key_file, SSL_FILETYPE_PEM) != 1)
        return wrong(err, key, t->key_file, reason());
    if (SSL_CTX_check_private_key(ctx) != 1)
        return wrong(err, key, t->key_file,
                     "the key does not belong to the certificate");
    return 0;
}

static int choose_protocol(SSL *ssl, const unsigned char **out,
                           unsigned char *out_len, const unsigned char *in,
                           unsigned in_len, void *arg)
{
    static const unsigned char http11[] = "\x08http/1.1";
    (void)ssl, (void)arg;
    unsigned char *chosen;
    if (SSL_select_next_proto(&chosen, out_len, http11, sizeof(http11) - 1, in,
                              in_len) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* What both sides have in common. */
static SSL_CTX *context(const SSL_METHOD *method)
{
    SSL_CTX *ctx = SSL_CTX_new(method);
    assert(ctx);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    /* A peer that leaves without close_notify has left; HTTP and WebSocket
     * know by themselves whether a message is whole. */
    SSL_CTX_set_options(ctx,
                        SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF);
    /* The queue hands over the same bytes, not the same address, and an idle
     * connection holds no buffers. */
    SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                              SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(ctx, 1);
    return ctx;
}

int tls_reload(struct tls *t, char err[TLS_ERR_MAX])
{
    SSL_CTX *ctx = context(TLS_server_method());
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
    int rc = load_pair(ctx, t, err);
    if (rc < 0) {
        SSL_CTX_free(ctx);
        return rc;
    }
    SSL_CTX_free(t->ctx);
    t->ctx = ctx;
    return 0;
}

struct tls *tls_new(const char *certificate_file, const char *key_file,
                    char err[TLS_ERR_MAX])
{
    struct tls *t = mem_zalloc(sizeof(*t));
    t->certificate_file = certificate_file;
    t->key_file = key_file;
    if (tls_reload(t, err) == 0)
        return t;
    mem_free(t);
    return NULL;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    SSL_CTX_free(t->ctx);
    mem_free(t);
}

/* ---- connections --------------------------------------------------------- */

static struct tls_conn *conn_of(struct stream_io *io)
{
    return container_of(io, struct tls_conn, io);
}

/* Turns OpenSSL's answer into that of read and write: 0 at the end, -1 with
 * EAGAIN, or EINPROGRESS when the other direction is waited for. */
static int answer(struct tls_conn *c, int rc, int other)
{
    int saved = errno;
    int why = SSL_get_error(c->ssl, rc);
    if (why == SSL_ERROR_ZERO_RETURN)
        return 0;
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        errno = why == other ? EINPROGRESS : EAGAIN;
        return -1;
    }
    c->broken = true;
    if (why == SSL_ERROR_SSL)
        c->why = ERR_reason_error_string(ERR_peek_error());
    errno = why == SSL_ERROR_SYSCALL && saved ? saved : EPROTO;
    if (errno == EAGAIN || errno == EINTR)
        errno = EPROTO;
    return -1;
}

static ssize_t ended(struct tls_conn *c)
{
    errno = c->ending;
    return c->ending ? -1 : 0;
}

/* Reads on until the buffer is full or the socket empty, so that a short read
 * means for the stream what it means without TLS. */
static ssize_t conn_read(struct stream_io *io, int fd, char *p, size_t n)
{
    (void)fd;
    struct tls_conn *c = conn_of(io);
    if (c->ended)
        return ended(c);
    size_t got = 0;
    io->more = false;
    while (got < n) {
        ERR_clear_error();
        errno = 0;
        int rc = SSL_read(c->ssl, p + got, (int)(n - got));
        io->opening = !SSL_is_init_finished(c->ssl);
        if (rc > 0) {
            got += (size_t)rc;
            continue;
        }
        rc = answer(c, rc, SSL_ERROR_WANT_WRITE);
        if (got == 0)
            return rc;
        if (rc < 0 && errno == EAGAIN)
            return (ssize_t)got;
        /* To be said again by the next read, once this one is handed up. */
        c->ended = rc == 0 || errno != EINPROGRESS;
        c->ending = rc < 0 ? errno : 0;
        break;
    }
    io->more = true;
    return (ssize_t)got;
}

static ssize_t conn_write(struct stream_io *io, int fd, struct iovec *iov,
                          int n)
{
    (void)fd;
    struct tls_conn *c = conn_of(io);
    char record[RECORD_BYTES];
    const char *p = iov[0].iov_base;
    size_t len = iov[0].iov_len < RECORD_BYTES ? iov[0].iov_len : RECORD_BYTES;
    if (n > 1 && len < RECORD_BYTES) {
        /* What a turn has to say shares a record. */
        len = 0;
        for (int i = 0; i < n && len < RECORD_BYTES; i++) {
            size_t part = RECORD_BYTES - len;
            if (part > iov[i].iov_len)
                part = iov[i].iov_len;
            memcpy(record + len, iov[i].iov_base, part);
            len += part;
        }
        p = record;
    }
    if (len == 0)
        return 0;
    ERR_clear_error();
    errno = 0;
    int rc = SSL_write(c->ssl, p, (int)len);
    io->opening = !SSL_is_init_finished(c->ssl);
    if (rc > 0)
        return rc;
    rc = answer(c, rc, SSL_ERROR_WANT_READ);
    if (rc == 0)
        errno = EPIPE;
    return -1;
}

static void conn_bye(struct stream_io *io)
{
    struct tls_conn *c = conn_of(io);
    ERR_clear_error();
    if (!c->broken && !io->opening)
        SSL_shutdown(c->ssl);
}

static void conn_drop(struct stream_io *io)
{
    struct tls_conn *c = conn_of(io);
    SSL_free(c->ssl);
    mem_free(c);
}

static struct tls_conn *conn_new(const struct tls *t, int fd)
{
    struct tls_conn *c = mem_zalloc(sizeof(*c));
    c->io = (struct stream_io){.read = conn_read,
                               .write = conn_write,
                               .bye = conn_bye,
                               .drop = conn_drop,
                               .opening = true};
    c->ssl = SSL_new(t->ctx);
    assert(c->ssl);
    SSL_set_fd(c->ssl, fd);
    return c;
}

struct stream_io *tls_accept(void *arg, int fd)
{
    struct tls_conn *c = conn_new(arg, fd);
    SSL_set_accept_state(c->ssl);
    return &c->io;
}

/* ---- the side that connects ---------------------------------------------- */

static bool is_address(const char *host)
{
    unsigned char a[16];
    return inet_pton(AF_INET, host, a) == 1 ||
           inet_pton(AF_INET6, host, a) == 1;
}

struct stream_io *tls_connect(void *arg, int fd)
{
    const struct tls_peer *to = arg;
    struct tls_conn *c = conn_new(to->tls, fd);
    if (is_address(to->host)) {
        X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(c->ssl), to->host);
    } else {
        SSL_set1_host(c->ssl, to->host);
        SSL_set_tlsext_host_name(c->ssl, to->host);
    }
    SSL_set_connect_state(c->ssl);
    return &c->io;
}

struct tls *tls_client_new(const char *ca_file, bool verify,
                           char err[TLS_ERR_MAX])
{
    static const unsigned char http11[] = "\x08http/1.1";
    struct tls *t = mem_zalloc(sizeof(*t));
    t->ctx = context(TLS_client_method());
    SSL_CTX_set_alpn_protos(t->ctx, http11, sizeof(http11) - 1);
    SSL_CTX_set_verify(t->ctx, verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE,
                       NULL);
    int rc = ca_file ? SSL_CTX_load_verify_locations(t->ctx, ca_file, NULL)
                     : SSL_CTX_set_default_verify_paths(t->ctx);
    if (rc == 1)
        return t;
    (void)wrong(err, "authorities", ca_file ? ca_file : "of the system",
                reason());
    tls_free(t);
    return NULL;
}

const char *tls_reason(const struct stream_io *io, bool *untrusted)
{
    const struct tls_conn *c = const_container_of(io, struct tls_conn, io);
    long result = SSL_get_verify_result(c->ssl);
    *untrusted = c->broken && result != X509_V_OK &&
                 SSL_get_verify_mode(c->ssl) == SSL_VERIFY_PEER;
    if (*untrusted)
        return X509_verify_cert_error_string(result);
    return c->why;
}
