/* mail/date.h: the date-time of a header field.
 *
 * RFC 5322 3.3 and 4.3, tolerant: a missing day of the week, seconds or zone (then UTC), the order
 * of C's asctime(), two and three digits of a year, zone names that mailers write, anything behind
 * the zone. A leap second counts as the second before it. Bounded and without wrap-around
 * (hostile.md 103): years 1 to 9999, days that the month has.
 */
#pragma once

#include "base/str.h"

struct mail_date {
    int64_t ms;   /* since 1970-01-01T00:00:00Z */
    int zone_min; /* minutes east of UTC, as written */
};

/* False where the field is no date; *date is then not written. */
bool date_parse(struct str field, struct mail_date *date);
