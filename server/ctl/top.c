#include "server/ctl/top.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "server/ctl/options.h"
#include "server/ctl/terminal.h"

enum { CONNECT_MS = 3000, TURN_MS = 20, SEARCH_MS = 5000 };

static int64_t clock_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- once ---------------------------------------------------------------- */

static void settle(struct top *t)
{
    while (top_busy(t))
        loop_turn(t->net.loop, TURN_MS);
}

static int run_once(struct top *t)
{
    struct top_view v = {0};
    struct buf out;
    size_t up = 0;
    top_search(t);
    settle(t);
    top_ask(t);
    settle(t);
    uint64_t end = loop_now(t->net.loop) + t->options.interval_ms;
    while (loop_now(t->net.loop) < end)
        loop_turn(t->net.loop, end - loop_now(t->net.loop));
    top_ask(t);
    settle(t);
    buf_init(&out, UINT32_MAX);
    v.now_ms = clock_ms();
    top_draw(t, &v, &out);
    struct str text = buf_str(&out);
    bool written =
        fwrite(text.p, 1, text.len, stdout) == text.len && fflush(stdout) == 0;
    buf_fini(&out);
    for (size_t i = 0; i < t->n; i++)
        up += t->nodes[i]->up;
    return up > 0 && written ? CTL_OK : CTL_FAILED;
}

/* ---- in a terminal ------------------------------------------------------- */

struct screen {
    struct top *top;
    struct top_view view;
    struct event *keys, *resized;
    bool changed; /* it must be drawn */
    bool end;
};

static void sort_by(struct screen *s, unsigned column)
{
    s->view.sort = column % top_columns();
}

static void on_key(struct screen *s, int key)
{
    size_t n = s->top->n;
    switch (key) {
    case 'q':
    case 'Q':
    case KEY_END:
        s->end = true;
        break;
    case 'r':
        s->view.reverse = !s->view.reverse;
        break;
    case KEY_LEFT:
        sort_by(s, s->view.sort + top_columns() - 1);
        break;
    case KEY_RIGHT:
        sort_by(s, s->view.sort + 1);
        break;
    case KEY_UP:
        s->view.chosen = s->view.chosen ? s->view.chosen - 1 : n;
        break;
    case KEY_DOWN:
        s->view.chosen = s->view.chosen < n ? s->view.chosen + 1 : 0;
        break;
    default:
        if (key >= '1' && key <= '9')
            sort_by(s, (unsigned)(key - '1'));
        break;
    }
    s->changed = true;
}

static void on_input(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    struct screen *s = arg;
    int key;
    do {
        key = terminal_key();
        if (key != KEY_NONE)
            on_key(s, key);
    } while (key != KEY_NONE && !s->end);
}

static void on_resize(evutil_socket_t sig, short what, void *arg)
{
    (void)sig;
    (void)what;
    struct screen *s = arg;
    s->changed = true;
}

static void draw(struct screen *s)
{
    struct buf out;
    buf_init(&out, UINT32_MAX);
    terminal_size(&s->view.width, &s->view.height);
    s->view.now_ms = clock_ms();
    top_draw(s->top, &s->view, &out);
    if (out.len > 0)
        buf_truncate(&out, out.len - 1); /* the last line end */
    terminal_draw(buf_str(&out));
    buf_fini(&out);
    s->changed = false;
}

static void watch(struct screen *s)
{
    struct top *t = s->top;
    uint64_t ask = 0, search = 0;
    bool waiting = false;
    while (!s->end) {
        uint64_t now = loop_now(t->net.loop);
        if (now >= search) {
            top_search(t);
            search = now + SEARCH_MS;
        }
        if (now >= ask) {
            top_ask(t);
            ask = now + t->options.interval_ms;
            waiting = true;
        }
        if (waiting && !top_busy(t)) {
            waiting = false;
            s->changed = true;
        }
        if (s->changed)
            draw(s);
        loop_turn(t->net.loop, waiting ? TURN_MS : ask - now);
    }
}

static int run_screen(struct top *t)
{
    struct screen s = {.top = t, .changed = true};
    struct event_base *base = t->net.loop->base;
    s.resized =
        event_new(base, SIGWINCH, EV_SIGNAL | EV_PERSIST, on_resize, &s);
    s.keys = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, &s);
    event_add(s.resized, NULL);
    if (isatty(STDIN_FILENO))
        event_add(s.keys, NULL);
    watch(&s);
    terminal_leave();
    event_free(s.keys);
    event_free(s.resized);
    return CTL_OK;
}

int top_main(int argc, char **argv)
{
    struct top *t = mem_zalloc(sizeof(*t));
    int rc = top_options_read(&t->options, argc, argv);
    if (rc < 0) {
        ctl_net_open(&t->net, CONNECT_MS);
        if (!t->options.once && terminal_enter())
            rc = run_screen(t);
        else
            rc = run_once(t);
        top_forget(t);
        ctl_net_close(&t->net);
    }
    mem_free(t);
    return rc;
}
