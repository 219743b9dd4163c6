#include "server/io/parser.h"

#include "server/http/websocket.h"

static const struct str reserved_names[] = {
    STR_INIT("connect"),     STR_INIT("connect_error"),
    STR_INIT("disconnect"),  STR_INIT("disconnecting"),
    STR_INIT("newListener"), STR_INIT("removeListener"),
};

bool parser_reserved(struct str event)
{
    for (size_t i = 0; i < sizeof(reserved_names) / sizeof(reserved_names[0]);
         i++) {
        if (str_eq(event, reserved_names[i]))
            return true;
    }
    return false;
}

/* ---- decoding ------------------------------------------------------------ */

/* JavaScript reads white space as the number 0, and so does the reference
 * decoder: "4 " is a CONNECT, "42 [...]" has the ack id 0. */
static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static int take_type(struct str *text, struct packet_head *out, bool *binary)
{
    if (text->len == 0)
        return ERR_PROTO;
    char c = is_blank(text->p[0]) ? '0' : text->p[0];
    if (c < '0' || c > '6')
        return ERR_PROTO;
    unsigned digit = (unsigned)(c - '0');
    *binary = digit > PACKET_CONNECT_ERROR;
    out->type = (enum packet_type)(*binary ? digit - 3 : digit);
    *text = str_from(*text, 1);
    return 0;
}

static int take_bins(struct str *text, struct packet_head *out)
{
    const char *dash = memchr(text->p, '-', text->len);
    uint64_t n;
    if (!dash)
        return ERR_PROTO;
    struct str count = {text->p, (size_t)(dash - text->p)};
    if (!str_to_u64(count, UINT32_MAX, &n) || n == 0)
        return ERR_PROTO;
    if (n > PACKET_BINS_MAX)
        return ERR_LIMIT;
    out->n_bins = (uint8_t)n;
    *text = str_from(*text, count.len + 1);
    return 0;
}

static void take_nsp(struct str *text, struct packet_head *out)
{
    out->nsp = STR("/");
    if (text->len == 0 || text->p[0] != '/')
        return;
    const char *comma = memchr(text->p, ',', text->len);
    size_t len = comma ? (size_t)(comma - text->p) : text->len;
    out->nsp = (struct str){text->p, len};
    *text = str_from(*text, len + (comma ? 1 : 0));
}

static int take_ack(struct str *text, struct packet_head *out)
{
    size_t n = 0;
    uint64_t id = 0;
    while (n < text->len &&
           ((text->p[n] >= '0' && text->p[n] <= '9') || is_blank(text->p[n])))
        n++;
    out->ack = PACKET_NO_ACK;
    if (n == 0)
        return 0;
    struct str digits = {text->p, n};
    while (digits.len > 0 && is_blank(digits.p[0]))
        digits = str_from(digits, 1);
    while (digits.len > 0 && is_blank(digits.p[digits.len - 1]))
        digits.len--;
    if (digits.len > 0 && !str_to_u64(digits, PARSER_ACK_MAX, &id))
        return ERR_LIMIT;
    out->ack = (int64_t)id;
    *text = str_from(*text, n);
    return 0;
}

int parser_check_name(const struct json *tape, uint32_t name, uint32_t max,
                      bool *reserved)
{
    *reserved = false;
    if (json_type(tape, name) != JSON_STRING)
        return 0;
    /* Six bytes of text per character at most, and two quotes. */
    if (json_text(tape, name).len > (size_t)max * 6 + 2)
        return ERR_LIMIT;
    struct buf scratch;
    buf_init(&scratch, (size_t)max * 6);
    struct str s = json_string_view(tape, name, &scratch);
    bool too_long = s.len > max;
    *reserved = parser_reserved(s);
    buf_fini(&scratch);
    return too_long ? ERR_LIMIT : 0;
}

static int check_event(const struct json *tape, uint32_t max_name)
{
    uint32_t name = json_first(tape, 0);
    bool reserved;
    if (name == JSON_NONE || (json_type(tape, name) != JSON_NUMBER &&
                              json_type(tape, name) != JSON_STRING))
        return ERR_PROTO;
    int rc = parser_check_name(tape, name, max_name, &reserved);
    return rc == 0 && reserved ? ERR_PROTO : rc;
}

