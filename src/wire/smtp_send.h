/* wire/smtp_send.h: content as it goes to another server, by DATA or BDAT.
 *
 * Fed with content wherever it is cut; gives back slices of it, or of constants, and never copies.
 * What comes out holds CR and LF only as CRLF (RFC 5321 2.3.8): one that stands alone, as content
 * that came by BDAT may have it, becomes a space, so that no server can find the end of the message
 * in the middle (hostile.md 4; Postfix does the same: cleanup_replace_stray_cr_lf). The number of
 * octets stays, which BDAT needs. For DATA dots at the start of lines are doubled (RFC 5321 4.5.2).
 */
#pragma once

#include "base/str.h"

struct smtp_sender {
    bool dots;       /* DATA, not BDAT */
    bool line_start; /* behind CRLF or at the very start */
    bool cr;         /* one is held: a LF may follow */
};

static inline void smtp_sender_init(struct smtp_sender *s, bool dots)
{
    *s = (struct smtp_sender){.dots = dots, .line_start = true};
}

/* The next slice to be sent, and takes what it stands for off *in. Empty: *in is used up. */
struct str smtp_sender_next(struct smtp_sender *s, struct str *in);

/* No more comes: what is missing, of DATA up to the CRLF before the last dot. */
struct str smtp_sender_finish(const struct smtp_sender *s);
