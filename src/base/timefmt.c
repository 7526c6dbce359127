#include "base/timefmt.h"

#include <stdio.h>
#include <time.h>

#include "base/check.h"

enum {
    DAY_MS = 86400000,
    ERA_DAYS = 146097,   /* 400 years, after which the calendar repeats */
    EPOCH_DAYS = 719468, /* from 0000-03-01 to 1970-01-01 */
};

static struct {
    int64_t (*now_ns)(const void *arg);
    const void *arg;
} named_clock;

void wall_clock_from(int64_t (*now_ns)(const void *arg), const void *arg)
{
    named_clock.now_ns = now_ns;
    named_clock.arg = arg;
}

int64_t wall_ms(void)
{
    struct timespec now;

    if (named_clock.now_ns)
        return named_clock.now_ns(named_clock.arg) / 1000000;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Years are counted from March, so that the leap day is the last of its year. */
int64_t civil_days(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * ((int64_t)month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * ERA_DAYS + day_of_era - EPOCH_DAYS;
}

unsigned civil_month_days(int64_t year, unsigned month)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    CHECK(month >= 1 && month <= 12);
    return days[month - 1] + (month == 2 && leap);
}

static void date_from_days(int64_t days, struct civil *c)
{
    int64_t z = days + EPOCH_DAYS;
    int64_t era = (z >= 0 ? z : z - (ERA_DAYS - 1)) / ERA_DAYS;
    int64_t day_of_era = z - era * ERA_DAYS;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* 0 is March */

    c->day = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1);
    c->month = (unsigned)(month < 10 ? month + 3 : month - 9);
    c->year = year_of_era + era * 400 + (c->month <= 2);
    c->week_day = (unsigned)(((days + 4) % 7 + 7) % 7); /* 1970-01-01 was a Thursday */
}

struct civil civil_from_ms(int64_t ms)
{
    int64_t days = ms / DAY_MS, rest = ms % DAY_MS;
    struct civil c = {0};

    if (rest < 0) {
        rest += DAY_MS;
        days--;
    }
    date_from_days(days, &c);
    c.hour = (unsigned)(rest / 3600000);
    c.minute = (unsigned)(rest / 60000 % 60);
    c.second = (unsigned)(rest / 1000 % 60);
    c.millisecond = (unsigned)(rest % 1000);
    return c;
}

const char *civil_month_name(unsigned month)
{
    static const char names[12][4] = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

    CHECK(month >= 1 && month <= 12);
    return names[month - 1];
}

const char *civil_day_name(unsigned day)
{
    static const char names[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

    CHECK(day < 7);
    return names[day];
}

/* Both formats have four digits for the year. */
static struct civil civil_of_four_digits(int64_t ms)
{
    const int64_t first = civil_days(0, 1, 1) * DAY_MS;
    const int64_t last = civil_days(10000, 1, 1) * DAY_MS - 1;

    return civil_from_ms(ms < first ? first : ms > last ? last : ms);
}

struct str time_rfc3339(int64_t ms, char out[TIME_RFC3339_SIZE])
{
    struct civil c = civil_of_four_digits(ms);
    int n = snprintf(out, TIME_RFC3339_SIZE, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", (int)c.year,
        c.month, c.day, c.hour, c.minute, c.second, c.millisecond);

    return str_of(out, (size_t)n);
}

/* RFC 5322 3.3 */
struct str time_rfc5322(int64_t ms, char out[TIME_RFC5322_SIZE])
{
    struct civil c = civil_of_four_digits(ms);
    int n = snprintf(out, TIME_RFC5322_SIZE, "%s, %u %s %04d %02u:%02u:%02u +0000",
        civil_day_name(c.week_day), c.day, civil_month_name(c.month), (int)c.year, c.hour, c.minute,
        c.second);

    return str_of(out, (size_t)n);
}

/* Takes exactly n digits off the front, a number of least to most. */
static bool take_number(struct str *s, size_t n, unsigned least, unsigned most, unsigned *value)
{
    uint64_t v;

    if (s->n < n || !str_to_u64(str_head(*s, n), most, &v) || v < least)
        return false;
    *value = (unsigned)v;
    *s = str_from(*s, n);
    return true;
}

static bool take_char(struct str *s, char c)
{
    if (str_empty(*s) || ascii_upper(s->p[0]) != c)
        return false;
    *s = str_from(*s, 1);
    return true;
}

/* time-secfrac = "." 1*DIGIT */
static bool take_fraction(struct str *s, unsigned *millisecond)
{
    unsigned scale = 100;
    size_t digits = 0;

    *millisecond = 0;
    if (!take_char(s, '.'))
        return true;
    for (; s->n && ascii_digit(s->p[0]); *s = str_from(*s, 1), scale /= 10, digits++)
        *millisecond += (unsigned)(s->p[0] - '0') * scale;
    return digits > 0;
}

/* time-offset = "Z" / ("+" / "-") time-hour ":" time-minute */
static bool take_offset(struct str *s, int64_t *minutes)
{
    unsigned hour, minute;
    bool west;

    *minutes = 0;
    if (take_char(s, 'Z'))
        return true;
    west = take_char(s, '-');
    if (!west && !take_char(s, '+'))
        return false;
    if (!take_number(s, 2, 0, 23, &hour) || !take_char(s, ':') ||
        !take_number(s, 2, 0, 59, &minute))
        return false;
    *minutes = (int64_t)(hour * 60 + minute) * (west ? -1 : 1);
    return true;
}

bool time_parse_rfc3339(struct str s, int64_t *ms)
{
    unsigned year, month, day, hour, minute, second, millisecond;
    int64_t offset, minutes;

    /* RFC 3339 5.6, 5.7 */
    if (!take_number(&s, 4, 0, 9999, &year) || !take_char(&s, '-') ||
        !take_number(&s, 2, 1, 12, &month) || !take_char(&s, '-') ||
        !take_number(&s, 2, 1, civil_month_days(year, month), &day) || !take_char(&s, 'T') ||
        !take_number(&s, 2, 0, 23, &hour) || !take_char(&s, ':') ||
        !take_number(&s, 2, 0, 59, &minute) || !take_char(&s, ':') ||
        !take_number(&s, 2, 0, 60, &second) || !take_fraction(&s, &millisecond) ||
        !take_offset(&s, &offset) || !str_empty(s))
        return false;
    minutes = civil_days(year, month, day) * 1440 + hour * 60 + minute - offset;
    *ms = (minutes * 60 + second) * 1000 + millisecond;
    return true;
}
