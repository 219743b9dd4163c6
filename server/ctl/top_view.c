#include <math.h>
#include <stdio.h>
#include <time.h>

#include "common/mem.h"
#include "server/ctl/human.h"
#include "server/ctl/top.h"

enum {
    PLAIN_LISTED = 10, /* rooms, and clients, of a plain snapshot */
    CELL_MAX = TOP_NAME_MAX + 1,
};

#define BOLD "\x1b[1m"
#define INVERSE "\x1b[7m"
#define NORMAL "\x1b[0m"

enum kind { NAME, STATE, UP, COUNT, BYTES, RATE, BYTE_RATE, LAG, REDIS };

/* The columns with the highest rank go first when the terminal is narrow. */
static const struct column {
    const char *title;
    enum kind kind;
    unsigned width, rank;
    enum top_number number;
} columns[] = {
    {"NODE", NAME, 16, 0, 0},
    {"STATE", STATE, 8, 2, 0},
    {"UP", UP, 7, 12, 0},
    {"POLL", COUNT, 6, 9, TOP_POLLING},
    {"WS", COUNT, 6, 1, TOP_WEBSOCKET},
    {"SOCKETS", COUNT, 7, 6, TOP_SOCKETS},
    {"ROOMS", COUNT, 6, 8, TOP_ROOM_COUNT},
    {"EV/S", RATE, 6, 1, TOP_EVENTS},
    {"DELIV/S", RATE, 7, 1, TOP_DELIVERIES},
    {"IN/S", BYTE_RATE, 6, 11, TOP_BYTES_IN},
    {"OUT/S", BYTE_RATE, 6, 5, TOP_BYTES_OUT},
    {"LAG99", LAG, 7, 3, 0},
    {"QUEUED", BYTES, 7, 4, TOP_QUEUED},
    {"SLOW", COUNT, 5, 4, TOP_BEHIND},
    {"DROPS", COUNT, 6, 7, TOP_DROPPED},
    {"LIMITED", COUNT, 7, 14, TOP_RATE_LIMITED},
    {"REDIS", REDIS, 6, 10, 0},
    {"PUB/S", RATE, 6, 13, TOP_PUBLISHED},
    {"RCV/S", RATE, 6, 13, TOP_RECEIVED},
    {"LOST", COUNT, 5, 15, TOP_LOST},
};

enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

unsigned top_columns(void)
{
    return COLUMNS;
}

/* ---- one cell ------------------------------------------------------------ */

/* What it is sorted by; NAN when it is not known. */
static double value_of(const struct top_node *n, const struct column *c)
{
    if (!n->up || n->samples == 0)
        return (double)NAN;
    bool two = n->samples > 1;
    switch (c->kind) {
    case UP:
        return (double)n->now->uptime_ms;
    case COUNT:
    case BYTES:
        return (double)n->now->number[c->number];
    case RATE:
    case BYTE_RATE:
        return two ? top_rate(n->now, n->before, c->number) : (double)NAN;
    case LAG:
        return two ? top_lag(n->now, n->before) : (double)NAN;
    case REDIS:
        return n->now->usable;
    default:
        return 0;
    }
}

static const char *redis_word(const struct top_sample *s)
{
    if (strcmp(s->adapter, "redis") != 0)
        return "none";
    return s->usable ? "up" : "DOWN";
}

static void number_text(char out[HUMAN_MAX], enum kind kind, double v)
{
    if (isnan(v))
        (void)snprintf(out, HUMAN_MAX, "-");
    else if (kind == LAG && isinf(v))
        (void)snprintf(out, HUMAN_MAX, ">10s");
    else if (kind == LAG)
        (void)human_us(out, v);
    else if (kind == UP)
        (void)human_span(out, (uint64_t)v);
    else if (kind == BYTES || kind == BYTE_RATE)
        (void)human_bytes(out, v);
    else
        (void)human_count(out, v);
}

