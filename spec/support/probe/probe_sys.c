/* probe_sys.c -- descriptors, limits and timers of the process, for specs. */
#include "probe_sys.h"

#include "base/err.h"
#include "net/errno.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

int probe_errno(lua_State *L, int err)
{
    lua_pushnil(L);
    lua_pushliteral(L, "SYSTEM");
    lua_pushstring(L, ws_errno_word(err));
    return 3;
}

int probe_sys_result(lua_State *L, int rc, int err)
{
    return rc == WS_ERR_SYSTEM ? probe_errno(L, err) : probe_result(L, rc);
}

static int result(lua_State *L, long long rc)
{
    if (rc < 0)
        return probe_errno(L, errno);
    lua_pushinteger(L, rc);
    return 1;
}

static int get_fd(lua_State *L, int arg)
{
    return (int)luaL_checkinteger(L, arg);
}

static int push_pair(lua_State *L, int rc, const int fd[2])
{
    if (rc != 0)
        return probe_errno(L, errno);
    lua_pushinteger(L, fd[0]);
    lua_pushinteger(L, fd[1]);
    return 2;
}

/* pipe() -> read end, write end */
static int sys_pipe(lua_State *L)
{
    int fd[2];
    return push_pair(L, pipe(fd), fd);
}

/* pair() -> two connected unix sockets, non-blocking */
static int sys_pair(lua_State *L)
{
    int fd[2];
    return push_pair(L, socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd),
                     fd);
}

/* open(path) -> fd, for reading */
static int sys_open(lua_State *L)
{
    return result(L, open(luaL_checkstring(L, 1), O_RDONLY | O_CLOEXEC));
}

static int sys_close(lua_State *L)
{
    return result(L, close(get_fd(L, 1)));
}

/* dup(fd [, to]) -> fd */
static int sys_dup(lua_State *L)
{
    if (lua_isnoneornil(L, 2))
        return result(L, dup(get_fd(L, 1)));
    return result(L, dup2(get_fd(L, 1), get_fd(L, 2)));
}

/* write(fd, bytes) -> bytes taken; no SIGPIPE from a socket */
static int sys_write(lua_State *L)
{
    struct ws_slice s = probe_slice(L, 2);
    struct iovec v = {(void *)(uintptr_t)s.p, s.n};
    struct msghdr m;
    ssize_t n;

    memset(&m, 0, sizeof m);
    m.msg_iov = &v;
    m.msg_iovlen = 1;
    n = sendmsg(get_fd(L, 1), &m, MSG_NOSIGNAL);
    if (n < 0 && errno == ENOTSOCK)
        n = write(get_fd(L, 1), s.p, s.n);
    return result(L, n);
}

/* read(fd, n) -> bytes */
static int sys_read(lua_State *L)
{
    luaL_Buffer b;
    size_t n = probe_size(L, 2);
    ssize_t got;
    char *room;

    room = luaL_buffinitsize(L, &b, n);
    got = read(get_fd(L, 1), room, n);
    luaL_pushresultsize(&b, got < 0 ? 0 : (size_t)got);
    return got < 0 ? probe_errno(L, errno) : 1;
}

/* shutdown(fd): no more writes */
static int sys_shutdown(lua_State *L)
{
    return result(L, shutdown(get_fd(L, 1), SHUT_WR));
}

