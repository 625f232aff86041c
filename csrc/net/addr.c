/* net/addr.c -- see addr.h. */
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>

static int parse_v6(struct ws_addr *a, const char *text, int port)
{
    const char *percent = strchr(text, '%');
    char bare[INET6_ADDRSTRLEN];
    size_t n = percent == NULL ? strlen(text) : (size_t)(percent - text);

    if (n >= sizeof bare)
        return WS_ERR_ARGUMENT;
    memcpy(bare, text, n);
    bare[n] = '\0';
    if (inet_pton(AF_INET6, bare, &a->u.v6.sin6_addr) != 1)
        return WS_ERR_ARGUMENT;
    if (percent != NULL) {
        unsigned scope = if_nametoindex(percent + 1);
        char *end;
        if (scope == 0)
            scope = (unsigned)strtoul(percent + 1, &end, 10);
        if (scope == 0)
            return WS_ERR_ARGUMENT;
        a->u.v6.sin6_scope_id = scope;
    }
    a->u.v6.sin6_family = AF_INET6;
    a->u.v6.sin6_port = htons((uint16_t)port);
    a->len = sizeof a->u.v6;
    return WS_OK;
}

int ws_addr_parse(struct ws_addr *a, const char *text, int port)
{
    memset(a, 0, sizeof *a);
    if (port < 0 || port > 65535)
        return WS_ERR_ARGUMENT;
    if (inet_pton(AF_INET, text, &a->u.v4.sin_addr) != 1)
        return parse_v6(a, text, port);
    a->u.v4.sin_family = AF_INET;
    a->u.v4.sin_port = htons((uint16_t)port);
    a->len = sizeof a->u.v4;
    return WS_OK;
}

int ws_addr_unix(struct ws_addr *a, const char *path)
{
    size_t n = strlen(path), head = offsetof(struct sockaddr_un, sun_path);

    memset(a, 0, sizeof *a);
    if (n == 0 || n >= sizeof a->u.path.sun_path)
        return WS_ERR_ARGUMENT;
    a->u.path.sun_family = AF_UNIX;
    memcpy(a->u.path.sun_path, path, n + 1);
    a->len = (socklen_t)(head + n + 1);
    if (path[0] == '@') { /* no NUL at its end: the length counts */
        a->u.path.sun_path[0] = '\0';
        a->len = (socklen_t)(head + n);
    }
    return WS_OK;
}

static void format_unix(const struct ws_addr *a, char *out, size_t n)
{
    size_t head = offsetof(struct sockaddr_un, sun_path);
    const char *path = a->u.path.sun_path;

    if (a->len <= head)
        snprintf(out, n, "unix");
    else if (path[0] == '\0')
        snprintf(out, n, "@%.*s", (int)(a->len - head - 1), path + 1);
    else
        snprintf(out, n, "%.*s", (int)(a->len - head), path);
}

void ws_addr_format(const struct ws_addr *a, char *out, size_t n, int *port)
{
    char scope[24] = "";

    *port = 0;
    if (a->len > 0 && a->u.any.sa_family == AF_INET) {
        inet_ntop(AF_INET, &a->u.v4.sin_addr, out, (socklen_t)n);
        *port = ntohs(a->u.v4.sin_port);
    } else if (a->len > 0 && a->u.any.sa_family == AF_INET6) {
        char bare[INET6_ADDRSTRLEN];
        inet_ntop(AF_INET6, &a->u.v6.sin6_addr, bare, sizeof bare);
        if (a->u.v6.sin6_scope_id != 0)
            snprintf(scope, sizeof scope, "%%%u",
                     (unsigned)a->u.v6.sin6_scope_id);
        snprintf(out, n, "%s%s", bare, scope);
        *port = ntohs(a->u.v6.sin6_port);
    } else if (a->len > 0 && a->u.any.sa_family == AF_UNIX) {
        format_unix(a, out, n);
    } else {
        snprintf(out, n, "?");
    }
}

_Static_assert(sizeof(struct sockaddr_in6) <= WS_ADDR_SMALL,
               "internet addresses fit");

size_t ws_addr_save(const struct ws_addr *a, uint8_t small[WS_ADDR_SMALL])
{
    if (a->len == 0 || a->len > WS_ADDR_SMALL ||
        (a->u.any.sa_family != AF_INET && a->u.any.sa_family != AF_INET6))
        return 0;
    memcpy(small, &a->u, a->len);
    return a->len;
}

void ws_addr_load(struct ws_addr *a, const uint8_t *small, size_t n)
{
    memset(a, 0, sizeof *a);
    memcpy(&a->u, small, n);
    a->len = (socklen_t)n;
}

#define E(name)     \
    {               \
        name, #name \
    }

static const struct {
    int number;
    const char *word;
} words[] = {
    E(EACCES),       E(EADDRINUSE),   E(EADDRNOTAVAIL), E(EAFNOSUPPORT),
    E(EAGAIN),       E(EALREADY),     E(EBADF),         E(EBUSY),
    E(ECONNABORTED), E(ECONNREFUSED), E(ECONNRESET),    E(EEXIST),
    E(EHOSTDOWN),    E(EHOSTUNREACH), E(EINPROGRESS),   E(EINTR),
    E(EINVAL),       E(EIO),          E(EISCONN),       E(ELOOP),
    E(EMFILE),       E(EMSGSIZE),     E(ENAMETOOLONG),  E(ENETDOWN),
    E(ENETRESET),    E(ENETUNREACH),  E(ENFILE),        E(ENOBUFS),
    E(ENOENT),       E(ENOMEM),       E(ENOPROTOOPT),   E(ENOTCONN),
    E(ENOTDIR),      E(ENOTSOCK),     E(EPERM),         E(EPIPE),
    E(EPROTO),       E(EPROTONOSUPPORT), E(EROFS),      E(ETIMEDOUT),
};

const char *ws_errno_word(int err)
{
    size_t i;

    for (i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (words[i].number == err)
            return words[i].word;
    }
    return "SYSTEM";
}

const char *ws_errno_text(int err)
{
    return strerror(err);
}
