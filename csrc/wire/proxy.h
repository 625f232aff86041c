/* wire/proxy.h -- which proxy, if any.
**
** A proxy is named by a URL: http and https (over TLS) are spoken to by CONNECT
** (RFC 9110 9.3.6), socks5 and socks5h by SOCKS5 (RFC 1928), with the name of
** the target resolved by the proxy in either case.  Without an option the
** environment
** names one, in the variables that curl and others read:
**
**     ws:   ws_proxy,  http_proxy,  all_proxy
**     wss:  wss_proxy, https_proxy, all_proxy
**
** The first that is set and not empty counts, in lower case before upper case.
** HTTP_PROXY does not while REQUEST_METHOD is set: in a CGI program it is the
** client's header "Proxy" ("httpoxy").  Targets that no_proxy names, and this
** machine itself, are reached without one: a loopback address of the proxy's
** is not ours.
*/
#ifndef WS_WIRE_PROXY_H
#define WS_WIRE_PROXY_H

#include "wire/uri.h"

enum { WS_PROXY_WORD_MAX = 255 }; /* bytes of a SOCKS5 user or password */

/* Parses a proxy's URL; without "://" it is taken for http.  u->scheme is
** WS_URI_HTTP, WS_URI_HTTPS or WS_URI_SOCKS5; ports are 80, 443, 1080 unless
** given.  WS_OK, and u is to be freed; or it is empty: WS_ERR_URI and *why says
** in a static sentence what is wrong, WS_ERR_NOMEM. */
int ws_proxy_parse(struct ws_uri *u, struct ws_mem *mem, struct ws_slice s,
                   const char **why);

/* What the environment says of the target: the value of the variable that
** counts, with its name in *name; NULL: no proxy.  get is getenv. */
const char *ws_proxy_choose(char *(*get)(const char *name),
                            const struct ws_uri *target, const char **name);

/* 1 when the list, of the form of no_proxy, names the host, which is as in a
** ws_uri.  Its elements are divided by commas and spaces:
**
**     *                      every host
**     example.org            it and what is below it; with a dot or "*." in
**                            front it is the same
**     10.1.2.3  ::1          an address; IPv6 with or without brackets
**     10.0.0.0/8  fd00::/8   a range of them (RFC 4632)
**
** Names and single addresses may have a port: only that one is named then. */
int ws_proxy_bypass(const char *list, const char *host, int port);

/* 1 for "localhost", what is below it, 127.0.0.0/8 and ::1 (RFC 6761 6.3). */
int ws_proxy_is_local(const char *host);

#endif