static void cell(const struct top_node *n, const struct column *c,
                 struct buf *out)
{
    char text[HUMAN_MAX];
    switch (c->kind) {
    case NAME:
        human_text(out, str_of(top_node_name(n)), c->width, true);
        break;
    case STATE:
        human_text(out, str_of(n->now->state), c->width, true);
        break;
    case REDIS:
        buf_fmt(out, "%*s", (int)c->width, redis_word(n->now));
        break;
    default:
        number_text(text, c->kind, value_of(n, c));
        buf_fmt(out, "%*s", (int)c->width, text);
        break;
    }
}

/* ---- the table of nodes -------------------------------------------------- */

/* The highest rank of the columns that there is room for. */
static unsigned rank_of(unsigned width)
{
    unsigned rank = 0;
    for (unsigned r = 0; r < COLUMNS; r++) {
        unsigned used = 0;
        for (size_t i = 0; i < COLUMNS; i++) {
            if (columns[i].rank <= r)
                used += columns[i].width + 1;
        }
        if (used <= width + 1)
            rank = r;
    }
    return rank;
}

static void draw_titles(const struct top_view *v, unsigned rank,
                        struct buf *out)
{
    bool plain = v->height == 0;
    for (size_t i = 0; i < COLUMNS; i++) {
        const struct column *c = &columns[i];
        if (c->rank > rank)
            continue;
        bool left = c->kind == NAME || c->kind == STATE;
        bool marked = !plain && i == v->sort;
        if (i > 0)
            buf_addc(out, ' ');
        buf_add(out, marked ? STR(INVERSE) : plain ? STR("") : STR(BOLD));
        buf_fmt(out, "%*s", left ? -(int)c->width : (int)c->width, c->title);
        buf_add(out, plain ? STR("") : STR(NORMAL));
    }
    buf_addc(out, '\n');
}

/* "12:00:05" of today, here. */
static void clock_text(char out[16], int64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm tm;
    localtime_r(&seconds, &tm);
    (void)strftime(out, 16, "%H:%M:%S", &tm);
}

/* In place of its numbers. */
static void draw_absent(const struct top_node *n, const struct top_view *v,
                        struct buf *out)
{
    unsigned name = columns[0].width, room = 200;
    char when[16];
    struct buf line;
    if (v->height)
        room = v->width > name + 1 ? v->width - name - 1 : 1;
    buf_init(&line, 1024);
    if (n->asked) {
        clock_text(when, n->down_since_ms);
        buf_fmt(&line, "unreachable since %s: %s", when, n->why);
    } else {
        buf_add(&line, STR("not asked yet"));
    }
    human_text(out, str_of(top_node_name(n)), name, true);
    buf_addc(out, ' ');
    human_text(out, buf_str(&line), room, false);
    buf_fini(&line);
}

static void draw_node(const struct top_node *n, unsigned rank,
                      const struct top_view *v, struct buf *out)
{
    for (size_t i = 0; n->up && i < COLUMNS; i++) {
        if (columns[i].rank > rank)
            continue;
        if (i > 0)
            buf_addc(out, ' ');
        cell(n, &columns[i], out);
    }
    if (!n->up)
        draw_absent(n, v, out);
    buf_addc(out, '\n');
}

/* All of them together; shares of time cannot be added. */
static void draw_sum(const struct top *t, unsigned rank, struct buf *out)
{
    char text[HUMAN_MAX];
    for (size_t i = 0; i < COLUMNS; i++) {
        const struct column *c = &columns[i];
        double sum = 0;
        if (c->rank > rank)
            continue;
        if (i > 0)
            buf_addc(out, ' ');
        for (size_t k = 0; k < t->n; k++) {
            double one = value_of(t->nodes[k], c);
            sum += isnan(one) ? 0 : one;
        }
        number_text(text, c->kind, sum);
        bool adds = c->kind >= COUNT && c->kind <= BYTE_RATE;
        if (c->kind == NAME)
            buf_fmt(out, "%-*s", (int)c->width, "all");
        else
            buf_fmt(out, "%*s", (int)c->width, adds ? text : "-");
    }
    buf_addc(out, '\n');
}

