/* TLS for accepted streams, and for those that connect; OpenSSL stands behind
 * tls.c only.
 *
 * TLS 1.2 and later with OpenSSL's defaults, ALPN http/1.1, no renegotiation.
 * A connection is a struct stream_io (stream.h); its handshake runs inside the
 * first reads. The certificate can be replaced while connections are open: they
 * keep the one they began with. */
#ifndef CONFAB_COMMON_TLS_H
#define CONFAB_COMMON_TLS_H

#include "common/err.h"
#include "common/stream.h"

struct tls;

enum { TLS_ERR_MAX = 512 };

/* Reads a certificate chain and its key (PEM). NULL with a sentence that names
 * the file when one cannot be read, they do not match, or everybody may read
 * the key. The paths must stay alive. */
struct tls *tls_new(const char *certificate_file, const char *key_file,
                    char err[TLS_ERR_MAX]);
/* Reads the files again, for connections to come; on error all stays. */
MUST_CHECK int tls_reload(struct tls *t, char err[TLS_ERR_MAX]);
/* Open connections may outlive it. NULL is allowed. */
void tls_free(struct tls *t);

/* For listener_wrap, with the struct tls as `arg`. */
struct stream_io *tls_accept(void *arg, int fd);

/* The side that connects. It believes certificates that the authorities of
 * `ca_file` stand for, those of this system when it is NULL, and that are of
 * the host; with `verify` false all of them. NULL with a sentence. */
struct tls *tls_client_new(const char *ca_file, bool verify,
                           char err[TLS_ERR_MAX]);

/* For stream_wrap, with one of these as `arg`, which is not kept. The handshake
 * begins with the first bytes that are sent. */
struct tls_peer {
    struct tls *tls;
    const char *host; /* a name, or an address without brackets */
};
struct stream_io *tls_connect(void *arg, int fd);

/* Why such a connection failed, in OpenSSL's words; NULL when TLS is not the
 * reason. `*untrusted`: because of the certificate. */
const char *tls_reason(const struct stream_io *io, bool *untrusted);

#endif
