/* wire/date.h -- dates as HTTP writes them (RFC 9110 5.6.7).
**
** "Sun, 06 Nov 1994 08:49:37 GMT": the one form that is sent.  Nothing here
** looks at a clock, a locale or a time zone.
*/
#ifndef WS_WIRE_DATE_H
#define WS_WIRE_DATE_H

#include "base/base.h"
#include "base/err.h"

enum { WS_DATE_SIZE = 29 }; /* bytes of a date */

/* Writes a time, in seconds since 1970 without leap seconds, to the
** WS_DATE_SIZE bytes at text; no zero byte follows.  WS_OK, or
** WS_ERR_ARGUMENT: it is before 1970 or after 9999. */
int ws_date_write(char *text, int64_t seconds);

#endif