static int compare(const struct top_node *a, const struct top_node *b,
                   const struct top_view *v)
{
    const struct column *c = &columns[v->sort];
    int order = strcmp(top_node_name(a), top_node_name(b));
    if (a->up != b->up)
        return a->up ? -1 : 1; /* those that cannot be reached last */
    double x = value_of(a, c), y = value_of(b, c);
    if (c->kind == STATE && a->up)
        order = strcmp(a->now->state, b->now->state);
    else if (c->kind != NAME && !isnan(x) && !isnan(y) && x != y)
        order = x > y ? -1 : 1;
    return v->reverse ? -order : order;
}

/* Few enough for this. */
static void sort_nodes(const struct top *t, const struct top_view *v,
                       const struct top_node *sorted[TOP_NODES_MAX])
{
    for (size_t i = 0; i < t->n; i++) {
        size_t at = i;
        for (; at > 0 && compare(t->nodes[i], sorted[at - 1], v) < 0; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = t->nodes[i];
    }
}

/* ---- rooms --------------------------------------------------------------- */

struct place {
    const struct top_room *room;
    uint64_t members;
    unsigned nodes;
};

struct places {
    struct place *v;
    size_t n;
};

static void add_room(struct places *p, const struct top_room *r)
{
    for (size_t i = 0; i < p->n; i++) {
        struct place *at = &p->v[i];
        if (strcmp(at->room->name, r->name) != 0 ||
            strcmp(at->room->nsp, r->nsp) != 0)
            continue;
        at->members += r->members;
        at->nodes++;
        return;
    }
    p->v[p->n++] = (struct place){r, r->members, 1};
}

static struct place take_largest(struct places *p)
{
    size_t best = 0;
    for (size_t i = 1; i < p->n; i++) {
        if (p->v[i].members > p->v[best].members)
            best = i;
    }
    struct place found = p->v[best];
    p->v[best] = p->v[--p->n];
    return found;
}

static void heading(const struct top_view *v, const char *text, struct buf *out)
{
    buf_fmt(out, "\n%s%s%s\n", v->height ? BOLD : "", text,
            v->height ? NORMAL : "");
}

static void draw_rooms(const struct top *t, const struct top_node *only,
                       const struct top_view *v, size_t lines, struct buf *out)
{
    struct places p = {mem_alloc(t->n * TOP_ROOMS * sizeof(*p.v) + 1), 0};
    for (size_t i = 0; i < t->n; i++) {
        const struct top_node *n = t->nodes[i];
        for (size_t k = 0; n->up && k < n->now->n_rooms; k++) {
            if (!only || only == n)
                add_room(&p, &n->now->rooms[k]);
        }
    }
    heading(v, "MEMBERS NODES NAMESPACE        ROOM", out);
    for (; lines > 0 && p.n > 0; lines--) {
        char text[HUMAN_MAX];
        struct place at = take_largest(&p);
        buf_fmt(out, "%7s %5u ", human_count(text, (double)at.members),
                at.nodes);
        human_text(out, str_of(at.room->nsp), 16, true);
        buf_addc(out, ' ');
        human_text(out, str_of(at.room->name),
                   v->height && v->width > 32 ? v->width - 32 : 48, false);
        buf_addc(out, '\n');
    }
    mem_free(p.v);
}

/* ---- slow clients -------------------------------------------------------- */

struct laggard {
    const struct top_node *node;
    const struct top_slow *client;
};

/* Keeps the worst, the worst first. */
static size_t add_slow(struct laggard *worst, size_t n, size_t max,
                       struct laggard one)
{
    size_t at = n;
    while (at > 0 &&
           worst[at - 1].client->queued_bytes < one.client->queued_bytes)
        at--;
    if (at == max)
        return n;
    n = n < max ? n + 1 : max;
    for (size_t i = n - 1; i > at; i--)
        worst[i] = worst[i - 1];
    worst[at] = one;
    return n;
}

static size_t gather_slow(const struct top *t, const struct top_node *only,
                          struct laggard *out, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        const struct top_node *node = t->nodes[i];
        for (size_t k = 0; k < node->n_slow; k++) {
            if (!only || only == node)
                n = add_slow(out, n, max,
                             (struct laggard){node, &node->slow[k]});
        }
    }
    return n;
}

