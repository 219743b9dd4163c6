#include "common/stream.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/mem.h"
#include "common/metrics.h"
#include "common/poll.h"
#include "common/slab.h"

enum {
    IOV_MAX_TURN = 128,
    RING_WORTH = 16,    /* fewer streams write for themselves */
    READS_PER_TURN = 4, /* so that one busy peer cannot hold the loop */
    ACCEPTS_PER_TURN = 128,
    BACKLOG = 4096,
    ACCEPT_PAUSE_MS = 100,
    OUTPUTS_KEPT = 4096,
    RECENT = 64,
    STREAM_RECORD = 16 * 1024, /* no TLS record is larger */
};

/* A stream that lingers has no owner any more: it writes what it has, sends
 * FIN, and reads to the end before it dies. Closing at once would reset the
 * connection when unread input is there, and the peer would lose our last
 * bytes. */
enum stream_state {
    STREAM_OPEN,
    STREAM_CONNECTING,
    STREAM_LINGER,
    STREAM_DEAD
};

/* The timer sits in memory of its own: only streams that wait have one. */
struct farewell {
    struct list link;
    struct timer timer;
    struct stream *s;
};

/* What a stream has to write: there while it has something, so that an idle
 * stream pays a pointer. Those that ran empty are kept for the next ones. */
struct output {
    struct loop_task task; /* flush */
    struct bytesq q;
    union {
        struct stream *s;
        struct output *next; /* of a spare one */
    };
};

struct stream {
    const struct stream_ops *ops;
    union {
        void *owner;
        struct farewell *farewell; /* while it lingers */
    };
    struct output *out; /* NULL: nothing waits */
    struct stream_io *io;
    int fd;
    uint8_t state;
    uint8_t interest : 2; /* what the kernel was asked for: POLL_* */
    uint8_t paused : 1;
    uint8_t want_write : 1;
    uint8_t read_on_write : 1; /* reading waits until we can write */
    uint8_t write_on_read : 1; /* and the reverse; TLS handshakes only */
    uint8_t apart : 1;         /* counted apart: not a client */
    uint8_t tell : 1;          /* the owner wants on_drain */
};

/* Where the streams come from that were accepted last: accept says it for
 * nothing, and it is asked for soon, or never. A stream has its place by its
 * descriptor, until another one takes that. */
static struct recent {
    const struct stream *of;
    struct sockaddr_storage from;
} recents[RECENT];

static struct recent *recent_of(const struct stream *s)
{
    return &recents[(unsigned)s->fd % RECENT];
}

/* ---- output queues ------------------------------------------------------- */

static struct output *spare_outputs;
static unsigned n_spare_outputs;

static void flush(struct loop_task *t);

static struct output *output_new(void)
{
    struct output *o = mem_alloc(sizeof(*o));
    loop_task_init(&o->task, flush);
    bytesq_init(&o->q);
    return o;
}

static inline struct output *output_of(struct stream *s)
{
    struct output *o = s->out;
    if (o)
        return o;
    o = spare_outputs;
    if (o) {
        spare_outputs = o->next;
        n_spare_outputs--;
    } else {
        o = output_new();
    }
    o->s = s;
    s->out = o;
    return o;
}

/* Its queue is empty. */
static inline void output_put(struct stream *s)
{
    struct output *o = s->out;
    s->out = NULL;
    if (!list_empty(&o->task.link))
        loop_cancel(&o->task);
    if (n_spare_outputs == OUTPUTS_KEPT) {
        mem_free(o);
        return;
    }
    n_spare_outputs++;
    o->next = spare_outputs;
    spare_outputs = o;
}

static void output_drop(struct stream *s)
{
    if (!s->out)
        return;
    bytesq_fini(&s->out->q);
    output_put(s);
}

static bool has_output(const struct stream *s)
{
    return s->out && !bytesq_empty(&s->out->q);
}

/* ---- the plain wire ------------------------------------------------------ */

static ssize_t plain_read(struct stream_io *io, int fd, char *p, size_t n)
{
    (void)io;
    return read(fd, p, n);
}

/* Not write(2): the way through the kernel's file layer takes a tenth longer.
 */
static ssize_t plain_write(struct stream_io *io, int fd, struct iovec *iov,
                           int n)
{
    (void)io;
    if (n == 1)
        return send(fd, iov[0].iov_base, iov[0].iov_len, MSG_NOSIGNAL);
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)n};
    return sendmsg(fd, &m, MSG_NOSIGNAL);
}

