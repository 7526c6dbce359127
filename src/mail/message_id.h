/* mail/message_id.h: Message-ID, In-Reply-To, References.
 *
 * RFC 5322 3.6.4, tolerant: an id is what stands between "<" and ">", without white space (mailers
 * fold within it); phrases and comments of RFC 822 around it are passed over. Ids longer than
 * MESSAGE_ID_MAX are none (hostile.md 104). Case is kept.
 */
#pragma once

#include "base/buf.h"

enum {
    MESSAGE_ID_MAX = 998 /* a line */
};

/* Appends the next id, without angle brackets, and takes it off the front of *field. False where
 * there is none left. */
bool message_id_next(struct str *field, struct buf *out);

/* The id of a Message-ID field: the first one; a single word without brackets counts too. */
bool message_id_parse(struct str field, struct buf *out);
