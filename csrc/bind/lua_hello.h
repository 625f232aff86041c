/* bind/lua_hello.h -- what a client asks for, read from Lua: URL and request.
**
** Sockets and protocol objects read the same arguments and options alike.
** Misuse raises before a byte is written, with the browser's name where the
** browser throws.
*/
#ifndef WS_BIND_LUA_HELLO_H
#define WS_BIND_LUA_HELLO_H

#include "bind/lua_aux.h"
#include "proto/hello.h"
#include "wire/uri.h"

/* A request; its slices are its own bytes, the URL's, or strings of Lua. */
struct ws_asking {
    struct ws_hello_conf hello;
    struct ws_field *fields; /* what hello.fields is, and room for one more */
    struct ws_field own;
    unsigned given;                /* fields of the caller's */
    struct ws_slice basic;         /* Authorization to begin with; n 0: none */
    struct ws_slice user;          /* for challenges of Digest */
    struct ws_slice password;      /* the same */
    enum ws_challenges challenges; /* which, to begin with */
    struct ws_slice alias; /* Host, if it is not the URL's; n 0: it is */
    uint8_t nonce[WS_KEY_SIZE];
    char host[WS_HOST_HEADER_SIZE];
};

/* Pushes a URL that is yet to be parsed; and takes what was parsed into it from
** mem to the collector's care, the userdata being at the top.  There is no
** finalizer: one that no memory is left to call is lost.  May raise. */
struct ws_uri *ws_new_url(lua_State *L);
void ws_keep_url(lua_State *L, struct ws_uri *u, struct ws_mem *mem);

/* The URL at idx, a string or what __tostring makes of it, parsed into a
** userdata that is pushed; raises "SyntaxError: ...". */
const struct ws_uri *ws_check_url(lua_State *L, int idx);

/* Host and target are those of uri, but Host is the alias if there is one. */
void ws_aim_asking(struct ws_asking *a, const struct ws_uri *uri);

/* Authorization is that value, or is not there: n 0. */
void ws_authorize_asking(struct ws_asking *a, struct ws_slice value);

/* The request is one that was not answered yet. */
void ws_renew_asking(struct ws_asking *a);

/* Fills a with the request for uri, with the subprotocols at idx (as for
** ws_read_protocols) and what the options behind it (a table or nil) say of
** it: "origin", "host", "handshakeKey", "headers", "auth".  Without "auth" the
** URL's user and password are sent as Authorization.  The strings it needs are
** pushed, those of a user too, who may outlive the URL. */
void ws_read_asking(lua_State *L, int idx, const struct ws_uri *uri,
                    struct ws_asking *a);

#endif
