/* `confabctl doctor URL`: looks at a cluster as a client does, through its
 * balancer, and says what is wrong: one line each, with how it was seen and
 * what to change. All is well: nothing is said.
 *
 * The checks run one after the other (doctor_*.c) and turn the loop themselves
 * while they wait; all of them end, at the latest when the time is up. */
#ifndef CONFAB_SERVER_CTL_DOCTOR_H
#define CONFAB_SERVER_CTL_DOCTOR_H

#include "common/buf.h"
#include "server/ctl/client.h"

enum {
    DOCTOR_NODES_MAX = 64,
    DOCTOR_ANSWER_MAX = 256 * 1024,
    DOCTOR_STEP_MS = 5000, /* for one answer */
};

struct doctor_options {
    struct ctl_url url; /* with the engine's path */
    const char *origin; /* NULL: cross-origin answers are not looked at */
    bool credentials;
    bool insecure;
    const char *ca_file;
    const char *nodes[DOCTOR_NODES_MAX]; /* URLs of nodes */
    size_t n_nodes;
    bool chat; /* the application is the chat: try it */
    bool verbose;
    uint32_t timeout_ms;
};

/* -1: go on; otherwise what to exit with, all being said. */
int doctor_options_read(struct doctor_options *o, int argc, char **argv);

/* With the arguments behind "doctor". Returns an exit code. */
int doctor_main(int argc, char **argv);

/* ---- inside of the doctor ------------------------------------------------ */

struct doctor {
    struct doctor_options options;
    struct ctl_net net;
    uint64_t end_ms; /* of the whole visit, by the loop's clock */
    unsigned wrong;
    struct ctl_eio_hello hello; /* of the first session */
    bool reached;               /* that there was */
    bool polling, websocket;    /* they work */
    size_t n_nodes;             /* that were found */
};

/* One thing that is wrong, or (told with -v) right, in one line. Quote what
 * servers say with log_safe. */
void doctor_wrong(struct doctor *d, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
void doctor_right(const struct doctor *d, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* What could not be looked at, and how it could; always told, is no fault. */
void doctor_note(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Milliseconds that are left. */
uint64_t doctor_left(const struct doctor *d);
/* Turns the loop until `*done`, for at most `ms`; whether it is. */
bool doctor_wait(struct doctor *d, const bool *done, uint64_t ms);

/* An answer that may be kept. */
struct doctor_reply {
    bool done;
    bool answered; /* else `why` says why not */
    struct ctl_fault why;
    struct ctl_answer answer;
    struct buf head, body;
    int64_t asked_ms, came_ms; /* by this machine's clock */
};

/* Asks on a connection of its own; `r.timeout_ms` may be left out. End the
 * reply with doctor_reply_fini. */
void doctor_ask(struct doctor *d, const struct ctl_url *url,
                const struct ctl_request *r, struct doctor_reply *out);
void doctor_reply_fini(struct doctor_reply *r);
/* A handshake over polling; `headers` may be empty. */
void doctor_handshake(struct doctor *d, const struct ctl_url *url,
                      struct str headers, struct doctor_reply *out);
/* It opened a session. */
bool doctor_opened(const struct doctor_reply *r, struct ctl_eio_hello *hello);

/* Whether the port speaks the other of http and https; says so. */
bool doctor_tls_mismatch(struct doctor *d, const struct ctl_url *url);

/* The way to the server, and the handshake: sets d->reached, d->hello. */
void doctor_reach(struct doctor *d);
/* Sets d->polling and d->websocket. */
void doctor_sessions(struct doctor *d);
void doctor_origins(struct doctor *d);
/* Returns how many things it found wrong. `slots`: begins the names under which
 * the balancer knows nodes, with a number behind it; empty when it is not known
 * to have such. */
unsigned doctor_nodes(struct doctor *d, struct str slots);
void doctor_chat(struct doctor *d);

/* Silence, on both transports, while the other checks run. */
struct doctor_idle;
struct doctor_idle *doctor_idle_begin(struct doctor *d);
/* Waits for its end. */
void doctor_idle_end(struct doctor *d, struct doctor_idle *idle);

#endif
