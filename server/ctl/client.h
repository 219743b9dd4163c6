/* A Socket.IO client (protocol v5 on Engine.IO v4): one connection, one
 * namespace. It sends events and asks with events; what it sends holds no
 * binary data, what it gets may.
 *
 * The server is not trusted: see eio.h. Nothing is called back from inside a
 * call, and nothing after on_close. */
#ifndef CONFAB_SERVER_CTL_CLIENT_H
#define CONFAB_SERVER_CTL_CLIENT_H

#include "common/json.h"
#include "common/packet.h"
#include "server/ctl/eio.h"

enum { CTL_ASKED_MAX = 1024 };

struct ctl_client;

struct ctl_client_settings {
    struct ctl_eio_settings eio;
    struct str nsp;  /* "/" or "/name" */
    struct str auth; /* a JSON object; or empty */
};

/* An event or an answer. On `json` is an array, of which an event's first
 * element is its name; placeholders in it stand for the attachments. */
struct ctl_values {
    const struct json *json;
    struct bytes *const *bins;
    size_t n_bins;
};

struct ctl_client_ops {
    /* In the namespace. */
    void (*on_connect)(void *arg);
    void (*on_event)(void *arg, const struct ctl_values *v);
    /* May be NULL. */
    void (*on_ping)(void *arg);
    void (*on_upgrade)(void *arg, const struct ctl_fault *why);
    /* Also when the namespace refused: FAULT_ENDED with its words. */
    void (*on_close)(void *arg, const struct ctl_fault *why);
};

/* `net`, and what `s` points to, must outlive it. */
struct ctl_client *ctl_client_new(const struct ctl_net *net,
                                  const struct ctl_client_settings *s,
                                  const struct ctl_client_ops *ops, void *arg);
/* Those who asked are told nothing. NULL is allowed. */
void ctl_client_free(struct ctl_client *c);

/* `args` is JSON text, values with commas between them, or empty. False when
 * it is not connected, or cannot send more now. */
bool ctl_client_emit(struct ctl_client *c, struct str event, struct str args);
/* The same, and wants an answer: `fn` is called once, with NULL when none came
 * in time or the connection ended. False also when too many are open. */
typedef void ctl_answer_fn(void *arg, const struct ctl_values *v);
bool ctl_client_ask(struct ctl_client *c, struct str event, struct str args,
                    uint32_t timeout_ms, ctl_answer_fn *fn, void *arg);

/* The socket's id, once connected. */
struct str ctl_client_id(const struct ctl_client *c);
struct ctl_eio *ctl_client_eio(struct ctl_client *c);

#endif