static void plain_nothing(struct stream_io *io)
{
    (void)io;
}

static struct stream_io *plain_io(struct loop *l)
{
    if (l->plain)
        return l->plain;
    l->plain = mem_alloc(sizeof(*l->plain));
    *l->plain = (struct stream_io){.read = plain_read,
                                   .write = plain_write,
                                   .bye = plain_nothing,
                                   .drop = plain_nothing,
                                   .loop = l};
    return l->plain;
}

static struct loop *loop_of(const struct stream *s)
{
    return s->io->loop;
}

static uint32_t open_streams, apart_streams, lingering_streams;
static struct list lingering = {&lingering, &lingering};

uint32_t stream_count(void)
{
    return open_streams;
}

uint32_t stream_count_apart(void)
{
    return apart_streams;
}

uint32_t stream_lingering(void)
{
    return lingering_streams;
}

static void ask_kernel(struct stream *s, unsigned want)
{
    poll_change(loop_of(s)->poll, s->fd, s->interest, want, s);
    s->interest = want & 3;
}

static void update_interest(struct stream *s)
{
    unsigned want = 0;
    if ((!s->paused && s->state == STREAM_OPEN) || s->state == STREAM_LINGER)
        want |= POLL_READ;
    if (s->write_on_read)
        want |= POLL_READ;
    if ((s->want_write && !s->write_on_read) || s->read_on_write ||
        s->state == STREAM_CONNECTING)
        want |= POLL_WRITE;
    ask_kernel(s, want);
    if (s->io->more && !s->paused && s->state == STREAM_OPEN)
        loop_timer(loop_of(s), &s->io->again, 0);
}

static void stream_destroy(void *s)
{
    slab_free(s, sizeof(struct stream));
}

static void farewell_end(struct stream *s)
{
    struct farewell *f = s->farewell;
    timer_stop(&f->timer);
    list_remove(&f->link);
    lingering_streams--;
    mem_free(f);
}

static void kill_now(struct stream *s)
{
    if (s->state == STREAM_DEAD)
        return;
    if (s->state == STREAM_LINGER)
        farewell_end(s);
    s->state = STREAM_DEAD;
    s->owner = NULL;
    ask_kernel(s, 0);
    struct loop *l = loop_of(s);
    if (stream_secure(s))
        timer_stop(&s->io->again);
    s->io->drop(s->io);
    s->io = plain_io(l);
    if (recent_of(s)->of == s)
        recent_of(s)->of = NULL;
    close(s->fd);
    if (s->apart)
        apart_streams--;
    else
        open_streams--;
    output_drop(s);
    loop_bury(l, stream_destroy, s);
}

/* The stream is of no more use to its owner, who still has to be told. */
static void fail(struct stream *s, int error)
{
    if (s->state == STREAM_LINGER || !s->owner) {
        kill_now(s);
        return;
    }
    void *owner = s->owner;
    ask_kernel(s, 0);
    s->want_write = 0;
    s->read_on_write = s->write_on_read = 0;
    s->paused = 1;
    if (error)
        output_drop(s);
    s->ops->on_end(s, owner, error);
}

static inline ssize_t write_some(struct stream *s)
{
    struct iovec iov[IOV_MAX_TURN];
    int n = bytesq_iov(&s->out->q, iov, IOV_MAX_TURN);
    return s->io->write(s->io, s->fd, iov, n);
}

static inline void was_sent(struct stream *s, size_t n)
{
    metrics_add(M_BYTES_OUT, s->apart ? 0 : n);
    bytesq_sent(&s->out->q, n);
}

/* The kernel takes no more for now. */
static void wait_to_write(struct stream *s, bool on_read)
{
    if (s->want_write && s->write_on_read == on_read)
        return;
    s->want_write = 1;
    bytesq_hold(&s->out->q);
    s->write_on_read = on_read;
    update_interest(s);
}

/* All is written. */
static void written(struct stream *s)
{
    bool tell = s->want_write || s->tell;
    if (s->out)
        output_put(s);
    if (s->want_write) {
        s->want_write = s->write_on_read = 0;
        update_interest(s);
    }
    if (s->state == STREAM_LINGER) {
        s->io->bye(s->io);
        shutdown(s->fd, SHUT_WR);
    } else if (tell) {
        s->tell = 0;
        if (s->ops->on_drain)
            s->ops->on_drain(s, s->owner);
    }
}

