/* spec/bench/load.c -- load for one server: echoes, openings, broadcasts.
**
**   load mode=echo port=N [pid=N] [name=value ...]      one line on stdout
**
** One thread, epoll; OpenSSL with tls=1, zlib with packed=1, else libc only.
** Frames are masked (and compressed) beforehand and lie in a ring, each with its
** own key and content; connections start at different places in it.  So what a
** server must answer is known to the byte, also the lengths of its frames and
** which connection gets which: comparing takes the place of parsing, but for
** compressed answers.  After the warm-up the kernel drops long payload unseen.
**
** What counts is the CPU time of the server's process (pid=), not the wall's.
** Anything unexpected ends the run with a message and code 1; so does time.
**
**   mode=echo       `active` of `conns` connections keep `depth` messages of
**                   `size` bytes under way; kind=binary|ascii|mixed|dense (the
**                   last two: text with some, with only, multi-byte characters)
**   mode=raw        the same bytes through a plain TCP echo
**   mode=rate       `conns` slots that open, shake hands, close and start over
**   mode=broadcast  the first of `conns` sends, all of them receive
**   mode=idle       opens `conns` connections and sees what memory they take;
**                   with packed=1 each has got a message back
**   mode=shake      `conns` slots that shake hands in TLS, end and start over
**
** deflate=1 offers permessage-deflate, which the server has to take; packed=1
** sends compressed messages, too.  `larger` is then by how much the server's
** are larger than what zlib makes of them with its defaults.
**
** `ms` of measuring after `warm` ms (echo: at least `count` messages), all of
** it within `limit` seconds.  With busy=1 it never sleeps, so that the server
** need not wake it: figures are steadier, and ratios a little kinder.
*/
#include "options.h"
#include "packed.h"
#include "ring.h"
#include "secure.h"
#include "usage.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    SKIPPED = 8192, /* bytes of a message not worth copying to look at */
    AT_ONCE = 64,   /* connections being opened */
    FIRST = 16,     /* idlers opened before memory is looked at */
    SOURCES = 32    /* addresses to connect from: ports in TIME_WAIT */
};

static struct options o;

/* What a connection waits for. */
enum state {
    UNUSED,     /* to be opened */
    CONNECTING, /* the TCP handshake */
    SHAKING,    /* the TLS handshake */
    OPENING,    /* the whole 101 */
    OPEN,       /* answers */
    CLOSING     /* a Close, then the end */
};

struct conn {
    int fd;
    struct ssl_st *ssl;    /* NULL: plain */
    struct packed *packed; /* NULL: its answers are not compressed */
    enum state state;
    size_t first;   /* the frame of the ring it starts with */
    size_t asked;   /* messages, ever */
    size_t sent;    /* bytes, ever */
    size_t owed;    /* bytes to send now */
    size_t got;     /* bytes of answers */
    size_t head_n;  /* of the head */
    char head[512]; /* the 101, or the Close */
};

static struct ring ring;
static struct conn *all;
static int ep;
static struct sockaddr_in server;
static uint8_t buf[256 * 1024];
static long opened;      /* connections that are open */
static int64_t messages; /* came back, ever */
static int measuring;

/* -- sending -- */

static void flush(struct conn *c)
{
    size_t n, at, all_n = ring.at[ring.n];

    while (c->owed > 0) {
        ssize_t k;

        at = (c->sent + ring.at[c->first]) % all_n;
        n = c->owed < all_n - at ? c->owed : all_n - at;
        k = secure_send(c->ssl, c->fd, ring.frames + at, n);

        if (k < 0 && errno == EAGAIN)
            return;
        if (k < 0)
            die("send: %s", strerror(errno));
        c->sent += (size_t)k;
        c->owed -= (size_t)k;
    }
}

static void send_messages(struct conn *c, size_t n)
{
    for (; n > 0; n--, c->asked++) {
        size_t i = (c->first + c->asked) % ring.n;
        c->owed += ring.at[i + 1] - ring.at[i];
    }
    flush(c);
}

/* Few bytes, to a connection that has sent nothing yet. */
static void send_text(struct conn *c, const char *text, size_t n)
{
    if (secure_send(c->ssl, c->fd, text, n) != (ssize_t)n)
        die("send: %s", strerror(errno));
}

/* -- opening and closing -- */

static void dial(struct conn *c)
{
    static uint32_t source;
    struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                             .data.ptr = c};
    struct sockaddr_in from = {.sin_family = AF_INET};
    int one = 1;

    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + source++ % SOURCES);
    c->state = CONNECTING;
    c->head_n = 0;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(c->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (bind(c->fd, (struct sockaddr *)&from, sizeof from) != 0)
        die("bind: %s", strerror(errno));
    if (epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev) != 0)
        die("epoll_ctl: %s", strerror(errno));
    if (connect(c->fd, (struct sockaddr *)&server, sizeof server) != 0 &&
        errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
}

