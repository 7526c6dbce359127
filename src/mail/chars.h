/* mail/chars.h: the character classes of the mail grammars in one table.
 *
 * A class is a bit; mail_is(c, CLASS) asks for any of the given ones. Octets above 127 belong to no
 * class: where RFC 6532 admits UTF-8 the parser asks for CHAR_UTF8 itself.
 */
#pragma once

#include "base/str.h"

enum mail_class {
    CHAR_ATEXT = 1,     /* RFC 5322 3.2.3 */
    CHAR_QTEXT = 2,     /* RFC 5321 4.1.2 qtextSMTP: printable but quote and backslash, and SP */
    CHAR_LETDIG = 4,    /* RFC 5321 4.1.2 Let-dig */
    CHAR_FTEXT = 8,     /* RFC 5322 3.6.8: printable but colon */
    CHAR_TOKEN = 16,    /* RFC 2045 5.1: printable but tspecials */
    CHAR_DCONTENT = 32, /* RFC 5321 4.1.3: printable but [ \ ] */
    CHAR_WSP = 64,      /* SP HT CR LF: white space and what folding leaves */
    CHAR_UTF8 = 128,    /* octets above 127 */
};

extern const uint8_t mail_classes[256];

static inline bool mail_is(char c, unsigned classes)
{
    return (mail_classes[(unsigned char)c] & classes) != 0;
}
