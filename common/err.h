/* Error codes and their sentences.
 *
 * A fallible function returns 0 or one of these; it is logged once, where it
 * is handled. Running out of memory is not among them: see mem.h. */
#ifndef CONFAB_COMMON_ERR_H
#define CONFAB_COMMON_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))

enum {
    ERR_PROTO = -1,  /* the peer broke the protocol */
    ERR_LIMIT = -2,  /* a configured bound was exceeded */
    ERR_IO = -3,     /* the kernel or the network refused */
    ERR_STATE = -4,  /* not possible in the present state */
    ERR_CONFIG = -5, /* the configuration is wrong */
};

/* "a limit was exceeded"; "unknown error" for a code that is not listed. */
const char *err_text(int code);

#endif
