/* wire/frame.h -- the frame head: two to fourteen bytes.
**
** Turns the head of a frame (RFC 6455 5.2) into a struct and back.  Reading
** is strict and early: whatever is wrong is reported with the first byte
** that shows it, before the payload, the extended length or the masking key
** have arrived.  Nothing here looks at payload bytes, allocates or keeps
** state: partial input is answered with WS_MORE, and the caller calls again
** with more.
*/
#ifndef WS_WIRE_FRAME_H
#define WS_WIRE_FRAME_H

#include "base/base.h"
#include "base/err.h"

enum { WS_FRAME_HEAD_MAX = 14, WS_CONTROL_MAX = 125 };

enum ws_opcode {
    WS_OP_CONTINUATION = 0x0,
    WS_OP_TEXT = 0x1,
    WS_OP_BINARY = 0x2,
    WS_OP_CLOSE = 0x8,
    WS_OP_PING = 0x9,
    WS_OP_PONG = 0xA
};

/* What a reader of frames expects: set once per connection. */
enum {
    WS_FRAME_MASKED = 1, /* frames must be masked (we are the server) */
    WS_FRAME_RSV1 = 2    /* RSV1 is negotiated: legal on the first frame of a
                            data message (RFC 7692 6) */
};

struct ws_frame {
    uint64_t len;   /* payload bytes, at most 2^63-1 */
    uint8_t op;     /* enum ws_opcode */
    uint8_t fin;    /* 1: the last frame of its message */
    uint8_t rsv1;   /* 1: per-message compressed */
    uint8_t masked; /* 1: key is meaningful */
    uint8_t key[4]; /* masking key, in the order of the wire */
};

/* Reads a head from the start of in.  WS_OK: *f is filled and *size is the
** head's length.  WS_MORE: fewer bytes than a head, and none of them wrong.
** Else the WS_ERR_* of RFC 6455 5.2 and 5.5 that is broken: RSV, OPCODE,
** UNMASKED, MASKED, LENGTH_TOP, LENGTH_LONG, CONTROL_LONG, CONTROL_CUT.
** A length not in its shortest form is refused, which 5.2 demands of senders
** and leaves open for receivers. */
int ws_frame_read(struct ws_frame *f, struct ws_slice in, unsigned expect,
                  size_t *size);

/* The length of the head that ws_frame_write makes. */
size_t ws_frame_head_size(uint64_t len, int masked);

/* Writes the head of f at out (room for WS_FRAME_HEAD_MAX) in the shortest
** form and returns its length.  f->len must be below 2^63. */
size_t ws_frame_write(uint8_t *out, const struct ws_frame *f);

/* 1 when the frame that begins with this head is marked as compressed. */
static inline int ws_frame_is_packed(struct ws_slice frame)
{
    return (frame.p[0] & 0x40) != 0;
}

/* How many of the first `off` bytes of `run` are payload of data frames.
** run must begin with a frame head and hold whole heads; the payload of its
** last frame may be missing or cut. */
size_t ws_frame_payload_in(struct ws_slice run, size_t off);

#endif
