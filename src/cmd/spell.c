#include "cmd/spell.h"

#include "base/escape.h"
#include "base/mem.h"
#include "base/timefmt.h"

struct str spell_str(const json_t *object, const char *member)
{
    const json_t *v = json_object_get(object, member);

    return json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : STR_NONE;
}

uint64_t spell_u64(const json_t *object, const char *member)
{
    json_int_t v = json_integer_value(json_object_get(object, member));

    return v > 0 ? (uint64_t)v : 0;
}

void spell_put(struct buf *out, const json_t *object, const char *member)
{
    escape_put(out, spell_str(object, member), ESCAPE_TERMINAL);
}

void spell_time(struct buf *out, const json_t *object, const char *member)
{
    struct civil c;
    int64_t ms;

    if (!time_parse_rfc3339(spell_str(object, member), &ms)) {
        buf_put_c(out, '-');
        return;
    }
    c = civil_from_ms(ms);
    buf_printf(out, "%04lld-%02u-%02u %02u:%02u:%02u", (long long)c.year, c.month, c.day, c.hour,
        c.minute, c.second);
}

static void put_span(struct buf *out, uint64_t seconds)
{
    static const struct {
        uint64_t seconds;
        const char *one, *many;
    } units[] = {{86400, "day", "days"}, {3600, "hour", "hours"}, {60, "min", "min"},
        {1, "second", "seconds"}};
    size_t i = 0;

    /* "90 min" says more than "1 hour". */
    while (i + 1 < ARRAY_COUNT(units) && seconds < 2 * units[i].seconds)
        i++;
    spell_count(out, seconds / units[i].seconds, units[i].one, units[i].many);
}

void spell_distance(struct buf *out, const json_t *object, const char *member)
{
    int64_t ms, away;

    if (!time_parse_rfc3339(spell_str(object, member), &ms))
        return;
    away = (ms - wall_ms()) / 1000;
    if (away == 0) {
        buf_put(out, STR("now"));
        return;
    }
    if (away > 0)
        buf_put(out, STR("in "));
    put_span(out, (uint64_t)(away > 0 ? away : -away));
    if (away < 0)
        buf_put(out, STR(" ago"));
}

void spell_count(struct buf *out, uint64_t n, const char *one, const char *many)
{
    buf_printf(out, "%llu %s", (unsigned long long)n, n == 1 ? one : many);
}
