/* The heads of requests that are plain and whole, as nearly all of those that
 * poll are: read in one pass, at a fifth of what http-parser takes.
 *
 * Plain is a GET without a body or a POST with Content-Length, of HTTP/1.1 with
 * a Host, of visible characters only, each line ended by CR LF, and without any
 * header that changes how the message is framed or what becomes of the
 * connection. About such a head there are no two opinions. Whatever else comes,
 * right or wrong, is for http-parser to judge, from its first byte. */
#ifndef CONFAB_SERVER_HTTP_QUICK_HEAD_H
#define CONFAB_SERVER_HTTP_QUICK_HEAD_H

#include "common/str.h"

/* A header: places in the text that the request keeps. */
struct header_line {
    uint32_t name_at, name_len, value_at, value_len;
};

enum { QUICK_LINES = 32 };

struct quick_head {
    bool post;
    bool host;
    uint32_t target_at; /* where the places below are counted from */
    uint32_t target_len;
    uint32_t body_len; /* 0 for a GET, more for a POST */
    uint32_t n_lines;
    struct header_line line[QUICK_LINES]; /* values without spaces in front */
};

/* Reads the head that `input` begins with. Its size, when it is plain and all
 * of the body is there, too; otherwise 0. */
size_t quick_head(struct str input, struct quick_head *h);

#endif