static void write_out(struct stream *s)
{
    while (has_output(s)) {
        ssize_t w = write_some(s);
        if (w >= 0) {
            was_sent(s, (size_t)w);
        } else if (errno == EAGAIN || errno == EINPROGRESS) {
            wait_to_write(s, errno == EINPROGRESS);
            return;
        } else if (errno != EINTR) {
            fail(s, errno);
            return;
        }
    }
    written(s);
}

/* ---- writing together ---------------------------------------------------- */

/* The next streams of the batch, as sends of the ring. */
static unsigned gather(struct loop *l, struct stream *streams[RING_SENDS])
{
    struct ring_send *sends = ring_sends(l->ring);
    struct list *n;
    unsigned count = 0;
    while (count < RING_SENDS && (n = list_pop(&l->batch))) {
        struct stream *s = container_of(n, struct output, task.link)->s;
        sends[count].fd = s->fd;
        sends[count].pieces =
            (uint32_t)bytesq_iov(&s->out->q, sends[count].piece, RING_PIECES);
        streams[count++] = s;
    }
    return count;
}

/* What the ring did not finish goes the plain way. */
static void finish_write(struct stream *s, int result)
{
    if (s->state == STREAM_DEAD || s->want_write)
        return;
    if (result < 0 && result != -EAGAIN && result != -EINTR)
        fail(s, -result);
    else
        write_out(s);
}

static void send_together(struct loop *l, struct stream *const streams[],
                          unsigned n)
{
    const struct ring_send *sends = ring_sends(l->ring);
    ring_send(l->ring, n);
    /* All of them before any owner hears of a failure: owners may send, and
     * close other streams. */
    for (unsigned i = 0; i < n; i++) {
        if (sends[i].result > 0)
            was_sent(streams[i], (size_t)sends[i].result);
    }
    for (unsigned i = 0; i < n; i++)
        finish_write(streams[i], sends[i].result);
}

static void send_batch(struct loop_task *t)
{
    struct loop *l = container_of(t, struct loop, send_batch);
    struct stream *streams[RING_SENDS];
    unsigned n;
    while ((n = gather(l, streams)) > 0) {
        if (n >= RING_WORTH)
            send_together(l, streams, n);
        for (unsigned i = 0; n < RING_WORTH && i < n; i++)
            finish_write(streams[i], 0);
    }
}

/* At the end of the turn, with others that write. */
static void flush(struct loop_task *t)
{
    struct stream *s = container_of(t, struct output, task)->s;
    struct loop *l = loop_of(s);
    if (s->state == STREAM_CONNECTING || s->want_write)
        return;
    if (!l->ring || stream_secure(s) || !has_output(s) ||
        s->out->q.count > RING_PIECES) {
        write_out(s);
        return;
    }
    list_insert(&l->batch, &t->link);
    l->send_batch.run = send_batch;
    loop_flush(l, &l->send_batch);
}

/* At the end of the turn. */
__attribute__((noinline)) static void flush_later(struct stream *s)
{
    loop_flush(loop_of(s), &output_of(s)->task);
}

static inline void count_in(const struct stream *s, size_t n)
{
    metrics_add(M_BYTES_IN, s->apart ? 0 : n);
}

static void read_in(struct stream *s)
{
    for (int i = 0; i < READS_PER_TURN; i++) {
        ssize_t n =
            s->io->read(s->io, s->fd, loop_of(s)->read_buf, LOOP_READ_BYTES);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EINPROGRESS)) {
            if (s->read_on_write != (errno == EINPROGRESS)) {
                s->read_on_write = !s->read_on_write;
                update_interest(s);
            }
            return;
        }
        if (n <= 0) {
            fail(s, n < 0 ? errno : 0);
            return;
        }
        count_in(s, (size_t)n);
        s->ops->on_data(s, s->owner,
                        (struct str){loop_of(s)->read_buf, (size_t)n});
        if (s->state != STREAM_OPEN || s->paused ||
            (n < LOOP_READ_BYTES && !s->io->more))
            return;
    }
    if (s->io->more)
        loop_timer(loop_of(s), &s->io->again, 0);
}

static void read_again(struct timer *t)
{
    struct stream *s = container_of(t, struct stream_io, again)->stream;
    if (s->state == STREAM_OPEN && !s->paused)
        read_in(s);
}

/* Nobody wants to know what it says: not decrypted. */
static void discard_in(struct stream *s)
{
    ssize_t n = read(s->fd, loop_of(s)->read_buf, LOOP_READ_BYTES);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        kill_now(s);
}

