/* net/errno.h -- the system's error numbers in words.
**
** The Lua API names errors of the system by their errno name, which C does
** not know at run time, and describes them in words that depend on no locale
** and on no buffer, as strerror's do.
*/
#ifndef WS_NET_ERRNO_H
#define WS_NET_ERRNO_H

/* "ECONNREFUSED"; "SYSTEM" for a number not in the table.  Static. */
const char *ws_errno_word(int err);

/* "Connection refused"; "Unknown system error" for a number not in the table.
** Static. */
const char *ws_errno_text(int err);

#endif