static void draw_slow(const struct top *t, const struct top_node *only,
                      const struct top_view *v, size_t lines, struct buf *out)
{
    struct laggard worst[PLAIN_LISTED];
    size_t n = gather_slow(t, only, worst,
                           lines < PLAIN_LISTED ? lines : PLAIN_LISTED);
    heading(v, " QUEUED     SLOW TRANSPORT NODE             SID      ADDRESS",
            out);
    for (size_t i = 0; i < n; i++) {
        char queued[HUMAN_MAX], slow[HUMAN_MAX];
        const struct top_slow *c = worst[i].client;
        buf_fmt(out, "%7s %8s ", human_bytes(queued, (double)c->queued_bytes),
                human_span(slow, c->slow_ms));
        human_text(out, str_of(c->transport), 9, true);
        buf_addc(out, ' ');
        human_text(out, str_of(top_node_name(worst[i].node)), 16, true);
        buf_addc(out, ' ');
        human_text(out, str_of(c->sid), 8, true);
        buf_addc(out, ' ');
        human_text(out, str_of(c->address), 39, false);
        buf_addc(out, '\n');
    }
}

/* ---- all of it ----------------------------------------------------------- */

static void draw_head(const struct top *t, const struct top_view *v,
                      const struct top_node *only, struct buf *out)
{
    char when[16];
    size_t up = 0;
    for (size_t i = 0; i < t->n; i++)
        up += t->nodes[i]->up;
    clock_text(when, v->now_ms);
    buf_fmt(out, "%s  %zu of %zu nodes answer", when, up, t->n);
    if (only) {
        buf_add(out, STR("; below: only "));
        human_text(out, str_of(top_node_name(only)), 16, false);
    }
    if (v->height)
        buf_add(out, STR("   [q]uit  left/right, 1-9: sort  [r]everse  "
                         "up/down: one node"));
    buf_addc(out, '\n');
}

void top_draw(const struct top *t, struct top_view *v, struct buf *out)
{
    const struct top_node *sorted[TOP_NODES_MAX];
    unsigned rank = v->height ? rank_of(v->width) : COLUMNS;
    size_t shown = t->n, rooms = PLAIN_LISTED, slow = PLAIN_LISTED;
    sort_nodes(t, v, sorted);
    if (v->chosen > t->n)
        v->chosen = 0;
    const struct top_node *only = v->chosen ? sorted[v->chosen - 1] : NULL;
    if (v->height) {
        /* Head, titles, sum, and an empty line and a heading of both lists. */
        size_t fixed = 7, left = v->height > fixed ? v->height - fixed : 0;
        shown = t->n < left ? t->n : left;
        slow = (left - shown) / 3;
        rooms = left - shown - slow;
    }
    draw_head(t, v, only, out);
    draw_titles(v, rank, out);
    for (size_t i = 0; i < shown; i++) {
        bool marked = only && only == sorted[i];
        buf_add(out, marked ? STR(BOLD) : STR(""));
        draw_node(sorted[i], rank, v, out);
        buf_add(out, marked ? STR(NORMAL) : STR(""));
    }
    draw_sum(t, rank, out);
    draw_rooms(t, only, v, rooms, out);
    draw_slow(t, only, v, slow, out);
}
