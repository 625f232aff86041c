/* net/addr.h -- socket addresses and errno values, to and from text. */
#ifndef WS_NET_ADDR_H
#define WS_NET_ADDR_H

#include "base/base.h"
#include "base/err.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

struct ws_addr {
    socklen_t len; /* bytes of u in use */
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un path;
    } u;
};

enum {
    WS_ADDR_TEXT_MAX = 128, /* room for any address as text */
    WS_ADDR_SMALL = 28      /* bytes an internet address needs at most */
};

/* An IPv4 or IPv6 address in numbers (with scope, without brackets).  WS_OK
** or WS_ERR_ARGUMENT: text is no such address. */
int ws_addr_parse(struct ws_addr *a, const char *text, int port);

/* A unix socket's path; "@name" is in Linux's abstract space.  WS_OK or
** WS_ERR_ARGUMENT: empty, or longer than the system's limit. */
int ws_addr_unix(struct ws_addr *a, const char *path);

/* Writes a as text into out (n bytes, NUL included) and its port to *port
** (0 for a unix socket). */
void ws_addr_format(const struct ws_addr *a, char *out, size_t n, int *port);

/* An internet address in WS_ADDR_SMALL bytes and back; others save as
** nothing.  Returns the bytes used. */
size_t ws_addr_save(const struct ws_addr *a, uint8_t small[WS_ADDR_SMALL]);
void ws_addr_load(struct ws_addr *a, const uint8_t *small, size_t n);

/* The symbolic name of an errno, "ECONNREFUSED", or "SYSTEM"; its text. */
const char *ws_errno_word(int err);
const char *ws_errno_text(int err);

#endif