static void finish_connect(struct stream *s)
{
    int error = 0;
    socklen_t len = sizeof(error);
    getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error) {
        fail(s, error);
        return;
    }
    s->state = STREAM_OPEN;
    update_interest(s);
    s->ops->on_connect(s, s->owner);
    if (s->state == STREAM_OPEN && has_output(s))
        flush_later(s);
}

static void on_ready(void *arg, unsigned ready)
{
    struct stream *s = arg;
    if (!loop_of(s)->clock_read) /* the turn begins */
        (void)loop_now(loop_of(s));
    ready &= s->interest; /* it may have changed since the kernel looked */
    if (s->state == STREAM_DEAD || !ready)
        return;
    if (s->state == STREAM_CONNECTING) {
        finish_connect(s);
        return;
    }
    if (ready & (s->write_on_read ? POLL_READ : POLL_WRITE))
        write_out(s);
    if (!(ready & (s->read_on_write ? POLL_READ | POLL_WRITE : POLL_READ)))
        return;
    /* The owner may have closed, or handed over, in on_drain. */
    if (s->state == STREAM_OPEN && !s->paused)
        read_in(s);
    else if (s->state == STREAM_LINGER)
        discard_in(s);
}

/* Output is gathered here; the kernel need not wait for more. */
static void send_at_once(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static struct stream *stream_make(struct loop *l, int fd,
                                  enum stream_state state)
{
    if (!l->poll)
        l->poll = poll_new(l->base, on_ready);
    struct stream *s = slab_alloc(sizeof(*s));
    s->fd = fd;
    s->io = plain_io(l);
    s->state = (uint8_t)state;
    open_streams++;
    return s;
}

struct stream *stream_new(struct loop *l, int fd)
{
    return stream_make(l, fd, STREAM_OPEN);
}

struct stream *stream_connect(struct loop *l, const struct sockaddr *addr,
                              socklen_t len, const struct stream_ops *ops,
                              void *owner)
{
    int fd =
        socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return NULL;
    send_at_once(fd);
    if (connect(fd, addr, len) < 0 && errno != EINPROGRESS) {
        int saved = errno;
        close(fd);
        errno = saved;
        return NULL;
    }
    struct stream *s = stream_make(l, fd, STREAM_CONNECTING);
    stream_set_owner(s, ops, owner);
    return s;
}

void stream_set_owner(struct stream *s, const struct stream_ops *ops,
                      void *owner)
{
    assert(s->state == STREAM_OPEN || s->state == STREAM_CONNECTING);
    bool first = !s->ops;
    s->ops = ops;
    s->owner = owner;
    if (first)
        update_interest(s);
}

void stream_send(struct stream *s, struct bytes *b)
{
    if (s->state == STREAM_DEAD || s->state == STREAM_LINGER) {
        metrics_add(M_DROP_CLOSED, 1);
        return;
    }
    /* What has an output already will be flushed, or waits for the kernel. */
    if (!s->out)
        flush_later(s);
    bytesq_push(&s->out->q, b);
}

void stream_push(struct stream *s)
{
    ssize_t w = 0;
    if (s->state != STREAM_OPEN)
        return;
    while (!s->want_write && has_output(s) && w >= 0) {
        w = write_some(s);
        if (w >= 0)
            was_sent(s, (size_t)w);
        else if (errno == EAGAIN || errno == EINPROGRESS)
            wait_to_write(s, errno == EINPROGRESS);
    }
}

size_t stream_queued(const struct stream *s)
{
    return s->out ? s->out->q.bytes : 0;
}

bool stream_blocked(const struct stream *s)
{
    return s->want_write;
}

void stream_tell(struct stream *s)
{
    s->tell = 1;
}

void stream_cut(struct stream *s)
{
    /* OpenSSL must be offered again what it was when the kernel refused, of
     * which it may have encrypted a record's worth. */
    size_t offered = s->want_write && stream_secure(s) ? STREAM_RECORD : 0;
    if (has_output(s))
        bytesq_cut(&s->out->q, offered);
}

void stream_pause(struct stream *s, bool paused)
{
    if (s->state == STREAM_DEAD || s->paused == paused)
        return;
    s->paused = paused;
    update_interest(s);
}

static void farewell_over(struct timer *t)
{
    kill_now(container_of(t, struct farewell, timer)->s);
}

void stream_close(struct stream *s, uint32_t linger_ms)
{
    if (s->state == STREAM_DEAD || s->state == STREAM_LINGER)
        return;
    if (s->state == STREAM_CONNECTING || s->io->opening) {
        kill_now(s);
        return;
    }
    s->state = STREAM_LINGER;
    s->read_on_write = 0;
    update_interest(s);
    if (!s->want_write)
        flush_later(s);
    struct farewell *f = mem_alloc(sizeof(*f));
    f->s = s;
    list_insert(&lingering, &f->link);
    lingering_streams++;
    timer_init(&f->timer, farewell_over);
    s->farewell = f;
    loop_timer(loop_of(s), &f->timer, linger_ms);
}

void stream_abort(struct stream *s)
{
    kill_now(s);
}

void stream_abort_lingering(void)
{
    while (!list_empty(&lingering))
        kill_now(container_of(lingering.next, struct farewell, link)->s);
}

struct loop *stream_loop(const struct stream *s)
{
    return loop_of(s);
}

bool stream_secure(const struct stream *s)
{
    return s->io->stream != NULL;
}

static void use_io(struct stream *s, struct stream_io *io);

struct stream_io *stream_wrap(struct stream *s, stream_io_fn *fn, void *arg)
{
    assert(s->state == STREAM_OPEN && !stream_secure(s));
    struct stream_io *io = fn(arg, s->fd);
    use_io(s, io);
    return io;
}

/* inet_ntop prints with sprintf, for every connection. */
static void ipv4_text(const unsigned char a[4], char out[STREAM_ADDR_MAX])
{
    for (int i = 0; i < 4; i++) {
        if (a[i] >= 100)
            *out++ = (char)('0' + a[i] / 100);
        if (a[i] >= 10)
            *out++ = (char)('0' + a[i] / 10 % 10);
        *out++ = (char)('0' + a[i] % 10);
        *out++ = i < 3 ? '.' : '\0';
    }
}

static void address_text(const struct sockaddr_storage *a,
                         char out[STREAM_ADDR_MAX])
{
    out[0] = '\0';
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
        ipv4_text((const unsigned char *)&v4->sin_addr, out);
    } else if (a->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;
        /* An IPv4 peer of a dual-stack socket is shown as what it is. */
        if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr))
            ipv4_text(&v6->sin6_addr.s6_addr[12], out);
        else
            inet_ntop(AF_INET6, &v6->sin6_addr, out, STREAM_ADDR_MAX);
    }
}

