#include "base/units.h"

#include "base/mem.h"

struct unit {
    struct str name;
    uint64_t factor;
};

/* The largest first; a bare number is the unit without a name, which zero is written in. */
static const struct unit sizes[] = {
    {STR_INIT("G"), 1u << 30},
    {STR_INIT("M"), 1u << 20},
    {STR_INIT("K"), 1u << 10},
    {STR_INIT(""), 1},
};

static const struct unit times[] = {
    {STR_INIT("w"), 604800000},
    {STR_INIT("d"), 86400000},
    {STR_INIT("h"), 3600000},
    {STR_INIT("m"), 60000},
    {STR_INIT("s"), 1000},
    {STR_INIT("ms"), 1},
    {STR_INIT(""), 1000},
};

static bool parse(struct str s, const struct unit *units, size_t count, uint64_t *value)
{
    size_t digits = 0;
    uint64_t v;

    while (digits < s.n && ascii_digit(s.p[digits]))
        digits++;
    if (!str_to_u64(str_head(s, digits), UINT64_MAX, &v))
        return false;
    for (size_t i = 0; i < count; i++)
        if (str_eq_ascii(str_from(s, digits), units[i].name))
            return !__builtin_mul_overflow(v, units[i].factor, value);
    return false;
}

bool units_parse_size(struct str s, uint64_t *octets)
{
    uint64_t v;

    if (!parse(s, sizes, ARRAY_COUNT(sizes), &v))
        return false;
    *octets = v;
    return true;
}

bool units_parse_time(struct str s, uint64_t *ms)
{
    uint64_t v;

    if (!parse(s, times, ARRAY_COUNT(times), &v))
        return false;
    *ms = v;
    return true;
}

static void put(struct buf *out, uint64_t value, const struct unit *unit)
{
    while (value % unit->factor)
        unit++;
    buf_put_u64(out, value / unit->factor);
    buf_put(out, unit->name);
}

void units_put_size(struct buf *out, uint64_t octets)
{
    put(out, octets, octets ? sizes : &sizes[ARRAY_COUNT(sizes) - 1]);
}

void units_put_time(struct buf *out, uint64_t ms)
{
    put(out, ms, ms ? times : &times[ARRAY_COUNT(times) - 1]);
}
