/* Reasons, and how often each was given. Those that find no room are counted
 * together. All zero is an empty list. */
#ifndef CONFAB_SERVER_CTL_REASONS_H
#define CONFAB_SERVER_CTL_REASONS_H

#include "common/buf.h"

enum { REASONS_MAX = 12, REASON_TEXT = 160 };

struct reasons {
    struct {
        char text[REASON_TEXT];
        uint64_t n;
    } v[REASONS_MAX];
    size_t n;
    uint64_t others, all;
};

void reasons_add(struct reasons *r, struct str text);
/* A line each, indented: "    12  connection refused". */
void reasons_list(const struct reasons *r, struct buf *out);

#endif
