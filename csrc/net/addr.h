/* net/addr.h -- socket addresses, to and from text.
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
    WS_ADDR_TEXT_MAX = 128, /* room for any address as text, with its NUL */
    WS_ADDR_NAME_MAX = WS_ADDR_TEXT_MAX + 8, /* and with its port */
    WS_ADDR_SMALL = 28 /* bytes an internet address needs at most */
};

struct ws_addr {
    socklen_t len; /* bytes of u in use; 0: no address */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un path;
    } u;
};

/* AF_INET, AF_INET6, AF_UNIX, or AF_UNSPEC for no address. */
static inline int ws_addr_family(const struct ws_addr *a)
{
    return a->len == 0 ? AF_UNSPEC : a->u.any.sa_family;
}

/* An IPv4 or IPv6 address in numbers (with zone, without brackets).  WS_OK,
** or WS_ERR_ARGUMENT: text is no such address, or the port is not within 0 to
** 65535. */
int ws_addr_parse(struct ws_addr *a, const char *text, int port);

/* A unix socket's path; "@name" is in Linux's abstract space.  WS_OK or
** WS_ERR_ARGUMENT: empty, or longer than 107 bytes (unix(7)). */
int ws_addr_unix(struct ws_addr *a, const char *path);

/* Writes a as text into out (n bytes, NUL included, cut off if need be) and
** its port to *port (0 for a unix socket).  Control characters in a unix path
** come out as '?'; a unix socket without one is "unix", no address "?". */
void ws_addr_format(const struct ws_addr *a, char *out, size_t n, int *port);

/* Writes both, as URLs and messages name an end: "127.0.0.1:80", "[::1]:80",
** a unix socket's path. */
void ws_addr_name(const struct ws_addr *a, char *out, size_t n);

/* 1 when both name the same end: family, address, zone and port. */
int ws_addr_equal(const struct ws_addr *a, const struct ws_addr *b);

/* An internet address in WS_ADDR_SMALL bytes and back; others save as
** nothing.  Returns the bytes used. */
size_t ws_addr_save(const struct ws_addr *a, uint8_t small[WS_ADDR_SMALL]);
void ws_addr_load(struct ws_addr *a, const uint8_t *small, size_t n);

#endif
