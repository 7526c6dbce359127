#include "mail/date.h"

#include "base/timefmt.h"

#include "mail/lex.h"

struct clock {
    uint64_t day, month, year, hour, minute, second, ms;
};

/* RFC 5322 4.3 obs-zone, and those that are seen and mean one thing */
static const struct {
    struct str name;
    int minutes;
} zones[] = {
    {STR_INIT("UT"), 0},
    {STR_INIT("UTC"), 0},
    {STR_INIT("GMT"), 0},
    {STR_INIT("Z"), 0},
    {STR_INIT("EST"), -300},
    {STR_INIT("EDT"), -240},
    {STR_INIT("CST"), -360},
    {STR_INIT("CDT"), -300},
    {STR_INIT("MST"), -420},
    {STR_INIT("MDT"), -360},
    {STR_INIT("PST"), -480},
    {STR_INIT("PDT"), -420},
    {STR_INIT("WET"), 0},
    {STR_INIT("WEST"), 60},
    {STR_INIT("BST"), 60},
    {STR_INIT("CET"), 60},
    {STR_INIT("MET"), 60},
    {STR_INIT("CEST"), 120},
    {STR_INIT("MEST"), 120},
    {STR_INIT("EET"), 120},
    {STR_INIT("EEST"), 180},
    {STR_INIT("MSK"), 180},
    {STR_INIT("JST"), 540},
    {STR_INIT("KST"), 540},
};

static bool take_number(
    struct str *s, size_t digits_max, uint64_t max, size_t *digits, uint64_t *value)
{
    size_t n = 0;
    lex_skip_cfws(s);
    while (n < s->n && n <= digits_max && ascii_digit(s->p[n]))
        n++;
    if (n == 0 || n > digits_max || !str_to_u64(str_head(*s, n), max, value))
        return false;
    *digits = n;
    *s = str_from(*s, n);
    return true;
}

static struct str take_alpha(struct str *s)
{
    size_t n = 0;
    lex_skip_cfws(s);
    while (n < s->n && ascii_alpha(s->p[n]))
        n++;
    struct str word = str_head(*s, n);
    *s = str_from(*s, n);
    return word;
}

static bool take_char(struct str *s, char c)
{
    lex_skip_cfws(s);
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_from(*s, 1);
    return true;
}

/* Short names and whole ones ("September"): the first three letters tell. */
static unsigned month_of(struct str word)
{
    if (word.n < 3)
        return 0;
    for (unsigned m = 1; m <= 12; m++)
        if (str_eq_ascii(str_head(word, 3), str_c(civil_month_name(m))))
            return m;
    return 0;
}

/* RFC 5322 4.3: two digits are 1950 to 2049, three count from 1900 */
static bool take_year(struct str *s, uint64_t *year)
{
    size_t digits;
    if (!take_number(s, 4, 9999, &digits, year))
        return false;
    if (digits == 2)
        *year += *year < 50 ? 2000 : 1900;
    else if (digits == 3)
        *year += 1900;
    return *year > 0 && digits > 1;
}

static bool take_time(struct str *s, struct clock *c)
{
    size_t digits;
    if (!take_number(s, 2, 23, &digits, &c->hour) || !(take_char(s, ':') || take_char(s, '.')) ||
        !take_number(s, 2, 59, &digits, &c->minute))
        return false;
    if (!take_char(s, ':') && !take_char(s, '.'))
        return true;
    if (!take_number(s, 2, 60, &digits, &c->second))
        return false;
    if (c->second == 60)
        c->second = 59;
    if (s->n > 1 && (s->p[0] == '.' || s->p[0] == ',') && ascii_digit(s->p[1])) {
        *s = str_from(*s, 1);
        for (unsigned scale = 100; s->n > 0 && ascii_digit(s->p[0]); scale /= 10) {
            c->ms += scale * (unsigned)(s->p[0] - '0');
            *s = str_from(*s, 1);
        }
    }
    return true;
}

/* What is no zone is UTC: RFC 5322 4.3 wants unknown names to be "-0000". */
static int take_zone(struct str *s)
{
    size_t digits;
    uint64_t hours, minutes;
    lex_skip_cfws(s);
    if (s->n > 0 && (s->p[0] == '+' || s->p[0] == '-')) {
        bool west = s->p[0] == '-';
        struct str rest = str_from(*s, 1), number = rest;
        if (!take_number(&rest, 4, 9999, &digits, &hours))
            return 0;
        minutes = digits > 2 ? hours % 100 : 0;
        hours = digits > 2 ? hours / 100 : hours;
        if (digits <= 2 && rest.n > 0 && rest.p[0] == ':') {
            number = str_from(rest, 1);
            if (take_number(&number, 2, 59, &digits, &minutes))
                rest = number;
        }
        *s = rest;
        if (hours > 23 || minutes > 59)
            return 0;
        int east = (int)(hours * 60 + minutes);
        return west ? -east : east;
    }
    struct str name = take_alpha(s);
    for (size_t i = 0; i < sizeof zones / sizeof *zones; i++)
        if (str_eq_ascii(zones[i].name, name))
            return zones[i].minutes;
    return 0;
}

/* 13 Feb 1969 23:32 -0330 */
static bool parse_rfc5322(struct str *s, struct clock *c, int *zone)
{
    size_t digits;
    if (!take_number(s, 2, 31, &digits, &c->day))
        return false;
    take_char(s, '-');
    c->month = month_of(take_alpha(s));
    take_char(s, '-');
    take_char(s, '.');
    if (c->month == 0 || !take_year(s, &c->year))
        return false;
    take_char(s, ',');
    if (!take_time(s, c))
        return false;
    *zone = take_zone(s);
    return true;
}

/* Feb 13 23:32:00 1969, and with a zone before or behind the year */
static bool parse_asctime(struct str *s, uint64_t month, struct clock *c, int *zone)
{
    size_t digits;
    c->month = month;
    if (!take_number(s, 2, 31, &digits, &c->day))
        return false;
    take_char(s, ',');
    struct str before = *s;
    if (!take_time(s, c)) {
        *s = before;
        return take_year(s, &c->year) && take_time(s, c) && (*zone = take_zone(s), true);
    }
    *zone = take_zone(s);
    if (!take_year(s, &c->year))
        return false;
    if (*zone == 0)
        *zone = take_zone(s);
    return true;
}

bool date_parse(struct str field, struct mail_date *date)
{
    struct clock c = {0};
    struct str s = field;
    int zone = 0;
    struct str word = take_alpha(&s);
    unsigned month = month_of(word);
    bool ok;
    if (word.n > 0 && month == 0) { /* a day of the week, in whatever language */
        take_char(&s, '.');
        take_char(&s, ',');
        struct str rest = s;
        month = month_of(take_alpha(&rest));
        if (month)
            s = rest;
    }
    ok = month ? parse_asctime(&s, month, &c, &zone) : parse_rfc5322(&s, &c, &zone);
    if (!ok || c.day == 0 || c.day > civil_month_days((int64_t)c.year, (unsigned)c.month))
        return false;
    int64_t days = civil_days((int64_t)c.year, (unsigned)c.month, (unsigned)c.day);
    int64_t minutes = days * 1440 + (int64_t)(c.hour * 60 + c.minute) - zone;
    date->ms = (minutes * 60 + (int64_t)c.second) * 1000 + (int64_t)c.ms;
    date->zone_min = zone;
    return true;
}
