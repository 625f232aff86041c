/* loop/clock.h -- time that only goes forward, and the date.
**
** The system's monotonic clock: it does not jump when somebody sets the date,
** and its zero means nothing.  A turn reads it once and shares the answer
** (loop.now_ms); whoever needs to know better asks here.  The date is for who
** must write it down, never for measuring.
*/
#ifndef WS_LOOP_CLOCK_H
#define WS_LOOP_CLOCK_H

#include <stdint.h>

int64_t ws_clock_ms(void);   /* whole milliseconds gone by, rounded down */
int64_t ws_clock_us(void);   /* the same in microseconds */
int64_t ws_clock_date(void); /* seconds since 1970, UTC; may jump */

#endif
