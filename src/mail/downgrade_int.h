/* mail/downgrade_int.h: shared by the files of mail/downgrade.h. */
#pragma once

#include "mail/downgrade.h"

/* How many octets are above 127. */
size_t downgrade_count_eight(struct str s);

/* Appends the field, whose octets are raw and some above 127, in ASCII. 0; a status, 6003 and the
 * like (subject * 1000 + detail of RFC 3463), where it cannot be done; -1 where out has no room. */
int downgrade_field(const struct header_field *f, struct str raw, struct buf *out);

enum {
    DOWNGRADE_NOT_POSSIBLE = 6003, /* X.6.3 */
    DOWNGRADE_NO_ADDRESS = 6007,   /* X.6.7 */
    DOWNGRADE_NO_FIELD = 6009,     /* X.6.9 */
};
