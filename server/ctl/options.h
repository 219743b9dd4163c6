/* What confabctl was told: by its arguments, the environment and a node's
 * configuration file. */
#ifndef CONFAB_SERVER_CTL_OPTIONS_H
#define CONFAB_SERVER_CTL_OPTIONS_H

#include "server/settings.h"
#include "server/sio_emitter.h"

enum { CTL_OK, CTL_FAILED, CTL_USAGE }; /* exit codes */

enum ctl_command {
    CTL_EMIT,
    CTL_EMIT_LINES,
    CTL_JOIN,
    CTL_LEAVE,
    CTL_DISCONNECT,
    CTL_SERVER_EMIT,
};

struct ctl_options {
    enum ctl_command command;
    struct settings settings; /* of which redis.url and redis.prefix count */
    const char *nsp;
    char *to[SIO_EMISSION_ROOMS], *except[SIO_EMISSION_ROOMS];
    size_t n_to, n_except;
    bool numbers; /* all rooms are numbers, and good ones */
    bool is_volatile, no_compress, text, close;
    char **words; /* what follows the command and its options */
    int n_words;
};

/* -1: go on; otherwise what to exit with, all being said. End it with
 * ctl_options_fini in any case. */
int ctl_options_read(struct ctl_options *o, int argc, char **argv);
void ctl_options_fini(struct ctl_options *o);

#endif
