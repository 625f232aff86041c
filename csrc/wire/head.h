/* wire/head.h -- the HTTP/1.1 head: start line and fields (RFC 9112 2 to 5).
**
** Three steps.  The scan finds the end of a head in bytes that come in any
** pieces; it looks at each byte once, checks grammar and limits with that
** look, and so fails at the first byte that cannot be right (a TLS hello at
** its first).  The parse cuts a complete head into slices of the caller's
** bytes.  The questions (find, count, has_token) are asked of the result.  What
** follows the head is the matter of wire/body.h, writing that of wire/put.h.
** Nothing here allocates.
**
** Strict where leniency has been abused to smuggle: CRLF ends a line and
** nothing else does; no space before a colon; names are tokens; values hold
** no control character but HTAB; a target is visible ASCII without "#".
** Lenient where the RFC wants it: one empty line before a request line, bytes
** above 0x7F in values, a status line without its last space or with any
** reason, folded lines in responses (in requests: refused).
**
** Requests are HTTP/1.1, or a later 1.x, which is read the same way (RFC 9110
** 2.5).  Responses may be any 1.x; what to make of it is the caller's affair.
*/
#ifndef WS_WIRE_HEAD_H
#define WS_WIRE_HEAD_H

#include "base/base.h"
#include "base/err.h"
#include "wire/body.h"
#include "wire/put.h"

enum {
    WS_HEAD_SIZE_MAX = 32768,  /* bytes, the empty line included */
    WS_HEAD_LINES_MAX = 100,   /* header lines */
    WS_HEAD_LINE_MAX = 8192,   /* bytes of one, without its CRLF */
    WS_HEAD_TARGET_MAX = 8192, /* bytes of the request target */
    WS_HEAD_METHOD_MAX = 32    /* bytes of the method: WS_ERR_HEAD_METHOD */
};

/* Limits of a head; one that is reached exactly is kept.  0: none. */
struct ws_head_limits {
    size_t size_max;    /* else WS_ERR_HEAD_BIG */
    unsigned lines_max; /* else WS_ERR_HEAD_LINES */
    size_t line_max;    /* else WS_ERR_HEAD_BIG; a status line too */
    size_t target_max;  /* else WS_ERR_HEAD_TARGET */
};

/* The four defaults. */
#define WS_HEAD_LIMITS                                         \
    {                                                          \
        WS_HEAD_SIZE_MAX, WS_HEAD_LINES_MAX, WS_HEAD_LINE_MAX, \
            WS_HEAD_TARGET_MAX                                 \
    }

struct ws_field {
    struct ws_slice name;  /* as it came; compare with ws_slice_same */
    struct ws_slice value; /* without the space around it */
};

/* A parsed head.  The caller sets fields and fields_max, the parse the rest;
** all slices point into the parsed bytes. */
struct ws_head {
    int is_response;
    struct ws_slice method, target; /* request */
    struct ws_slice version;        /* "HTTP/1.1" */
    struct ws_slice reason;         /* response; may be empty */
    int status;                     /* response: 100 to 999; request: 0 */
    struct ws_field *fields;        /* the caller's array */
    unsigned nfields;               /* fields in use */
    unsigned fields_max;            /* fields there are */
    size_t size;                    /* bytes, the empty line included */
};

/* -- finding the end -- */

struct ws_head_scan {
    size_t pos;          /* bytes looked at */
    size_t line;         /* where the current line starts */
    unsigned lines;      /* header lines so far */
    uint8_t is_response; /* known from the start line's fifth byte on */
    /* private */
    uint8_t state;
    size_t part; /* where the target, then the version, starts */
};

void ws_head_scan_init(struct ws_head_scan *s);

/* Looks at the bytes behind s->pos; `all` is everything that came, from the
** first byte of the head.  WS_OK: the head is complete and well-formed, and
** *head_size its bytes.  WS_MORE: it is not complete.  Else WS_ERR_HEAD_LINE
** (start line), WS_ERR_HEAD_METHOD (RFC 9112 3: no method we have is that
** long), WS_ERR_HEAD_SYNTAX (fields), WS_ERR_HEAD_VERSION (the HTTP/2
** preface among others) or the limit that was passed.  No limit lets more
** than size_max bytes be needed.  lim NULL: the defaults. */
int ws_head_scan(struct ws_head_scan *s, struct ws_slice all,
                 const struct ws_head_limits *lim, size_t *head_size);

/* -- cutting it up -- */

/* Cuts a head that a scan has found complete; head.n is the scan's size.  Folds
** in a response are replaced by spaces in place.  WS_OK; WS_ERR_HEAD_LINE for a
** request where a response was wanted and the reverse; WS_ERR_HEAD_LINES when
** fields_max is too small. */
int ws_head_cut(struct ws_head *h, struct ws_span head, int is_response);

/* Scans, without limits, and cuts the head at the start of `head`; what follows
** it is not touched.  As ws_head_cut, and the scan's errors; WS_MORE when it is
** not complete. */
int ws_head_parse(struct ws_head *h, struct ws_span head, int is_response);

/* -- questions -- */

/* The first field of that name behind `after` (NULL: of all), or NULL. */
const struct ws_field *ws_head_find(const struct ws_head *h, const char *name,
                                    const struct ws_field *after);

/* The field of that name when there is exactly one, else NULL. */
const struct ws_field *ws_head_only(const struct ws_head *h, const char *name);

/* How many fields have that name. */
unsigned ws_head_count(const struct ws_head *h, const char *name);

/* 1 when token is an element of the comma list that all fields of that name
** make together; letter case does not matter. */
int ws_head_has_token(const struct ws_head *h, const char *name,
                      const char *token);

/* 1 when that list has the form it must have, empty elements aside: tokens, or
** with versions tokens that may have a version behind a slash, as in Upgrade
** (RFC 9110 7.6.1, 7.8). */
int ws_head_is_list(const struct ws_head *h, const char *name, int versions);

#endif
