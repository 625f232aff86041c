/* wire/idna.h -- international host names in ASCII (RFC 3492, RFC 5891).
**
** Maps a name to lower case and encodes each label that is not ASCII as
** "xn--" and Punycode.  The mapping is not the whole of UTS 46, whose tables
** are larger than this library: letters are lower-cased in Latin, Greek,
** Cyrillic, Armenian and full width; ideographic full stops are dots;
** invisible characters vanish.  Where the tables would have been needed
** (decomposed letters, compatibility forms, rarer capitals) the name is
** refused rather than got wrong, and has to be given as "xn--".  Neither the
** rules for text from right to left nor those for joiners are checked.
*/
#ifndef WS_WIRE_IDNA_H
#define WS_WIRE_IDNA_H

#include "base/base.h"
#include "base/err.h"

enum { WS_LABEL_MAX = 63 }; /* bytes of an encoded label, RFC 1035 2.3.4 */

/* Writes name, which is UTF-8, in ASCII lower case at out, without NUL, and
** its length in *n, which is the room at out before.  ASCII labels are only
** lower-cased, but one that starts with "xn--" must be what this would
** encode.  WS_OK, or WS_ERR_URI and *why is a static sentence. */
int ws_idna_ascii(char *out, size_t *n, struct ws_slice name, const char **why);

#endif