void stream_peer(const struct stream *s, char out[STREAM_ADDR_MAX])
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof(a);
    out[0] = '\0';
    if (recent_of(s)->of == s)
        address_text(&recent_of(s)->from, out);
    else if (getpeername(s->fd, (struct sockaddr *)&a, &len) == 0)
        address_text(&a, out);
}

void stream_local(const struct stream *s, char out[STREAM_ADDR_MAX])
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof(a);
    out[0] = '\0';
    if (getsockname(s->fd, (struct sockaddr *)&a, &len) == 0)
        address_text(&a, out);
}

/* ---- listening ---------------------------------------------------------- */

struct listener {
    struct event ev;
    struct loop *loop;
    struct timer resume;
    listener_fn *on_accept;
    void *arg;
    stream_io_fn *wrap;
    void *wrap_arg;
    listener_fn *turn_away; /* NULL: nobody */
    uint32_t max_streams, max_turned_away;
    int fd;
    bool apart;
};

static void listener_resume(struct timer *t)
{
    struct listener *li = container_of(t, struct listener, resume);
    event_add(&li->ev, NULL);
}

static void use_io(struct stream *s, struct stream_io *io)
{
    io->loop = loop_of(s);
    io->stream = s;
    s->io = io;
    timer_init(&io->again, read_again);
}

static void remember_peer(const struct stream *s,
                          const struct sockaddr_storage *from, socklen_t len)
{
    struct recent *r = recent_of(s);
    r->of = s;
    memcpy(&r->from, from, len < sizeof(r->from) ? len : sizeof(r->from));
}

/* What waits stays ready, so listening on would spin. */
static void listener_pause(struct listener *li, enum metric why)
{
    metrics_add(why, 1);
    event_del(&li->ev);
    loop_timer(li->loop, &li->resume, ACCEPT_PAUSE_MS);
}