static int check_payload(const struct packet_head *h, const struct json *tape,
                         uint32_t max_name)
{
    enum json_type root = json_type(tape, 0);
    switch (h->type) {
    case PACKET_CONNECT:
        return root == JSON_OBJECT ? 0 : ERR_PROTO;
    case PACKET_EVENT:
        return root == JSON_ARRAY ? check_event(tape, max_name) : ERR_PROTO;
    case PACKET_ACK:
        return root == JSON_ARRAY ? 0 : ERR_PROTO;
    case PACKET_CONNECT_ERROR:
        return root == JSON_OBJECT || root == JSON_STRING ? 0 : ERR_PROTO;
    case PACKET_DISCONNECT:
    default:
        return ERR_PROTO;
    }
}

int parser_decode(struct str text, const struct parser_limits *lim,
                  struct json *tape, struct packet_head *out)
{
    bool binary = false;
    *out = (struct packet_head){0};
    int rc = take_type(&text, out, &binary);
    if (rc == 0 && binary)
        rc = take_bins(&text, out);
    if (rc < 0)
        return rc;
    take_nsp(&text, out);
    rc = take_ack(&text, out);
    if (rc < 0 || text.len == 0)
        return rc;
    out->has_payload = true;
    out->payload = text;
    rc = json_parse(tape, text, lim->json);
    return rc < 0 ? rc : check_payload(out, tape, lim->event_name_bytes);
}

/* ---- attachments --------------------------------------------------------- */

bool parser_placeholder(const struct json *tape, uint32_t node, int64_t *num)
{
    if (json_type(tape, node) != JSON_OBJECT)
        return false;
    uint32_t mark = json_get(tape, node, STR("_placeholder"));
    if (mark == JSON_NONE || json_type(tape, mark) != JSON_TRUE)
        return false;
    uint32_t n = json_get(tape, node, STR("num"));
    if (n == JSON_NONE || !json_i64(tape, n, num))
        *num = -1;
    return true;
}

int parser_check_bins(const struct json *tape, uint32_t n_bins)
{
    for (uint32_t i = 0; i < tape->n; i++) {
        int64_t num;
        if (parser_placeholder(tape, i, &num) && (num < 0 || num >= n_bins))
            return ERR_PROTO;
    }
    return 0;
}

/* ---- encoding ------------------------------------------------------------ */

static size_t put_u64(char *out, uint64_t n)
{
    char digits[20];
    size_t len = 0;
    do {
        digits[len++] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    for (size_t i = 0; i < len; i++)
        out[i] = digits[len - 1 - i];
    return len;
}

static char *put(char *to, struct str s)
{
    if (s.len)
        memcpy(to, s.p, s.len);
    return to + s.len;
}

struct bytes *parser_encode(const struct parser_out *p)
{
    char front[32], id[20] = {0};
    size_t f = 0, i = 0;
    bool root = p->nsp.len == 1;
    struct str data = p->data, offset = p->offset;
    front[f++] = '4';
    front[f++] = (char)('0' + p->type + (p->n_bins ? 3 : 0));
    if (p->n_bins) {
        f += put_u64(front + f, p->n_bins);
        front[f++] = '-';
    }
    if (p->ack != PACKET_NO_ACK)
        i = put_u64(id, (uint64_t)p->ack);
    size_t len = f + (root ? 0 : p->nsp.len + 1) + i + data.len +
                 (offset.len ? offset.len + 3 : 0);
    char *at;
    struct bytes *b = ws_frame_new(len, false, &at);
    at = put(at, (struct str){front, f});
    if (!root) {
        at = put(at, p->nsp);
        *at++ = ',';
    }
    at = put(at, (struct str){id, i});
    if (offset.len) {
        data.len--; /* the array's bracket, which comes last */
        at = put(put(at, data), STR(",\""));
        (void)put(put(at, offset), STR("\"]"));
    } else {
        (void)put(at, data);
    }
    return b;
}

/* ---- the table ----------------------------------------------------------- */

void parser_in_fini(struct parser_in *in)
{
    buf_fini(&in->text);
    mp_bins_fini(&in->bins);
}

static int decode_text(struct str message, const struct parser_limits *lim,
                       struct json *tape, struct parser_in *out)
{
    return parser_decode(message, lim, tape, &out->head);
}

/* Attachments come after their packet; any other binary message is too many. */
static int refuse_binary(struct str message, const struct parser_limits *lim,
                         struct json *tape, struct parser_in *out)
{
    (void)message, (void)lim, (void)tape, (void)out;
    return ERR_PROTO;
}

const struct parser_ops parser_text = {.kind = PARSER_TEXT,
                                       .bins_apart = true,
                                       .text = decode_text,
                                       .binary = refuse_binary,
                                       .encode = parser_encode};
