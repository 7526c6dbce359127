/* mail/preview.h: the first words of a message (RFC 8970).
 *
 * Fed with UTF-8 text in pieces; white space of any kind becomes one space, lines that begin with
 * ">" are left out unless there is nothing else, control characters are dropped. Characters are
 * code points.
 */
#pragma once

#include "base/buf.h"

enum {
    PREVIEW_CHARS = 200, /* RFC 8970 3.2: at most 256; 200 are recommended */
    PREVIEW_OCTETS = PREVIEW_CHARS * 4
};

struct preview_line {
    char text[PREVIEW_OCTETS];
    uint16_t octets, chars;
    bool space; /* one waits to be written if something follows */
};

struct preview {
    struct preview_line own, quoted;
    uint16_t max;
    bool in_quote, line_started;
};

/* max: characters, at most PREVIEW_CHARS. */
void preview_init(struct preview *p, unsigned max);
void preview_feed(struct preview *p, struct str utf8);

/* Text that is known to be quoted. */
void preview_feed_quoted(struct preview *p, struct str utf8);

/* Nothing that follows can change it. */
bool preview_full(const struct preview *p);

/* Lives in p. */
struct str preview_text(const struct preview *p);
