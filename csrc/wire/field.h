/* wire/field.h -- the grammar inside header values.
**
** Tokens, comma lists, extension lists with parameters, and hosts (RFC 9110
** 5.6, 7.2; RFC 6455 9.1; RFC 6454 6.2).  Everything works on slices of the
** caller's bytes, allocates nothing and takes time linear in the bytes, on
** any input: nothing is looked at again after a failed attempt.
**
** Iterators take what they read from the front of `rest` and answer WS_OK
** with an element, WS_MORE at the end, or WS_ERR_FIELD, and then `rest` stays
** where the fault is.  Empty list elements are skipped (RFC 9110 5.6.1): a
** list of nothing but commas has no element, and whether that is an error is
** the caller's to say.  A header on several lines is worked off line by line.
**
** Names are compared by the caller: extensions and parameters are case
** sensitive here as in all implementations, header names and tokens of
** Connection and Upgrade are not (ws_slice_same).
*/
#ifndef WS_WIRE_FIELD_H
#define WS_WIRE_FIELD_H

#include "base/base.h"
#include "base/err.h"

/* What a byte may be part of; a set of bits. */
enum {
    WS_CH_TOKEN = 1, /* tchar, RFC 9110 5.6.2 */
    WS_CH_SPACE = 2, /* SP and HTAB */
    WS_CH_VALUE = 4, /* a field value as received: SP HTAB VCHAR obs-text */
    WS_CH_PRINT = 8, /* VCHAR: 0x21 to 0x7E */
    WS_CH_HOST = 16, /* reg-name without percent signs, RFC 3986 3.2.2 */
    WS_CH_DIGIT = 32,
    WS_CH_HEX = 64,
    WS_CH_TARGET = 128 /* VCHAR without "#": request targets */
};

extern const uint8_t ws_ch[256];

/* 1 when the byte is of one of the kinds. */
static inline int ws_ch_is(uint8_t ch, unsigned kinds)
{
    return (ws_ch[ch] & kinds) != 0;
}

/* The value of a byte of the kind HEX. */
static inline unsigned ws_hex_value(uint8_t ch)
{
    ch = ws_lower(ch);
    return (unsigned)(ch <= '9' ? ch - '0' : ch - 'a' + 10);
}

/* How many bytes at the start of s are of one of the kinds. */
size_t ws_ch_span(struct ws_slice s, unsigned kinds);

/* What a peer said, as it may stand in a message: at most n - 1 bytes and a
** NUL; "?" for what is not visible ASCII or a space. */
void ws_field_show(char *out, size_t n, struct ws_slice s);

/* -- tokens and lists -- */

/* 1 when s is a token: at least one tchar and nothing else. */
int ws_is_token(struct ws_slice s);

/* s without SP and HTAB at both ends. */
struct ws_slice ws_field_trim(struct ws_slice s);

/* The next element of a comma list, trimmed, whatever it is.  Commas inside
** a quoted string do not count; a string that is not closed lasts to the end.
** Never WS_ERR_FIELD. */
int ws_list_next(struct ws_slice *rest, struct ws_slice *item);

/* The next element of a list of tokens. */
int ws_token_list_next(struct ws_slice *rest, struct ws_slice *token);

/* -- extension lists, RFC 6455 9.1 -- */

struct ws_param {
    struct ws_slice name;
    struct ws_slice value; /* n 0 without one; unescaped when it was quoted */
    int has_value;         /* 1: there was a "=" */
    int quoted;            /* 1: the value was a quoted string */
};

/* The next extension and its parameters, which are to be read by
** ws_param_next and hold no error any more.  Space is allowed around "," ";"
** and "=" (RFC 9110 5.6.3). */
int ws_extension_next(struct ws_slice *rest, struct ws_slice *name,
                      struct ws_slice *params);

/* The next parameter.  A quoted value must be a token when unescaped (9.1);
** one with backslashes is unescaped into scratch, n bytes, and WS_ERR_LIMIT
** is the answer when they are not enough.  params.n bytes are always enough.
** The value is valid until scratch is used again. */
int ws_param_next(struct ws_slice *params, struct ws_param *p, uint8_t *scratch,
                  size_t n);

/* WS_OK when value is a list of extensions with at least one in it, else
** WS_ERR_FIELD. */
int ws_extension_check(struct ws_slice value);

/* -- hosts -- */

/* Cuts "host", "host:", "host:port" as in Host (RFC 9110 7.2).  The host is
** a reg-name without percent signs, an IPv4 address or an IPv6 address in
** brackets, which stay, at most 255 bytes.  *port is 0 without one.  WS_OK or
** WS_ERR_FIELD. */
int ws_host_port(struct ws_slice s, struct ws_slice *host, int *port);

/* Cuts an Origin, "scheme://host[:port]".  *port is the scheme's default
** when it is not written, 0 when that is not known.  WS_OK, or WS_ERR_FIELD
** for anything else: "null", several origins, a path, user information. */
int ws_origin_host(struct ws_slice origin, struct ws_slice *scheme,
                   struct ws_slice *host, int *port);

#endif