/* flags(fd) -> non-blocking, closed on exec */
static int sys_flags(lua_State *L)
{
    int fd = get_fd(L, 1);
    lua_pushboolean(L, (fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    lua_pushboolean(L, (fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    return 2;
}

/* block(fd, on): blocking or not */
static int sys_block(lua_State *L)
{
    return result(
        L, fcntl(get_fd(L, 1), F_SETFL, lua_toboolean(L, 2) ? 0 : O_NONBLOCK));
}

/* option(fd, name) -> value of a socket's option */
static int sys_option(lua_State *L)
{
    static const char *const names[] = {"sndbuf", "rcvbuf", "nodelay", NULL};
    static const int options[] = {SO_SNDBUF, SO_RCVBUF, TCP_NODELAY};
    int value = (int)luaL_optinteger(L, 3, 0);
    int option = options[luaL_checkoption(L, 2, NULL, names)];
    int level = option == TCP_NODELAY ? IPPROTO_TCP : SOL_SOCKET;
    socklen_t n = sizeof value;

    if (!lua_isnoneornil(L, 3))
        setsockopt(get_fd(L, 1), level, option, &value, n);
    if (getsockopt(get_fd(L, 1), level, option, &value, &n) != 0)
        return probe_errno(L, errno);
    return result(L, value);
}

/* linger(fd): closing it resets the connection */
static int sys_linger(lua_State *L)
{
    struct linger l = {1, 0};
    return result(
        L, setsockopt(get_fd(L, 1), SOL_SOCKET, SO_LINGER, &l, sizeof l));
}

/* wait(fd, events, seconds) -> "r", "w", "rw", "e" among them, or "" */
static int sys_wait(lua_State *L)
{
    const char *events = luaL_checkstring(L, 2);
    struct pollfd p = {get_fd(L, 1), 0, 0};
    int rc;

    p.events |= (short)(strchr(events, 'r') != NULL ? POLLIN : 0);
    p.events |= (short)(strchr(events, 'w') != NULL ? POLLOUT : 0);
    do
        rc = poll(&p, 1, (int)(luaL_checknumber(L, 3) * 1000));
    while (rc < 0 && errno == EINTR);
    lua_pushfstring(L, "%s%s%s", (p.revents & POLLIN) != 0 ? "r" : "",
                    (p.revents & POLLOUT) != 0 ? "w" : "",
                    (p.revents & (POLLERR | POLLHUP)) != 0 ? "e" : "");
    return 1;
}

/* limit("fds" | "memory", n): the most this process may have; n -> before.
** For "memory" n is counted from what it has now. */
static int sys_limit(lua_State *L)
{
    static const char *const names[] = {"fds", "memory", NULL};
    int fds = luaL_checkoption(L, 1, NULL, names) == 0;
    struct rlimit r;
    rlim_t before;

    getrlimit(fds ? RLIMIT_NOFILE : RLIMIT_AS, &r);
    before = r.rlim_cur;
    r.rlim_cur = (rlim_t)luaL_checkinteger(L, 2);
    if (setrlimit(fds ? RLIMIT_NOFILE : RLIMIT_AS, &r) != 0)
        return probe_errno(L, errno);
    return result(L, (long long)before);
}

/* alarms(seconds): SIGALRM again and again; 0: no more */
static int sys_alarms(lua_State *L)
{
    struct itimerval t;
    double s = luaL_checknumber(L, 1);

    t.it_value.tv_sec = (time_t)s;
    t.it_value.tv_usec = (suseconds_t)((s - (double)(time_t)s) * 1e6);
    t.it_interval = t.it_value;
    return result(L, setitimer(ITIMER_REAL, &t, NULL));
}

/* raise(signo): to this thread, so that it has come when this returns; another
** thread could take one to the process, later */
static int sys_raise(lua_State *L)
{
    return result(L, raise((int)luaL_checkinteger(L, 1)));
}

/* ignored(signo) -> "default", "ignore" or "handler" */
static int sys_disposition(lua_State *L)
{
    struct sigaction act;

    if (sigaction((int)luaL_checkinteger(L, 1), NULL, &act) != 0)
        return probe_errno(L, errno);
    lua_pushstring(L, act.sa_handler == SIG_DFL   ? "default"
                      : act.sa_handler == SIG_IGN ? "ignore"
                                                  : "handler");
    return 1;
}

/* ignore(signo, on): SIG_IGN or SIG_DFL */
static int sys_ignore(lua_State *L)
{
    struct sigaction act;

    memset(&act, 0, sizeof act);
    act.sa_handler = lua_toboolean(L, 2) ? SIG_IGN : SIG_DFL;
    return result(L, sigaction((int)luaL_checkinteger(L, 1), &act, NULL));
}

/* cpu() -> seconds of processor time so far */
static int sys_cpu(lua_State *L)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    lua_pushnumber(L, (lua_Number)t.tv_sec + (lua_Number)t.tv_nsec / 1e9);
    return 1;
}

/* heap() -> bytes the C library has handed out, to Lua too, and bytes it could
** hand out again; nil where it does not say */
static int sys_heap(lua_State *L)
{
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 33)
    struct mallinfo2 m = mallinfo2();
    lua_pushinteger(L, (lua_Integer)(m.uordblks + m.hblkhd));
    lua_pushinteger(L, (lua_Integer)m.fordblks);
    return 2;
#else
    lua_pushnil(L);
    return 1;
#endif
}

void probe_open_sys(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"pipe", sys_pipe},     {"pair", sys_pair},
        {"open", sys_open},     {"close", sys_close},
        {"dup", sys_dup},       {"read", sys_read},
        {"write", sys_write},   {"shutdown", sys_shutdown},
        {"flags", sys_flags},   {"block", sys_block},
        {"option", sys_option}, {"linger", sys_linger},
        {"wait", sys_wait},     {"limit", sys_limit},
        {"alarms", sys_alarms}, {"raise", sys_raise},
        {"ignore", sys_ignore}, {"disposition", sys_disposition},
        {"cpu", sys_cpu},       {"heap", sys_heap},
        {NULL, NULL},
    };
    static const struct {
        const char *name;
        int signo;
    } signals[] = {
        {"SIGUSR1", SIGUSR1}, {"SIGUSR2", SIGUSR2}, {"SIGALRM", SIGALRM},
        {"SIGKILL", SIGKILL}, {"SIGTERM", SIGTERM},
    };
    size_t i;

    luaL_setfuncs(L, functions, 0);
    for (i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        lua_pushinteger(L, signals[i].signo);
        lua_setfield(L, -2, signals[i].name);
    }
}
