/* wire/uri.h -- ws, wss, http, https and ws+unix URLs.
**
** Parsed as the WHATWG URL standard parses them without a base, with what RFC
** 6455 3 adds (no fragment, not even an empty one): whatever a browser's
** WebSocket constructor accepts is accepted and comes out the same.  So space
** around is trimmed; TAB, LF and CR are dropped; a backslash is a slash; the
** slashes before the host may be missing; letter case of scheme and host,
** default port, dot segments and odd IP addresses are put into one form; what
** may not stand in a path, query or user part is percent-encoded.  Octets
** that are percent-encoded stay so and are never encoded again.
**
** Not WHATWG: hosts are at most 255 bytes and URLs WS_URI_MAX; control
** characters in a decoded user or password are refused; international names
** have the limits wire/idna.h tells.
**
** ws+unix:/path/of.sock:/target, as in Node's ws; two slashes more before the
** path are fine; the path is percent-decoded (a colon in it: %3A).
*/
#ifndef WS_WIRE_URI_H
#define WS_WIRE_URI_H

#include "base/base.h"
#include "base/err.h"
#include "base/mem.h"
#include "wire/target.h"

enum {
    WS_URI_MAX = 65535,       /* bytes of a URL */
    WS_HOST_HEADER_SIZE = 272 /* room for any Host value and its NUL */
};

enum ws_uri_scheme {
    WS_URI_WS,
    WS_URI_WSS,
    WS_URI_HTTP,
    WS_URI_HTTPS,
    WS_URI_UNIX,
    WS_URI_SOCKS5 /* of a proxy only */
};

/* A parsed URL; strings end with NUL and contain none, and belong to it. */
struct ws_uri {
    enum ws_uri_scheme scheme;
    int secure;          /* wss or https */
    int port;            /* always known; 0 for ws+unix */
    int port_is_default; /* 1: the scheme's, and not in text */
    int host_is_ipv4, host_is_ipv6;
    char *text;      /* the whole URL in its one form; ws for http */
    char *origin;    /* "ws://h:8080"; "null" for ws+unix */
    char *host;      /* lower case, ASCII; IPv6 without brackets; "localhost"
                        for ws+unix */
    char *target;    /* what a request asks for: "/p?q" */
    char *user;      /* percent-decoded, or NULL */
    char *password;  /* percent-decoded, or NULL */
    char *path_unix; /* ws+unix: the socket, percent-decoded; else NULL */
    size_t size;     /* bytes of all strings, until they were moved */
    /* private */
    void *block; /* all of the strings */
};

/* Parses s.  WS_OK, and u is to be freed; or u is empty and free does
** nothing: WS_ERR_URI and *why says in a static sentence what is wrong (why
** may be NULL), WS_ERR_NOMEM. */
int ws_uri_parse(struct ws_uri *u, struct ws_mem *mem, struct ws_slice s,
                 const char **why);

/* The same for a proxy's URL: http, https, socks5 or socks5h.  For
** ws_proxy_parse, which wants more of it. */
int ws_uri_parse_proxy(struct ws_uri *u, struct ws_mem *mem, struct ws_slice s,
                       const char **why);

/* Moves the strings to u->size bytes at `to`, which are the caller's: there is
** nothing left to free. */
void ws_uri_move(struct ws_uri *u, struct ws_mem *mem, char *to);

/* Gives back the strings and empties u; twice is fine. */
void ws_uri_free(struct ws_uri *u, struct ws_mem *mem);

/* The value of Host: "h", "h:8080", "[::1]:8080"; NUL-terminated.  WS_OK, or
** WS_ERR_LIMIT when n is not enough; WS_HOST_HEADER_SIZE is. */
int ws_uri_host_header(const struct ws_uri *u, char *out, size_t n);

#endif
