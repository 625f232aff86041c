/* net/addr.c -- what inet_pton leaves open: ports, zones, paths. */
#include "net/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>

enum { PATH_AT = offsetof(struct sockaddr_un, sun_path) };

_Static_assert(sizeof(struct sockaddr_in6) <= WS_ADDR_SMALL,
               "internet addresses fit");
_Static_assert(sizeof(struct sockaddr_un) - PATH_AT < WS_ADDR_TEXT_MAX,
               "paths fit");

/* -- from text -- */

/* The zone of an IPv6 address: an interface's name or number (RFC 4007 11);
** 0 when it is neither. */
static uint32_t zone_of(const char *text)
{
    uint64_t zone = if_nametoindex(text);
    const char *p;

    if (zone != 0)
        return (uint32_t)zone;
    for (p = text; *p >= '0' && *p <= '9' && zone <= UINT32_MAX; p++)
        zone = zone * 10 + (uint64_t)(*p - '0');
    return *p == '\0' && zone <= UINT32_MAX ? (uint32_t)zone : 0;
}

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
        a->u.v6.sin6_scope_id = zone_of(percent + 1);
        if (a->u.v6.sin6_scope_id == 0)
            return WS_ERR_ARGUMENT;
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
    size_t n = strlen(path);

    memset(a, 0, sizeof *a);
    if (n == 0 || n >= sizeof a->u.path.sun_path)
        return WS_ERR_ARGUMENT;
    a->u.path.sun_family = AF_UNIX;
    memcpy(a->u.path.sun_path, path, n + 1);
    a->len = (socklen_t)(PATH_AT + n + 1);
    if (path[0] == '@') { /* no NUL at its end: the length counts */
        a->u.path.sun_path[0] = '\0';
        a->len = (socklen_t)(PATH_AT + n);
    }
    return WS_OK;
}

/* -- to text -- */

/* A path ends with a NUL or, like an abstract name, which may hold NULs, with
** the address. */
static void format_path(const struct ws_addr *a, char *out, size_t n)
{
    const char *path = a->u.path.sun_path;
    size_t i, len = a->len <= PATH_AT ? 0 : a->len - PATH_AT;

    if (len == 0) {
        snprintf(out, n, "unix");
        return;
    }
    if (path[0] != '\0')
        len = strnlen(path, len);
    for (i = 0; i < len && i + 1 < n; i++) {
        uint8_t ch = (uint8_t)path[i];
        out[i] = ch < ' ' || ch == 0x7F ? '?' : path[i];
    }
    out[i] = '\0';
    if (path[0] == '\0' && i > 0)
        out[0] = '@';
}

static void format_v6(const struct ws_addr *a, char *out, size_t n)
{
    char bare[INET6_ADDRSTRLEN], name[IF_NAMESIZE];
    unsigned zone = (unsigned)a->u.v6.sin6_scope_id;

    inet_ntop(AF_INET6, &a->u.v6.sin6_addr, bare, sizeof bare);
    if (zone == 0)
        snprintf(out, n, "%s", bare);
    else if (if_indextoname(zone, name) != NULL)
        snprintf(out, n, "%s%%%s", bare, name);
    else
        snprintf(out, n, "%s%%%u", bare, zone);
}

void ws_addr_format(const struct ws_addr *a, char *out, size_t n, int *port)
{
    char bare[INET_ADDRSTRLEN];

    *port = 0;
    if (n == 0)
        return;
    switch (ws_addr_family(a)) {
    case AF_INET:
        inet_ntop(AF_INET, &a->u.v4.sin_addr, bare, sizeof bare);
        snprintf(out, n, "%s", bare);
        *port = ntohs(a->u.v4.sin_port);
        break;
    case AF_INET6:
        format_v6(a, out, n);
        *port = ntohs(a->u.v6.sin6_port);
        break;
    case AF_UNIX:
        format_path(a, out, n);
        break;
    default:
        snprintf(out, n, "?");
        break;
    }
}

void ws_addr_name(const struct ws_addr *a, char *out, size_t n)
{
    char text[WS_ADDR_TEXT_MAX];
    int port, family = ws_addr_family(a);

    ws_addr_format(a, text, sizeof text, &port);
    if (family == AF_INET6)
        snprintf(out, n, "[%s]:%d", text, port);
    else if (family == AF_INET)
        snprintf(out, n, "%s:%d", text, port);
    else
        snprintf(out, n, "%s", text);
}

/* -- comparing and keeping -- */

int ws_addr_equal(const struct ws_addr *a, const struct ws_addr *b)
{
    int family = ws_addr_family(a);

    if (family != ws_addr_family(b))
        return 0;
    if (family == AF_INET)
        return a->u.v4.sin_port == b->u.v4.sin_port &&
               a->u.v4.sin_addr.s_addr == b->u.v4.sin_addr.s_addr;
    if (family == AF_INET6)
        return a->u.v6.sin6_port == b->u.v6.sin6_port &&
               a->u.v6.sin6_scope_id == b->u.v6.sin6_scope_id &&
               memcmp(&a->u.v6.sin6_addr, &b->u.v6.sin6_addr,
                      sizeof a->u.v6.sin6_addr) == 0;
    return a->len == b->len && memcmp(&a->u, &b->u, a->len) == 0;
}

size_t ws_addr_save(const struct ws_addr *a, uint8_t small[WS_ADDR_SMALL])
{
    int family = ws_addr_family(a);

    if (a->len > WS_ADDR_SMALL || (family != AF_INET && family != AF_INET6))
        return 0;
    memcpy(small, &a->u, a->len);
    return a->len;
}

void ws_addr_load(struct ws_addr *a, const uint8_t *small, size_t n)
{
    memset(a, 0, sizeof *a);
    if (n > WS_ADDR_SMALL)
        return;
    memcpy(&a->u, small, n);
    a->len = (socklen_t)n;
}
