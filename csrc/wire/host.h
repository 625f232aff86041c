/* wire/host.h -- the host of a URL: a name, an IPv4 or an IPv6 address.
**
** What the WHATWG URL standard calls the host parser: percent-decoding,
** international names to ASCII (wire/idna.h), IPv4 in all the forms inet_aton
** knows ("0x7f.1"), IPv6 in its shortest form.  The result is what is looked
** up, compared and written into Host.
*/
#ifndef WS_WIRE_HOST_H
#define WS_WIRE_HOST_H

#include "base/base.h"
#include "base/err.h"

enum { WS_HOST_MAX = 255 }; /* bytes of a host in its last form */

enum ws_host_kind { WS_HOST_NAME, WS_HOST_IPV4, WS_HOST_IPV6 };

struct ws_host {
    char text[WS_HOST_MAX + 1]; /* NUL-terminated; IPv6 without brackets */
    enum ws_host_kind kind;
};

/* Parses a host as it stands between "//" and ":" of a URL, IPv6 with its
** brackets.  WS_OK, or WS_ERR_URI and *why is a static sentence. */
int ws_host_parse(struct ws_host *h, struct ws_slice s, const char **why);

/* Reads an IPv6 address without brackets: 1 and its eight pieces, or 0. */
int ws_ipv6_read(struct ws_slice s, uint16_t piece[8]);

#endif
