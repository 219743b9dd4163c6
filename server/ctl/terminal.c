#include "server/ctl/terminal.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* The other screen, no cursor, lines are not wrapped; and back. */
#define ENTER "\x1b[?1049h\x1b[?25l\x1b[?7l"
#define LEAVE "\x1b[?7h\x1b[?25h\x1b[?1049l"

static struct termios before;
static bool has_keys; /* standard input is a terminal, and `before` its state */
static volatile sig_atomic_t entered;

/* ---- taking and giving back ---------------------------------------------- */

static void put(const char *text, size_t len)
{
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, text, len);
        if (n < 0 && errno != EINTR)
            return;
        if (n > 0) {
            text += n;
            len -= (size_t)n;
        }
    }
}

static void take(void)
{
    if (has_keys) {
        struct termios raw = before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    put(ENTER, sizeof(ENTER) - 1);
    entered = 1;
}

/* Safe in signal handlers. */
static void give_back(void)
{
    if (!entered)
        return;
    entered = 0;
    put(LEAVE, sizeof(LEAVE) - 1);
    if (has_keys)
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

/* Its action is the default one again. */
static void on_fatal(int sig)
{
    int saved = errno;
    give_back();
    (void)raise(sig);
    errno = saved;
}

static void on_stop(int sig)
{
    (void)sig;
    int saved = errno;
    give_back();
    (void)raise(SIGSTOP);
    take();
    errno = saved;
}

static void handle(int sig, void (*fn)(int), int flags)
{
    struct sigaction sa = {.sa_flags = flags};
    sa.sa_handler = fn;
    (void)sigemptyset(&sa.sa_mask);
    (void)sigaction(sig, &sa, NULL);
}

bool terminal_enter(void)
{
    static const int fatal[] = {SIGINT,  SIGTERM, SIGHUP, SIGQUIT,
                                SIGABRT, SIGSEGV, SIGBUS, SIGFPE};
    if (!isatty(STDOUT_FILENO))
        return false;
    has_keys = tcgetattr(STDIN_FILENO, &before) == 0;
    for (size_t i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++)
        handle(fatal[i], on_fatal, (int)SA_RESETHAND);
    handle(SIGTSTP, on_stop, SA_RESTART);
    take();
    return true;
}

void terminal_leave(void)
{
    give_back();
}

/* ---- reading and writing ------------------------------------------------- */

void terminal_size(unsigned *width, unsigned *height)
{
    struct winsize w;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 &&
                 w.ws_row > 0;
    *width = known ? w.ws_col : 80;
    *height = known ? w.ws_row : 24;
}

static int next_byte(void)
{
    unsigned char c;
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    if (!has_keys || poll(&p, 1, 0) <= 0)
        return KEY_NONE;
    ssize_t n = read(STDIN_FILENO, &c, 1);
    return n == 1 ? c : n < 0 && errno == EINTR ? KEY_NONE : KEY_END;
}

/* Behind ESC [ or ESC O: parameters, then a letter. */
static int sequence(void)
{
    int c;
    do
        c = next_byte();
    while (c >= 0 && c < '@');
    switch (c) {
    case 'A':
        return KEY_UP;
    case 'B':
        return KEY_DOWN;
    case 'C':
        return KEY_RIGHT;
    case 'D':
        return KEY_LEFT;
    default:
        return c < 0 ? c : terminal_key();
    }
}

int terminal_key(void)
{
    int c = next_byte();
    if (c != '\x1b')
        return c;
    c = next_byte();
    return c == '[' || c == 'O' ? sequence() : c;
}

void terminal_draw(struct str lines)
{
    static const char home[] = "\x1b[H", end[] = "\x1b[K", next[] = "\r\n",
                      rest[] = "\x1b[J";
    struct str line;
    struct buf out;
    bool first = true;
    buf_init(&out, UINT32_MAX);
    buf_add(&out, str_of(home));
    while (str_next(&lines, '\n', &line)) {
        if (!first)
            buf_add(&out, str_of(next));
        first = false;
        buf_add(&out, line);
        buf_add(&out, str_of(end));
    }
    buf_add(&out, str_of(rest));
    put(buf_str(&out).p, out.len);
    buf_fini(&out);
}
