/* mail/header.h: the fields of a header block.
 *
 * RFC 5322 2.2 and 3.6.8, with the white space before the colon of 4.5. A block ends at its first
 * empty line or with the slice; lines end in CRLF, a lone LF is taken as a line end too. What is no
 * field is junk: a line that begins with white space where nothing can be continued (hostile.md
 * 85), has no colon, or a name of other than printable ASCII (94). Junk has no name and no value,
 * is never found by name, and does not end the block. "From :" is a From (84).
 */
#pragma once

#include "base/buf.h"

enum header_id {
    HEADER_OTHER,
    HEADER_BCC,
    HEADER_CC,
    HEADER_CONTENT_DESCRIPTION,
    HEADER_CONTENT_DISPOSITION,
    HEADER_CONTENT_ID,
    HEADER_CONTENT_LANGUAGE,
    HEADER_CONTENT_LOCATION,
    HEADER_CONTENT_MD5,
    HEADER_CONTENT_TRANSFER_ENCODING,
    HEADER_CONTENT_TYPE,
    HEADER_DATE,
    HEADER_DELIVERED_TO,
    HEADER_DKIM_SIGNATURE,
    HEADER_FROM,
    HEADER_IN_REPLY_TO,
    HEADER_MESSAGE_ID,
    HEADER_MIME_VERSION,
    HEADER_RECEIVED,
    HEADER_REFERENCES,
    HEADER_REPLY_TO,
    HEADER_RETURN_PATH,
    HEADER_SENDER,
    HEADER_SUBJECT,
    HEADER_TO,
    HEADER_JUNK,
};

struct header_field {
    enum header_id id;
    struct str name;       /* as written */
    struct str value;      /* behind the colon, folded, without the last line end */
    size_t offset, length; /* where in the block, with its line end */
};

struct header_iter {
    struct str block;
    size_t at;
};

static inline struct header_iter header_iter(struct str block)
{
    return (struct header_iter){.block = block};
}

/* The next field or piece of junk. False at the end of the block; it.at is then behind the empty
 * line, or at the end of the slice. */
bool header_next(struct header_iter *it, struct header_field *f);

/* The first field of that name after *it, as header_next(). */
bool header_find(struct header_iter *it, struct str name, struct header_field *f);

enum header_id header_id(struct str name);

enum {
    HEADER_NAME_MAX = 998 /* a longer name is junk: RFC 5322 2.1.1 leaves no room for one */
};

/* Is this line, or its first HEADER_NAME_MAX + 2 octets, the start of a field? The name is given
 * without the white space before its colon, value_at is the octet behind the colon. */
bool header_line(struct str line, struct str *name, size_t *value_at);

/* Appends value without folding and without white space at its ends; NUL becomes a space. */
void header_put_unfolded(struct str value, struct buf *out);
