/* mail/dsn_check.h: for tests: does a notification keep to RFC 3464 and 6522, whatever went in? */
#pragma once

#include "mail/dsn.h"

/* Asserts it: lines, octets, structure of the parts, grammar of the fields. */
void dsn_check(const struct dsn *d, struct str report, const struct dsn_form *form);