static void start_over(struct conn *c)
{
    secure_close(c->ssl);
    c->ssl = NULL;
    close(c->fd);
    messages++;
    dial(c);
}

#define OFFER "Sec-WebSocket-Extensions: permessage-deflate\r\n"

/* The key and its answer are those of RFC 6455 1.3. */
static void connected(struct conn *c)
{
    static const char request[] =
        "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    char text[512];
    int n = snprintf(text, sizeof text, "%s%s\r\n", request,
                     o.deflate || o.packed ? OFFER : "");

    if (o.mode == SHAKE) {
        start_over(c);
    } else if (o.mode == RAW) {
        c->state = OPEN;
        opened++;
    } else {
        c->state = OPENING;
        send_text(c, text, (size_t)n);
    }
}

/* TCP, then as many steps of TLS as there are. */
static void shake(struct conn *c)
{
    if (c->state == CONNECTING && o.tls) {
        c->ssl = secure_open(c->fd);
        c->state = SHAKING;
    }
    if (c->state == CONNECTING || secure_shake(c->ssl))
        connected(c);
}

/* Part of the head has come: what if it is all? */
static void opening(struct conn *c)
{
    static const char close_frame[] = "\x88\x82\x11\x22\x33\x44\x12\xca";

    c->head[c->head_n] = '\0';
    if (strstr(c->head, "\r\n\r\n") == NULL)
        return;
    if (strncmp(c->head, "HTTP/1.1 101 ", 13) != 0 ||
        strstr(c->head, ": s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") == NULL ||
        strcmp(c->head + c->head_n - 4, "\r\n\r\n") != 0)
        die("a bad answer to the handshake: %s", c->head);
    if ((o.deflate || o.packed) &&
        strstr(c->head, "permessage-deflate") == NULL)
        die("it does not compress: %s", c->head);
    if (o.packed)
        c->packed = packed_open(&ring, c->first);
    c->state = OPEN;
    opened++;
    if (o.mode == RATE) {
        send_text(c, close_frame, 8);
        c->state = CLOSING;
        c->head_n = 0;
    }
}

/* The end of the stream: all is well if a Close came before it. */
static void ended(struct conn *c)
{
    if (c->state != CLOSING || c->head_n != 4 ||
        memcmp(c->head, "\x88\x02\x03\xe8", 4) != 0)
        die("the server ended a connection");
    opened--;
    start_over(c);
}

/* -- receiving -- */

/* n bytes of answers in buf, or unseen, compared: how many messages end. */
static size_t ends(struct conn *c, size_t n, int seen)
{
    size_t all_n = ring.n * ring.answer_n, done = 0;
    size_t before = c->got / ring.answer_n, k;

    while (seen && done < n) {
        size_t at = (c->got + done + c->first * ring.answer_n) % all_n;
        k = n - done < all_n - at ? n - done : all_n - at;
        if (memcmp(buf + done, ring.answers + at, k) != 0)
            die("an answer is wrong, in message %zu", before);
        done += k;
    }
    c->got += n;
    return c->got / ring.answer_n - before;
}

/* For each message that came another one leaves. */
static void answered(struct conn *c, size_t n, int seen)
{
    size_t k = o.packed ? packed_ends(c->packed, buf, n) : ends(c, n, seen);

    messages += (int64_t)k;
    if (o.mode != BROADCAST && o.mode != IDLE && k > 0)
        send_messages(c, k);
}

static ssize_t receive(struct conn *c, size_t *room, int *seen)
{
    size_t left = ring.answer_n - c->got % ring.answer_n;

    *seen =
        c->state != OPEN || !measuring || left <= SKIPPED || o.tls || o.packed;
    *room = *seen ? sizeof buf : left;
    if (c->state == OPEN && !*seen)
        return recv(c->fd, buf, *room, MSG_TRUNC);
    if (c->state == OPEN)
        return secure_recv(c->ssl, c->fd, buf, *room);
    *room = sizeof c->head - 1 - c->head_n;
    return secure_recv(c->ssl, c->fd, c->head + c->head_n, *room);
}

