#include "server/ctl/reasons.h"

#include "server/ctl/human.h"

void reasons_add(struct reasons *r, struct str text)
{
    if (text.len >= REASON_TEXT)
        text.len = REASON_TEXT - 1;
    r->all++;
    for (size_t i = 0; i < r->n; i++) {
        if (!str_eq(str_of(r->v[i].text), text))
            continue;
        r->v[i].n++;
        return;
    }
    if (r->n == REASONS_MAX) {
        r->others++;
        return;
    }
    memcpy(r->v[r->n].text, text.p, text.len);
    r->v[r->n].text[text.len] = '\0';
    r->v[r->n++].n = 1;
}

static void line(struct buf *out, uint64_t n, const char *text)
{
    char number[2 * HUMAN_MAX];
    buf_fmt(out, "%15s  ", human_exact(number, n));
    human_text(out, str_of(text), REASON_TEXT, false);
    buf_addc(out, '\n');
}

void reasons_list(const struct reasons *r, struct buf *out)
{
    for (size_t i = 0; i < r->n; i++)
        line(out, r->v[i].n, r->v[i].text);
    if (r->others)
        line(out, r->others, "other reasons");
}
