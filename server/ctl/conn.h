/* A connection to a server, from its name on: resolved, connected and, for
 * https, encrypted. Never calls back from inside a call. */
#ifndef CONFAB_SERVER_CTL_CONN_H
#define CONFAB_SERVER_CTL_CONN_H

#include "common/resolver.h"
#include "common/stream.h"
#include "common/tls.h"
#include "server/ctl/url.h"

/* What all connections share. */
struct ctl_net {
    struct loop *loop;
    struct resolver *resolver;
    struct tls *tls; /* the client's side; needed for https */
    uint32_t connect_ms;
};

/* Makes the loop and the resolver; `tls`, which may be NULL, is set before and
 * the net's from then on. */
void ctl_net_open(struct ctl_net *net, uint32_t connect_ms);
/* Waits a moment for what is still to go out, and frees all three. */
void ctl_net_close(struct ctl_net *net);

/* Why something ended that was not to end. */
enum ctl_fault_kind {
    FAULT_NAME,      /* the name has no address */
    FAULT_CONNECT,   /* nobody listens there, or the way is blocked */
    FAULT_TLS,       /* no TLS on the other side, or none in common */
    FAULT_UNTRUSTED, /* its certificate */
    FAULT_CLOSED,    /* the connection was closed without a word */
    FAULT_ENDED,     /* the server ended the session, and said so */
    FAULT_RESET,     /* the connection broke */
    FAULT_TIMEOUT,
    FAULT_STATUS, /* the server refused with an HTTP status */
    FAULT_PROTO,  /* it broke the protocol */
    FAULT_LIMIT,  /* it sent more than we take */
};

enum { CTL_FAULT_TEXT = 200 };

struct ctl_fault {
    enum ctl_fault_kind kind;
    unsigned status;           /* of FAULT_STATUS */
    char text[CTL_FAULT_TEXT]; /* what follows "it failed: " */
};

struct ctl_fault ctl_fault(enum ctl_fault_kind kind, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

struct ctl_conn;

struct ctl_conn_ops {
    /* Connected: it may be sent to. With TLS the handshake is still to come. */
    void (*on_open)(void *arg);
    void (*on_data)(void *arg, struct str data);
    /* Once, and nothing after it; it must be freed. */
    void (*on_end)(void *arg, const struct ctl_fault *why);
};

/* `url` must outlive it. */
struct ctl_conn *ctl_conn_new(const struct ctl_net *net,
                              const struct ctl_url *url,
                              const struct ctl_conn_ops *ops, void *arg);
/* Gives it to another owner. */
void ctl_conn_set_owner(struct ctl_conn *c, const struct ctl_conn_ops *ops,
                        void *arg);
/* Takes its own reference. */
void ctl_conn_send(struct ctl_conn *c, struct bytes *b);
/* Bytes that the kernel has not taken. */
size_t ctl_conn_queued(const struct ctl_conn *c);
/* The TLS handshake is over. */
bool ctl_conn_secured(const struct ctl_conn *c);
/* What was sent still goes out. NULL is allowed. */
void ctl_conn_free(struct ctl_conn *c);

#endif