static void readable(struct conn *c)
{
    for (;;) {
        int seen, fd = c->fd;
        size_t room;
        ssize_t n = receive(c, &room, &seen);

        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            die("recv: %s", strerror(errno));
        if (n == 0) {
            ended(c);
        } else if (c->state == OPEN) {
            answered(c, (size_t)n, seen);
        } else {
            c->head_n += (size_t)n;
            if (c->state == OPENING)
                opening(c);
        }
        if (c->fd != fd || n == 0 ||
            (c->state == OPEN && !o.tls && (size_t)n < room))
            return;
    }
}

static void turn(int wait_ms)
{
    static double end;
    struct epoll_event ev[1024];
    int i, n = epoll_wait(ep, ev, 1024, o.busy ? 0 : wait_ms);

    if (end == 0)
        end = now() + (double)o.limit;
    if (now() > end)
        die("time is over: %ld open, %lld messages", opened,
            (long long)messages);
    for (i = 0; i < n; i++) {
        struct conn *c = ev[i].data.ptr;
        if ((ev[i].events & EPOLLERR) == 0 && c->state <= SHAKING) {
            shake(c);
            if (c->state <= SHAKING)
                continue;
        }
        if ((ev[i].events & EPOLLOUT) != 0)
            flush(c);
        if ((ev[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
            readable(c);
    }
}

/* -- modes -- */

static void open_up_to(long n)
{
    static long dialled;

    while (opened < n) {
        while (dialled < n && dialled - opened < AT_ONCE)
            dial(&all[dialled++]);
        turn(50);
    }
}

/* Until the server has nothing left to do. */
static void settle(void)
{
    double before, end;

    do {
        before = server_cpu(o.pid);
        for (end = now() + 0.1; now() < end;)
            turn(100);
    } while (server_cpu(o.pid) - before > 0.0005);
}

static void begin(void)
{
    long i;

    if (o.mode == RATE || o.mode == SHAKE) {
        for (i = 0; i < o.conns; i++)
            dial(&all[i]);
        return;
    }
    open_up_to(o.conns);
    if (o.mode == BROADCAST)
        send_messages(&all[0], (size_t)o.depth);
    for (i = 0; i < o.conns && o.mode != BROADCAST; i++) {
        if ((i + 1) * o.active / o.conns !=
            i * o.active / o.conns) /* evenly spread */
            send_messages(&all[i], (size_t)o.depth);
    }
}

/* Turns until then, and until there are so many messages.  The next broadcast
** leaves when the receivers, together, have had enough of those before. */
static void work(double end, int64_t enough)
{
    while (now() < end || messages < enough) {
        int64_t sent;

        turn(20);
        sent = (int64_t)all[0].asked - messages / o.conns;
        if (o.mode == BROADCAST && sent < o.depth)
            send_messages(&all[0], (size_t)(o.depth - sent));
    }
}

static void run(void)
{
    double start, cpu;
    int64_t first;
    long memory;

    begin();
    work(now() + (double)o.warm / 1000, 0);
    measuring = 1;
    memory = server_memory(o.pid);
    first = messages;
    cpu = server_cpu(o.pid);
    start = now();
    work(start + (double)o.ms / 1000, first + o.count);
    cpu = server_cpu(o.pid) - cpu;
    printf(
        "messages=%lld secs=%.6f cpu=%.6f memory=%ld conns=%ld larger=%.4f\n",
        (long long)(messages - first), now() - start, cpu,
        server_memory(o.pid) - memory, o.conns,
        o.packed ? packed_larger(all[0].packed) : 0);
}

/* Opens up to n connections; compressed ones have a message each. */
static void rest_up_to(long n)
{
    long i = opened;

    for (open_up_to(n); o.packed && i < n; i++)
        send_messages(&all[i], 1);
    while (o.packed && messages < n)
        turn(50);
    settle();
}

static void rest(void)
{
    long memory;

    rest_up_to(FIRST);
    memory = server_memory(o.pid);
    rest_up_to(o.conns);
    printf("memory=%ld conns=%ld\n", server_memory(o.pid) - memory,
           o.conns - FIRST);
}

int main(int argc, char **argv)
{
    int i;

    read_options(&o, argc, argv);
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)o.port);
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    all = calloc((size_t)o.conns, sizeof *all);
    ep = epoll_create1(EPOLL_CLOEXEC);
    if (make_ring(&ring, (enum kind)o.kind, (size_t)o.size,
                  o.mode == RAW ? RAW_FRAMES
                  : o.packed    ? PACKED
                                : PLAIN) != 0 ||
        all == NULL || ep < 0)
        die("no memory");
    for (i = 0; i < o.conns && o.mode != BROADCAST; i++)
        all[i].first = (size_t)i * 7 % ring.n;
    if (o.mode == IDLE)
        rest();
    else
        run();
    return 0; /* the kernel closes the rest */
}
