/* A date that is taken lies within bounds, and what we write of it is the same date again. */
#include "mail/date.h"

#include "base/check.h"
#include "base/timefmt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mail_date date, again;
    char text[TIME_RFC5322_SIZE];
    if (!date_parse(str_of((const char *)data, size), &date))
        return 0;
    struct civil c = civil_from_ms(date.ms + (int64_t)date.zone_min * 60000);
    CHECK(c.year >= 1 && c.year <= 9999);
    CHECK(date.zone_min > -1440 && date.zone_min < 1440);
    c = civil_from_ms(date.ms);
    if (c.year >= 1000 && c.year <= 9999) {
        CHECK(date_parse(time_rfc5322(date.ms, text), &again));
        CHECK(again.ms == date.ms - date.ms % 1000 - (date.ms % 1000 < 0 ? 1000 : 0));
    }
    return 0;
}
