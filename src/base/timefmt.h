/* base/timefmt.h: the civil calendar and the two forms of time that we write.
 *
 * All of it is UTC and our own arithmetic: the C library's local time opens files, reads the
 * environment and speaks the locale. A time is milliseconds since 1970-01-01T00:00:00Z.
 */
#pragma once

#include "base/str.h"

struct civil {
    int64_t year;
    unsigned month, day;            /* from 1 */
    unsigned hour, minute, second;  /* second: 0 to 59 */
    unsigned millisecond, week_day; /* 0 is Sunday */
};

/* The system's clock, unless another was named. */
int64_t wall_ms(void);

/* now_ns(arg) is the clock from here on; NULL: the system's again. core has its clock from its
 * table of calls (io/sys.h), so that all of it lives in one time, on a simulated disk too. Not
 * while another thread may ask. */
void wall_clock_from(int64_t (*now_ns)(const void *arg), const void *arg);

struct civil civil_from_ms(int64_t ms);

/* Days since 1970-01-01 of a date of the (proleptic) Gregorian calendar. month is 1 to 12. */
int64_t civil_days(int64_t year, unsigned month, unsigned day);
unsigned civil_month_days(int64_t year, unsigned month);

/* English short names, as RFC 5322 3.3 has them. month is 1 to 12, day 0 (Sunday) to 6. */
const char *civil_month_name(unsigned month);
const char *civil_day_name(unsigned day);

enum {
    TIME_RFC3339_SIZE = 25, /* 2026-11-22T04:19:20.123Z */
    TIME_RFC5322_SIZE = 32, /* Sun, 22 Nov 2026 04:19:20 +0000 */
};

/* Both write a terminator and return the slice before it. Years are held within 0 to 9999. */
struct str time_rfc3339(int64_t ms, char out[TIME_RFC3339_SIZE]);
struct str time_rfc5322(int64_t ms, char out[TIME_RFC5322_SIZE]);

/* RFC 3339 5.6, the whole slice; digits after milliseconds are dropped, a leap second counts as the
 * second after it. */
bool time_parse_rfc3339(struct str s, int64_t *ms);
