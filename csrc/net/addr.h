/* net/addr.h -- addresses to and from text.
**
** Only addresses that are spelt out: names are resolve.h's.  Text has the
** form of RFC 5952 without brackets, with the zone of RFC 4007 where there is
** one ("fe80::1%eth0"); a unix socket is its path, an abstract one "@name".
*/
#ifndef WS_NET_ADDR_H
#define WS_NET_ADDR_H

#include "base/base.h"
#include "base/err.h"
#include "net/errno.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
    WS_ADDR_TEXT_MAX = 128, /* holds any address as text, with its NUL */
    WS_ADDR_PATH_MAX = 107  /* bytes of a unix socket's path (unix(7)) */
};

struct ws_addr {
    socklen_t len; /* bytes of u in use; 0: no address */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un un;
    } u;
};

/* AF_INET, AF_INET6, AF_UNIX, or AF_UNSPEC for no address. */
static inline int ws_addr_family(const struct ws_addr *a)
{
    return a->len == 0 ? AF_UNSPEC : a->u.any.sa_family;
}

/* A numeric address: four decimal numbers, or IPv6 without brackets.  WS_OK,
** or WS_ERR_ARGUMENT: host is something else (a name), or the port is not
** within 0 to 65535. */
int ws_addr_parse(struct ws_addr *a, const char *host, int port);

/* A unix socket.  "@name" is in Linux's abstract space, without a file.
** WS_OK, or WS_ERR_ARGUMENT: empty, or longer than WS_ADDR_PATH_MAX. */
int ws_addr_unix(struct ws_addr *a, const char *path);

/* Writes the address into out, of n bytes, with a NUL, and its port into
** *port (unix: 0; NULL is fine).  Bytes of a unix path that are not printable
** ASCII come out as '?'.  An unnamed socket, or no address, is "".  WS_OK, or
** WS_ERR_LIMIT: n is too small, out is "" (n > 0). */
int ws_addr_format(const struct ws_addr *a, char *out, size_t n, int *port);

/* 1 when both name the same end: family, address, zone and port. */
int ws_addr_equal(const struct ws_addr *a, const struct ws_addr *b);

#endif
