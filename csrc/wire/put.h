/* wire/put.h -- writing HTTP/1.1 heads.
**
** Every part is checked before its first byte is written (RFC 9110 5.5,
** 5.6.2; threats: header injection), so that no caller can smuggle a line
** into a head.  A call that fails leaves the buffer as it was.  Stricter than
** what is read: nothing above 0x7E is ever written.  What belongs into a
** head, and in which order, is the caller's affair.
**
** Those that return int: WS_OK, WS_ERR_FIELD when a part may not be written,
** WS_ERR_NOMEM, or WS_ERR_LIMIT when the buffer's limit is reached.
*/
#ifndef WS_WIRE_PUT_H
#define WS_WIRE_PUT_H

#include "base/base.h"
#include "base/buf.h"
#include "base/err.h"

/* "GET /chat HTTP/1.1".  method is a token; target is not empty and has
** neither spaces, controls, bytes above 0x7E nor "#". */
int ws_head_put_request(struct ws_buf *out, struct ws_mem *mem,
                        struct ws_slice method, struct ws_slice target);

/* "HTTP/1.1 101 Switching Protocols".  status is 100 to 599; reason with n 0:
** the standard one, or none when there is none. */
int ws_head_put_status(struct ws_buf *out, struct ws_mem *mem, int status,
                       struct ws_slice reason);

/* "Name: value"; both as ws_head_field_ok wants them. */
int ws_head_put_field(struct ws_buf *out, struct ws_mem *mem,
                      struct ws_slice name, struct ws_slice value);

/* A head being written in several calls: the first error sticks in err, and
** what is put after it is not. */
struct ws_head_writer {
    struct ws_buf *out;
    struct ws_mem *mem;
    int err;
};

struct ws_field;

void ws_head_put_named(struct ws_head_writer *w, const char *name,
                       struct ws_slice value);
void ws_head_put_fields(struct ws_head_writer *w, const struct ws_field *fields,
                        unsigned n);

/* The empty line. */
int ws_head_put_end(struct ws_buf *out, struct ws_mem *mem);

/* 1 when name is a token and value is nothing but SP, HTAB and visible ASCII,
** with no space at its ends.  An empty value is fine. */
int ws_head_field_ok(struct ws_slice name, struct ws_slice value);

/* The IANA registry's phrase, "" for a code it does not have. */
const char *ws_head_reason(int status);

#endif
