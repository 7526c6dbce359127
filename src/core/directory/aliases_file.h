/* core/directory/aliases_file.h: the format of /etc/aliases, as aliases(5) of Postfix and Sendmail
 * have it.
 *
 * "name: target, target", continued by lines that begin with white space; # begins a comment line;
 * names and local parts may be quoted. Names without a domain get one. What runs programs, writes
 * files or reads other files (|program, /file, :include:) is refused with its line: nothing of the
 * kind exists here. Pure and linear.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

struct alias_line {
    unsigned line;
    struct str name; /* an address, or "@domain" */
    struct str *target;
    uint32_t targets;
};

/* Everything in the arena. Errors begin with the number of the line, counted from `line`. */
int aliases_file_parse(struct arena *a, struct str text, unsigned line, struct str domain,
    struct alias_line **rows, uint32_t *count, struct err *e);
