#include "mail/chars.h"

#define IN(c, low, high) ((c) >= (low) && (c) <= (high))
#define LETDIG(c)        (IN(c, 'a', 'z') || IN(c, 'A', 'Z') || IN(c, '0', '9'))
#define ATEXT(c)                                                                                   \
    (LETDIG(c) || (c) == '!' || IN(c, '#', '\'') || (c) == '*' || (c) == '+' || (c) == '-' ||      \
        (c) == '/' || (c) == '=' || (c) == '?' || (c) == '^' || (c) == '_' || (c) == '`' ||        \
        IN(c, '{', '~'))
#define QTEXT(c)    (IN(c, 32, 126) && (c) != '"' && (c) != '\\')
#define FTEXT(c)    (IN(c, 33, 126) && (c) != ':')
#define DCONTENT(c) (IN(c, 33, 90) || IN(c, 94, 126))
#define WSP(c)      ((c) == ' ' || (c) == '\t' || (c) == '\r' || (c) == '\n')
/* RFC 2045 5.1 tspecials: ()<>@,;:\"/[]?= */
#define TOKEN(c)                                                                                   \
    (IN(c, 33, 126) && (c) != '"' && !IN(c, '(', ')') && (c) != ',' && (c) != '/' &&               \
        !IN(c, ':', '@') && !IN(c, '[', ']'))

#define CLASSES(c)                                                                                 \
    ((ATEXT(c) ? CHAR_ATEXT : 0) | (QTEXT(c) ? CHAR_QTEXT : 0) | (LETDIG(c) ? CHAR_LETDIG : 0) |   \
        (FTEXT(c) ? CHAR_FTEXT : 0) | (TOKEN(c) ? CHAR_TOKEN : 0) |                                \
        (DCONTENT(c) ? CHAR_DCONTENT : 0) | (WSP(c) ? CHAR_WSP : 0) | ((c) > 127 ? CHAR_UTF8 : 0))
#define ROW4(c)  CLASSES(c), CLASSES((c) + 1), CLASSES((c) + 2), CLASSES((c) + 3)
#define ROW16(c) ROW4(c), ROW4((c) + 4), ROW4((c) + 8), ROW4((c) + 12)
#define ROW64(c) ROW16(c), ROW16((c) + 16), ROW16((c) + 32), ROW16((c) + 48)

const uint8_t mail_classes[256] = {ROW64(0), ROW64(64), ROW64(128), ROW64(192)};
