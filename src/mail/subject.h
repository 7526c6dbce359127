/* mail/subject.h: the base subject, by which mail is sorted and threaded. */
#pragma once

#include "base/buf.h"

enum {
    SUBJECT_KEY_MAX = 1024 /* octets of the decoded subject that are looked at */
};

/* RFC 5256 2.1. field is the Subject as it stands in the message. Appends the base subject as UTF-8
 * (not folded in case: whoever compares does); *reply tells whether a "Re:", "Fwd:" or "(fwd)" has
 * been taken away. */
void subject_base(struct str field, struct buf *out, bool *reply);
