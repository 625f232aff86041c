/* loop/clock.h -- time that only goes forward.
**
** The system's monotonic clock: it does not jump when somebody sets the date,
** and its zero means nothing.  A turn reads it once and shares the answer
** (loop.now_ms); whoever needs to know better asks here.
*/
#ifndef WS_LOOP_CLOCK_H
#define WS_LOOP_CLOCK_H

#include <stdint.h>

int64_t ws_clock_ms(void); /* whole milliseconds gone by, rounded down */
int64_t ws_clock_us(void); /* the same in microseconds */

#endif
