/* Heads of answers from other servers: the input is what one says, in one piece
 * and in small ones. Both must be understood, or refused, in the same way; and
 * what is handed on of an answer must be read as the same answer. */
#include "server/http/answer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

/* `step` is the size of the first piece; later ones vary. 0: one piece. */
static int read_all(struct answer *a, struct str in, size_t step, size_t *left)
{
    int rc = 0;
    answer_init(a);
    for (size_t n = step; rc == 0 && in.len > 0; n = n * 5 % 23 + 1) {
        struct str piece = in;
        if (step > 0 && n < in.len)
            piece.len = n;
        size_t had = piece.len;
        rc = answer_feed(a, &piece);
        expect(piece.len <= had);
        in = str_from(in, had - piece.len);
        expect(rc != 0 || piece.len == 0);
    }
    *left = in.len;
    return rc;
}

static void check_handed_on(const struct answer *a)
{
    struct answer again;
    struct buf out;
    size_t left;
    buf_init(&out, ANSWER_HEAD_MAX + 64);
    answer_lines(a, &out);
    buf_add(&out, STR("\r\n"));
    expect(!out.full);
    expect(read_all(&again, buf_str(&out), 0, &left) == 1 && left == 0);
    expect(again.status == a->status && again.length == a->length);
    answer_fini(&again);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct answer whole, parts;
    size_t left, left_too;
    if (size == 0)
        return 0;
    struct str in = {(const char *)data + 1, size - 1};
    int rc = read_all(&whole, in, 0, &left);
    expect(read_all(&parts, in, data[0] % 23 + 1, &left_too) == rc);
    if (rc == 1) {
        expect(left == left_too && whole.length == parts.length &&
               whole.status == parts.status &&
               whole.keep_alive == parts.keep_alive);
        check_handed_on(&whole);
    }
    answer_fini(&whole);
    answer_fini(&parts);
    return 0;
}
