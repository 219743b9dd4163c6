/* Many connections that each go through the same short conversation: what is
 * sent, what is waited for, step by step. For sessions that come and go, and
 * for those over HTTP.
 *
 * A bounded number of them is on its way at a time. One that is answered with
 * something else, or not at all, ends the program. */
#ifndef CONFAB_TESTS_BENCH_SCRIPT_H
#define CONFAB_TESTS_BENCH_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

enum { SCRIPT_SID_MAX = 32, SCRIPT_REQUEST_MAX = 512 };

struct script {
    /* What the answer of each step has in it, up to NULL. Behind the first one
     * comes the session's id when it ends with a quotation mark. */
    const char *const *wants;
    /* Writes what step `step` of conversation `index` sends; its length. */
    size_t (*request)(unsigned step, const char *sid, uint32_t index,
                      char out[SCRIPT_REQUEST_MAX]);
};

/* A session over a WebSocket: upgrade, CONNECT, one acknowledged event. */
extern const struct script script_websocket;
/* The same over polling, with a close packet at the end: six requests. */
extern const struct script script_polling;
/* A session over polling that stays, in a room of a hundred: five requests. */
extern const struct script script_polling_stays;
/* One request, one answer, whatever it is. */
extern const struct script script_bare;

struct script_end {
    const char *host;
    uint16_t port;
};

/* Has `n` of them, `window` at a time, each reset at its end: no leftovers in
 * the kernel's table. */
void script_run(const struct script *s, struct script_end to, uint32_t n,
                uint32_t window);
/* Has `n` of them and leaves the connections open, until script_close. */
void script_keep(const struct script *s, struct script_end to, uint32_t n,
                 uint32_t window);
void script_close(void);

#endif
