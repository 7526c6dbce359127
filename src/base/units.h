/* base/units.h: sizes and times as people write them in the configuration and on the command line.
 *
 * A size is octets, or a number with K, M or G (powers of 1,024). A time is seconds, or a number
 * with ms, s, m, h, d or w. Whole numbers without sign or blank; a value that would not fit into 64
 * bits is refused.
 */
#pragma once

#include "base/buf.h"
#include "base/str.h"

bool units_parse_size(struct str s, uint64_t *octets);
bool units_parse_time(struct str s, uint64_t *ms);

/* The shortest exact form that the parsers take: "50M", "90s", "1500ms". */
void units_put_size(struct buf *out, uint64_t octets);
void units_put_time(struct buf *out, uint64_t ms);
