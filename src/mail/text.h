/* mail/text.h: the text of a part, as people read it. */
#pragma once

#include "base/buf.h"

#include "mail/content_type.h"

struct text_form {
    enum mime_encoding encoding;
    struct str charset; /* empty: none was given */
    bool html;          /* strip the markup */
};

/* Appends at most max octets of UTF-8 with LF line ends and without other control characters than
 * tabs (terminals obey them). body is the part's, as stored. -1 only without memory. */
int text_extract(const struct text_form *form, struct str body, size_t max, struct buf *out);
