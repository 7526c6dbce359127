/* core/queue/pattern.h: which addresses an operator means (`queue list --to`, `queue hold --to`).
 *
 * `*` stands for any octets, also none; ASCII case does not matter. A pattern with @ is compared
 * with the whole address, "@D" and one without @ with its domain; "<>" is the null reverse-path. A
 * site's name is compared as a whole (pattern_fits()). Time is at most pattern times address, both
 * of which are short.
 */
#pragma once

#include "base/str.h"

enum {
    PATTERN_MAX = 320, /* octets */
};

/* With octets of a peer within it would be no line of a file: "holds a control character". NULL
 * where it is a pattern. */
const char *pattern_problem(struct str pattern);

bool pattern_fits(struct str pattern, struct str text);
bool pattern_fits_address(struct str pattern, struct str address);
