/* mail/html_text.h: the text of an HTML body: for previews and terminals, not a browser.
 *
 * A machine of a few states over UTF-8 in chunks; bounded memory, linear, no tree. Tags become a
 * space, those of blocks a line end; scripts, styles, comments and titles vanish; the entities that
 * mail has are decoded, other names are dropped. What is quoted (blockquote) goes to another
 * buffer.
 */
#pragma once

#include "base/buf.h"

struct html_text {
    char name[16];   /* of the tag or entity that is being read */
    char hidden[16]; /* the element whose content is skipped */
    uint8_t count, state;
    char delimiter; /* of an attribute's value */
    bool closing;
    unsigned quoted; /* open blockquotes */
};

void html_text_init(struct html_text *h);

/* Appends text to out, quoted text to quoted (NULL: to out as well). */
void html_text_feed(struct html_text *h, struct str utf8, struct buf *out, struct buf *quoted);
