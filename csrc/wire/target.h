/* wire/target.h -- request targets and paths.
**
** What a server reads out of a request line (RFC 9112 3.2), and what a client
** does to a path before it becomes one (RFC 3986 5.2.4, in the WHATWG URL
** standard's words).  Slices of the caller's bytes, nothing allocated.
*/
#ifndef WS_WIRE_TARGET_H
#define WS_WIRE_TARGET_H

#include "base/base.h"
#include "base/err.h"

/* The forms a request target has (RFC 9112 3.2). */
enum ws_target_form {
    WS_TARGET_ORIGIN,    /* "/path?query" */
    WS_TARGET_ABSOLUTE,  /* "http://host/path?query": authority is set */
    WS_TARGET_AUTHORITY, /* "host:port", of CONNECT: authority is set */
    WS_TARGET_ASTERISK   /* "*", of OPTIONS */
};

struct ws_target {
    enum ws_target_form form;
    struct ws_slice authority; /* host and port as in Host; n 0: none */
    struct ws_slice path;      /* "/path"; "/" when it is empty */
    struct ws_slice query;     /* without "?"; n 0: none */
};

/* Cuts the target of a request; nothing is decoded.  WS_OK, or
** WS_ERR_HEAD_LINE when it has none of the forms.  Whether the authority is a
** good one is for ws_host_port to say. */
int ws_target_split(struct ws_target *t, struct ws_slice target);

/* Makes slashes of backslashes and removes "." and ".." segments, in any
** spelling ("%2E"), in place; the path gets no longer.  It starts with a slash
** or a backslash, or it is empty and stays so. */
void ws_path_normalise(struct ws_span *path);

/* 1 when "%" and two hex digits stand at s.p[i], and what they mean. */
int ws_percent_at(struct ws_slice s, size_t i, uint8_t *octet);

#endif
