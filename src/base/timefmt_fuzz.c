#include "base/timefmt.h"

#include "base/check.h"
#include "base/units.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* What parses is written in a form that parses to the same; sizes and durations too. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str in = str_of((const char *)data, n), written;
    char out[TIME_RFC3339_SIZE];
    int64_t ms, ms_again;
    uint64_t value, again;
    struct buf text;

    if (time_parse_rfc3339(in, &ms) && ms >= civil_days(0, 1, 1) * 86400000 &&
        ms < civil_days(10000, 1, 1) * 86400000) {
        written = time_rfc3339(ms, out);
        CHECK(time_parse_rfc3339(written, &ms_again) && ms == ms_again);
    }
    buf_init(&text, 32);
    if (units_parse_size(in, &value)) {
        units_put_size(&text, value);
        CHECK(units_parse_size(buf_str(&text), &again) && value == again);
    }
    buf_clear(&text);
    if (units_parse_time(in, &value)) {
        units_put_time(&text, value);
        CHECK(units_parse_time(buf_str(&text), &again) && value == again);
    }
    buf_done(&text);
    return 0;
}
