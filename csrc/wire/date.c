/* wire/date.c -- see date.h.
**
** Not by gmtime_r: with some values of TZ it counts leap seconds.
*/
#include "wire/date.h"

enum { DAY = 86400, YEAR_FIRST = 1970 };

/* The first second of the year 10000. */
static const int64_t end_of_years = 253402300800;

static const char day_names[] = "ThuFriSatSunMonTueWed"; /* from day 0 on */
static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static int is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_of_month(int month, int year)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30,
                                   31, 31, 30, 31, 30, 31};

    return days[month] + (month == 1 && is_leap(year));
}

static char *put_name(char *p, const char *names, int i)
{
    memcpy(p, names + (ptrdiff_t)3 * i, 3);
    return p + 3;
}

/* Two digits and what follows them. */
static char *put_pair(char *p, int n, char behind)
{
    p[0] = (char)('0' + n / 10);
    p[1] = (char)('0' + n % 10);
    p[2] = behind;
    return p + 3;
}

int ws_date_write(char *text, int64_t seconds)
{
    char *p = text;
    int day, time, year = YEAR_FIRST, month = 0;

    if (seconds < 0 || seconds >= end_of_years)
        return WS_ERR_ARGUMENT;
    day = (int)(seconds / DAY);
    time = (int)(seconds % DAY);
    p = put_name(p, day_names, day % 7);
    *p++ = ',';
    *p++ = ' ';
    for (; day >= 365 + is_leap(year); year++)
        day -= 365 + is_leap(year);
    for (; day >= days_of_month(month, year); month++)
        day -= days_of_month(month, year);
    p = put_pair(p, day + 1, ' ');
    p = put_name(p, month_names, month);
    *p++ = ' ';
    p = put_pair(p, year / 100, '0') - 1; /* the other two take its place */
    p = put_pair(p, year % 100, ' ');
    p = put_pair(p, time / 3600, ':');
    p = put_pair(p, time / 60 % 60, ':');
    p = put_pair(p, time % 60, ' ');
    memcpy(p, "GMT", 3);
    return WS_OK;
}
