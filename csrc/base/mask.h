/* base/mask.h -- the XOR of RFC 6455 5.3, both ways.
**
** Masking and unmasking are the same.  The payload may be worked on in any
** pieces: phase says where in the frame's payload a piece starts.  To another
** place is a copy and a mask in one pass over the bytes.  Where keys come
** from is base/digest.h's affair.
*/
#ifndef WS_BASE_MASK_H
#define WS_BASE_MASK_H

#include "base/base.h"

/* dst[i] = src[i] XOR key[(phase + i) mod 4] for n bytes, and no other byte is
** read or written.  dst is src, or the two do not overlap. */
void ws_mask(uint8_t *dst, const uint8_t *src, size_t n, const uint8_t key[4],
             size_t phase);

#endif