static void accepted_apart(struct listener *li, int fd)
{
    if (apart_streams >= li->max_streams) {
        close(fd);
        return;
    }
    struct stream *s = stream_new(li->loop, fd);
    s->apart = 1;
    open_streams--;
    apart_streams++;
    li->on_accept(li->arg, s);
}

static void accepted(struct listener *li, int fd,
                     const struct sockaddr_storage *from, socklen_t len)
{
    bool full = open_streams >= li->max_streams;
    metrics_add(full ? M_ACCEPT_REFUSED : M_ACCEPTED, 1);
    struct stream *s = stream_new(li->loop, fd);
    remember_peer(s, from, len);
    if (li->wrap)
        use_io(s, li->wrap(li->wrap_arg, fd));
    (full ? li->turn_away : li->on_accept)(li->arg, s);
}

static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
    (void)what;
    struct listener *li = arg;
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        if (!li->apart &&
            open_streams >= li->max_streams + li->max_turned_away) {
            listener_pause(li, M_ACCEPT_PAUSED_FULL);
            return;
        }
        struct sockaddr_storage from;
        socklen_t len = sizeof(from);
        from.ss_family = AF_UNSPEC;
        int c = accept4(fd, (struct sockaddr *)&from, &len,
                        SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (c < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
                      errno == ENOBUFS)) {
            listener_pause(li, M_ACCEPT_PAUSED_SYSTEM);
            return;
        }
        if (c < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (c < 0)
            return;
        if (li->apart)
            accepted_apart(li, c);
        else
            accepted(li, c, &from, len);
    }
}

void listener_set_apart(struct listener *li)
{
    li->apart = true;
}

void listener_turn_away(struct listener *li, uint32_t n, listener_fn *fn)
{
    li->max_turned_away = n;
    li->turn_away = fn;
}

void listener_wrap(struct listener *li, stream_io_fn *fn, void *arg)
{
    li->wrap = fn;
    li->wrap_arg = arg;
}

static int bind_any(const char *host, uint16_t port)
{
    char service[8];
    snprintf(service, sizeof(service), "%u", port);
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int rc = getaddrinfo(*host ? host : NULL, service, &hints, &list);
    if (rc != 0) {
        errno = rc == EAI_SYSTEM ? errno : EADDRNOTAVAIL;
        return -1;
    }
    int fd = -1;
    for (struct addrinfo *a = list; a && fd < 0; a = a->ai_next) {
        fd =
            socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
            continue;
        int on = 1;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
        send_at_once(fd); /* what is accepted inherits that */
        if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 ||
            listen(fd, BACKLOG) < 0) {
            int saved = errno;
            close(fd);
            fd = -1;
            errno = saved;
        }
    }
    freeaddrinfo(list);
    return fd;
}

struct listener *listener_new(struct loop *l, const char *host, uint16_t port,
                              uint32_t max_streams, listener_fn *on_accept,
                              void *arg)
{
    int fd = bind_any(host, port);
    if (fd < 0)
        return NULL;
    struct listener *li = mem_zalloc(sizeof(*li));
    li->loop = l;
    li->fd = fd;
    li->max_streams = max_streams;
    li->on_accept = on_accept;
    li->arg = arg;
    timer_init(&li->resume, listener_resume);
    event_assign(&li->ev, l->base, fd, EV_READ | EV_PERSIST, on_acceptable, li);
    event_add(&li->ev, NULL);
    return li;
}

uint16_t listener_port(const struct listener *li)
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof(a);
    if (getsockname(li->fd, (struct sockaddr *)&a, &len) < 0)
        return 0;
    /* The analyzer does not see that getsockname has filled it.
     * NOLINTBEGIN(clang-analyzer-core.CallAndMessage) */
    if (a.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&a)->sin_port);
    return ntohs(((const struct sockaddr_in6 *)&a)->sin6_port);
    /* NOLINTEND(clang-analyzer-core.CallAndMessage) */
}

void listener_address(const struct listener *li, char out[STREAM_ADDR_MAX])
{
    struct sockaddr_storage a = {0};
    socklen_t len = sizeof(a);
    out[0] = '\0';
    if (getsockname(li->fd, (struct sockaddr *)&a, &len) < 0)
        return;
    address_text(&a, out);
    if (strcmp(out, "0.0.0.0") == 0 || strcmp(out, "::") == 0)
        out[0] = '\0';
}

void listener_free(struct listener *li)
{
    if (!li)
        return;
    event_del(&li->ev);
    timer_stop(&li->resume);
    close(li->fd);
    mem_free(li);
}
